"""A car in a program of its own, written from the description of the wire alone, takes part in rounds and is paid."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.runners.node import foreign_car
from tests.runners.node.street_of_nodes import StreetOfNodes, running, until

HERE = Path(__file__).parent
PACKAGES = ("zeromq", "@msgpack/msgpack", "@noble/hashes")
NODE_MODULES = "WATTSWAP_NODE_MODULES"


def gives_way_draws_back_and_is_paid(folder: Path, program: Sequence[str]) -> None:
    """It asks next to nothing, so it wins whenever it is called, and the other car's ask is the price."""
    street = StreetOfNodes(folder, limit_w=26_000, base_w=8_000, points=2, need_wh=30)
    car = street.cars[0]
    car.command = [*program, str(car.folder / "keys"), "127.0.0.1", str(street.ports[1]), "1000"]
    with running(street):
        receipt = until(lambda: [one for one in car.events("receipt") if one["nanos"]], street)[0]
        trades = [one for one in street.transformer.events("NoteTrade") if sum(one["nanos"]) == receipt["nanos"]]
        assert trades
        assert not trades[0]["disputed"]
        assert 0 < trades[0]["returned_ws"] <= sum(trades[0]["delivered_ws"])


def test_a_car_of_somebody_else_gives_way_draws_back_and_is_paid_what_both_meters_counted(tmp_path):
    gives_way_draws_back_and_is_paid(tmp_path, [sys.executable, str(Path(foreign_car.__file__))])


def test_a_car_in_node_js_does_as_well(tmp_path):
    """Its packages: `npm install zeromq @msgpack/msgpack @noble/hashes`; WATTSWAP_NODE_MODULES says where."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js here")
    folder = os.environ.get(NODE_MODULES, "")
    tried = subprocess.run([node, "-e", "require('zeromq')"], cwd=folder or None, capture_output=True, check=False)
    if not folder or tried.returncode:
        pytest.skip(f"no {', '.join(PACKAGES)} there: {NODE_MODULES} says in which folder npm has installed them")
    gives_way_draws_back_and_is_paid(tmp_path, [node, str(HERE / "foreign_car.mjs")])


def test_it_knows_nothing_of_this_project():
    tree = ast.parse(Path(foreign_car.__file__).read_text())
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    others = modules - set(sys.stdlib_module_names)
    assert others == {"msgpack", "zmq", "nacl"}
