"""``wattswap run`` where things go wrong: what is told of it, and what is said of faults that cannot be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.smalltown import FAULTS, found

from wattswap.cli import main
from wattswap.experiments.fault_costs import TITLE, costs
from wattswap.experiments.report import page
from wattswap.experiments.run_tables import RunTables
from wattswap.runners.recording.rundir import read_run

SET = tuple(part for setting in FAULTS for part in ("--set", setting))


def ran(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[object, str, str]:
    """``wattswap ARGS``: its exit code and what it said."""
    with pytest.raises(SystemExit) as left:
        main(args)
    return left.value.code, *capsys.readouterr()


def test_what_went_wrong_is_told_with_what_it_cost(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("wattswap.experiments.report._picture", lambda tables: "")
    code, out, err = ran(capsys, "run", str(found(tmp_path)), *SET, "--out", str(tmp_path / "here"))
    assert (code, err) == (0, "")
    run = read_run(tmp_path / "here")
    faults = run.figures["faults"]
    assert all(faults[key] for key in ("sent", "lost", "repeated", "delayed", "crashes", "freezes", "partitions"))
    block = out.partition(TITLE)[2]
    assert f"{faults['sent']:,} messages: {faults['lost']:,} lost" in block
    assert f"{faults['crashes']:,} crashes, {faults['restarts']:,} restarts" in block
    assert "nothing goes wrong" in block
    for row in costs(run.figures):
        assert " ".join(row) in " ".join(block.split())
    assert ran(capsys, "report", str(run.path))[1] == out, "read back, it says the same"
    html = page(RunTables.read(run.path))
    assert f"<h2>{TITLE}</h2>" in html
    assert f"{faults['sent']:,} messages" in html
    assert "in any engine" not in html, "the fleet knows no faults"


def test_json_has_it_in_figures(tmp_path: Path, capsys):
    scenario = str(found(tmp_path))
    troubled = json.loads(ran(capsys, "run", scenario, *SET, "--json")[1])
    fault_free = json.loads(ran(capsys, "run", scenario, "--engine", "fleet", "--json")[1])
    assert fault_free["faults"] is None
    for key in ("overload_s", "unserved_wh", "forced_wh", "paid_nanos", "stops_total"):
        assert troubled["faults"][f"more_{key}"] == troubled[key] - fault_free[key]


def test_where_nothing_goes_wrong_nothing_is_said_of_it(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("wattswap.experiments.report._picture", lambda tables: "")
    out = ran(capsys, "run", str(found(tmp_path)), "--out", str(tmp_path / "here"))[1]
    assert "What went wrong" not in out
    assert TITLE not in page(RunTables.read(tmp_path / "here"))


def test_a_run_that_was_interrupted_has_counts_and_no_cost():
    tally = dict.fromkeys(("sent", "lost", "repeated", "delayed", "unheard"), 3)
    outages = dict.fromkeys(("crashes", "restarts", "freezes", "partitions"), 1)
    assert costs({"faults": {**tally, **outages}, "overload_s": 30}) == []


def test_the_uncontrolled_twin_knows_no_faults(tmp_path: Path, capsys):
    code, out, _ = ran(capsys, "run", str(found(tmp_path)), *SET, "--controller", "uncontrolled", "--json")
    assert code == 0
    assert json.loads(out)["faults"]["lost"]


@pytest.mark.parametrize(
    "args",
    [
        ("run", "demo", "--engine", "fleet", "--set", "faults.loss_pct=5"),
        ("compare", "demo", "--seeds", "1", "--set", "faults.crashes_per_day=5"),
    ],
    ids=["run", "compare"],
)
def test_the_fleet_refuses_faults_in_one_line(tmp_path: Path, monkeypatch, capsys, args):
    monkeypatch.chdir(tmp_path)
    code, out, err = ran(capsys, *args, "--out", "here")
    assert (code, out) == (2, "")
    assert err.startswith("wattswap: faults.")
    assert "use --engine messages, or leave [faults] out" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


BAD = (
    ("loss_pct=-1", "choose 0 to 100"),
    ("loss_pct=100.5", "choose 0 to 100"),
    ("loss_pct=nan", "choose 0 to 100"),
    ("loss_pct=many", "must be a number"),
    ("loss_pct=", "must be a number"),
    ("repeat_pct=101", "choose 0 to 100"),
    ("repeat_pct=-0.1", "choose 0 to 100"),
    ("delay_ms=-1", "choose 0 to 86_400_000"),
    ("delay_ms=86_400_001", "choose 0 to 86_400_000"),
    ("delay_ms=1.5", "must be a whole number"),
    ("crashes_per_day=-1", "choose 0 to 10_000"),
    ("freezes_per_day=1e9", "choose 0 to 10_000"),
    ("cuts_per_day=10_001", "choose 0 to 10_000"),
    ("outage_s=0", "choose 1 to 86_400"),
    ("outage_s=86_401", "choose 1 to 86_400"),
    ("drift_pct=-1", "choose 0 to 20"),
    ("drift_pct=50", "choose 0 to 20"),
    ("hours=-1", "choose 0 to 1_000_000"),
    ("los_pct=3", "did you mean faults.loss_pct?"),
    ("colour=red", "there is no key faults.colour"),
)


@pytest.mark.parametrize("command", [("run", "demo", "--out", "here"), ("faults", "--seeds", "1", "--jobs", "1")])
@pytest.mark.parametrize(("setting", "what"), BAD)
def test_faults_out_of_range_are_one_line_with_exit_code_2(
    tmp_path: Path, monkeypatch, capsys, command, setting: str, what: str
):
    monkeypatch.chdir(tmp_path)
    code, out, err = ran(capsys, *command, "--set", f"faults.{setting}")
    assert (code, out) == (2, "")
    assert err.startswith(f"wattswap: --set faults.{setting}: ")
    assert what in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_scenario_file_with_faults_out_of_range_is_named(tmp_path: Path, capsys):
    scenario = found(tmp_path)
    scenario.write_text(scenario.read_text(encoding="utf-8") + "[faults]\nloss_pct = 120\n", encoding="utf-8")
    code, _, err = ran(capsys, "run", str(scenario), "--json")
    assert code == 2
    assert "smalltown.toml" in err
    assert "faults.loss_pct is 120; choose 0 to 100" in err
    assert err.count("\n") == 1
