"""The figures of a run, each reckoned by hand on a street of two cars and five ticks (see conftest)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wattswap.runners.recording.ageing import ageing_h
from wattswap.runners.recording.fairness import jain
from wattswap.runners.recording.metrics import fallback_unsafe_w, oscillations, summary, upgrade_eur_per_year
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.recording.time_series import TimeSeries
from wattswap.runners.scenario.schema import Battery, TransformerTable


@pytest.fixture
def figures(street, record):
    return summary(street, record, controller="negotiated", strategy="need", engine="fleet", wall_s=2.0)


LOAD_W = [13_000, 8_000, -3_000, 12_000, 2_000]


def test_the_load_is_homes_and_import_less_what_is_fed_back(street, record):
    assert TimeSeries.of(street, record).street.load_w.tolist() == LOAD_W


@pytest.mark.parametrize(
    ("key", "figure"),
    [
        ("peak_w", 13_000),
        ("overload_s", 60),
        ("overload_wh", 42),  # (3 + 2) kW x 30 s
        ("oscillations", 1),  # the first tick is over too, but nobody knows where the load came from
        ("sessions", 2),
        ("sessions_short", 1),
        ("sessions_open", 1),
        ("gave_way", 1),
        ("gave_way_open", 1),
        ("homes_over_s", 0),
        ("unserved_wh", 200),
        ("deferred_wh", 183),  # 660 kWs
        ("fed_back_wh", 42),  # 5 kW x 30 s
        ("forced_wh", 50),  # 6 kW x 30 s
        ("waiting_wh_h", 3),  # (330 + 660 + 180) kWs x 30 s
        ("rounds", 1),
        ("choices", {"keep": 1, "reduce": 1, "feed": 1}),
        ("paid_nanos", 400),
        ("billed_nanos", 900),
        ("stops", 1.0),
        ("stops_total", 2),
        ("jain_tokens", 0.5),  # one has all
        ("jain_waiting", round((990 + 180) ** 2 / (2 * (990**2 + 180**2)), 6)),
        ("fallback_unsafe_w", 0),
        ("timing", {"wall_s": 2.0, "vehicle_steps_per_s": 4}),
    ],
)
def test_each_figure(figures, key: str, figure: object):
    assert figures[key] == figure


def test_feeding_costs_wear_and_what_is_lost_on_the_way(street, record):
    fed = replace(record, sessions=[record.sessions[0]._replace(exported_ws=2 * 3_600_000)])
    found = summary(street, fed, controller="llf", strategy="need", engine="fleet", wall_s=2.0)
    per_kwh = 0.5 + 3.0 * (1 / 0.88 - 1)  # wear, and what has to be bought again at the tariff, IOTA
    assert found["feeding_cost_nanos"] == round(2 * per_kwh * 1e9)


def test_ageing_is_that_of_the_load_under_the_scenario_s_rating(street, figures):
    (feeder,) = street.feeders
    assert figures["ageing_h"] == round(
        ageing_h(np.array(LOAD_W), feeder.transformer.rating_va, 30, feeder.ambient_c(5)), 6
    )


@pytest.mark.parametrize(
    ("table", "eur"),
    [
        (TransformerTable(upgrade_eur=20_000), 1_010.47),
        (TransformerTable(upgrade_eur=15_000), 757.85),
        (TransformerTable(upgrade_eur=20_000, upgrade_years=20, interest_pct=0), 1_000),
    ],
)
def test_an_upgrade_costs_its_annuity_a_year(table: TransformerTable, eur: float):
    assert upgrade_eur_per_year(table) == pytest.approx(eur, abs=0.01)


def figures_of(street, record):
    return summary(street, record, controller="negotiated", strategy="need", engine="messages", wall_s=1.0)


def test_a_transformer_is_spared_if_it_would_have_been_over_its_limit_and_nobody_was_hurt_in_its_stead(street, record):
    """Baselines of 13, 19 and 19 kW over 10; the load is over it for two ticks. Over 7 it is so for three."""
    full = [row._replace(status="full") for row in record.sessions]
    uncut = replace(record, ticks=[tick._replace(forced_w=0 * tick.forced_w) for tick in record.ticks])
    gentle = replace(uncut, sessions=full)
    figures = figures_of(street, gentle)
    assert (figures["deferral_eur_per_year"], figures["upgrade_eur"]) == (1_010.47, 20_000)
    tight = replace(gentle, ticks=[tick._replace(limit_w=7_000) for tick in gentle.ticks])
    for hurt in (tight, uncut, replace(record, sessions=full)):
        assert figures_of(street, hurt)["deferral_eur_per_year"] == 0


def test_messages_are_counted_for_each_kwh_that_was_deferred_or_fed_back(street, record):
    """183.3 Wh deferred and 41.7 Wh fed back: 0.225 kWh."""
    assert figures_of(street, replace(record, messages=90))["messages_per_kwh"] == 400
    assert figures_of(street, record)["messages_per_kwh"] is None


def test_a_run_that_never_began_has_figures_all_the_same(street):
    figures = summary(street, RunRecord(), controller="negotiated", strategy="need", engine="fleet", wall_s=0.0)
    assert figures["peak_w"] == figures["sessions"] == figures["overload_s"] == 0
    assert figures["jain_waiting"] == figures["jain_tokens"] == 1.0
    assert figures["timing"] == {"wall_s": 0.0, "vehicle_steps_per_s": 0}


def test_a_battery_neither_waits_nor_stops(street, record):
    """A battery is owed what it fed back, but nobody stands beside it with a coat on."""
    (feeder,) = street.feeders
    battery = Battery(capacity_wh=1, max_w=1)
    series = TimeSeries.of(
        replace(street, feeders=(replace(feeder, sessions=slice(0, 1), batteries=(battery,)),)), record
    )
    assert series.plugged.tolist() == [0]
    assert series.stops == 1


@pytest.mark.parametrize(
    ("shares", "index"),
    [([1, 1, 1, 1], 1), ([1, 1, 1, 0], 0.75), ([1, 0, 0, 0], 0.25), ([1, 2, 3, 4], 0.833333), ([0, 0], 1), ([], 1)],
)
def test_jain_s_index(shares: list[int], index: float):
    assert jain(shares) == index


def test_jain_s_index_of_fortunes_does_not_overflow():
    assert jain(np.array([10**18, 10**18])) == 1


def test_a_load_that_stays_over_the_limit_crosses_it_once():
    load, limit = np.array([1, 3, 3, 2, 1, 3]), np.full(6, 2)
    assert oscillations(load, limit) == 2
    assert oscillations(load, np.array([5, 5, 2, 2, 2, 5])) == 1


def test_a_site_whose_homes_and_minima_exceed_the_limit_is_unsafe_by_the_watts_missing(street):
    (feeder,) = street.feeders
    low = replace(street, feeders=(replace(feeder, limit_w=np.array([10_000, 10_000, 1_500, 7_000, 10_000])),))
    assert fallback_unsafe_w(low) == 500
