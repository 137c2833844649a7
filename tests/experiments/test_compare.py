"""Comparisons: every combination is run once, kept, found again, and never mixed with runs of other inputs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from tests.experiments import dying

from wattswap.experiments import api, compare, comparison, replications, sweep
from wattswap.experiments.jobs import Job, JobOutcome
from wattswap.protocol.errors import InputError
from wattswap.runners.scenario import load_street

DIES = """
import multiprocessing, os
from wattswap.agents.offers import OfferBook

def dies(call, own, memory, draws):
    if multiprocessing.parent_process() is not None:
        os._exit(9)
    return OfferBook.keep(own)
"""
RAISES = """
from wattswap.agents.offers import OfferBook

def picky(call, own, memory, draws):
    if call.need_w.min() < 50_000:  # the trial before a run asks for more
        raise ZeroDivisionError("not for so little")
    return OfferBook.keep(own)
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch) -> str:
    """The demo's day in steps of 300 s, in the folder we are in."""
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(load_street("demo", settings=["reading_s=300"]).resolved_toml, encoding="utf-8")
    return "small.toml"


@pytest.fixture
def made(monkeypatch) -> list[Job]:
    """The runs that are really made, in this process."""
    jobs: list[Job] = []
    real = replications.measure_together

    def measure_together(together: Sequence[Job]) -> list[JobOutcome]:
        jobs.extend(together)
        return real(together)

    monkeypatch.setattr(sweep, "outcomes", partial(sweep.outcomes, measure=measure_together))
    return jobs


def test_every_combination_is_run_and_summed_up(small):
    found = compare(small, strategies=["need", "keep"], seeds=2, jobs=1)
    assert [(row["controller"], row["strategy"], row["seed"]) for row in found.rows] == [
        ("uncontrolled", "need", 1),  # it asks nobody, so strategies are not crossed with it
        ("uncontrolled", "need", 2),
        ("negotiated", "need", 1),
        ("negotiated", "need", 2),
        ("negotiated", "keep", 1),
        ("negotiated", "keep", 2),
    ]
    expected = api.run(small, strategy="need", seed=2, engine="fleet").summary
    row = found.rows[3]
    assert (row["trace_hash"], row["overload_s"]) == (expected["trace_hash"], expected["overload_s"])
    assert row["choices_reduce"] == expected["choices"]["reduce"]
    in_parts = ("choices", "timing", "by_strategy")
    assert {next(filter(key.startswith, in_parts), key) for key in row} >= {*expected}
    assert not any(isinstance(value, dict) for value in row.values())
    group = found.groups[1]
    paid = [found.rows[at]["paid_nanos"] / 1e9 for at in (2, 3)]
    assert (group.controller, group.strategy, group.runs, group.failed) == ("negotiated", "need", 2, 0)
    assert group.spread["paid_nanos"] == (sum(paid) / 2, min(paid), max(paid))
    assert len(found.results) == 6
    assert found.out is None


def test_without_names_the_scenarios_own_strategy_is_compared(small):
    found = compare(small, jobs=1)
    assert {row["strategy"] for row in found.rows} == {load_street(small).scenario.vehicles.strategy}


def test_a_second_start_makes_only_what_is_missing(small, made):
    heard: list[tuple[int, int]] = []
    first = compare(small, seeds=2, jobs=1, out="there", progress=lambda *so_far: heard.append(so_far))
    assert len(made) == 4
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]
    again = compare(small, seeds=3, jobs=1, out="there")
    assert [(job.controller, job.seed) for job in made[4:]] == [("uncontrolled", 3), ("negotiated", 3)]
    assert [row for row in again.rows if row["seed"] < 3] == first.rows
    table = parquet.read_table("there/results.parquet").to_pylist()
    assert [row["trace_hash"] for row in table] == [row["trace_hash"] for row in again.rows]
    with Path("there/results.csv").open(encoding="utf-8") as file:
        assert [row["trace_hash"] for row in csv.DictReader(file)] == [row["trace_hash"] for row in again.rows]
    assert Path("there/comparison.png").read_bytes()[:4] == b"\x89PNG"


