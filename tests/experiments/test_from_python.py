"""Results from Python: one line each, tables in units that people read, runs that lie in a directory, own functions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wattswap import cli
from wattswap.agents.offers import Call, Memory, OfferBook, Own
from wattswap.experiments import ComparisonError, compare, load, run
from wattswap.experiments.api import Result
from wattswap.protocol.draws import Draws
from wattswap.protocol.errors import InputError

COARSE = ["reading_s=300"]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Result:
    return run("demo", engine="fleet", settings=COARSE, out=tmp_path_factory.mktemp("runs") / "one")


def test_a_result_is_one_line_and_a_small_table(written):
    assert repr(written).startswith("<Result scenario='demo', controller='negotiated', engine='fleet', seed=1: ")
    assert repr(written).count("\n") == 0
    assert len(repr(written)) < 300
    assert "gave way" in written._repr_html_()
    assert len(written._repr_html_()) < 2_000


def test_a_frame_has_instants_of_the_street_and_kilowatt_hours(written):
    series, trades, raw = written.frame("series"), written.frame("trades"), written.trades
    assert str(series.index[0]) == "2018-11-25 00:00:00+01:00"
    assert (series["load_kw"] * 1000).round().astype(int).tolist() == written.series["load_w"].tolist()
    assert trades["iota"].sum() == pytest.approx(raw["nanos"].sum() / 1e9)
    assert trades["delivered_kwh"].sum() == pytest.approx(raw["delivered_ws"].sum() / 3.6e6)
    assert str(written.frame("sessions")["arrival"].dt.tz) == "UTC+01:00"


def test_a_table_that_is_not_there_is_said(written):
    with pytest.raises(InputError, match="there are series, rounds, trades, sessions, cars"):
        written.frame("trade")


def test_a_run_directory_is_loaded_as_it_was_returned(written):
    loaded = load(written.out)
    assert repr(loaded).startswith("<LoadedRun scenario='demo'")
    assert loaded.summary["trace_hash"] == written.summary["trace_hash"]
    assert loaded.frame("trades").equals(written.frame("trades"))
    assert loaded.trades["nanos"].tolist() == written.trades["nanos"].tolist()
    assert loaded.uncontrolled is not None
    assert loaded.uncontrolled["overload_s"] == written.uncontrolled["overload_s"]


@pytest.mark.parametrize(("kind", "begins"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_picture_alone_is_written_for_paper_and_screen_the_same_each_time(written, tmp_path, kind, begins):
    files = [tmp_path / f"{name}.{kind}" for name in ("one", "two")]
    for file in files:
        assert cli._code(["report", str(written.out), "--picture", str(file)]) == 0
    assert files[0].read_bytes().startswith(begins)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_picture_alone_is_written_as_png_too(written, tmp_path):
    file = tmp_path / "one.png"
    assert cli._code(["report", str(written.out), "--picture", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_another_kind_is_refused(written, tmp_path, capsys):
    assert cli._code(["report", str(written.out), "--picture", str(tmp_path / "one.gif")]) == 2
    assert capsys.readouterr().err.endswith("a picture's name ends in .pdf, .png, .svg\n")


def eager(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Gives everything up for nothing."""
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=0)


def neighbourly(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Looks at how many others are asked."""
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=len(own) * 1_000_000)


@pytest.mark.parametrize("engine", ["fleet", "messages"])
def test_a_function_is_a_strategy(engine):
    result = run("demo", day=1, engine=engine, strategy=eager, settings=COARSE)
    assert set(result.trades[result.trades["kind"] == "reduce"]["ask_nanos_per_kwh_h"]) == {0}
    assert result.summary["strategy"] == "given-eager-1"


def test_a_function_that_looks_at_its_neighbours_is_refused():
    with pytest.raises(InputError, match="given-neighbourly-1"):
        run("demo", engine="fleet", strategy=neighbourly)


def test_a_comparison_of_which_nothing_came_through_raises(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from wattswap.agents.offers import OfferBook\n"
        "def picky(call, own, memory, draws):\n"
        "    assert call.need_w.min() >= 50_000, 'not for so little'\n"
        "    return OfferBook.keep(own)\n",
        encoding="utf-8",
    )
    with pytest.raises(ComparisonError, match=r"none of 1 runs came through.*not for so little"):
        compare("demo", controllers=["negotiated"], strategies=["mine.py:picky"], jobs=1, settings=COARSE)


def test_a_plain_script_compares_in_processes_once(tmp_path: Path):
    (tmp_path / "plain.py").write_text(
        "from wattswap.experiments import compare\n"
        "print(compare('demo', controllers=['negotiated'], seeds=2, jobs=2, settings=['reading_s=300']))\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "plain.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.stdout == "<Comparison of 'demo': 2 runs in 1 groups>\n", done.stderr
