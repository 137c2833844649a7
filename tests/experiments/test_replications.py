"""Runs that differ in their seed alone share a pass, and nobody can tell from their figures."""

from __future__ import annotations

import pytest

from wattswap.experiments.jobs import Job
from wattswap.experiments.replications import can_share, measure, measure_together, passes
from wattswap.runners.scenario import load_street


def jobs(seeds: int, *settings: str, engine: str = "fleet", controller: str = "negotiated", strategy: str = "need"):
    coarse = ("reading_s=150", *settings)
    return [Job("b250", controller, strategy, engine, seed, 7, coarse) for seed in range(1, seeds + 1)]


def untimed(outcomes) -> list[object]:
    return [
        (outcome.job, outcome.error, outcome.figures and {**outcome.figures, "timing": None}) for outcome in outcomes
    ]


@pytest.mark.parametrize("settings", [(), ("vehicles.curve=taper",)], ids=["together", "each by itself"])
def test_figures_are_those_of_runs_alone(settings):
    asked = jobs(3, *settings)
    together = measure_together(asked)
    assert untimed(together) == untimed(map(measure, asked))
    assert can_share([load_street("b250", settings=settings, day=7)]) == (not settings)


def test_what_goes_wrong_in_a_pass_is_told_of_each_run_and_stops_none(tmp_path):
    (tmp_path / "mine.py").write_text("def moody(call, own, memory, draws):\n    raise ValueError('not today')\n")
    found = measure_together(jobs(2, strategy=f"{tmp_path / 'mine.py'}:moody"))
    assert [outcome.job.seed for outcome in found] == [1, 2]
    assert all("not today" in (outcome.error or "") for outcome in found)


def test_only_runs_that_differ_in_their_seed_share_a_pass_and_every_process_has_some():
    mixed = [*jobs(4), *jobs(3, strategy="keep"), *jobs(2, engine="messages"), *jobs(2, controller="fcfs")]
    found = list(passes(mixed, 2))
    assert [len(together) for together in found] == [2, 2, 2, 1, 1, 1, 1, 1]
    assert [job for together in found for job in together] == mixed
    assert [len(together) for together in passes(jobs(70), 1)] == [32, 32, 6]
