"""The law of a round, in small examples reckoned by hand and in what must hold for any street."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from wattswap.agents import law
from wattswap.agents.law import Cars, Grants
from wattswap.agents.offers import Call, OfferBook, Own, StrategyError
from wattswap.agents.physics import Ints
from wattswap.agents.rules import Rules, Terms
from wattswap.agents.segments import Segments
from wattswap.agents.strategies.elementwise import sample_cars
from wattswap.protocol.draws import draw
from wattswap.protocol.units import MS_PER_HOUR, Purpose

RULES, SEED = Rules(), 1
IOTA, TICK = 1_000_000_000, 1_000_000
CALL = Call(np.array([5_000]), from_ms=0, until_ms=300_000, feed_h=2)
LONG = 10 * MS_PER_HOUR
HOURS = MS_PER_HOUR


def ints(values: ArrayLike) -> Ints:
    return np.array(values, dtype=np.int64)


def cars(
    firm_w: list[int],
    wanted_w: list[int] | None = None,
    drew: list[bool] | None = None,
    owed_ws: list[int] | None = None,
    rent_price: list[int] | None = None,
    reduce_w: list[int] | None = None,
    feed_w: list[int] | None = None,
) -> Cars:
    """Cars without awards that want what is firm and owe nothing, unless said otherwise; their draws rise."""
    nothing = [0] * len(firm_w)
    return Cars(
        in_this_order(len(firm_w)),
        ints(firm_w),
        ints(firm_w if wanted_w is None else wanted_w),
        np.array(nothing if drew is None else drew, dtype=bool),
        ints(nothing if owed_ws is None else owed_ws),
        ints(nothing if rent_price is None else rent_price),
        ints(nothing if reduce_w is None else reduce_w),
        ints(nothing if feed_w is None else feed_w),
    )


def in_this_order(count: int) -> NDArray[np.uint64]:
    """Keys of so many cars whose draws rise, so that equals come in the order in which they stand."""
    keys = np.arange(100, dtype=np.uint64)
    return keys[draw(SEED, keys, Purpose.TIE).argsort()][:count]


class Assessed(NamedTuple):
    """The assessment of one feeder, as plain numbers."""

    demand_w: int
    target_w: int
    need_w: int
    release: bool


def assess(base_w: int, limit_w: int, of: Cars) -> Assessed:
    figures = law.assess(ints([base_w]), ints([limit_w]), of, Segments.one_feeder(len(of.firm_w)), Terms.of(RULES))
    return Assessed(*(column[0] for column in figures))


def target_of(limit_w: int) -> int:
    return int(law.target_w(ints([limit_w]), Terms.of(RULES))[0])


def grants(base_w: int, target_w: int, of: Cars, rules: Rules = RULES) -> Grants:
    """The grants of one feeder."""
    segments = Segments.one_feeder(len(of.firm_w))
    return law.grants(ints([base_w]), ints([target_w]), of, segments, now_ms=0, seed=SEED, rules=rules)


def own_of(**columns: int) -> Own:
    """One patient car at full power with half a battery, unless said otherwise."""
    own = sample_cars(1)
    usual = {
        "wanted_w": 11_000, "baseline_w": 11_000, "firm_w": 11_000, "floor_w": 4_140, "max_w": 11_000,
        "feed_w": 11_000, "remaining_ws": 36_000_000, "stored_ws": 108_000_000, "laxity_ms": LONG,
    }  # fmt: skip
    for name, value in (usual | columns).items():
        getattr(own, name)[0] = value
    return own


def offered(own: Own, relief_w: list[int], ask: list[int] | None = None) -> tuple[list[int], list[int]]:
    """What the law admits of one car's offer."""
    book = OfferBook(own, ints([relief_w]), ints([[0, 0, 0] if ask is None else ask]))
    admitted_w, asks = law.admitted(book, CALL, RULES)
    return admitted_w[0].tolist(), asks[0].tolist()


# -- where cars stand -------------------------------------------------------------------------------------------------