def test_an_interrupted_comparison_goes_on_where_it_was(small, made):
    def interrupted(done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(small, seeds=2, jobs=1, out="there", progress=interrupted)
    compare(small, seeds=2, jobs=1, out="there")
    assert len(made) == 4 + 1, "of the two that shared a pass, one was not written down yet"


def test_runs_of_other_inputs_are_noticed_and_left_alone(small):
    compare(small, jobs=1, out="there")
    before = {path: path.read_bytes() for path in Path("there/runs").iterdir()}
    with pytest.raises(InputError, match="its runs are of other inputs"):
        compare(small, jobs=1, out="there", settings=["transformer.limit_w=200_000"])
    with pytest.raises(InputError, match="its runs are of other inputs"):
        compare("demo", jobs=1, out="there")
    assert {path: path.read_bytes() for path in Path("there/runs").iterdir()} == before


def test_a_strategy_whose_source_changed_is_noticed(small):
    Path("mine.py").write_text(RAISES.replace("< 50_000", "< 0"), encoding="utf-8")
    asked: dict[str, Any] = {
        "controllers": ["negotiated"],
        "strategies": ["mine.py:picky:0.5+need:0.5"],
        "jobs": 1,
        "out": "there",
    }
    assert not compare(small, **asked).failed
    Path("mine.py").write_text(RAISES, encoding="utf-8")
    with pytest.raises(InputError, match="strategy_sha256 changed since"):
        compare(small, **asked)


def test_a_torn_file_is_named(small):
    compare(small, controllers=["uncontrolled"], jobs=1, out="there")
    (path,) = Path("there/runs").iterdir()
    path.write_text(path.read_text(encoding="utf-8")[:40], encoding="utf-8")
    with pytest.raises(
        InputError, match=rf"{path.name}: not the file of a run \(Input data was truncated\); delete it"
    ):
        compare(small, controllers=["uncontrolled"], jobs=1, out="there")


def test_a_run_that_fails_is_a_row_and_is_tried_again(small, made):
    Path("mine.py").write_text(RAISES, encoding="utf-8")
    asked: dict[str, Any] = {
        "controllers": ["negotiated"],
        "strategies": ["mine.py:picky", "need"],
        "jobs": 1,
        "out": "there",
    }
    found = compare(small, **asked)
    assert [row["status"] for row in found.rows] == ["failed", "complete"]
    assert "not for so little" in found.rows[0]["error"]
    assert [group.failed for group in found.groups] == [1, 0]
    assert found.groups[0].spread == {}
    (kept,) = Path("there/runs").glob("*mine*.json")
    assert json.loads(kept.read_text(encoding="utf-8"))["status"] == "failed"
    compare(small, **asked)
    assert [job.strategy for job in made] == ["mine.py:picky", "need", "mine.py:picky"]


def test_our_own_bug_in_one_run_does_not_end_the_others(small, monkeypatch):
    def broken(scenario, **options):
        if options["controller"] == "edf":
            raise AssertionError("our bug")
        return api.run(scenario, **options)

    monkeypatch.setattr("wattswap.experiments.replications.run", broken)
    found = compare(small, controllers=["edf", "fcfs"], settings=["vehicles.disclose=departure"], jobs=1)
    assert [row["error"] for row in found.rows] == ["AssertionError: our bug", None]


def test_processes_make_the_same_rows_and_a_dead_one_costs_only_its_own_run(small):
    """Out of memory, a segfault: the pool breaks, and nobody knows by whom; alone, each answers for itself."""
    Path("mine.py").write_text(DIES, encoding="utf-8")
    asked: dict[str, Any] = {"controllers": ["negotiated"], "strategies": ["mine.py:dies", "need"]}
    found = compare(small, **asked, jobs=2)
    assert [row["status"] for row in found.rows] == ["failed", "complete"]
    assert "the process died" in found.rows[0]["error"]
    alone = compare(small, controllers=["negotiated"], strategies=["need"], jobs=1)
    assert found.rows[1]["trace_hash"] == alone.rows[0]["trace_hash"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"controllers": ["negotiatd"]}, "the nearest is 'negotiated'"),
        ({"controllers": ["negotiated", "edf"]}, "add --set vehicles.disclose=departure"),
        ({"strategies": ["ned"]}, "the nearest is 'need'"),
        ({"engine": "fleat"}, "the nearest is 'fleet'"),
        ({"seeds": 0}, "--seeds 0"),
        ({"jobs": 0}, "--jobs 0"),
        ({"day": 3}, "--day 3"),
        ({"out": "small.toml"}, "there is something else there"),
        ({"out": "."}, "there is something else there"),
    ],
)
def test_bad_input_is_named_before_anything_runs(small, made, options, what: str):
    with pytest.raises(InputError, match=what):
        compare(small, **options)
    assert not made
    assert [path.name for path in Path().iterdir()] == ["small.toml"]


def test_a_table_without_pyarrow_or_matplotlib_says_what_it_left_out(small, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setattr(comparison, "find_spec", lambda name: None)
    found = compare(small, controllers=["uncontrolled"], jobs=1, out="there")
    assert [note.partition(" was")[0] for note in found.notes] == [
        "results.parquet",
        "differences.csv",
        "comparison.png",
    ]
    assert Path("there/results.csv").is_file()


def test_a_module_that_a_strategy_imports_and_that_changed_is_noticed(small):
    Path("helper.py").write_text("LEAST_W = 0\n", encoding="utf-8")
    Path("mine.py").write_text(
        "import sys\nsys.path.insert(0, '.')\nfrom helper import LEAST_W\n" + RAISES.replace("< 50_000", "< LEAST_W"),
        encoding="utf-8",
    )
    asked: dict[str, Any] = {"controllers": ["negotiated"], "strategies": ["mine.py:picky"], "jobs": 1, "out": "there"}
    try:
        assert not compare(small, **asked).failed
        Path("helper.py").write_text("LEAST_W = 1\n", encoding="utf-8")
        with pytest.raises(InputError, match="strategy_sha256 changed since"):
            compare(small, **asked)
    finally:
        sys.modules.pop("helper", None)
        sys.path.remove(".")


def test_seeds_that_would_count_beyond_the_greatest_are_refused(small):
    greatest = (1 << 63) - 1
    with pytest.raises(InputError, match=f"count up from the scenario's seed, {greatest}, and none may be above"):
        compare(small, seeds=2, settings=[f"seed={greatest}"])


def test_a_worker_that_dies_once_costs_nobody_else_a_process(tmp_path: Path) -> None:
    """What was at hand when it died is made apart; all that waited goes on side by side."""
    jobs = [Job(str(tmp_path / "died"), "negotiated", "", "fleet", seed, None, ()) for seed in range(40)]
    made = list(sweep.outcomes(jobs, 2, measure=dying.measure, most=4))
    assert sorted(outcome.job.seed for outcome in made) == list(range(40))
    processes = {outcome.error for outcome in made}
    assert len(processes) <= 2 + 3 + 2, "two that began, three apart, two that went on"
