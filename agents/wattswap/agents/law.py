"""The law of a round: who may draw what, when a call goes out, what may stand of an offer, who yields at last.

Pure functions of int64 arrays: one row per plugged car, sorted by (feeder, session), and one per feeder. A transformer
asks for its one feeder, the fleet engine for all at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from wattswap.agents import physics
from wattswap.agents.lots import could_w
from wattswap.agents.offers import BEYOND, FEED, MOST, TO_FLOOR, TO_ZERO, OfferBook, Own, refuse
from wattswap.protocol.draws import draw
from wattswap.protocol.units import PRICE_TICK_NANOS, Purpose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.offers import Call
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules, Terms
    from wattswap.agents.segments import Segments


class Admitted(Protocol):
    """What :func:`admitted` takes and gives."""

    def __call__(self, book: OfferBook, call: Call, rules: Rules, *, are_sound: bool = False) -> tuple[Ints, Ints]:
        """What of the cars' answers may stand."""


class ChargingState(NamedTuple):
    """Where cars stand against their baseline; int64, one row per car."""

    wanted_w: Ints
    baseline_w: Ints
    firm_w: Ints
    due_ms: Ints
    """The latest instant at which full power still fills the car in time; laxity is ``due_ms - now_ms``."""


class Cars(NamedTuple):
    """What a transformer knows of its plugged cars. When they leave is not among it."""

    key: NDArray[np.uint64]
    """Under which each draws where somebody must come first."""
    firm_w: Ints
    wanted_w: Ints
    drew: NDArray[np.bool_]
    """Drew power in the last tick."""
    owed_ws: Ints
    """Given up under awards and not drawn back yet."""
    rent_price: Ints
    """The dearest price at which it waits; 0 if it owes nothing, or could have drawn back and did not."""
    reduce_w: Ints
    """Reduction bought by the award in force; 0 without one."""
    feed_w: Ints
    """Feeding bought by the award in force."""

    def of(self, rows: slice) -> Cars:
        """These rows alone."""
        return Cars(
            self.key[rows],
            self.firm_w[rows],
            self.wanted_w[rows],
            self.drew[rows],
            self.owed_ws[rows],
            self.rent_price[rows],
            self.reduce_w[rows],
            self.feed_w[rows],
        )


class Assessment(NamedTuple):
    """What each transformer makes of a reading; one row per feeder."""

    demand_w: Ints
    """Base load and all that cars may draw unasked, awards not subtracted."""
    target_w: Ints
    need_w: Ints
    """The relief to call for; 0 or less means none."""
    release: NDArray[np.bool_]
    """The awards in force are no longer needed."""


class Grants(NamedTuple):
    """What each car may do until the next grant."""

    import_w: Ints
    export_w: Ints
    forced_w: Ints
    """What the last resort took from the import, unpaid."""


def charging_state(
    remaining_ws: Ints,
    baseline_ws: Ints,
    takes_w: Ints,
    baseline_takes_w: Ints,
    max_w: Ints,
    departure_ms: Ints,
    now_ms: int,
    rules: Rules,
) -> ChargingState:
    """Wanted, baseline and firm power for the next tick.

    ``takes_w`` is the most the battery takes now, ``baseline_takes_w`` what it would take had it never given way
    (both ``max_w`` unless the battery tapers). Firm is the baseline's power; from its own guard on, a car may draw all
    it still needs. This is the car's own reckoning: nobody else knows its departure.
    """
    wanted_w = physics.wanted_w(remaining_ws, takes_w, rules.tick_s)
    baseline_w = physics.wanted_w(baseline_ws, baseline_takes_w, rules.tick_s)
    due_ms = departure_ms - physics.charging_ms(remaining_ws, max_w)
    waits = due_ms - now_ms > rules.wary_guard_ms
    firm_w = np.where(waits, np.minimum(baseline_w, wanted_w), wanted_w)
    return ChargingState(wanted_w, baseline_w, firm_w, due_ms)


def target_w(limit_w: Ints, terms: Terms) -> Ints:
    """The load each feeder aims at: the limit in force less its margin, be the limit negative."""
    return limit_w - terms.margin_w


def assess(base_w: Ints, limit_w: Ints, cars: Cars, segments: Segments, terms: Terms) -> Assessment:
    """Compare what each street may draw with what its transformer bears.

    The need is reckoned from firm power, not from the metered load: a car that gave way does not look like room.
    """
    target = target_w(limit_w, terms)
    demand_w = base_w + segments.sum(cars.firm_w)
    in_force_w = segments.sum(np.minimum(cars.reduce_w, cars.firm_w) + cars.feed_w)
    release = (in_force_w > 0) & (demand_w <= target - terms.release_w)
    need_w = demand_w - target - np.where(release, 0, in_force_w)
    return Assessment(demand_w, target, need_w, release)


