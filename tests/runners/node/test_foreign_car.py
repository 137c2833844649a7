"""A car in a program of its own, written from the description of the wire alone, takes part in rounds and is paid."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests.runners.node import foreign_car
from tests.runners.node.street_of_nodes import StreetOfNodes, running, until


def test_a_car_of_somebody_else_gives_way_draws_back_and_is_paid_what_both_meters_counted(tmp_path):
    """It asks next to nothing, so it wins whenever it is called, and the other car's ask is the price."""
    street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=2, need_wh=60)
    car = street.cars[0]
    script = str(Path(foreign_car.__file__))
    car.command = [sys.executable, script, str(car.folder / "keys"), "127.0.0.1", str(street.ports[1]), "1000"]
    with running(street):
        receipt = until(lambda: [one for one in car.events("receipt") if one["nanos"]], street)[0]
        trades = [one for one in street.transformer.events("NoteTrade") if sum(one["nanos"]) == receipt["nanos"]]
        assert trades
        assert not trades[0]["disputed"]
        assert 0 < trades[0]["returned_ws"] <= sum(trades[0]["delivered_ws"])


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
