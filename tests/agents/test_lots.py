"""Lots: waiting is what a car sells. Examples reckoned by hand, and the law's text as a plain reference beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from wattswap.agents import lots, settlement
from wattswap.agents.lots import NEVER, CarMeters, Lots
from wattswap.agents.physics import Ints
from wattswap.agents.rules import Rules

RULES = Rules()
TICK = 1_000_000
DAY = 24 * 3_600 // 30


def ints(values: ArrayLike) -> Ints:
    return np.array(values, dtype=np.int64)


def lots_of(*rows: tuple[int, int, int], car: list[int] | None = None) -> Lots:
    """Lots of (price in ticks, tick, owed in watt-seconds), all of one car unless said otherwise."""
    price, tick, owed = (ints(column) for column in zip(*rows, strict=True))
    nothing = np.zeros(len(rows), dtype=np.int64)
    return Lots(nothing if car is None else ints(car), price * TICK, tick, nothing + DAY, owed, nothing)


def meters(
    import_w: int = 0, baseline_w: int = 0, granted_w: int | None = None, *, awarded: bool = False, stopped: int = NEVER
) -> CarMeters:
    """One car's meters; it was granted what it drew unless said otherwise."""
    granted = import_w if granted_w is None else granted_w
    return CarMeters(ints([import_w]), ints([baseline_w]), ints([granted]), np.array([awarded]), ints([stopped]))


def after(of: Lots, given_up_ws: list[int], cars: CarMeters, tick: int, rules: Rules = RULES) -> tuple[Lots, list[int]]:
    done, stopped_at = lots.after_tick(of, ints(given_up_ws), cars, tick, rules)
    return done, stopped_at.tolist()


# -- giving up and drawing back ---------------------------------------------------------------------------------------


def test_what_is_given_up_is_owed_until_it_is_drawn_back() -> None:
    """6.21 kW for a tick, and later 3 kW more than the baseline for one."""
    gave, _ = after(lots_of((100, 10, 0)), [6_210 * 30], meters(4_790, 11_000, awarded=True), 10)
    assert (gave.owed_ws.tolist(), gave.rent.tolist()) == ([186_300], [0])
    back, _ = after(gave, [0], meters(3_000), 130)
    assert (back.owed_ws.tolist(), back.rent.tolist()) == ([96_300], [90_000 * 120])


def test_only_what_exceeds_the_baseline_comes_back() -> None:
    done, _ = after(lots_of((100, 0, 90_000)), [0], meters(11_000, 10_000), 60)
    assert done.owed_ws.tolist() == [60_000]


def test_no_more_comes_back_than_is_owed() -> None:
    done, _ = after(lots_of((100, 0, 90_000)), [0], meters(11_000), 60)
    assert (done.owed_ws.tolist(), done.rent.tolist()) == ([0], [90_000 * 60])


def test_the_dearest_lot_is_drawn_back_first_and_then_the_oldest() -> None:
    of = lots_of((100, 5, 60_000), (300, 9, 60_000), (300, 7, 60_000), (200, 1, 60_000))
    assert lots.drawn_back(of, ints([90_000])).tolist() == [0, 30_000, 60_000, 0]


def test_each_car_draws_back_for_its_own_lots() -> None:
    of = lots_of((100, 5, 60_000), (300, 9, 60_000), (200, 1, 60_000), car=[1, 0, 1])
    assert lots.drawn_back(of, ints([10_000, 70_000])).tolist() == [10_000, 10_000, 60_000]


def test_rent_grows_for_a_day_at_most() -> None:
    done, _ = after(lots_of((100, 0, 90_000)), [0], meters(3_000), 3 * DAY)
    assert done.rent.tolist() == [90_000 * DAY]


def test_an_award_in_force_owes_what_is_given_up_in_this_tick_before_any_comes_back() -> None:
    """A car near its departure draws all it needs even under an award."""
    done, _ = after(lots_of((100, 10, 0)), [30_000], meters(11_000, 10_500, awarded=True), 12)
    assert (done.owed_ws.tolist(), done.rent.tolist()) == ([15_000], [15_000 * 2])


# -- stalling ---------------------------------------------------------------------------------------------------------


def test_who_could_have_drawn_back_and_did_not_stops_its_own_clock() -> None:
    """It owes 0.1 kWh, was granted 6 A and drew less."""
    stalled, stopped_at = after(lots_of((100, 0, 360_000)), [0], meters(4_139, granted_w=4_140), 40)
    assert stopped_at == [40]
    late, stopped_at = after(stalled, [0], meters(11_000, stopped=40), 100)
    assert stopped_at == [40]
    assert late.rent.tolist() == [4_139 * 30 * 40 + (360_000 - 4_139 * 30) * 40], "later ticks earn nothing more"


def test_who_was_granted_less_than_it_could_draw_waits_on() -> None:
    _, stopped_at = after(lots_of((100, 0, 360_000)), [0], meters(0, granted_w=4_139), 40)
    assert stopped_at == [NEVER]


def test_a_car_that_owes_little_need_draw_no_more_than_that() -> None:
    """2,000 W for a tick are all it owes."""
    _, stopped_at = after(lots_of((100, 0, 60_000)), [0], meters(2_000, granted_w=11_000), 40)
    assert stopped_at == [NEVER]
    _, stopped_at = after(lots_of((100, 0, 60_000)), [0], meters(1_999, granted_w=11_000), 40)
    assert stopped_at == [40]


def test_under_an_award_nobody_stalls() -> None:
    _, stopped_at = after(lots_of((100, 0, 360_000)), [0], meters(0, granted_w=11_000, awarded=True), 40)
    assert stopped_at == [NEVER]


