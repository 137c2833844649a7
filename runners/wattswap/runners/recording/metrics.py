"""A run in one dictionary: the keys of ``wattswap run --json``.

Everything is computed afterwards, from the rows of the record and from its ticks summed up. Energies are whole
watt-hours, rounded to the nearest; money is nanos; shares and hours are floats rounded to six places, so that two
machines print the same. A stationary battery counts where power flows (load, fed back, deferred, paid), not where
people wait.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wattswap.agents.settlement import rent_nanos
from wattswap.protocol.units import WS_PER_KWH, WS_PER_WH
from wattswap.runners.recording.fairness import fairness, feeding_costs, jain
from wattswap.runners.recording.time_series import TimeSeries
from wattswap.runners.recording.transformer_life import aged_alone, baseline_w
from wattswap.runners.world import fallback_unsafe_w as unsafe_w
from wattswap.runners.world import fleet_of, rules_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.recording.transformer_life import Aged
    from wattswap.runners.scenario.schema import TransformerTable
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import Fleet

Summary = dict[str, Any]

KEYS: Final = tuple(
    """
    scenario controller strategy engine seed eur_per_iota limit_w peak_w overload_s overload_wh
    baseline_overload_s near_limit_s homes_over_s homes_over_w ageing_h
    baseline_ageing_h hot_spot_c baseline_hot_spot_c oscillations deferral_eur_per_year upgrade_eur
    sessions sessions_short
    sessions_open gave_way gave_way_full gave_way_short gave_way_open unserved_wh waiting_wh_h stops stops_total
    deferred_wh fed_back_wh forced_wh rounds choices paid_nanos billed_nanos waiting_cost_nanos feeding_cost_nanos
    sellers sellers_losing sellers_gain_nanos rent_open_nanos jain_waiting jain_tokens called gini_waiting gini_tokens
    by_strategy fallback_unsafe_w trace_hash events_hash messages messages_per_kwh faults settlement
    feeders notes timing
    """.split()  # noqa: SIM905 - so many names are read best as words
)
"""The keys of a summary, in its order."""

NEAR_PCT: Final = 92
"""Above this share of the limit in force the transformer is near it."""
SPARED_S: Final = 60
"""A transformer is spared an upgrade if it is over its limit for no more than a minute and no car was hurt for that."""
SELLER_WS: Final = WS_PER_KWH // 20
"""A session that deferred more than 0.05 kWh is a seller."""
LOSS_NANOS: Final = 5_000_000
"""A seller loses when it earned this much less than its waiting cost it, 0.005 IOTA."""
WS_S_PER_KWH_H: Final = WS_PER_KWH * 3_600
PLACES: Final = 6
"""To which hours and shares are rounded."""


def summary(
    street: Street,
    record: RunRecord,
    *,
    controller: str,
    strategy: str,
    engine: str,
    wall_s: float,
    settlement: Summary | None = None,
    series: TimeSeries | None = None,
    aged: Aged | None = None,
) -> Summary:
    """What a run came to; energies in Wh, money in nanos, ``wall_s`` what the run took.

    ``settlement`` is what became of its payments on a ledger, if it had one. ``series`` is needed of a record that has
    forgotten its ticks, ``aged`` is given where it was found for many runs at once.
    """
    series = TimeSeries.of(street, record) if series is None else series
    feeders = []
    for number, part in enumerate(record.feeders):
        alone = street.alone(number)
        figures = summary(
            alone,
            part,
            controller=controller,
            strategy=strategy,
            engine=engine,
            wall_s=wall_s,
            series=series.feeders[number],
        )
        feeders.append(_of_feeder(alone.feeders[0].name, part, figures))
    load = _of_load(series, aged or aged_alone(street, series))
    sessions, market = _of_sessions(record, series), _of_market(record, series)
    figures = {
        "scenario": street.name,
        "controller": controller,
        "strategy": strategy,
        "engine": engine,
        "seed": street.scenario.seed,
        "eur_per_iota": street.scenario.market.eur_per_iota,
        "limit_w": sum(feeder.transformer.limit_w for feeder in street.feeders),
        **load,
        **_of_upgrade(street.feeders[0].transformer, load | sessions | market),
        **sessions,
        **market,
        **_of_sellers(street, record, series),
        **_of_fairness(street, record, series),
        **fairness(street, record, series),
        "fallback_unsafe_w": fallback_unsafe_w(street),
        "trace_hash": record.trace_hash(),
        "events_hash": record.events_hash,
        **_of_messages(record, series),
        "faults": None if record.counts is None else asdict(record.counts),
        "settlement": settlement,
        "feeders": feeders,
        "notes": list(street.notes),
        "timing": {
            "wall_s": round(wall_s, 3),
            "vehicle_steps_per_s": round(series.car_ticks / wall_s) if wall_s > 0 else 0,
        },
    }
    # over a limit is each transformer by itself: room on another one does not help
    figures |= {key: sum(each[key] for each in feeders) for key in (*_BY_TRANSFORMER, *_BY_NAME) if feeders}
    if feeders:
        figures |= {key: max(each[key] for each in feeders) for key in _HIGHEST}
    return figures


_BY_TRANSFORMER: Final = (
    *("overload_s", "overload_wh", "baseline_overload_s", "near_limit_s", "homes_over_s"),
    *("oscillations", "deferral_eur_per_year", "upgrade_eur"),
)
_HIGHEST: Final = ("ageing_h", "baseline_ageing_h", "hot_spot_c", "baseline_hot_spot_c", "homes_over_w")
_BY_NAME: Final = ("gave_way", "gave_way_full", "gave_way_short", "gave_way_open")
"""Two feeders may have sessions of the same name, so each is counted by itself."""
_NOT_OF_A_FEEDER: Final = frozenset(
    {
        "scenario",
        "controller",
        "strategy",
        "engine",
        "seed",
        "eur_per_iota",
        "events_hash",
        "messages",
        "messages_per_kwh",
        "faults",
        "settlement",
        "feeders",
        "notes",
        "timing",
    }
)


def _of_feeder(name: str, record: RunRecord, alone: Summary) -> Summary:
    """The figures of one of several feeders, as those of a run of it alone; ``trace_hash`` too."""
    figures = {key: value for key, value in alone.items() if key not in _NOT_OF_A_FEEDER}
    return {"name": name, **figures, "trace_hash": record.trace_hash_alone()}


def _of_load(series: TimeSeries, aged: Aged) -> Summary:
    load_w, limit_w, tick_s = series.street.load_w, series.street.limit_w, series.tick_s
    over_w = np.maximum(load_w - limit_w, 0)
    homes_over_w = np.maximum(series.street.base_w - limit_w, 0)
    baseline_over = baseline_w(series) > limit_w
    overload_s, baseline_overload_s = int((over_w > 0).sum()) * tick_s, int(baseline_over.sum()) * tick_s
    return {
        "peak_w": int(load_w.max(initial=0)),
        "overload_s": overload_s,
        "overload_wh": whole_wh(int(over_w.sum()) * tick_s),
        "baseline_overload_s": baseline_overload_s,
        "near_limit_s": int((load_w * 100 > limit_w * NEAR_PCT).sum()) * tick_s,
        "homes_over_s": int((homes_over_w > 0).sum()) * tick_s,
        "homes_over_w": int(homes_over_w.max(initial=0)),
        "ageing_h": round(aged.used.used_h, PLACES),
        "baseline_ageing_h": round(aged.baseline.used_h, PLACES),
        "hot_spot_c": round(aged.used.hot_spot_c, 1),
        "baseline_hot_spot_c": round(aged.baseline.hot_spot_c, 1),
        "oscillations": oscillations(load_w, limit_w),
    }


def _of_upgrade(transformer: TransformerTable, figures: Summary) -> Summary:
    """What a larger transformer would cost, and what a year without it is worth: nothing if cars were hurt for it."""
    hurt = figures["overload_s"] > SPARED_S or figures["sessions_short"] or figures["forced_wh"]
    spared = figures["baseline_overload_s"] > SPARED_S and not hurt
    return {
        "deferral_eur_per_year": round(upgrade_eur_per_year(transformer), 2) if spared else 0.0,
        "upgrade_eur": float(transformer.upgrade_eur),
    }


def upgrade_eur_per_year(transformer: TransformerTable) -> float:
    """What the next larger transformer costs a year: its price as an annuity, P i / (1 - (1 + i)^-n)."""
    interest, years = transformer.interest_pct / 100, transformer.upgrade_years
    price_eur = float(transformer.upgrade_eur)
    return price_eur * interest / (1 - (1 + interest) ** -years) if interest else price_eur / years


def _of_sessions(record: RunRecord, series: TimeSeries) -> Summary:
    """Who was plugged in during the run; who is not known to have left is open."""
    left = [row for row in record.sessions if row.status in ("full", "short")]
    plugged = len(series.plugged)
    return {
        "sessions": plugged,
        "sessions_short": sum(row.status == "short" for row in left),
        "sessions_open": plugged - len(left),
        **_of_those_who_gave_way(record),
        "unserved_wh": whole_wh(sum(row.missing_ws for row in left)),
        "waiting_wh_h": whole_wh(int(series.street.owed_ws.sum()) * series.tick_s // 3600),
        "stops": round(series.stops / plugged, PLACES) if plugged else 0.0,
        "stops_total": series.stops,
    }


def _of_those_who_gave_way(record: RunRecord) -> Summary:
    """How the sessions ended that deferred energy or fed back under an award; a stationary battery is none."""
    statuses = {row.session: row.status for row in record.sessions}
    gave = {row.session for row in record.trades if row.delivered_ws and statuses.get(row.session) != "battery"}
    ended = Counter(statuses.get(session, "open") for session in gave)
    return {"gave_way": len(gave), **{f"gave_way_{status}": ended[status] for status in ("full", "short", "open")}}


def _of_market(record: RunRecord, series: TimeSeries) -> Summary:
    return {
        "deferred_wh": whole_wh(sum(row.delivered_ws for row in record.trades if row.kind == "reduce")),
        "fed_back_wh": whole_wh(int(series.street.export_w.sum()) * series.tick_s),
        "forced_wh": whole_wh(int(series.street.forced_w.sum()) * series.tick_s),
        "rounds": len(record.rounds),
        "choices": {
            "keep": sum(row.kept for row in record.rounds),
            "reduce": sum(row.reduce_awards for row in record.rounds),
            "feed": sum(row.feed_awards for row in record.rounds),
        },
        "paid_nanos": sum(row.nanos for row in record.trades),
        "billed_nanos": sum(row.billed_nanos for row in record.sessions),
    }


def _of_messages(record: RunRecord, series: TimeSeries) -> Summary:
    """How many the agents sent each other, and for each kWh that cars deferred or fed back; None where nobody counted.

    Those are heartbeats for the most part: a report and a grant for each car that has power, at each reading.
    """
    moved_ws = sum(row.delivered_ws for row in record.trades if row.kind == "reduce")
    moved_ws += int(series.street.export_w.sum()) * series.tick_s
    counted = record.messages is not None and moved_ws > 0
    return {
        "messages": record.messages,
        "messages_per_kwh": round(record.messages * WS_PER_KWH / moved_ws, 1) if counted and record.messages else None,
    }


def _of_sellers(street: Street, record: RunRecord, series: TimeSeries) -> Summary:
    """What waiting costs each session by its own c, beside what it earned for it; open rent counts as earned."""
    fleet, several = fleet_of(street), len(street.feeders) > 1
    cost = waiting_costs(fleet.waiting_nanos_per_kwh_h, series.owed_ws, series.tick_s)
    earned, deferred_ws, rent_open_nanos = Counter[tuple[int, str]](), Counter[tuple[int, str]](), 0
    for row in record.trades:
        session = row.feeder * several, row.session
        earned[session] += row.nanos
        if row.kind == "reduce":
            deferred_ws[session] += row.delivered_ws
        if row.status == "open":
            nanos = rent_nanos(row.price_nanos_per_kwh_h, row.rent, series.tick_s)
            earned[session] += nanos
            rent_open_nanos += nanos
    rows = np.flatnonzero(fleet.is_session).tolist()
    sessions = list(zip(fleet.feeder.tolist(), fleet.session_id, strict=True))
    sellers = [row for row in rows if deferred_ws[sessions[row]] > SELLER_WS]
    losing = [row for row in sellers if earned[sessions[row]] < cost[row] - LOSS_NANOS]
    return {
        "waiting_cost_nanos": sum(cost),
        "feeding_cost_nanos": _feeding_cost_nanos(fleet, record),
        "sellers": len(sellers),
        "sellers_losing": len(losing),
        "sellers_gain_nanos": sum(earned[sessions[row]] - cost[row] for row in sellers),
        "rent_open_nanos": rent_open_nanos,
    }


def _feeding_cost_nanos(fleet: Fleet, record: RunRecord) -> int:
    """What wear and losses of feeding cost all owners, whether somebody pays for it or not."""
    row_of = {key: row for row, key in enumerate(zip(fleet.feeder.tolist(), fleet.session_id, strict=True))}
    fed_ws = np.zeros(len(fleet), dtype=np.int64)
    for number, part in enumerate(record.feeders or (record,)):
        for session in part.sessions:
            fed_ws[row_of[number, session.session]] = session.exported_ws
    return round(float(feeding_costs(fleet, fed_ws).sum()))


def waiting_costs(nanos_per_kwh_h: NDArray[np.int64], owed_ws: NDArray[np.int64], tick_s: int) -> list[int]:
    """What each row's owed energy times the hours it waited costs its owner, in nanos; 0 for a battery."""
    columns = zip(owed_ws.tolist(), nanos_per_kwh_h.tolist(), strict=True)
    return [ws * tick_s * price // WS_S_PER_KWH_H for ws, price in columns]


def _of_fairness(street: Street, record: RunRecord, series: TimeSeries) -> Summary:
    """Jain's index over the sessions that were plugged in: of their waiting, and of the tokens they earned."""
    fleet = fleet_of(street)
    earned = dict.fromkeys(zip(fleet.feeder.tolist(), fleet.session_id, strict=True), 0)
    several = len(street.feeders) > 1
    for row in record.trades:
        earned[row.feeder * several, row.session] += row.nanos
    nanos = np.array(list(earned.values()), dtype=np.float64)
    return {"jain_waiting": jain(series.owed_ws[series.plugged]), "jain_tokens": jain(nanos[series.plugged])}


def oscillations(load_w: NDArray[np.int64], limit_w: NDArray[np.int64]) -> int:
    """How often the load rises above the limit: from a tick within it to the next one beyond."""
    over = load_w > limit_w
    return int((over[1:] & ~over[:-1]).sum())


def fallback_unsafe_w(street: Street) -> int:
    """The watts by which the site would exceed its limit at its worst moment, every charger at its guaranteed minimum.

    Until then nobody has answered anybody: what chargers fall back to when the network is gone. 0 is safe.
    """
    short_w = (street.base_w[:, 1:] - street.limit_w).max(axis=1, initial=-(1 << 60))
    guaranteed_w = rules_of(street.scenario, street.feeders[0].transformer).guaranteed_w
    return unsafe_w(fleet_of(street), short_w, guaranteed_w)


def whole_wh(energy_ws: int) -> int:
    """Watt-seconds as watt-hours, rounded to the nearest."""
    return (2 * energy_ws + WS_PER_WH) // (2 * WS_PER_WH)
