"""Gini's coefficient by hand, and over whom it is taken."""

from __future__ import annotations

import numpy as np
import pytest

from wattswap.experiments.api import run
from wattswap.runners.recording.fairness import gini


@pytest.mark.parametrize(
    ("shares", "index"),
    [([1, 1, 1, 1], 0), ([0, 0, 0, 1], 0.75), ([1, 2, 3, 4], 0.25), ([4, 1, 3, 2], 0.25), ([0, 0], 0), ([], 0)],
)
def test_gini_s_coefficient(shares: list[int], index: float) -> None:
    assert gini(shares) == index


def test_gini_is_that_of_its_definition_over_pairs() -> None:
    x = np.random.default_rng(1).exponential(size=40)
    assert gini(x) == pytest.approx(np.abs(x[:, None] - x).sum() / (2 * 40**2 * x.mean()), abs=1e-6)


def test_each_strategy_has_its_own_means_over_the_cars_that_were_called() -> None:
    figures = run("demo", engine="fleet", strategy="truthful:0.5+keep:0.5").summary
    by = figures["by_strategy"]
    assert 0 < figures["called"] < figures["sessions"]
    assert sum(each["called"] for each in by.values()) == figures["called"]
    assert by["keep"]["iota_per_deferred_kwh"] == 0
    assert by["truthful"]["waiting_h"] > by["keep"]["waiting_h"], "who keeps waits by the last resort alone"
    assert by["truthful"]["iota_per_deferred_kwh"] > 0
    assert all(0 <= each["gini_waiting"] < 1 and 0 < each["jain_waiting"] <= 1 for each in by.values())
    assert by["truthful"]["gini_tokens"] == figures["gini_tokens"], "who keeps earns nothing"
    assert 0 < figures["gini_tokens"] < figures["gini_waiting"] < 1


def test_a_deferred_kwh_earns_its_rent_and_what_was_paid_for_feeding_is_none_of_it() -> None:
    result = run("demo", engine="fleet", strategy="prosumer")
    trades = result.trades
    assert (trades["kind"] == "feed").any()
    assert trades.loc[trades["kind"] == "feed", "nanos"].sum() > 0
    reduced = trades[trades["kind"] == "reduce"].groupby("session")[["nanos", "delivered_ws"]].sum()
    reduced = reduced[reduced["delivered_ws"] > 0]
    assert not (trades["status"] == "open").any(), "nothing is open on this day, so paid rent is all rent"
    rent = reduced["nanos"] / 1e9 / (reduced["delivered_ws"] / 3.6e6)
    told = result.summary["by_strategy"]["prosumer"]["iota_per_deferred_kwh"]
    assert told == pytest.approx(rent.mean(), abs=1e-6)
    assert result.summary["gini_tokens"] == gini(rent)


def test_where_nobody_is_called_all_is_even() -> None:
    figures = run("demo", engine="fleet", controller="fcfs").summary
    assert (figures["called"], figures["gini_waiting"], figures["by_strategy"]) == (0, 0, {})