def admitted(book: OfferBook, call: Call, rules: Rules, *, are_sound: bool = False) -> tuple[Ints, Ints]:
    """What of the cars' answers may stand: relief in watts and asks on the tick, shape (cars, 3) each.

    A car too close to its departure keeps charging whatever it says; feeding needs the car's own charging
    reduced to nothing, a battery above its reserve afterwards, and time to refill. Answers that ``are_sound`` for
    certain, as those of bundled strategies, are not looked through for what no car can keep.
    """
    own = book.own
    relief_w, ask = book.relief_w, book.ask_nanos_per_kwh_h
    if not np.count_nonzero(relief_w):  # most cars that are called, most of the time
        return relief_w, np.zeros_like(ask)
    if not are_sound:
        refuse_unsound(own, relief_w, ask)
    can_wait = own.laxity_ms > rules.wary_guard_ms + rules.window_ms + rules.unsure_ms
    relief_w = np.where(can_wait[:, None], relief_w, 0)
    if np.count_nonzero(relief_w[:, FEED]):
        stops = (own.firm_w == 0) | (relief_w[:, TO_ZERO] > 0)
        feeds = stops & _feeds_within_bounds(own, relief_w[:, FEED], call, rules)
        relief_w[:, FEED] *= feeds
    ask = -(-ask // PRICE_TICK_NANOS) * PRICE_TICK_NANOS
    return relief_w, np.where(relief_w > 0, ask, 0)


def _feeds_within_bounds(own: Own, feed_w: Ints, call: Call, rules: Rules) -> NDArray[np.bool_]:
    ticks = (call.until_ms - call.from_ms) // rules.tick_ms
    drained_ws = physics.drained_ws(feed_w * rules.tick_s, own.round_trip_permille) * ticks  # rounded as it will drain
    refilled_by_ms = physics.charging_ms(own.remaining_ws + drained_ws, own.max_w)
    charging_now_ms = physics.charging_ms(own.remaining_ws, own.max_w)
    laxity_after_ms = own.laxity_ms + charging_now_ms - (call.until_ms - call.from_ms) - refilled_by_ms
    return (own.stored_ws - drained_ws >= own.reserve_ws) & (laxity_after_ms >= rules.wary_guard_ms + rules.unsure_ms)


def refuse_unsound(own: Own, relief_w: Ints, ask: Ints) -> None:
    """Refuse offers, shape (cars, 3), that no car can keep or no market can take.

    Raises:
        StrategyError: it names the first such car and what is wrong.
    """
    left_w = own.firm_w - relief_w[:, TO_FLOOR] - relief_w[:, TO_ZERO]
    offered = relief_w > 0
    highest_so_far = np.maximum.accumulate(offered * ask, axis=1)
    refuse(relief_w < 0, "offers a negative power")
    refuse(left_w < 0, "offers more power than the car draws")
    refuse(offered[:, TO_ZERO] & (left_w > 0), "stops the car by halves: a full stop gives up all it draws")
    refuse((left_w > 0) & (left_w < own.floor_w), "reduces to a power between 0 and the floor of 6 A")
    refuse(relief_w[:, FEED] > own.feed_w, "feeds more than the car can")
    refuse(offered & (ask < 0), "asks a negative price")
    refuse(offered & (ask > MOST), f"asks a price {BEYOND}")
    refuse(offered & (ask < highest_so_far), "asks less for a later tranche than for an earlier one")


def grants(
    base_w: Ints, target: Ints, cars: Cars, segments: Segments, *, now_ms: int, seed: int, rules: Rules
) -> Grants:
    """What each car may draw or feed: its firm power less what it sold, then the room left, or the last resort."""
    import_w = cars.firm_w - np.minimum(cars.reduce_w, cars.firm_w)
    left_w = target - base_w + segments.sum(cars.feed_w)
    room_w = left_w - segments.sum(import_w)
    forced_w = np.zeros(len(import_w), dtype=np.int64)
    for feeder in np.flatnonzero(room_w < 0).tolist():
        rows = segments.rows(feeder)
        ties = draw(seed, cars.key[rows], Purpose.TIE, now_ms // rules.window_ms)
        granted_w = last_resort(import_w[rows], int(left_w[feeder]), ties, rules)
        forced_w[rows] = import_w[rows] - granted_w
        import_w[rows] = granted_w
    claims_w = claimed_w(cars, rules)
    behind = (claims_w > cars.firm_w) & (cars.reduce_w + cars.feed_w == 0)
    if not np.count_nonzero(behind):
        return Grants(import_w, cars.feed_w, forced_w)
    lacking_w = segments.sum(np.where(behind, claims_w - import_w, 0))
    all_fit = (lacking_w <= room_w)[segments.feeder]
    import_w = np.where(behind & all_fit, claims_w, import_w)
    (rows,) = (behind & ~all_fit & (room_w > 0)[segments.feeder]).nonzero()
    if len(rows):
        _hand_out(import_w, room_w, cars, claims_w, rows, segments.feeder[rows], seed, rules)
    return Grants(import_w, cars.feed_w, forced_w)


def claimed_w(cars: Cars, rules: Rules) -> Ints:
    """What each car is given if there is room: what it wants, or what it must be able to draw back as it is paid to.

    A car that says it wants less than that is offered it all the same, so that its meters see it stall.
    """
    if not np.count_nonzero(cars.rent_price):  # nobody waits
        return cars.wanted_w
    return np.maximum(cars.wanted_w, np.where(cars.rent_price > 0, could_w(cars.owed_ws, rules), 0))


def _hand_out(
    import_w: Ints, room_w: Ints, cars: Cars, claims_w: Ints, rows: Ints, feeder: Ints, seed: int, rules: Rules
) -> None:
    """Hand the room left on each feeder to its cars that are behind their baseline; unasked, unpaid.

    ``rows`` are these cars, and ``feeder`` the feeder of each. Who drew in the last tick comes first, it spares a stop;
    then whoever's waiting is dearest. A car under an award gets none: it sold just this power.
    """
    ties = draw(seed, cars.key[rows], Purpose.TIE)
    order = rows[np.lexsort((ties, -cars.rent_price[rows], ~cars.drew[rows], feeder))]
    claims_w, has_w = claims_w[order], import_w[order]
    import_w[order] = in_turn(claims_w, has_w, np.minimum(rules.min_w, claims_w), room_w, feeder)


def in_turn(claims_w: Ints, has_w: Ints, least_w: Ints, room_w: Ints, feeder: Ints) -> Ints:
    """What cars have once the room left on each feeder was handed to one after the other, in the order of these rows.

    Each is given what it claims, or what room there is, if it then has its least; else it keeps what it has. The rows
    of a feeder stand together. In each pass all get their claim before the first whose claim does not fit, that one
    what is left; then come those behind it.
    """
    has_w, left_w, at = has_w.copy(), np.maximum(room_w, 0), np.arange(len(has_w))
    while len(at):
        more_w, room = claims_w[at] - has_w[at], left_w[feeder[at]]
        could = (more_w > 0) & (room > 0)  # room only falls
        could &= np.minimum(claims_w[at], has_w[at] + room) >= least_w[at]
        at, more_w, room = at[could], more_w[could], room[could]
        upto_w, first = np.cumsum(more_w), np.searchsorted(feeder[at], feeder[at])
        before_w = upto_w - more_w
        before_w -= before_w[first]
        fits, misfit = before_w + more_w <= room, (before_w <= room) & (before_w + more_w > room)
        given_w = np.where(fits, more_w, np.where(misfit, room - before_w, 0))
        given_w[misfit & (has_w[at] + given_w < least_w[at])] = 0
        has_w[at] += given_w
        np.subtract.at(left_w, feeder[at], given_w)
        at = at[~fits & ~misfit]
    return has_w


def last_resort(import_w: Ints, room_w: int, ties: NDArray[np.uint64], rules: Rules) -> Ints:
    """Cut grants down to ``room_w`` in all: one water level, and what falls under 6 A goes to others by draw.

    The limit goes before comfort, but never below the site's guaranteed minimum per car.
    """
    guaranteed_w = np.minimum(import_w, rules.guaranteed_w)
    if int(guaranteed_w.sum()) >= room_w:
        return guaranteed_w
    level_w = _water_level(import_w, room_w)
    least_w = np.minimum(import_w, rules.min_w)
    granted_w = np.minimum(import_w, level_w)
    granted_w = np.maximum(np.where(granted_w < least_w, 0, granted_w), guaranteed_w)
    order, room = np.argsort(ties, kind="stable"), np.array([room_w - int(granted_w.sum())])
    columns = (import_w[order], granted_w[order], least_w[order])
    granted_w[order] = in_turn(*columns, room, np.zeros(len(order), dtype=np.int64))
    return granted_w


def _water_level(import_w: Ints, room_w: int) -> int:
    """The highest integer level with sum(min(import, level)) <= room."""
    ordered = np.sort(import_w)
    below = np.concatenate(([0], np.cumsum(ordered)[:-1]))
    cars_left = np.arange(len(ordered), 0, -1)
    fits = np.flatnonzero(below + ordered * cars_left > room_w)
    if not len(fits):
        return int(ordered[-1]) if len(ordered) else 0
    first = fits[0]
    return max(int((room_w - below[first]) // cars_left[first]), 0)
