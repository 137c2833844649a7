"""A street of two cars and five ticks, small enough to reckon by hand, in which everything that has a name happens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from wattswap.agents.law import ChargingState
from wattswap.protocol.effects import NoteRound
from wattswap.runners.recording.record import RunRecord, SessionRow, TickRow, TradeRow
from wattswap.runners.scenario import Sessions, load_street

if TYPE_CHECKING:
    from wattswap.runners.scenario import Street

BASE_W = (2_000, 2_000, 2_000, 6_000, 2_000)
LIMIT_W = 10_000
CARS = (
    # row, wanted, baseline, firm, import, export, reduce, forced, owed_ws
    ((0, 11_000, 11_000, 11_000, 11_000, 0, 0, 0, 0),),
    ((0, 11_000, 11_000, 11_000, 0, 0, 11_000, 0, 0), (1, 6_000, 6_000, 6_000, 6_000, 0, 0, 0, 0)),
    ((0, 11_000, 11_000, 11_000, 0, 5_000, 11_000, 0, 330_000), (1, 6_000, 6_000, 6_000, 0, 0, 0, 6_000, 0)),
    ((0, 11_000, 0, 0, 0, 0, 0, 0, 660_000), (1, 6_000, 3_000, 3_000, 6_000, 0, 0, 0, 180_000)),
    ((0, 0, 0, 0, 0, 0, 0, 0, 0),),
)


@pytest.fixture
def street() -> Street:
    """Ann at C1 for the whole run and beyond, Bob at C2 from tick 1 to tick 4."""
    demo = load_street("demo")
    sessions = Sessions(
        session_id=("S1", "S2"),
        station_id=("C1", "C2"),
        vehicle_id=("Ann", "Bob"),
        user_id=("Ann", "Bob"),
        key=np.array([1, 2], dtype=np.uint64),
        user_key=np.array([1, 2], dtype=np.uint64),
        arrival_tick=np.array([0, 1]),
        departure_tick=np.array([9, 4]),
        stated_departure_ms=np.array([270_000, 120_000]),
        energy_ws=np.array([990_000, 720_000]),
    )
    base_w = np.array([[BASE_W[0], *BASE_W]])
    (feeder,) = demo.feeders
    rows = slice(0, len(sessions.session_id))
    feeder = replace(feeder, base_w=base_w, limit_w=np.full(5, LIMIT_W), sessions=rows)
    return replace(demo, ticks=5, feeders=(feeder,), sessions=sessions)


@pytest.fixture
def record() -> RunRecord:
    """Ann gives way and feeds back, then waits; Bob is cut and leaves short of 200 Wh."""
    return RunRecord(
        ticks=[tick_row(tick, BASE_W[tick], cars) for tick, cars in enumerate(CARS)],
        rounds=[NoteRound(1, 9_000, 2, 1, 16_000, 16_000, 10**9, 1, 1)],
        trades=[
            trade("reduce", 1, delivered_ws=660_000, nanos=100),
            trade("feed", 3, delivered_ws=150_000, nanos=300),
            TradeRow(2, 0, "S2", 0, "forced", 0, 0, 0, 0, 0, 0, 6_000, 0, 0, 0, "", "unpaid"),
        ],
        sessions=[SessionRow("S2", "C2", "Bob", "keep", 1, 4, 720_000, 720_000, 360_000, 0, 0, 0, 900, 0, "short")],
    )


def tick_row(tick: int, base_w: int, cars: tuple[tuple[int, ...], ...]) -> TickRow:
    row, wanted, baseline, firm, import_w, export_w, reduce_w, forced_w, owed = np.array(cars, dtype=np.int64).T
    charging = ChargingState(wanted, baseline, firm, np.zeros_like(row))
    return TickRow(tick, base_w, LIMIT_W, row, charging, import_w, export_w, reduce_w, forced_w, owed)


def trade(kind: Literal["reduce", "feed"], tranche: int, delivered_ws: int, nanos: int) -> TradeRow:
    return TradeRow(
        tick=1,
        feeder=0,
        session="S1",
        tranche=tranche,
        kind=kind,
        awarded_w=5_000,
        price_nanos_per_kwh_h=10**9,
        delivered_ws=delivered_ws,
        returned_ws=delivered_ws if kind == "reduce" else 0,
        rent=2 * delivered_ws if kind == "reduce" else 0,
        nanos=nanos,
        forced_w=0,
        offered_w=5_000,
        ask_nanos_per_kwh_h=10**8,
        baseline_ws=0,
        payment_id="0.1/S1",
        status="paid",
    )
