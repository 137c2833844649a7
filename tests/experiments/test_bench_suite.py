"""What ``wattswap bench`` puts side by side does the same work, and its ratios say which side is better."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests import smalltown
from tests.pages import HOUSE

from wattswap.experiments.bench import suite
from wattswap.experiments.bench.bench_row import BenchRow
from wattswap.experiments.bench.beside_peers import PEERS, beside_peers
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import run_street
from wattswap.runners.scenario import load_street


@pytest.mark.parametrize(
    ("unit", "ours", "theirs", "times"), [("s", 2.0, 8.0, 4.0), ("ms", 30.0, 3.0, 0.1), ("1/s", 50.0, 100.0, 0.5)]
)
def test_fewer_seconds_and_more_a_second_are_better(unit: str, ours: float, theirs: float, times: float):
    assert BenchRow(what="", ours=ours, unit=unit, theirs=theirs).times == pytest.approx(times)
    assert BenchRow(what="", ours=ours, unit=unit).times is None


def test_a_citys_pass_stands_beside_its_transformers_one_by_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(suite, "_TRANSFORMERS", 1)
    (row,) = suite._city(0)
    assert "city's 1 transformers" in row.what
    assert row.ours > 0
    assert row.theirs is not None
    assert row.theirs > 0


def test_peers_that_are_not_here_are_named_and_never_measured():
    bare = [each for each in (sys.executable,) if find_spec("acnportal") is None and find_spec("ev2gym") is None]
    if not bare:
        pytest.skip("a peer is installed here")
    rows, not_measured = beside_peers(2, bare)
    assert list(rows) == []
    assert not_measured == [f"{peer.name} (not installed)" for peer in PEERS]


def test_a_peer_is_measured_by_the_interpreter_that_has_it(tmp_path: Path):
    """A stand-in answers for the interpreter; what it is asked and what its answer becomes is ours."""
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\n"
        "import json, sys\n"
        "if '-c' in sys.argv:\n"
        "    print(json.dumps({'acnportal': '0.3.3', 'citylearn': '3.0.2'}))\n"
        "else:\n"
        "    asked = json.load(sys.stdin)\n"
        "    assert sys.argv[-1].endswith('acn_sim.py') and len(asked['sessions']) == 105, asked\n"
        "    assert all(0 <= first < last <= 288 for _, first, last, _ in asked['sessions'])\n"
        "    print('chatter')\n"
        "    print(json.dumps({'spent_s': 7.0}))\n"
    )
    python.chmod(0o755)
    rows, not_measured = beside_peers(2, [str(python)])
    (row,) = rows
    assert row.beside == "ACN-Sim 0.3.3 with the same sessions, one by one, and nobody in control"
    assert row.theirs == 14.0
    assert row.times is not None
    assert row.times > 1
    expected = [
        "EV2Gym (not installed)",
        "CityLearn 3.0.2 (installed; nothing here runs it)",
        "Chargax (not installed)",
    ]
    assert not_measured == expected


def test_a_peer_that_fails_is_told_and_takes_nothing_with_it(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "sys.exit('No module named numba') if '-c' not in sys.argv else print('{\"ev2gym\": \"2.0.0\"}')\n"
    )
    python.chmod(0o755)
    rows, not_measured = beside_peers(2, [str(python)])
    assert list(rows) == []
    assert f"EV2Gym 2.0.0 (failed under {python}: No module named numba)" in not_measured


def test_an_interpreter_that_is_none_is_said(tmp_path: Path):
    with pytest.raises(InputError, match=r"--peer-python .*nowhere: not a Python that can be asked"):
        beside_peers(2, [str(tmp_path / "nowhere")])


@pytest.mark.parametrize("program", sorted((HOUSE / "experiments/wattswap/experiments/bench/peers").glob("[a-z]*.py")))
def test_a_peers_program_needs_nothing_of_ours(program: Path):
    assert "wattswap" not in program.read_text(encoding="utf-8")


def test_the_plain_model_charges_the_same_cars(tmp_path: Path):
    """With a limit that nobody reaches it draws what our street does with nobody in control."""
    pytest.importorskip("mesa")
    from wattswap.experiments.bench.plain_mesa import PlainStreets

    street = load_street(
        str(smalltown.found(tmp_path)),
        settings=["transformer.rating_va=1_000_000", "transformer.limit_w=1_000_000", "event=[]"],
    )
    plain = PlainStreets([street])
    record = run_street(street, engine="fleet", controller="uncontrolled")
    for row in record.ticks:
        plain.step()
        assert plain.load_w[0] - row.base_w == row.import_w.sum()
    assert plain.rounds == 0


def test_the_plain_model_asks_when_it_is_over_the_limit(tmp_path: Path):
    pytest.importorskip("mesa")
    from wattswap.experiments.bench.plain_mesa import PlainStreets

    street = load_street(str(smalltown.found(tmp_path)))
    plain = PlainStreets([street])
    plain.run_for(street.ticks)
    assert plain.rounds > 0
