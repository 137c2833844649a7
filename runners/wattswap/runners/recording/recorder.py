"""The recorder: an observer that fills the record of a run of the messages engine as it goes."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import numpy as np

from wattswap.agents.law import ChargingState
from wattswap.agents.offers import FEED
from wattswap.agents.segments import Segments
from wattswap.protocol.effects import NoteAward, NoteEnd, NoteForced, NoteRound, NoteTrade
from wattswap.runners.engines.award_table import AwardTable
from wattswap.runners.engines.observer import Observer
from wattswap.runners.recording.record import RunRecord, TickRow, forced_row, session_row, trade_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.agent_factory import AgentFactory
    from wattswap.runners.engines.observer import Moved, Note
    from wattswap.runners.engines.run import Run
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World

_Handled: TypeAlias = "tuple[int, str, Event, Sequence[Effect]]"

_HASHED_AT_ONCE: Final = 1_024
"""Far fewer than 65,536, the length from which on MessagePack writes an array with a longer header."""
_SHORT_ARRAY: Final = 16


class Recorder(Observer):
    """Writes the record's rows, and hashes all events and effects in their order."""

    def __init__(self, street: Street, world: World, factory: AgentFactory) -> None:
        self.records = tuple(RunRecord() for _ in street.feeders)
        """By feeder; the first holds also what there is but one of."""
        self._first_rows = [world.rows_of(feeder).start for feeder in range(len(street.feeders))]
        self._ticks, self._world, self._assignment = street.ticks, world, factory.assignment
        self._feeder_of = {name: feeder for feeder, name in enumerate(factory.transformers)}
        rows = len(world.fleet)
        self._rules, self._forced_w = world.rules, np.zeros(rows, dtype=np.int64)
        self._awards = AwardTable(rows, world.rules)
        """Those that are not settled, by the meters of the world."""
        self._noted: set[str] = set()
        """Trades that are in the record: a transformer that has crashed may note one again."""
        self._ended: set[int] = set()
        self._earned = dict.fromkeys(range(rows), 0)
        self._deferred_ws = dict.fromkeys(range(rows), 0)
        self._digest = blake2b(digest_size=32)
        self._unhashed: list[_Handled] = []
        self._encode = msgspec.msgpack.Encoder().encode

    def begun(self, run: Run) -> None:
        """The books are a part of the records."""
        self._run = run
        self._open_books()

    def recovered(self, agent: str, events: Sequence[Event]) -> None:  # noqa: ARG002 - only that something started again
        """A transformer that starts again opens its book anew."""
        self._open_books()

    def _open_books(self) -> None:
        for record, book in zip(self.records, self._run.books, strict=True):
            record.book = book

    @property
    def record(self) -> RunRecord:
        """What there is so far, of all feeders."""
        return self.records[0] if len(self.records) == 1 else RunRecord.joined(self.records, self._first_rows)

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""
        return self._earned[row]

    # -- the hash over all events and effects -------------------------------------------------------------------------

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        """Hash it, together with others."""
        self._unhashed.append((now_ms, agent, event, effects))
        if len(self._unhashed) == _HASHED_AT_ONCE:
            self._hash()

    def hash_so_far(self) -> bytes:
        """The first eight bytes of blake2b-256 over all events and effects so far."""
        self._hash()
        return self._digest.digest()[:8]

    def _hash(self) -> None:
        """Hash what has happened since the last time: MessagePack of each event, one after the other."""
        array = self._encode(self._unhashed)
        header = 1 if len(self._unhashed) < _SHORT_ARRAY else 3
        self._digest.update(memoryview(array)[header:])
        self._unhashed.clear()

    # -- the rows -----------------------------------------------------------------------------------------------------

    def refused(self, now_ms: int, agent: str, event: Event) -> None:  # noqa: ARG002 - only the number counts
        """Count it."""
        self.records[0].refused += 1

    def noted(self, transformer: str, note: Note) -> None:
        """Write it down."""
        feeder, session_id = self._feeder_of[transformer], self._world.fleet.session_id
        record = self.records[feeder]
        match note:
            case NoteRound():
                record.rounds.append(note)
            case NoteAward() if not self._awards.has(note.session, note.tick) and note.payment_id not in self._noted:
                # a transformer that has crashed may note one again
                columns = (note.award_w, note.price_nanos_per_kwh_h, note.offered_w, note.ask_nanos_per_kwh_h)
                row, wide = np.array([note.session]), (np.array([column]) for column in columns)
                self._awards.add(row, note.tick, *wide)
            case NoteForced():
                self._forced_w[note.session] = note.forced_w
                record.trades.append(forced_row(note.tick, feeder, session_id[note.session], note.forced_w))
            case NoteEnd(tick, session):
                self._awards.end((self._awards.running_row == session) & (self._awards.running_tick == tick))
            case NoteTrade() if note.payment_id not in self._noted:
                self._noted.add(note.payment_id)
                self._awards.take_out(note.session, note.tick)
                self._earned[note.session] += sum(note.nanos)
                self._deferred_ws[note.session] += sum(note.delivered_ws[:-1])
                record.trades.extend(trade_rows(note, feeder, session_id[note.session]))

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """A departed session is closed, once."""
        if session not in self._ended:
            self._end_session(session, billed_nanos, receivable_nanos)

    def moved(self, moved: Moved) -> None:
        """Write the tick down for each feeder, with the awards and the last resort under which its power flowed."""
        rows, awards = moved.rows, self._awards
        gone = awards.open > 0
        gone[rows] = False
        awards.forget(np.flatnonzero(gone))  # whose last delivery is on its way
        reduce_w, _ = awards.bought(rows)
        awards.meter(moved.tick, moved)
        segments = Segments.of(self._world.fleet.feeder[rows], len(self.records))
        for feeder, record in enumerate(self.records):
            here = segments.rows(feeder)
            record.end_tick(
                TickRow(
                    moved.tick,
                    int(moved.base_w[feeder]),
                    int(moved.limit_w[feeder]),
                    rows[here] - self._first_rows[feeder],
                    ChargingState(*(column[here] for column in moved.charging)),
                    moved.import_w[here],
                    moved.export_w[here],
                    reduce_w[here],
                    self._forced_w[rows[here]],
                    moved.owed_ws[here],
                )
            )
        self._forced_w[:] = 0

    def finished(self, run: Run) -> None:  # noqa: ARG002 - the record is all that is looked at
        """Write down the lots that stay open, unpaid, with the rent as if all came back now, and who stays."""
        self._note_open()
        for row in sorted({*range(len(self._world.fleet))} - self._ended):
            if self._world.fleet.arrival_tick[row] < self._ticks:
                self._end_session(row, billed_nanos=0, receivable_nanos=0)
        for record in self.records:
            record.order(self._ticks)
        self._hash()
        self.records[0].events_hash = self._digest.hexdigest()

    def _note_open(self) -> None:
        fleet, left = self._world.fleet, self._awards.left_open(self._ticks)
        feeders, names = fleet.feeder[left.row].tolist(), [fleet.session_id[row] for row in left.row.tolist()]
        for feeder, name, note in zip(
            feeders, names, left.notes(feeders, names, np.zeros_like(left.award_w)), strict=True
        ):
            self._deferred_ws[note.session] += sum(note.delivered_ws[:FEED])
            self.records[feeder].trades.extend(trade_rows(note, feeder, name, status="open"))

    def _end_session(self, row: int, billed_nanos: int, receivable_nanos: int) -> None:
        self._ended.add(row)
        self.records[self._world.fleet.feeder[row]].sessions.append(
            session_row(
                self._world,
                row,
                self._ticks,
                self._assignment.names[self._assignment.number[row]],
                self._deferred_ws[row],
                self._earned[row],
                billed_nanos,
                receivable_nanos,
            )
        )
