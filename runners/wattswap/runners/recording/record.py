"""What a run leaves behind: its rows as they happen, and the hash that must be the same in every engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgpack
import numpy as np
from msgspec.structs import astuple

from wattswap.agents.law import ChargingState
from wattswap.agents.offers import FEED
from wattswap.protocol.effects import NoteRound
from wattswap.protocol.units import WS_PER_WH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wattswap.agents.physics import Ints
    from wattswap.ledger.book import Book
    from wattswap.protocol.effects import NoteTrade
    from wattswap.runners.network.fault_schedule import FaultCounts
    from wattswap.runners.world import World


NOT_SETTLED = -1
"""The tick of a settlement that has not come by the run's end."""


class TradeRow(NamedTuple):
    """One award of a tranche as it was settled, or what the last resort took from one session at one tick."""

    tick: int
    """That of the award."""
    feeder: int
    session: str
    tranche: int
    """1 to the floor, 2 to zero, 3 feeding back, 0 forced."""
    kind: Literal["reduce", "feed", "forced"]
    awarded_w: int
    price_nanos_per_kwh_h: int
    delivered_ws: int
    returned_ws: int
    """Of a lot, drawn back until it closed or the run ended; a lot's figures stand in the row of its first tranche."""
    rent: int
    """Watt-seconds drawn back, times the ticks since their award; of an open lot as if all came back at the end."""
    nanos: int
    forced_w: int
    offered_w: int
    ask_nanos_per_kwh_h: int
    baseline_ws: int
    payment_id: str
    status: str
    settled_tick: int = NOT_SETTLED
    """By the end of which its payment was known: a lot's once the last of it was drawn back."""


HASHED = TradeRow._fields.index("offered_w")
"""The columns before this one are what the trace hash covers."""


class SessionRow(NamedTuple):
    """One session as it ended, or as it stood when the run did."""

    session: str
    station: str
    vehicle: str
    strategy: str
    arrival_tick: int
    departure_tick: int
    need_ws: int
    missing_ws: int
    imported_ws: int
    exported_ws: int
    deferred_ws: int
    earned_nanos: int
    billed_nanos: int
    receivable_nanos: int
    status: Literal["full", "short", "open", "battery"]


class TickRow(NamedTuple):
    """The street at one tick: the sums, and the plugged cars' columns from which the picture is drawn."""

    tick: int
    base_w: int
    limit_w: int
    rows: Ints
    charging: ChargingState
    import_w: Ints
    export_w: Ints
    reduce_w: Ints
    """Reduction under an award."""
    forced_w: Ints
    owed_ws: Ints
    """Energy by which each plugged car is behind its baseline, at the tick's start."""

    @classmethod
    def joined(cls, parts: Sequence[TickRow], first_rows: Sequence[int]) -> TickRow:
        """One tick of several feeders, whose rows begin at these numbers in the street's fleet."""
        columns = [np.concatenate(column) for column in zip(*(part[5:] for part in parts), strict=True)]
        charging = zip(*(part.charging for part in parts), strict=True)
        return cls(
            parts[0].tick,
            sum(part.base_w for part in parts),
            sum(part.limit_w for part in parts),
            np.concatenate([part.rows + first for part, first in zip(parts, first_rows, strict=True)]),
            ChargingState(*(np.concatenate(column) for column in charging)),
            *columns,
        )


@dataclass(slots=True)
class RunRecord:
    """Everything that happens on one feeder, or with ``feeders`` on all of a street's, collected in memory."""

    ticks: list[TickRow] = field(default_factory=list)
    rounds: list[NoteRound] = field(default_factory=list)
    trades: list[TradeRow] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    refused: int = 0
    """Messages that could not be read or broke the protocol, dropped."""
    events_hash: str | None = None
    """Over all events and effects of the messages engine; None in the fleet."""
    book: Book | None = None
    """The site's double-entry book as the run left it."""
    counts: FaultCounts | None = None
    """What has gone wrong; None on a perfect network."""
    messages: int | None = None
    """So many the agents sent each other, on all feeders; None in the fleet, and where nobody counted."""
    feeders: tuple[RunRecord, ...] = ()
    """Of a street with several feeders, what happened on each: as if it were alone, but for the feeder's number in
    its trades."""

    _ordered: tuple[int, int] = (0, 0)

    def end_tick(self, row: TickRow) -> None:
        """A tick is over: what was settled and who left in it stand in an order that every engine can keep."""
        self.ticks.append(row)
        self.order(row.tick)

    def order(self, tick: int) -> None:
        """Sort the trades and sessions that are new since the last time by their names; they are of this tick."""
        trades_from, sessions_from = self._ordered
        self.trades[trades_from:] = sorted(
            row if row.status == "open" else row._replace(settled_tick=tick) for row in self.trades[trades_from:]
        )
        self.sessions[sessions_from:] = sorted(self.sessions[sessions_from:])
        self._ordered = len(self.trades), len(self.sessions)

    def all_ordered(self) -> None:
        """What is there stands in that order already, and every settlement has its tick."""
        self._ordered = len(self.trades), len(self.sessions)

    @classmethod
    def joined(cls, parts: Sequence[RunRecord], first_rows: Sequence[int]) -> RunRecord:
        """The record of several feeders, whose rows begin at these numbers in the street's fleet.

        A tick's base load and limit are sums; ``book`` is None, for each feeder has its own.
        """
        return cls(
            ticks=[TickRow.joined(rows, first_rows) for rows in zip(*(part.ticks for part in parts), strict=False)],
            rounds=sorted(chain(*(part.rounds for part in parts)), key=lambda note: note.tick),
            trades=list(chain(*(part.trades for part in parts))),
            sessions=list(chain(*(part.sessions for part in parts))),
            refused=sum(part.refused for part in parts),
            events_hash=parts[0].events_hash,
            counts=parts[0].counts,
            messages=parts[0].messages,
            feeders=tuple(parts),
        )

    def trace_hash(self) -> str:
        """blake2b-256 over the trade rows in canonical MessagePack, sorted: equal in all engines, to the last nano."""
        return trace_hash(self.trades)

    def trace_hash_alone(self) -> str:
        """The trace hash of a feeder as a street of its own: its number is 0 then."""
        return trace_hash(row._replace(feeder=0) for row in self.trades)


