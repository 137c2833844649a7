"""The thermal model against reference values: tables of IEC 60076-7's formulas worked out elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from wattswap.runners.recording.ageing import (
    AgeingClock,
    Paper,
    ageing,
    ageing_h,
    ageing_rate,
    ageings,
    hot_spots,
    steady,
)

MINUTE_S = 60


@pytest.mark.parametrize(
    ("hot_spot_c", "rate"),
    [
        *((80, 0.125), (86, 0.25), (92, 0.5), (98, 1), (100, 1.2599), (104, 2), (110, 4), (116, 8)),
        *((120, 12.699), (122, 16), (128, 32), (134, 64), (140, 128)),
    ],
)
def test_paper_ages_twice_as_fast_for_every_six_degrees(hot_spot_c: float, rate: float):
    assert ageing_rate(hot_spot_c) == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(
    ("factor", "oil_c", "hot_spot_c", "rate"),
    [
        (0.5, 45.095, 52.682, 0.0053),
        (0.7, 55.326, 68.324, 0.0324),
        (0.8, 61.347, 77.441, 0.0930),
        (1.0, 75.000, 98.000, 1.0000),
        (1.2, 90.614, 121.405, 14.937),
        (1.3, 99.102, 134.099, 64.74),
        (1.5, 117.353, 161.355, 1508.9),
    ],
)
def test_under_a_steady_load_oil_and_winding_settle(factor: float, oil_c: float, hot_spot_c: float, rate: float):
    heat = steady(factor, 20)
    assert heat.oil_c == pytest.approx(oil_c, abs=5e-4)
    assert heat.hot_spot_c == pytest.approx(hot_spot_c, abs=5e-4)
    assert ageing_rate(heat.hot_spot_c) == pytest.approx(rate, rel=1e-3, abs=6e-5)


def after_step(before: float, after: float, minutes: int) -> np.ndarray:
    return hot_spots(np.full(minutes, after), MINUTE_S, 20, steady(before, 20))


@pytest.mark.parametrize(
    ("minutes", "hot_spot_c"), [(15, 80.724), (30, 87.906), (60, 95.429), (120, 106.423), (240, 119.916)]
)
def test_after_a_step_from_half_load_to_130_per_cent_the_winding_warms_as_tabled(minutes: int, hot_spot_c: float):
    assert after_step(0.5, 1.3, minutes)[-1] == pytest.approx(hot_spot_c, abs=1e-3)


@pytest.mark.parametrize(("minutes", "hours"), [(60, 0.3314), (120, 1.898), (240, 15.816)])
def test_an_hour_at_130_per_cent_costs_a_third_of_an_hour_of_life_and_four_cost_sixteen(minutes: int, hours: float):
    assert ageing_rate(after_step(0.5, 1.3, minutes)).sum() / 60 == pytest.approx(hours, rel=2e-4)


@pytest.mark.parametrize(("minutes", "hot_spot_c", "hours"), [(60, 116.942, 3.673), (120, 129.569, 24.91)])
def test_a_step_to_150_per_cent_is_dear(minutes: int, hot_spot_c: float, hours: float):
    spots = after_step(0.7, 1.5, minutes)
    assert spots[-1] == pytest.approx(hot_spot_c, abs=1e-3)
    assert ageing_rate(spots).sum() / 60 == pytest.approx(hours, rel=2e-4)


def test_short_steps_come_close_to_the_continuous_solution():
    spots = hot_spots(np.full(240 * 60, 1.3), 1, 20, steady(0.5, 20))
    assert spots[60 * np.array([15, 30, 60, 120, 240]) - 1] == pytest.approx(
        [80.217, 87.742, 95.387, 106.371, 119.863], abs=2e-2
    )


def test_rated_load_uses_an_hour_of_life_an_hour_either_way_it_flows():
    load_w = np.full(2_880, 400_000)
    assert ageing_h(load_w, 400_000, 30, 20) == pytest.approx(24)
    assert ageing_h(-load_w, 400_000, 30, 20) == pytest.approx(24)


def test_long_ticks_are_walked_in_short_steps():
    hourly = np.array([200_000, 520_000, 520_000, 200_000])
    minutes = np.repeat(hourly, 60)
    assert ageing_h(hourly, 400_000, 3_600, 20) == pytest.approx(ageing_h(minutes, 400_000, 60, 20))


FAA = [
    *((80, 0.0358), (90, 0.1156), (95, 0.2026), (98, 0.2817), (100, 0.3499), (105, 0.5957), (110, 1), (115, 1.6565)),
    *((120, 2.7089), (130, 6.9842), (140, 17.1995), (150, 40.589), (160, 92.062)),
]


@pytest.mark.parametrize(("hot_spot_c", "rate"), FAA)
def test_upgraded_paper_ages_as_the_american_standard_tables_it(hot_spot_c: float, rate: float):
    assert ageing_rate(hot_spot_c, "upgraded") == pytest.approx(rate, rel=2e-3)


@pytest.mark.parametrize(
    ("paper", "hot_spot_c", "days"), [("normal", 98, 1.0), ("normal", 100, 1.259921), ("upgraded", 100, 0.349942)]
)
def test_a_day_at_one_temperature_uses_as_many_days(paper: Paper, hot_spot_c: float, days: float):
    """No load: the winding is as warm as what is around it and the losses of the iron, 13 kelvins."""
    rise_k = steady(0, 0).hot_spot_c
    used = ageing(np.zeros(2_880, dtype=np.int64), 400_000, 30, hot_spot_c - rise_k, paper)
    assert used.used_h == pytest.approx(24 * days, rel=1e-5)
    assert used.hot_spot_c == pytest.approx(hot_spot_c)


def test_ten_degrees_less_around_it_age_a_third_as_fast_at_all_times():
    load_w = np.full(2_880, 400_000)
    warm, cold = (ageing(load_w, 400_000, 30, ambient_c).used_h for ambient_c in (20, 10))
    assert cold == pytest.approx(warm / 2 ** (10 / 6))
    falling = ageing(load_w, 400_000, 30, np.linspace(20, 10, 2_880)).used_h
    assert cold < falling < warm


def test_the_clock_tells_at_every_tick_what_the_whole_comes_to():
    load_w, ambient_c = np.linspace(100_000, 500_000, 240).astype(np.int64), np.linspace(12, -3, 240)
    clock = AgeingClock(400_000, 30, ambient_c, "upgraded")
    for watts in load_w.tolist():
        clock.add(watts)
    used = ageing(load_w, 400_000, 30, ambient_c, "upgraded")
    assert (clock.used_h, clock.hot_spot_c) == pytest.approx((used.used_h, used.hot_spot_c))


@pytest.mark.parametrize("load_w", [1_200_000, 10**10])
def test_beyond_what_any_standard_covers_life_is_used_as_at_its_bound(load_w: int):
    """2 ** ((180 - 98) / 6) hours an hour: nine years in six."""
    used = ageing(np.full(720, load_w), 400_000, 30, 20)
    assert used.hot_spot_c > 180
    assert used.used_h == pytest.approx(6 * 2 ** (82 / 6))


def test_no_load_at_all_uses_nothing():
    assert ageing_h(np.zeros(0, dtype=np.int64), 400_000, 30, 20) == 0


def test_many_transformers_at_once_are_each_one_alone_to_the_last_bit():
    """So many ticks of them that they are reckoned in two parts."""
    rng = np.random.default_rng(3)
    load_w, ambient_c = rng.integers(-500_000, 700_000, (3_000, 7)), rng.uniform(-10, 35, (3_000, 7))
    papers: list[Paper] = ["normal", "upgraded", "normal", "upgraded", "upgraded", "normal", "normal"]
    rating_va = np.array([400_000, 250_000, 160_000, 630_000, 400_000, 100_000, 250_000])
    together = ageings(load_w, rating_va, 120, ambient_c, papers)
    alone = [ageing(load_w[:, at], int(rating_va[at]), 120, ambient_c[:, at], paper) for at, paper in enumerate(papers)]
    assert together == alone
    one_c = ambient_c[:, :1]
    assert ageings(load_w, rating_va, 120, one_c, papers) == ageings(
        load_w, rating_va, 120, np.repeat(one_c, 7, axis=1), papers
    )
