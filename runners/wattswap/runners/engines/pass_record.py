"""What a pass over many feeders leaves behind, in columns; the rows of a feeder's record are made when asked for."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wattswap.agents.market import RoundFigures
from wattswap.agents.offers import by_car
from wattswap.runners.engines.award_table import Awards
from wattswap.runners.recording.record import NOT_SETTLED, RunRecord, forced_row, session_row, trade_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wattswap.agents.physics import Ints
    from wattswap.runners.recording.record import SessionRow, TradeRow
    from wattswap.runners.world import World


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector, which would walk all rows again and again while they are made; none is garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Closed(NamedTuple):
    """Awards that were closed, or that the run's end left open."""

    tick: Ints
    """That of the closing."""
    awards: Awards
    nanos: Ints
    """By tranche; of an open one 0."""
    is_open: Ints


class PassRecord:
    """Rounds, awards, forced cuts and bills of all feeders; ``number`` is each feeder's in its own street."""

    def __init__(self, world: World, number: Ints, ticks: int) -> None:
        self._world, self._number, self._ticks = world, number, ticks
        self._rounds: list[tuple[Ints, ...]] = []
        self._closed: list[tuple[Ints, ...]] = []
        self._forced: list[tuple[Ints, ...]] = []
        rows = len(world.fleet)
        self.earned_nanos, self.deferred_ws = np.zeros((2, rows), dtype=np.int64)
        """By row: paid for awards, and given up under them."""
        self.billed_nanos, self.receivable_nanos = [0] * rows, [0] * rows
        """By row, plain ints."""

    def add_rounds(self, tick: int, feeder: Ints, need_w: Ints, figures: RoundFigures) -> None:
        """Calls of this tick; a row each."""
        self._rounds.append((np.full(len(feeder), tick), feeder, need_w, *figures))

    def add_forced(self, tick: int, row: Ints, forced_w: Ints) -> None:
        """What the last resort took."""
        self._forced.append((np.full(len(row), tick), row, forced_w))

    def add_closed(self, tick: int, awards: Awards, nanos: Ints, *, is_open: bool = False) -> None:
        """Awards that were paid at this tick, or were left open at the end."""
        np.add.at(self.earned_nanos, awards.row, by_car(np.add, nanos).astype(np.int64))
        np.add.at(self.deferred_ws, awards.row, awards.given_up_ws)
        self._closed.append((*(np.full(len(awards.row), each) for each in (tick, is_open)), nanos, *awards))

    @property
    def rounds(self) -> tuple[Ints, ...]:
        """Tick, feeder, need and the figures of all rounds, in the order of time."""
        return _joined(self._rounds, 3 + len(RoundFigures._fields))

    @property
    def forced(self) -> tuple[Ints, ...]:
        """Tick, row and watts of all that the last resort took."""
        return _joined(self._forced, 3)

    @property
    def closed(self) -> Closed:
        """All awards, in the order of their closing."""
        if not self._closed:
            return Closed(
                np.zeros(0, dtype=np.int64), Awards.none(), Awards.none().award_w, np.zeros(0, dtype=np.int64)
            )
        tick, is_open, nanos, *awards = _joined(self._closed, 0)
        return Closed(tick, Awards(*awards), nanos, is_open)

    def ends_at(self, rows: Ints) -> Ints:
        """The tick at which each of these rows' session is closed."""
        return np.minimum(self._world.fleet.departure_tick[rows], self._ticks)

    @_uncollected()
    def records(self, names: Sequence[str]) -> list[RunRecord]:
        """The record of each feeder; ``names`` are those of the rows' strategies."""
        records = [RunRecord() for _ in range(len(self._number))]
        tick, feeder, need_w, *figures = (column.tolist() for column in self.rounds)
        for at, number in enumerate(feeder):
            records[number].rounds.append(RoundFigures(*figures).note(tick[at], need_w[at], at))
        trades = self._trades()
        for record, mine in zip(records, trades, strict=True):
            record.trades = [row for _, row in sorted(mine, key=lambda each: (each[0], each[1][:4]))]
        fleet = self._world.fleet
        rows = np.flatnonzero(fleet.arrival_tick < self._ticks)
        columns = (rows, fleet.feeder[rows], self.ends_at(rows), self.deferred_ws[rows], self.earned_nanos[rows])
        order = np.argsort(columns[2], kind="stable")
        sessions: list[list[tuple[int, SessionRow]]] = [[] for _ in records]
        for row, number, end, deferred_ws, earned in zip(*(column[order].tolist() for column in columns), strict=True):
            billed = self.billed_nanos[row], self.receivable_nanos[row]
            ended = session_row(self._world, row, self._ticks, names[row], deferred_ws, earned, *billed)
            sessions[number].append((end, ended))
        for record, ended_here in zip(records, sessions, strict=True):
            record.sessions = [row for _, row in sorted(ended_here)]
            record.all_ordered()
        return records

    def _trades(self) -> list[list[tuple[int, TradeRow]]]:
        """By feeder, its trades, each with the tick of its closing."""
        fleet, closed = self._world.fleet, self.closed
        found: list[list[tuple[int, TradeRow]]] = [[] for _ in range(len(self._number))]
        feeders = fleet.feeder[closed.awards.row]
        numbers, names = self._number[feeders].tolist(), [fleet.session_id[row] for row in closed.awards.row.tolist()]
        notes = closed.awards.notes(numbers, names, closed.nanos)
        columns = (feeders.tolist(), closed.tick.tolist(), closed.is_open.tolist(), numbers, names, notes)
        for feeder, tick, is_open, number, name, note in zip(*columns, strict=True):
            status, settled_tick = ("open", NOT_SETTLED) if is_open else ("", tick)
            found[feeder] += [(tick, row) for row in trade_rows(note, number, name, status, settled_tick)]
        for tick, row, forced_w in zip(*(column.tolist() for column in self.forced), strict=True):
            feeder = int(fleet.feeder[row])
            cut = forced_row(tick, int(self._number[feeder]), fleet.session_id[row], forced_w)
            found[feeder].append((tick, cut))
        return found


def _joined(chunks: Sequence[tuple[Ints, ...]], columns: int) -> tuple[Ints, ...]:
    """Chunks of columns, one below the other; so many empty ones if there is no chunk."""
    if not chunks:
        return (np.zeros(0, dtype=np.int64),) * columns
    return tuple(np.concatenate(column) for column in zip(*chunks, strict=True))