def trace_hash(trades: Iterable[TradeRow]) -> str:
    """The hash of trade rows; see ``RunRecord.trace_hash``."""
    digest = blake2b(digest_size=32)
    for row in sorted(trades, key=lambda trade: trade[:4]):
        digest.update(msgpack.packb(tuple(row[:HASHED])))
    return digest.hexdigest()


ROUND_COLUMNS = ("tick", "feeder", *NoteRound.__struct_fields__[1:])


def round_row(note: NoteRound, feeder: int) -> tuple[int, ...]:
    """A cleared round under ``ROUND_COLUMNS``: what a transformer noted, and on which feeder."""
    tick, *columns = astuple(note)
    return (tick, feeder, *columns)


def trade_rows(
    note: NoteTrade, feeder: int, session_id: str, status: str = "", settled_tick: int = NOT_SETTLED
) -> Iterator[TradeRow]:
    """The trade rows of one settled award, one per awarded tranche."""
    lot = next((t for t, awarded_w in enumerate(note.award_w[:FEED]) if awarded_w), None)
    for t, awarded_w in enumerate(note.award_w):
        if not awarded_w:
            continue
        yield TradeRow(
            tick=note.tick,
            feeder=feeder,
            session=session_id,
            tranche=t + 1,
            kind="feed" if t == FEED else "reduce",
            awarded_w=awarded_w,
            price_nanos_per_kwh_h=note.price_nanos_per_kwh_h[t],
            delivered_ws=note.delivered_ws[t],
            returned_ws=note.returned_ws if t == lot else 0,
            rent=note.rent if t == lot else 0,
            nanos=note.nanos[t],
            forced_w=0,
            offered_w=note.offered_w[t],
            ask_nanos_per_kwh_h=note.ask_nanos_per_kwh_h[t],
            baseline_ws=note.baseline_ws,
            payment_id=note.payment_id,
            status=status or ("disputed" if note.disputed else "paid"),
            settled_tick=settled_tick,
        )


def forced_row(tick: int, feeder: int, session_id: str, forced_w: int) -> TradeRow:
    """What the last resort took from a session at a tick."""
    return TradeRow(tick, feeder, session_id, 0, "forced", 0, 0, 0, 0, 0, 0, forced_w, 0, 0, 0, "", "unpaid", tick)


SHORT_WS = 100 * WS_PER_WH
"""A session is short when more than 0.1 kWh of its need is missing at departure."""


def session_row(
    world: World,
    row: int,
    ticks: int,
    strategy: str,
    deferred_ws: int,
    earned_nanos: int,
    billed_nanos: int,
    receivable_nanos: int,
) -> SessionRow:
    """A session as it stands when it ends or the run does."""
    fleet, missing_ws = world.fleet, int(world.remaining_ws[row])
    status: Literal["full", "short", "open", "battery"]
    if not fleet.is_session[row]:
        status = "battery"
    elif fleet.departure_tick[row] > ticks:
        status = "open"
    else:
        status = "short" if missing_ws > SHORT_WS else "full"
    return SessionRow(
        session=fleet.session_id[row],
        station=fleet.station_id[row],
        vehicle=fleet.vehicle_id[row],
        strategy=strategy,
        arrival_tick=int(fleet.arrival_tick[row]),
        departure_tick=int(fleet.departure_tick[row]),
        need_ws=int(fleet.need_ws[row]),
        missing_ws=missing_ws,
        imported_ws=int(world.imported_ws[row]),
        exported_ws=int(world.exported_ws[row]),
        deferred_ws=deferred_ws,
        earned_nanos=earned_nanos,
        billed_nanos=billed_nanos,
        receivable_nanos=receivable_nanos,
        status=status,
    )
