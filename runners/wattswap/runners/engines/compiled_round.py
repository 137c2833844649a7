"""A round of the market as loops over cars, compiled by numba (extra ``fast``), as in :mod:`.compiled_loops`.

``asked`` does what :class:`.steps.Steps` does, ``admitted`` what :func:`wattswap.agents.law.admitted` does with sound
offers, ``cheapest`` what :func:`wattswap.agents.clearing.cheapest` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.runners.engines.compiled_loops import compiled, sort, standing

if TYPE_CHECKING:
    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.compiled_loops import Bools, Keys


@compiled
def asked(
    needs: Bools,
    first_row: Ints,
    may_speak: Bools,
    explicit: Bools,
    always: Bools,
    reduce_w: Ints,
    feed_w: Ints,
    first_tick: Ints,
    begin_ws: Ints,
    begin_w: Ints,
    remaining_ws: Ints,
    baseline_ws: Ints,
    stored_ws: Ints,
    imported_ws: Ints,
    max_w: Ints,
    departure_ms: Ints,
    tick: int,
    now_ms: int,
    guard_ms: int,
    tick_s: int,
) -> tuple[Ints, Ints]:
    """The cars that could answer a call, and where they stand: wanted, baseline, firm, due."""
    most = 0
    for feeder in range(len(needs)):
        if needs[feeder]:
            most += first_row[feeder + 1] - first_row[feeder]
    rows, state, count = np.empty(most, dtype=np.int64), np.empty((4, most), dtype=np.int64), 0
    for feeder in range(len(needs)):
        if not needs[feeder]:
            continue
        for row in range(first_row[feeder], first_row[feeder + 1]):
            if reduce_w[row] + feed_w[row] > 0 or not (may_speak[row] or explicit[row]):
                continue
            if not explicit[row]:  # the world has to be told how far it is
                left_ws = begin_ws[row] - min((tick - first_tick[row]) * max_w[row], begin_w[row]) * tick_s
                drawn_ws = remaining_ws[row] - left_ws
                remaining_ws[row] = baseline_ws[row] = left_ws
                stored_ws[row] += drawn_ws
                imported_ws[row] += drawn_ws
            wanted_w, baseline_w, firm_w, due_ms = standing(
                remaining_ws[row], baseline_ws[row], max_w[row], departure_ms[row], now_ms, guard_ms, tick_s
            )
            if firm_w > 0 or always[row]:
                rows[count] = row
                state[0, count], state[1, count] = wanted_w, baseline_w
                state[2, count], state[3, count] = firm_w, due_ms
                count += 1
    return rows[:count], state[:, :count]


@compiled
def admitted(
    relief_w: Ints,
    ask: Ints,
    firm_w: Ints,
    floor_w: Ints,
    max_w: Ints,
    most_feed_w: Ints,
    remaining_ws: Ints,
    stored_ws: Ints,
    reserve_ws: Ints,
    laxity_ms: Ints,
    round_trip_permille: Ints,
    may_stand_w: Ints,
    ask_on_tick: Ints,
    lasts_ms: int,
    least_laxity_ms: int,
    window_ms: int,
    tick_ms: int,
    most: int,
    price_tick: int,
) -> bool:
    """Fill in what may stand of offers, and their asks on the tick; False, and nothing to rely on, if one is unsound.

    ``least_laxity_ms`` is what a car must have left when the relief is over, which lasts so long.
    """
    tick_s, ticks = tick_ms // 1000, lasts_ms // tick_ms
    for car in range(len(firm_w)):
        to_floor_w, to_zero_w, feed_w = relief_w[car, 0], relief_w[car, 1], relief_w[car, 2]
        left_w, highest = firm_w[car] - to_floor_w - to_zero_w, 0
        if min(to_floor_w, to_zero_w, feed_w, left_w) < 0 or feed_w > most_feed_w[car]:
            return False
        if left_w > 0 and (to_zero_w > 0 or left_w < floor_w[car]):
            return False
        for tranche in range(3):
            if relief_w[car, tranche] > 0:
                if not highest <= ask[car, tranche] <= most:
                    return False
                highest = ask[car, tranche]
        if laxity_ms[car] <= window_ms + least_laxity_ms:
            to_floor_w = to_zero_w = feed_w = 0
        if feed_w > 0:
            drained_ws = -(-feed_w * tick_s * 1000 // round_trip_permille[car]) * ticks
            more_ms = -(-(remaining_ws[car] + drained_ws) * 1000 // max_w[car]) - -(
                -remaining_ws[car] * 1000 // max_w[car]
            )
            stops, has_it = firm_w[car] == 0 or to_zero_w > 0, stored_ws[car] - drained_ws >= reserve_ws[car]
            if not (stops and has_it and laxity_ms[car] - lasts_ms - more_ms >= least_laxity_ms):
                feed_w = 0
        may_stand_w[car, 0], may_stand_w[car, 1], may_stand_w[car, 2] = to_floor_w, to_zero_w, feed_w
        for tranche in range(3):
            on_tick = -(-ask[car, tranche] // price_tick) * price_tick
            ask_on_tick[car, tranche] = on_tick if may_stand_w[car, tranche] > 0 else 0
    return True


@compiled
def cheapest(relief_w: Ints, ask: Ints, admissible: Bools, ties: Keys, bounds: Ints, need_w: Ints, amp_w: int) -> Ints:
    """Tranches by (ask, tie, tranche) until each feeder's need is met, less those it does not require."""
    award_w = np.zeros_like(relief_w)
    order = np.empty(3 * len(relief_w), dtype=np.int64)  # tranches by number, three a car
    asks, ties_of, tranches = ask.ravel(), np.repeat(ties, 3), np.arange(3 * len(relief_w)) % 3
    for feeder in range(len(bounds) - 1):
        if need_w[feeder] <= 0:
            continue
        count = 0
        for car in range(bounds[feeder], bounds[feeder + 1]):
            for tranche in range(3):
                if admissible[car, tranche]:
                    order[count] = 3 * car + tranche
                    count += 1
        sort(order, count, asks, ties_of, tranches)
        missing_w, bought = need_w[feeder], 0
        while bought < count and missing_w > 0:
            car, tranche = order[bought] // 3, order[bought] % 3
            power_w = relief_w[car, tranche]
            if tranche != 1:  # all but the full stop can be divided
                power_w = min(power_w, -(-missing_w // amp_w) * amp_w)
            award_w[car, tranche] = power_w
            missing_w -= relief_w[car, tranche]
            bought += 1
        spare_w = -need_w[feeder]
        for place in range(bought):
            spare_w += award_w[order[place] // 3, order[place] % 3]
        for place in range(bought - 1, -1, -1):  # latest first, never one below another that is still held
            car, tranche = order[place] // 3, order[place] % 3
            power_w = award_w[car, tranche]
            if power_w > spare_w:
                continue
            later_w = 0
            for later in range(tranche + 1, 3):
                later_w += award_w[car, later]
            if later_w == 0:
                spare_w -= power_w
                award_w[car, tranche] = 0
    return award_w