def charging(remaining_ws: int, baseline_ws: int, laxity_ms: int) -> tuple[int, ...]:
    """Wanted, baseline and firm power of a car of 11 kW at the instant 0 that can wait so long."""
    charging_ms = -(-remaining_ws * 1000 // 11_000)
    full = ints([11_000])
    of = law.charging_state(
        ints([remaining_ws]), ints([baseline_ws]), full, full, full, ints([laxity_ms + charging_ms]), 0, RULES
    )
    assert of.due_ms.tolist() == [laxity_ms]
    return int(of.wanted_w[0]), int(of.baseline_w[0]), int(of.firm_w[0])


def test_a_car_that_never_gave_way_may_draw_its_full_power_unasked() -> None:
    assert charging(36_000_000, 36_000_000, LONG) == (11_000, 11_000, 11_000)


def test_what_a_car_owes_to_itself_is_not_firm() -> None:
    """Its baseline is already full, so the energy it sold its place for waits for room."""
    assert charging(36_000_000, 0, LONG) == (11_000, 0, 0)


def test_from_the_guard_on_a_car_may_draw_all_it_still_needs() -> None:
    assert charging(36_000_000, 0, RULES.guard_ms + 1) == (11_000, 0, 0)
    assert charging(36_000_000, 0, RULES.guard_ms) == (11_000, 0, 11_000)
    assert charging(36_000_000, 0, -1) == (11_000, 0, 11_000)


def test_a_nearly_full_car_wants_just_what_is_missing_in_one_tick() -> None:
    assert charging(90_029, 90_029, LONG) == (3_000, 3_000, 3_000)


def test_firm_is_never_more_than_a_car_wants() -> None:
    assert charging(90_000, 36_000_000, LONG) == (3_000, 11_000, 3_000)


def test_the_due_instant_counts_charging_time_rounded_up() -> None:
    """10 kWh at 11 kW take 3,272,727.3 ms."""
    full = ints([11_000])
    of = law.charging_state(ints([36_000_000]), full, full, full, full, ints([4_000_000]), 0, RULES)
    assert of.due_ms.tolist() == [4_000_000 - 3_272_728]


# -- the need ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit_w", "target_w"), [(380_000, 364_800), (280_000, 264_800), (0, -15_200), (-5_000, -20_200)]
)
def test_the_target_is_the_limit_in_force_less_the_scenarios_margin(limit_w: int, target_w: int) -> None:
    assert target_of(limit_w) == target_w


def test_a_street_that_fits_needs_nothing() -> None:
    assert assess(353_800, 380_000, cars([11_000])) == Assessed(364_800, 364_800, 0, release=False)


def test_the_need_is_what_the_demand_exceeds_the_target_by() -> None:
    assert assess(353_801, 380_000, cars([11_000])) == Assessed(364_801, 364_800, 1, release=False)


def test_a_street_without_cars_can_have_a_need_too() -> None:
    assert assess(400_000, 380_000, cars([])) == Assessed(400_000, 364_800, 35_200, release=False)


def test_the_need_is_reckoned_from_what_cars_may_draw_not_from_what_they_draw() -> None:
    """A car that gave way stands at 0 W but its place is sold, not free: the original cycled here."""
    gave_way = cars([0, 11_000], wanted_w=[11_000, 11_000])
    assert assess(353_800, 380_000, gave_way).need_w == 0


def test_awards_in_force_count_against_the_need_but_not_against_the_demand() -> None:
    awarded = cars([11_000, 0], reduce_w=[6_210, 0], feed_w=[0, 2_000])
    assert assess(364_800, 380_000, awarded) == Assessed(375_800, 364_800, 2_790, release=False)


def test_an_award_counts_for_no_more_than_the_car_could_still_draw() -> None:
    almost_full = cars([3_000], reduce_w=[11_000])
    assert assess(364_800, 380_000, almost_full).need_w == 0
    assert assess(364_801, 380_000, almost_full).need_w == 1


def test_awards_end_early_once_the_demand_is_two_per_cent_of_the_limit_below_the_target() -> None:
    """7,600 W below 364,800 W, awards not subtracted; a watt more and they stay."""
    awarded = cars([11_000], reduce_w=[6_210])
    assert assess(346_200, 380_000, awarded) == Assessed(357_200, 364_800, -7_600, release=True)
    assert assess(346_201, 380_000, awarded) == Assessed(357_201, 364_800, -7_599 - 6_210, release=False)


def test_there_is_nothing_to_release_without_an_award() -> None:
    assert not assess(0, 380_000, cars([11_000])).release


# -- what may stand of an offer ---------------------------------------------------------------------------------------


def test_a_full_stop_has_two_tranches_and_keeps_them() -> None:
    assert offered(own_of(), [6_860, 4_140, 0], [7 * TICK, 8 * TICK, 0]) == ([6_860, 4_140, 0], [7 * TICK, 8 * TICK, 0])


def test_a_car_without_an_hour_to_lose_keeps_charging_whatever_it_says() -> None:
    """It must be able to wait for longer than guard and window together: 35 minutes."""
    edge_ms = RULES.guard_ms + RULES.window_ms
    assert offered(own_of(laxity_ms=edge_ms), [6_860, 4_140, 0]) == ([0, 0, 0], [0, 0, 0])
    assert offered(own_of(laxity_ms=edge_ms + 1), [6_860, 4_140, 0])[0] == [6_860, 4_140, 0]


def test_a_car_that_is_unsure_when_it_leaves_guards_itself() -> None:
    """A deviation of an hour: it draws all it needs from 2.5 h of laxity on, and sells from another hour on."""
    unsure = replace(RULES, unsure_ms=HOURS)
    full = ints([11_000])
    for laxity_ms, firm_w in ((2 * HOURS + RULES.guard_ms, 11_000), (2 * HOURS + RULES.guard_ms + 1, 5_000)):
        departure_ms = ints([laxity_ms + 3_600_000])
        of = law.charging_state(ints([39_600_000]), ints([150_000]), full, full, full, departure_ms, 0, unsure)
        assert of.firm_w.tolist() == [firm_w]
    edge_ms = RULES.guard_ms + RULES.window_ms + 3 * HOURS
    book = OfferBook.keep(own_of(laxity_ms=edge_ms)).reduce(0, TICK)
    assert not law.admitted(book, CALL, unsure)[0].any()
    book = OfferBook.keep(own_of(laxity_ms=edge_ms + 1)).reduce(0, TICK)
    assert law.admitted(book, CALL, unsure)[0].any()