def test_a_clock_that_has_stopped_stays_stopped() -> None:
    _, stopped_at = after(lots_of((100, 0, 360_000)), [0], meters(0, granted_w=11_000, stopped=30), 40)
    assert stopped_at == [30]


# -- what a transformer is told ---------------------------------------------------------------------------------------


def test_a_car_waits_at_the_price_of_its_dearest_lot_that_is_owed() -> None:
    of = lots_of((100, 0, 60_000), (300, 0, 0), (200, 0, 1), car=[0, 0, 1])
    assert lots.owed_ws(of, 3).tolist() == [60_000, 1, 0]
    assert lots.rent_price(of, ints([NEVER, NEVER, NEVER])).tolist() == [100 * TICK, 200 * TICK, 0]
    assert lots.rent_price(of, ints([7, NEVER, NEVER])).tolist() == [0, 200 * TICK, 0]


# -- closing ----------------------------------------------------------------------------------------------------------


def test_a_lot_closes_when_less_is_owed_than_a_watt_for_a_tick_and_its_award_has_ended() -> None:
    over = lots.is_over(ints([29, 30, 0]), np.array([False, False, True]), RULES)
    assert over.tolist() == [True, False, False]


def test_rent_is_paid_at_the_price_of_a_kwh_and_hour() -> None:
    """1 kWh waits for 2 hours at 0.3 IOTA."""
    assert settlement.rent_nanos(300 * TICK, 3_600_000 * 240, 30) == 600 * TICK


def test_fed_energy_is_paid_as_if_it_waited() -> None:
    assert settlement.feed_nanos(300 * TICK, 3_600_000, 2) == 600 * TICK


def test_an_award_reserves_a_day_of_waiting_and_two_hours_of_feeding() -> None:
    """6 kW given up and 12 kW fed for a twelfth of an hour: 0.5 kWh for 24 h and 1 kWh for 2 h."""
    most = settlement.most_nanos([300 * TICK] * 3, (2_000, 4_000, 12_000), 300, 2)
    assert most == (3_600 + 600) * TICK


def test_no_lot_earns_more_than_its_reserve() -> None:
    """All that could be given up waits for longer than a day."""
    given_up, _ = after(lots_of((999, 0, 0)), [11_000 * 300], meters(awarded=True), 0)
    back, _ = after(given_up, [0], meters(110_000), 2 * DAY)
    most = settlement.most_nanos([999 * TICK] * 3, (11_000, 0, 0), 300, 2)
    assert settlement.rent_nanos(999 * TICK, int(back.rent[0]), 30) == most


# -- the law's text as it stands, one car and one lot at a time -------------------------------------------------------


@dataclass
class CountedLot:
    price: int
    tick: int
    owed: int
    rent: int = 0


def by_the_text(
    of: list[CountedLot], k: int, given_up: list[int], i: int, b: int, g: int, awarded: bool, stopped: int
) -> int:
    """LAW 3, step by step; the tick at which the car's clock stopped."""
    could = min(RULES.min_w, sum(lot.owed for lot in of) // 30)
    for lot, more in zip(of, given_up, strict=True):
        lot.owed += more
    if not awarded and stopped == NEVER and could > 0 and g >= could and i < could:
        stopped = k
    back = max(0, i - b) * 30
    for lot in sorted(of, key=lambda lot: (-lot.price, lot.tick)):
        z = min(back, lot.owed)
        lot.owed -= z
        lot.rent += z * min(max(min(k, stopped) - lot.tick, 0), DAY)
        back -= z
    return stopped


powers = st.integers(0, 12_000)
lot_rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99), st.integers(0, 500_000)), min_size=1, max_size=4)
ticks = st.lists(st.tuples(powers, powers, powers, st.booleans()), min_size=1, max_size=6)


@given(st.lists(st.tuples(lot_rows, ticks), min_size=1, max_size=3), st.integers(50, 4_000))
def test_all_cars_in_one_call_do_what_the_text_says_of_each(cars, start) -> None:
    rows = [row for rows, _ in cars for row in rows]
    owner = [car for car, (rows, _) in enumerate(cars) for _ in rows]
    of, stopped = lots_of(*rows, car=owner), ints([NEVER] * len(cars))
    plain = [[CountedLot(price * TICK, tick, owed) for price, tick, owed in rows] for rows, _ in cars]
    expected = [NEVER] * len(cars)
    for step in range(min(len(told) for _, told in cars)):
        told = [told[step] for _, told in cars]
        import_w, baseline_w, granted_w, awarded = zip(*told, strict=True)
        given_up = [100 * car if awarded[car] else 0 for car in owner]
        columns = ints(import_w), ints(baseline_w), ints(granted_w), np.array(awarded), stopped
        of, stopped = lots.after_tick(of, ints(given_up), CarMeters(*columns), start + step, RULES)
        for car, (i, b, g, under) in enumerate(told):
            mine = [more for more, whose in zip(given_up, owner, strict=True) if whose == car]
            expected[car] = by_the_text(plain[car], start + step, mine, i, b, g, under, expected[car])
    assert stopped.tolist() == expected
    # lots alike in price and tick are one and the same to the law, so they are compared as sets
    assert sorted(zip(owner, of.owed_ws.tolist(), of.rent.tolist(), strict=True)) == sorted(
        (car, lot.owed, lot.rent) for car, mine in enumerate(plain) for lot in mine
    )


def test_a_tick_of_another_length_counts_alike() -> None:
    """An hour is 60 ticks of a minute."""
    done, _ = after(lots_of((100, 0, 600_000)), [0], meters(10_000), 60, replace(RULES, tick_ms=60_000))
    assert settlement.rent_nanos(100 * TICK, int(done.rent[0]), 60) == 100 * TICK * 600_000 // 3_600_000
