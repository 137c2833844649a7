"""The steps of a tick as loops over cars, compiled by numba (extra ``fast``).

Each does for one car after the other what its twin does in columns of numpy, equal to the integer: ``look`` and
``move`` what :class:`.steps.Steps` does, ``hand_out`` what :func:`wattswap.agents.law.grants` does while no feeder is
short. Columns are int64, powers in watts, energies in watt-seconds; what they are is told where their twins have them.
Those of a round are in :mod:`.compiled_round`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints

    Bools = NDArray[np.bool_]
    Keys = NDArray[np.uint64]
    LoopT = TypeVar("LoopT", bound=Callable[..., object])


def compiled(loop: LoopT) -> LoopT:
    """The loop as machine code, made at its first call and kept on disk."""
    fast: LoopT = numba.njit(cache=True, nogil=True, error_model="numpy")(loop)
    return fast


@compiled
def standing(
    remaining_ws: int, baseline_ws: int, max_w: int, departure_ms: int, now_ms: int, guard_ms: int, tick_s: int
) -> tuple[int, int, int, int]:
    """Where a car stands: wanted, baseline, firm, due."""
    wanted_w = min(max_w, remaining_ws // tick_s)
    baseline_w = min(max_w, baseline_ws // tick_s)
    due_ms = departure_ms - -(-remaining_ws * 1000 // max_w)
    waits = due_ms - now_ms > guard_ms
    return wanted_w, baseline_w, min(baseline_w, wanted_w) if waits else wanted_w, due_ms


@compiled
def look(
    rows: Ints,
    seen_row: Ints,
    seen_wanted_w: Ints,
    seen_baseline_w: Ints,
    seen_firm_w: Ints,
    seen_due_ms: Ints,
    seen_owed_ws: Ints,
    seen_price: Ints,
    row_feeder: Ints,
    bounds: Ints,
    feeder: Ints,
    state: Ints,
    known: Ints,
    drew: Bools,
    key: Keys,
    cars_drew: Bools,
    cars_key: Keys,
    remaining_ws: Ints,
    baseline_ws: Ints,
    max_w: Ints,
    departure_ms: Ints,
    owed_ws: Ints,
    price: Ints,
    stopped_at: Ints,
    reduce_w: Ints,
    feed_w: Ints,
    rest_w: Ints,
    now_ms: int,
    guard_ms: int,
    tick_s: int,
    never: int,
) -> None:
    """Fill in where cars stand: ``state`` (wanted, baseline, firm, due) and ``known`` (owed, price, reduce, feed).

    ``rest_w`` holds what all cars draw by themselves, and loses what these do. Cars that were seen in this tick already
    are among them, and stand as they stood.
    """
    at_feeder = seen = 0
    for at in range(len(rows)):
        row = rows[at]
        mine = feeder[row]
        row_feeder[at] = mine
        while at_feeder <= mine:
            bounds[at_feeder] = at
            at_feeder += 1
        known[2, at], known[3, at] = reduce_w[row], feed_w[row]
        if seen < len(seen_row) and seen_row[seen] == row:
            state[0, at], state[1, at] = seen_wanted_w[seen], seen_baseline_w[seen]
            state[2, at], state[3, at] = seen_firm_w[seen], seen_due_ms[seen]
            known[0, at], known[1, at] = seen_owed_ws[seen], seen_price[seen]
            seen += 1
        else:
            state[0, at], state[1, at], state[2, at], state[3, at] = standing(
                remaining_ws[row], baseline_ws[row], max_w[row], departure_ms[row], now_ms, guard_ms, tick_s
            )
            known[0, at], known[1, at] = owed_ws[row], price[row] if stopped_at[row] == never else 0
        cars_drew[at], cars_key[at] = drew[row], key[row]
        rest_w[mine] -= state[1, at]
    while at_feeder < len(bounds):
        bounds[at_feeder] = len(rows)
        at_feeder += 1


@compiled
def _comes_before(one: int, other: int, first: Ints, second: Ints | Keys, third: Ints | Keys) -> bool:
    if first[one] != first[other]:
        return bool(first[one] < first[other])
    if second[one] != second[other]:
        return bool(second[one] < second[other])
    if third[one] != third[other]:
        return bool(third[one] < third[other])
    return one < other


@compiled
def sort(places: Ints, count: int, first: Ints, second: Ints | Keys, third: Ints | Keys) -> None:
    """Sort so many places of these columns by them, by Shell's method; those that are equal by place."""
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for at in range(gap, count):
            place, hole = places[at], at
            while hole >= gap and _comes_before(place, places[hole - gap], first, second, third):
                places[hole] = places[hole - gap]
                hole -= gap
            places[hole] = place
        gap //= 3


