"""The tables of docs/figures.md and of the README, without the minutes it takes to measure them."""

from __future__ import annotations

import pytest

from wattswap.experiments.api import run
from wattswap.experiments.figures import BEGIN, END, excerpt, jobs, markdown, replaced, under, without_feeding
from wattswap.protocol.errors import InputError

KNOWS = "(knows departures)"
CONTROLLERS_AS_SHOWN = (
    "poc",
    "fcfs",
    "equal-share",
    f"edf {KNOWS}",
    f"llf {KNOWS}",
    "edf, cars feed (knows departures and batteries)",
    "llf, cars feed (knows departures and batteries)",
    "negotiated",
    "negotiated, nobody feeds",
)
RIVALS = ("", ", fcfs", ", equal-share", f", edf {KNOWS}", f", llf {KNOWS}")
HARD = "0 | 0.0 | 0.0 | 125.0 | 0 | 0.25"


def result(job):
    figures = dict.fromkeys(
        ("sessions_short", "forced_wh", "fed_back_wh", "unserved_wh", "waiting_wh_h", "oscillations"), 0
    )
    over_s = 7_350 if job.controller == "uncontrolled" else 30 * (job.seed - 1)
    return figures | {
        "peak_w": 500_000,
        "limit_w": 400_000,
        "overload_s": over_s,
        "stops": 0.25,
        "deferred_wh": 250_400,
        "paid_nanos": 60_400_000_000,
        "waiting_cost_nanos": 30_250_000_000,
        "feeding_cost_nanos": 4_000_000_000,
        "near_limit_s": 5_400,
        "sellers": 40,
        "sellers_losing": 1,
        "sellers_gain_nanos": 20_000_000_000,
        "trace_hash": job.street,
        "cpu_s": 1.25,
    }


def test_every_table_has_a_row_per_street():
    text = markdown({job: result(job) for job in jobs(["a400"], [1, 2, 3])}, ["a400"], [1, 2, 3])
    rows = [line for line in text.splitlines() if line.startswith("| a400")]
    assert rows == [
        "| a400 | 500.0 kW | 122.5 | 0.0 to 1.0 | 125.0 | 0 | 0.00 | 0.25 | 250 | 60 | 30.2 | 20.0 | 2.5 |",
        "| a400 | 500.0 kW | 122.5 | 0.0 | 125.0 | 0 | 250 | 60 | 30.2 | 20.0 | 2.5 |",
        "| a400 | 1.2 s | 1.2 s | yes |",
        "| a400, uncontrolled | 0 | 0.0 | 122.5 | 125.0 | 0 | 0.25 | 1.5 | 30.2 | 4.0 |",
        *(f"| a400, {other} | 0 | 0.0 | 0.0 | 125.0 | 0 | 0.25 | 1.5 | 30.2 | 4.0 |" for other in CONTROLLERS_AS_SHOWN),
        f"| a400: half of the cars keep charging whatever is called | {HARD} | 0.00 |",
        *(
            f"| a400{rival}: expected departures are off by 2 h (standard deviation) | {HARD} | 0.00 |"
            for rival in RIVALS
        ),
    ]


def test_the_excerpt_names_the_rival_that_costs_the_least_waiting_and_whom_it_leaves_short():
    results = {job: result(job) for job in jobs(["a400"], [1, 2, 3])}
    results[under("a400", "fcfs")] |= {"waiting_cost_nanos": 20_000_000_000, "sessions_short": 2}
    row = excerpt(results, ["a400"], [1, 2, 3]).splitlines()[-1]
    assert row == "| a400 | 122.5 | 0.0 to 1.0 | 0 | 0.25 | 60 | 30.2 | 4.0 | 20.0 (fcfs, 2 short) |"


def test_cars_tell_their_departures_to_the_controllers_that_need_them_and_to_nobody_else():
    for job in jobs():
        told = [setting for setting in job.settings if setting.startswith("vehicles.disclose=")]
        assert bool(told) == (job.controller in ("edf", "llf")), job


def test_where_nobody_feeds_neither_car_nor_battery_does_and_cars_ask_as_they_otherwise_do():
    """On the evening on which the street's battery feeds the most."""
    without, bundled = (
        run("b250", day=7, engine="fleet", settings=settings).summary
        for settings in (without_feeding("b250").settings, ())
    )
    assert bundled["fed_back_wh"] > 10_000
    assert without["fed_back_wh"] == 0
    assert without["strategy"] == bundled["strategy"]


def test_engines_that_disagree_are_shown_in_bold():
    results = {job: result(job) | {"trace_hash": job.engine} for job in jobs(["a400"], [1])}
    assert "**no**" in markdown(results, ["a400"], [1])


def test_the_block_between_the_marks_is_replaced_and_nothing_else():
    assert replaced(f"above\n{BEGIN}\nold\n{END}\nbelow", "new") == f"above\n{BEGIN}\nnew\n{END}\nbelow"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_the_marks_is_refused(text: str):
    with pytest.raises(InputError, match="figures:begin"):
        replaced(text, "new")
