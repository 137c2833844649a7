"""The figures of all transformers of a pass at once: of each what a run of it alone has under these names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wattswap.agents.segments import Segments
from wattswap.agents.settlement import rent_nanos
from wattswap.runners.recording.ageing import ageings
from wattswap.runners.recording.fairness import feeding_costs
from wattswap.runners.recording.metrics import PLACES, waiting_costs, whole_wh
from wattswap.runners.recording.record import SHORT_WS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.side_by_side import SideBySide
    from wattswap.runners.scenario.street import Feeder


def feeder_figures(passed: SideBySide) -> list[dict[str, Any]]:
    """A row for each feeder of a pass that was run."""
    columns = {**_of_transformers(passed), **_of_cars(passed)}
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _of_transformers(passed: SideBySide) -> dict[str, list[Any]]:
    base_w, limit_w, tick_s = passed.base_w[1:], passed.limit_w, passed.rules.tick_s
    idle_w, sums = passed.idle.load_w, passed.sums
    uncontrolled_w = base_w + idle_w
    load_w = uncontrolled_w + sums.import_w
    load_w -= sums.export_w
    feeders = [feeder for street in passed.streets for feeder in street.feeders]
    transformers = [feeder.transformer for feeder in feeders]
    aged = ageings(
        load_w,
        np.array([transformer.rating_va for transformer in transformers]),
        tick_s,
        _ambient_c(feeders, passed.ticks),
        [transformer.paper for transformer in transformers],
    )
    return {
        "limit_w": [transformer.limit_w for transformer in transformers],
        "peak_w": load_w.max(axis=0, initial=0).tolist(),
        "overload_s": _ticks_over(load_w, limit_w, tick_s),
        "baseline_overload_s": _ticks_over(uncontrolled_w, limit_w, tick_s),
        "homes_over_s": _ticks_over(base_w, limit_w, tick_s),
        "fed_back_wh": _wh(sums.export_w.sum(axis=0) * tick_s),
        "forced_wh": _wh(sums.forced_w.sum(axis=0) * tick_s),
        "ageing_h": [round(each.used_h, PLACES) for each in aged],
    }


def _ambient_c(feeders: Sequence[Feeder], ticks: int) -> NDArray[np.float64]:
    """The temperature by tick around each transformer, or around all where they share it: a column each, or one."""
    alike = {(id(feeder.ambient_by_tick), feeder.transformer.ambient_c) for feeder in feeders}
    return np.stack([feeder.ambient_c(ticks) for feeder in feeders[: 1 if len(alike) == 1 else None]], axis=1)


def _of_cars(passed: SideBySide) -> dict[str, list[Any]]:
    fleet, record, world = passed.world.fleet, passed.record, passed.world
    rows = Segments.of(fleet.feeder, len(world.feeder_rules))
    left = fleet.is_session & (fleet.departure_tick <= passed.ticks) & (fleet.arrival_tick < passed.ticks)
    costs = [0] * rows.feeders
    waiting = waiting_costs(fleet.waiting_nanos_per_kwh_h, passed.sums.owed_ws, passed.rules.tick_s)
    for feeder, nanos in zip(fleet.feeder.tolist(), waiting, strict=True):
        costs[feeder] += nanos
    feeding = np.bincount(fleet.feeder, feeding_costs(fleet, world.exported_ws), rows.feeders)
    return {
        "sessions": rows.sum(fleet.is_session & (passed.idle.car_ticks > 0)).tolist(),
        "sessions_short": rows.sum(left & (world.remaining_ws > SHORT_WS)).tolist(),
        "rounds": np.bincount(record.rounds[1], minlength=rows.feeders).tolist(),
        "deferred_wh": _wh(rows.sum(record.deferred_ws)),
        "waiting_cost_nanos": costs,
        "feeding_cost_nanos": [round(nanos) for nanos in feeding.tolist()],
        "paid_nanos": rows.sum(record.earned_nanos).tolist(),
        "rent_open_nanos": _rents_open(passed, rows.feeders),
    }


def _rents_open(passed: SideBySide, feeders: int) -> list[int]:
    """The rent of lots that the end left open, as if all that is owed came back now."""
    closed, tick_s = passed.record.closed, passed.rules.tick_s
    awards = closed.awards.of(np.flatnonzero(closed.is_open))
    rents = [0] * feeders
    columns = (passed.world.fleet.feeder[awards.row], awards.lot_price, awards.rent)
    for feeder, price, rent in zip(*(column.tolist() for column in columns), strict=True):
        rents[feeder] += rent_nanos(price, rent, tick_s)
    return rents


def _ticks_over(power_w: Ints, limit_w: Ints, tick_s: int) -> list[int]:
    seconds: list[int] = ((power_w > limit_w).sum(axis=0) * tick_s).tolist()
    return seconds


def _wh(energies_ws: Iterable[Any]) -> list[int]:
    return [whole_wh(int(energy_ws)) for energy_ws in energies_ws]