@compiled
def hand_out(
    base_w: Ints,
    target_w: Ints,
    bounds: Ints,
    firm_w: Ints,
    wanted_w: Ints,
    drew: Bools,
    owed_ws: Ints,
    price: Ints,
    reduce_w: Ints,
    feed_w: Ints,
    ties: Keys,
    import_w: Ints,
    min_w: int,
    tick_s: int,
) -> bool:
    """Fill in what each car may draw; False, and nothing to rely on, where a feeder is short of room."""
    turn = np.empty(len(firm_w), dtype=np.int64)
    claims_w = np.empty(len(firm_w), dtype=np.int64)
    paused, cheap = (~drew).astype(np.int64), -price
    for feeder in range(len(bounds) - 1):
        room_w = target_w[feeder] - base_w[feeder]
        count = lacking_w = 0
        for at in range(bounds[feeder], bounds[feeder + 1]):
            import_w[at] = firm_w[at] - min(reduce_w[at], firm_w[at])
            room_w += feed_w[at] - import_w[at]
            claims_w[at] = wanted_w[at]
            if price[at] > 0:
                claims_w[at] = max(wanted_w[at], min(min_w, owed_ws[at] // tick_s))
            if claims_w[at] > firm_w[at] and reduce_w[at] + feed_w[at] == 0:
                turn[count] = at
                count += 1
                lacking_w += claims_w[at] - import_w[at]
        if room_w < 0:
            return False
        if lacking_w <= room_w:
            for place in range(count):
                import_w[turn[place]] = claims_w[turn[place]]
        elif room_w > 0:
            sort(turn, count, paused, cheap, ties)
            for place in range(count):
                at = turn[place]
                more_w = claims_w[at] - import_w[at]
                if min(claims_w[at], import_w[at] + room_w) >= min(min_w, claims_w[at]):
                    given_w = min(more_w, room_w)
                    import_w[at] += given_w
                    room_w -= given_w
                if room_w == 0:
                    break
    return True


@compiled
def move(
    rows: Ints,
    bounds: Ints,
    can_draw_w: Ints,
    its_baseline_w: Ints,
    firm_w: Ints,
    granted_w: Ints,
    export_w: Ints,
    forced_w: Ints,
    sold_w: Ints,
    drew: Bools,
    remaining_ws: Ints,
    baseline_ws: Ints,
    stored_ws: Ints,
    imported_ws: Ints,
    exported_ws: Ints,
    reserve_ws: Ints,
    least_ws: Ints,
    round_trip_permille: Ints,
    is_session: Bools,
    behind_ws: Ints,
    sums: Ints,
    stops: Ints,
    drawn_w: Ints,
    fed_w: Ints,
    is_first: bool,
    tick_s: int,
) -> None:
    """Let a tick pass for these cars, and sum up by feeder; ``drawn_w`` and ``fed_w`` are filled in."""
    for feeder in range(len(bounds) - 1):
        for at in range(bounds[feeder], bounds[feeder + 1]):
            row, wanted_w, baseline_w = rows[at], can_draw_w[at], its_baseline_w[at]
            owed_ws = max(remaining_ws[row] - baseline_ws[row], 0)
            draws_w, feeds_w = min(granted_w[at], wanted_w), 0
            remaining_ws[row] -= draws_w * tick_s
            stored_ws[row] += draws_w * tick_s
            imported_ws[row] += draws_w * tick_s
            baseline_ws[row] -= baseline_w * tick_s
            if export_w[at] > 0:
                back = round_trip_permille[row]
                above_ws = max(stored_ws[row] - max(reserve_ws[row], least_ws[row]), 0)
                feeds_w = min(export_w[at], above_ws * back // (1000 * tick_s))
                drained_ws = -(-feeds_w * tick_s * 1000 // back)
                stored_ws[row] -= drained_ws
                remaining_ws[row] += drained_ws
                exported_ws[row] += feeds_w * tick_s
            drawn_w[at], fed_w[at] = draws_w, feeds_w
            sums[0, feeder] += firm_w[at] - baseline_w
            sums[1, feeder] += wanted_w - baseline_w
            sums[2, feeder] += draws_w - baseline_w
            sums[3, feeder] += feeds_w
            sums[4, feeder] += sold_w[at]
            sums[5, feeder] += forced_w[at]
            if is_session[row]:
                sums[6, feeder] += owed_ws
                if drew[row] and not is_first and draws_w == 0 and wanted_w > 0:
                    stops[feeder] += 1
            behind_ws[row] += owed_ws
            drew[row] = draws_w > 0


@compiled
def deliver(
    runs: Ints,
    rows: Ints,
    baseline_w: Ints,
    import_w: Ints,
    export_w: Ints,
    award_row: Ints,
    award_w: Ints,
    lot_price: Ints,
    delivered_ws: Ints,
    award_baseline_ws: Ints,
    lot_owed_ws: Ints,
    owed_ws: Ints,
    price: Ints,
    tick_s: int,
) -> None:
    """Count a tick for the awards in force."""
    for run in range(len(runs)):
        place = runs[run]
        row = award_row[place]
        at = np.searchsorted(rows, row)
        reduced_w = max(baseline_w[at] - import_w[at], 0)
        to_floor_w = min(award_w[place, 0], reduced_w)
        to_zero_w = min(award_w[place, 1], reduced_w - to_floor_w)
        delivered_ws[place, 0] += to_floor_w * tick_s
        delivered_ws[place, 1] += to_zero_w * tick_s
        delivered_ws[place, 2] += min(award_w[place, 2], export_w[at]) * tick_s
        award_baseline_ws[place] += baseline_w[at] * tick_s
        given_up_ws = (to_floor_w + to_zero_w) * tick_s
        lot_owed_ws[place] += given_up_ws
        owed_ws[row] += given_up_ws
        if lot_owed_ws[place] > 0:
            price[row] = max(price[row], lot_price[place])


@compiled
def _first_of(row: int, car: Ints, low: int) -> int:
    """Where the lots of a car begin among those of all, from ``low`` on."""
    high = len(car)
    while low < high:
        middle = (low + high) // 2
        if car[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def merge(
    order: Ints, car: Ints, new: Ints, row: Ints, lot_price: Ints, tick: Ints, both_order: Ints, both_car: Ints
) -> None:
    """Put new lots, in the order of their cars, among others: car by car, the dearest first, then the oldest."""
    old = 0
    for at in range(len(new)):
        lot = new[at]
        upto = _first_of(row[lot], car, old)
        while upto < len(order) and car[upto] == row[lot]:
            other = order[upto]
            if lot_price[other] < lot_price[lot] or (lot_price[other] == lot_price[lot] and tick[other] >= tick[lot]):
                break
            upto += 1
        both_order[old + at : upto + at], both_car[old + at : upto + at] = order[old:upto], car[old:upto]
        both_order[upto + at], both_car[upto + at] = lot, row[lot]
        old = upto
    both_order[old + len(new) :], both_car[old + len(new) :] = order[old:], car[old:]


@compiled
def draw_back(
    rows: Ints,
    baseline_w: Ints,
    import_w: Ints,
    granted_w: Ints,
    began_owing_ws: Ints,
    sold_w: Ints,
    order: Ints,
    car: Ints,
    award_tick: Ints,
    lot_price: Ints,
    lot_owed_ws: Ints,
    rent: Ints,
    touched: Bools,
    owed_ws: Ints,
    price: Ints,
    stopped_at: Ints,
    tick: int,
    min_w: int,
    cap: int,
    tick_s: int,
) -> None:
    """Stop the clocks of cars that stall, and let others draw back from their lots, in the lots' order."""
    place = 0
    for at in range(len(rows)):
        row, granted, drawn_w = rows[at], granted_w[at], import_w[at]
        could_w = min(min_w, began_owing_ws[at] // tick_s)
        if sold_w[at] == 0 and could_w > 0 and granted >= could_w and drawn_w < could_w:
            stopped_at[row] = min(stopped_at[row], tick)
        if drawn_w <= baseline_w[at] or owed_ws[row] <= 0:
            continue
        back_ws = (drawn_w - baseline_w[at]) * tick_s
        place = _first_of(row, car, place)
        dearest = 0
        while place < len(car) and car[place] == row and (back_ws > 0 or dearest == 0):
            lot = order[place]
            returned_ws = min(back_ws, lot_owed_ws[lot])
            if returned_ws > 0:
                waited = min(max(min(tick, stopped_at[row]) - award_tick[lot], 0), cap)
                lot_owed_ws[lot] -= returned_ws
                owed_ws[row] -= returned_ws
                rent[lot] += returned_ws * waited
                back_ws -= returned_ws
                touched[lot] = lot_owed_ws[lot] < tick_s
            if lot_owed_ws[lot] > 0:
                dearest = max(dearest, lot_price[lot])
            place += 1
        price[row] = dearest
