"""How evenly waiting and tokens fall on the cars that were called at least once: Gini and Jain, by strategy too.

Of waiting, the hours that a kWh of need came late; of tokens, the rent that a deferred kWh earned, as if all that is
owed came back now. A car is called when its feeder calls while it is plugged in; one that was never called neither
waits nor earns, and would make all look even.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from wattswap.agents.settlement import rent_nanos
from wattswap.protocol.units import NANOS_PER_IOTA, PERMILLE, WS_PER_KWH
from wattswap.runners.world import fleet_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.recording.time_series import TimeSeries
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import Fleet

_PLACES: Final = 6


def gini(shares: ArrayLike) -> float:
    """Gini's coefficient, sum over pairs |x - y| / (2 n^2 mean): 0 if all have the same, (n - 1) / n if one has all.

    Gini, Variabilita e mutabilita, 1912; reckoned from the sorted shares. Nobody has anything: that is even too, 0.
    """
    x = np.sort(np.asarray(shares, dtype=np.float64))
    if not len(x) or x[-1] <= 0:
        return 0.0
    ranks = 2 * np.arange(1, len(x) + 1) - len(x) - 1
    return round(float((ranks * x).sum() / (len(x) * x.sum())), _PLACES)


def jain(shares: ArrayLike) -> float:
    """Jain's index of fairness, (sum x)^2 / (n sum x^2): 1 if all have the same, 1/n if one has all.

    Nobody has anything: that is fair too, 1.
    """
    x = np.asarray(shares, dtype=np.float64)
    largest = x.max(initial=0.0)
    if largest <= 0:
        return 1.0
    x = x / largest  # so that squares of nanos stay small
    return round(float(x.sum() ** 2 / (len(x) * (x**2).sum())), _PLACES)


def fairness(street: Street, record: RunRecord, series: TimeSeries) -> dict[str, Any]:
    """``called``, ``gini_waiting``, ``gini_tokens`` and, for each strategy, the means of its called cars."""
    fleet = fleet_of(street)
    called = _called(fleet, record) & fleet.is_session & (fleet.need_ws > 0)
    row_of = {key: row for row, key in enumerate(zip(fleet.feeder.tolist(), fleet.session_id, strict=True))}
    strategy = _strategies(record, row_of)
    dealt = _dealt(record, row_of, len(street.feeders) > 1, series.tick_s)
    gain_iota = (dealt.nanos + dealt.open_nanos - _costs(fleet, dealt, series)) / NANOS_PER_IOTA
    waited_h = series.owed_ws * series.tick_s / 3_600 / np.maximum(fleet.need_ws, 1)
    sold = called & (dealt.deferred_ws > 0)
    rent_iota = (dealt.rent_nanos + dealt.open_nanos) / NANOS_PER_IOTA
    iota_per_kwh = rent_iota * WS_PER_KWH / np.maximum(dealt.deferred_ws, 1)
    names = sorted({strategy[row] for row in np.flatnonzero(called).tolist() if strategy[row]})
    return {
        "called": int(called.sum()),
        "gini_waiting": gini(waited_h[called]),
        "gini_tokens": gini(iota_per_kwh[sold]),
        "by_strategy": {
            name: {
                "called": int((called & mine).sum()),
                "waiting_h": _mean(waited_h[called & mine]),
                "gain_iota": _mean(gain_iota[called & mine]),
                "iota_per_deferred_kwh": _mean(iota_per_kwh[sold & mine]),
                "gini_waiting": gini(waited_h[called & mine]),
                "gini_tokens": gini(iota_per_kwh[sold & mine]),
                "jain_waiting": jain(waited_h[called & mine]),
                "jain_tokens": jain(iota_per_kwh[sold & mine]),
            }
            for name in names
            for mine in [np.array([followed == name for followed in strategy], dtype=bool)]
        },
    }


def _called(fleet: Fleet, record: RunRecord) -> NDArray[np.bool_]:
    called = np.zeros(len(fleet), dtype=bool)
    for number, part in enumerate(record.feeders or (record,)):
        ticks = np.array(sorted({note.tick for note in part.rounds}), dtype=np.int64)
        calls = np.searchsorted(ticks, fleet.departure_tick) - np.searchsorted(ticks, fleet.arrival_tick)
        called |= (fleet.feeder == number) & (calls > 0)
    return called


class _Dealt(NamedTuple):
    """What each row of the fleet traded, a figure a row."""

    deferred_ws: NDArray[np.int64]
    fed_ws: NDArray[np.int64]
    nanos: NDArray[np.int64]
    rent_nanos: NDArray[np.int64]
    """What of it was paid for waiting, and not for feeding."""
    open_nanos: NDArray[np.int64]
    """The rent that is still open, as if all that is owed came back now."""


def _dealt(record: RunRecord, row_of: Mapping[tuple[int, str], int], several: bool, tick_s: int) -> _Dealt:
    dealt = _Dealt(*np.zeros((5, len(row_of)), dtype=np.int64))
    for trade in record.trades:
        row = row_of[trade.feeder * several, trade.session]
        dealt.nanos[row] += trade.nanos
        if trade.kind == "reduce":
            dealt.rent_nanos[row] += trade.nanos
        if trade.kind in ("reduce", "feed"):
            (dealt.deferred_ws if trade.kind == "reduce" else dealt.fed_ws)[row] += trade.delivered_ws
        if trade.status == "open":
            dealt.open_nanos[row] += rent_nanos(trade.price_nanos_per_kwh_h, trade.rent, tick_s)
    return dealt


def _strategies(record: RunRecord, row_of: Mapping[tuple[int, str], int]) -> list[str]:
    """Which strategy each row followed; "" for one that is not in the record."""
    strategy = [""] * len(row_of)
    for number, part in enumerate(record.feeders or (record,)):
        for session in part.sessions:
            strategy[row_of[number, session.session]] = session.strategy
    return strategy


def _costs(fleet: Fleet, dealt: _Dealt, series: TimeSeries) -> NDArray[np.float64]:
    """What waiting and feeding cost each row's owner, in nanos: its own price of waiting; wear, and what is lost."""
    waiting = series.owed_ws * (series.tick_s / 3_600) * fleet.waiting_nanos_per_kwh_h
    costs: NDArray[np.float64] = waiting / WS_PER_KWH + feeding_costs(fleet, dealt.fed_ws)
    return costs


def feeding_costs(fleet: Fleet, fed_ws: NDArray[np.int64]) -> NDArray[np.float64]:
    """What it costs each row's owner to have fed so much, in nanos: wear, and what is lost on the way in and out."""
    lost = fleet.tariff_nanos_per_kwh * (PERMILLE / fleet.round_trip_permille - 1)
    costs: NDArray[np.float64] = fed_ws * (fleet.wear_nanos_per_kwh + lost) / WS_PER_KWH
    return costs


def _mean(values: NDArray[np.float64]) -> float:
    return round(float(values.mean()), _PLACES) if len(values) else 0.0
