"""A finished run on a real feeder: flows as reckoned by hand, what goes in comes out, and bad networks are named."""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from wattswap.cli import _code
from wattswap.experiments import run
from wattswap.experiments.feeder.network import read_network
from wattswap.experiments.run_tables import RunTables
from wattswap.protocol.errors import InputError

pgm = pytest.importorskip("power_grid_model")

from wattswap.experiments.feeder.flow import power_flows  # noqa: E402
from wattswap.experiments.feeder.voltages import LEAST_V, voltages  # noqa: E402

CABLES = "from,to,length_m,r_ohm_per_km,x_ohm_per_km,rated_a\ntransformer,far,200,0.2,0.08,270\n"
LOADS = "bus,p_kw,q_kvar\nfar,10,4\n"


def written(folder: Path, cables: str = CABLES, loads: str = LOADS) -> Path:
    (folder / "cables.csv").write_text(cables, encoding="utf-8")
    (folder / "loads.csv").write_text(loads, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The demo's day in steps of 300 s, as a run directory."""
    out: Path = tmp_path_factory.mktemp("feeder") / "run"
    run("demo", engine="fleet", settings=["reading_s=300"], out=out)
    return out


def test_one_cable_drops_the_volts_that_kirchhoff_says(tmp_path):
    """Own impedance (z0 + 2 z1) / 3, mutual (z0 - z1) / 3, z0 = 4 z1; iterated by hand from the near end's volts."""
    watts = np.array([[[12_000.0, 3_000.0, 0.0]]])
    found = power_flows(read_network(written(tmp_path)), watts, watts * 0.3, 1e7)
    turn = np.exp(-2j * np.pi / 3)
    near = found.volts[0, 0] * np.array([1, turn, turn**2])  # of so large a transformer they are even
    z = 0.2 * (0.2 + 0.08j) * (2 * np.eye(3) + np.ones((3, 3)) - np.eye(3))
    far = near.copy()
    for _ in range(50):
        far = near - z @ np.conj(watts[0, 0] * (1 + 0.3j) / far)
    assert found.volts[0, 1] == pytest.approx(np.abs(far), abs=0.05)
    current = np.conj(watts[0, 0] * (1 + 0.3j) / far)
    assert found.amperes[0, 0] == pytest.approx(np.abs(current), abs=0.05)
    assert found.volts[0, 1, 0] < found.volts[0, 1, 1], "the loaded phase drops"


def test_a_day_of_2_880_flows_takes_less_than_two_seconds_of_a_processor():
    network = read_network()
    watts = np.random.default_rng(1).uniform(0, 1_000, (2_880, len(network.load_bus), 3))
    began_s = process_time()
    found = power_flows(network, watts, watts * 0.4, 400_000)
    assert process_time() - began_s < 2
    assert len(found.volts) == 2_880


def test_what_goes_in_is_what_is_drawn_and_lost(finished):
    """The load of the series, ten minutes at a time, and the cables' losses go through the transformer."""
    tables = RunTables.read(finished)
    found = voltages(tables)
    drawn_w = (tables.series["base_w"] + tables.series["import_w"] - tables.series["export_w"]).to_numpy()
    into_w = found.flows.transformer_w.sum(axis=1)
    more = into_w / drawn_w.reshape(-1, 2).mean(axis=1)
    assert ((more > 1.0) & (more < 1.05)).all()
    assert len(found.t_ms) == len(tables.series) // 2


def test_cars_on_one_phase_make_it_uneven_and_cars_on_three_do_not(finished):
    tables = RunTables.read(finished)
    even, uneven = (voltages(tables, single_phase_pct=pct).figures for pct in (0, 100))
    assert even["unbalance_pct"]["value"] < 0.01
    assert uneven["unbalance_pct"]["value"] > 0.5
    assert uneven["least_v"]["value"] < even["least_v"]["value"]
    assert uneven["phase_w"]["value"] > even["phase_w"]["value"]


def test_a_place_stays_the_same_whoever_else_charges(finished):
    """Where a station is follows from its name and the seed."""
    tables = RunTables.read(finished)
    first, again = voltages(tables).figures, voltages(tables).figures
    assert first == again
    assert first["least_v"]["value"] > LEAST_V


def test_the_command_leaves_a_table_and_a_picture(finished, capsys):
    assert _code(["voltages", str(finished), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    lines = (finished / "voltages.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "bus,phase,least_v,most_v,outside_min,unbalance_pct"
    assert len(lines) == 1 + 43 * 3
    assert (finished / "voltages.png").read_bytes()[:4] == b"\x89PNG"
    assert min(float(line.split(",")[2]) for line in lines[1:]) == found["least_v"]["value"]
    assert _code(["voltages", str(finished), "--single-phase", "0"]) == 0
    assert "0 % of the cars on one phase" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cables", "loads", "what"),
    [
        (CABLES.replace("far", "far,"), LOADS, "cables.csv"),
        (CABLES.replace("length_m", "metres"), LOADS, "no column 'length_m'"),
        (CABLES.replace("200", "long"), LOADS, "row 2: length_m is 'long', not a number"),
        (CABLES.replace("200", "0"), LOADS, "row 2: length_m is 0; it must be more than 0"),
        (CABLES + "here,there,1,1,1,1\n", LOADS, "'here' is not reached from the bus 'transformer'"),
        (CABLES, LOADS.replace("far", "moon"), "row 2: no cable reaches 'moon'"),
        (CABLES, LOADS.replace("10", "0"), "p_kw is 0 everywhere"),
        (CABLES, "bus,p_kw,q_kvar\n", "no row"),
    ],
)
def test_a_network_that_cannot_be_is_named(tmp_path, cables: str, loads: str, what: str):
    with pytest.raises(InputError, match=what):
        read_network(written(tmp_path, cables, loads))


def test_a_feeder_that_cannot_carry_the_load_says_so(tmp_path):
    watts = np.full((1, 1, 3), 5e6)
    with pytest.raises(InputError, match="cannot carry this load"):
        power_flows(read_network(written(tmp_path)), watts, watts, 1e6)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--day", "9"), "this run has no such day"),
        (("--single-phase", "130"), "0 to 100 percent"),
        (("--network", "nowhere"), "cables.csv: cannot be read"),
    ],
)
def test_bad_input_is_one_line_with_code_2(finished, capsys, words: tuple[str, ...], what: str):
    assert _code(["voltages", str(finished), *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert what in err