@pytest.mark.parametrize(("ask", "on_tick"), [(0, 0), (1, TICK), (TICK, TICK), (TICK + 1, 2 * TICK)])
def test_an_ask_is_rounded_up_to_the_price_tick(ask: int, on_tick: int) -> None:
    assert offered(own_of(), [6_860, 0, 0], [ask, 0, 0]) == ([6_860, 0, 0], [on_tick, 0, 0])


def test_what_is_not_offered_has_no_ask() -> None:
    assert offered(own_of(), [0, 0, 0], [7 * TICK, 8 * TICK, 9 * TICK]) == ([0, 0, 0], [0, 0, 0])


def test_a_car_feeds_back_only_after_its_own_reduction_to_nothing() -> None:
    assert offered(own_of(), [6_860, 0, 8_800])[0] == [6_860, 0, 0]
    assert offered(own_of(), [0, 0, 8_800])[0] == [0, 0, 0]
    assert offered(own_of(), [6_860, 4_140, 8_800])[0] == [6_860, 4_140, 8_800]
    assert offered(own_of(firm_w=0, floor_w=0), [0, 0, 8_800])[0] == [0, 0, 8_800]


def test_after_the_window_the_battery_still_holds_its_reserve() -> None:
    """8,800 W for 300 s are 2,640,000 Ws on the street and, at 88 % round trip, 3,000,000 Ws of the battery."""
    idle = own_of(firm_w=0, floor_w=0, reserve_ws=64_800_000)
    assert offered(replace(idle, stored_ws=ints([67_800_000])), [0, 0, 8_800])[0] == [0, 0, 8_800]
    assert offered(replace(idle, stored_ws=ints([67_799_999])), [0, 0, 8_800])[0] == [0, 0, 0]


def test_in_what_is_left_of_a_window_a_car_feeds_only_for_so_long() -> None:
    idle = own_of(firm_w=0, floor_w=0, reserve_ws=64_800_000, stored_ws=64_800_000 + 1_500_000)
    book = OfferBook.keep(idle).feed(8_800, 0)
    half = replace(CALL, from_ms=150_000)
    assert law.admitted(book, half, RULES)[0].tolist() == [[0, 0, 8_800]]
    assert law.admitted(book, CALL, RULES)[0].tolist() == [[0, 0, 0]]


def test_after_refilling_a_car_still_has_its_guard() -> None:
    """A window of 300,000 ms, and 3,000,000 Ws at 11 kW: 272,728 ms; with half an hour of guard 2,372,728 ms."""
    idle = own_of(firm_w=0, floor_w=0, remaining_ws=0)
    assert offered(replace(idle, laxity_ms=ints([2_372_728])), [0, 0, 8_800])[0] == [0, 0, 8_800]
    assert offered(replace(idle, laxity_ms=ints([2_372_727])), [0, 0, 8_800])[0] == [0, 0, 0]


@pytest.mark.parametrize(
    ("relief_w", "ask", "problem"),
    [
        ([-1, 0, 0], [0, 0, 0], "offers a negative power"),
        ([6_860, 4_140, -1], [0, 0, 0], "offers a negative power"),
        ([6_860, 0, 0], [-1, 0, 0], "asks a negative price"),
        ([6_860, 0, 0], [10**18 + 1, 0, 0], "asks a price beyond 1e\\+18"),
        ([6_860, 4_140, 0], [2, 1, 0], "asks less for a later tranche"),
        ([6_860, 4_140, 100], [2, 2, 1], "asks less for a later tranche"),
        ([6_860, 4_141, 0], [0, 0, 0], "offers more power than the car draws"),
        ([11_001, 0, 0], [0, 0, 0], "offers more power than the car draws"),
        ([0, 4_140, 0], [0, 0, 0], "stops the car by halves"),
        ([6_861, 0, 0], [0, 0, 0], "between 0 and the floor of 6 A"),
        ([6_860, 4_140, 11_001], [0, 0, 0], "feeds more than the car can"),
    ],
)
def test_what_no_car_may_say_is_refused_and_its_row_named(relief_w: list[int], ask: list[int], problem: str) -> None:
    own = own_of().take([0, 0, 0])
    relief, asks = np.zeros((3, 3), dtype=np.int64), np.zeros((3, 3), dtype=np.int64)
    relief[2], asks[2] = relief_w, ask
    with pytest.raises(StrategyError, match=problem) as refused:
        law.admitted(OfferBook(own, relief, asks), CALL, RULES)
    assert refused.value.row == 2


def test_a_tranche_that_is_not_offered_may_bear_any_ask() -> None:
    """Only what stands to be sold must not fall: a gap between two tranches is no step down."""
    idle = own_of(firm_w=0, floor_w=0)
    assert offered(idle, [0, 0, 8_800], [9 * TICK, -5, 7 * TICK]) == ([0, 0, 8_800], [0, 0, 7 * TICK])
