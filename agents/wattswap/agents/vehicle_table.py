"""What a transformer knows of its plugged cars, as columns in session order, ready for the law."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers.plugged import Plugged
from wattswap.agents.law import Cars
from wattswap.agents.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.protocol.messages import Report

_FIRM, _WANTED, _DREW, _OWED, _RENT, _DUE, _CAN_FEED, _REDUCE, _FEED, _IMPORT, _EXPORT = range(11)
_ARRIVAL, _DEPARTURE, _DRAWN, _MOST = range(11, 15)
_COLUMNS: Final = 15


class VehicleTable:
    """One column a plugged car, kept sorted by session number."""

    def __init__(self) -> None:
        self.sessions: list[int] = []
        self.segments = Segments.one_feeder(0)
        """All of them are one feeder's."""
        self._keys = np.zeros(0, dtype=np.uint64)
        """Under which each draws."""
        self._table: Ints = np.zeros((_COLUMNS, 0), dtype=np.int64)
        self._reports: dict[int, Report] = {}
        """The newest of each car since the table was last looked at."""

    def __contains__(self, session: int) -> bool:
        at = bisect_left(self.sessions, session)
        return at < len(self.sessions) and self.sessions[at] == session

    def at(self, session: int) -> int:
        """The column of a plugged session."""
        return bisect_left(self.sessions, session)

    def enter(self, session: int, key: int, arrival_ms: int, departure_ms: int) -> None:
        """A car plugged in; until its first report it wants nothing."""
        table, at = self._columns(), self.at(session)
        self._keys = np.insert(self._keys, at, np.uint64(key))
        self.sessions.insert(at, session)
        self.segments = Segments.one_feeder(len(self.sessions))
        self._table = np.insert(table, at, 0, axis=1)
        self._table[[_ARRIVAL, _DEPARTURE], at] = arrival_ms, departure_ms

    def leave(self, session: int) -> None:
        """A car unplugged."""
        table, at = self._columns(), self.at(session)
        del self.sessions[at]
        self.segments = Segments.one_feeder(len(self.sessions))
        self._keys = np.delete(self._keys, at)
        self._table = np.delete(table, at, axis=1)

    def report(self, report: Report) -> None:
        """Where a car stands now."""
        self._reports[report.session] = report

    def award(self, session: int, reduce_w: int, feed_w: int) -> None:
        """A car holds an award from now on; zeros when it has ended."""
        self._columns()[_REDUCE : _FEED + 1, self.at(session)] = (reduce_w, feed_w)

    def cars(self, lost: Iterable[int] = (), silent: Iterable[int] = ()) -> Cars:
        """All plugged cars as the law sees them: those ``lost`` want nothing, and those ``silent`` feed nothing."""
        table = self._columns()
        at_lost, at_silent = ([self.at(session) for session in sessions] for sessions in (lost, silent))
        if at_lost or at_silent:
            table = table.copy()
            table[_FIRM : _FEED + 1, at_lost] = 0
            table[_FEED, at_silent] = 0
        return Cars(
            self._keys,
            table[_FIRM],
            table[_WANTED],
            table[_DREW] > 0,
            table[_OWED],
            table[_RENT],
            table[_REDUCE],
            table[_FEED],
        )

    def plugged(self, now_ms: int, rules: Rules) -> Plugged:
        """What else controllers may know of them. A car drew what it was granted, as far as it wanted it."""
        table = self._columns()
        arrival_ms, departure_ms, drawn_w, most_w = table[_ARRIVAL:]
        local_ms, present_ms = np.full_like(drawn_w, rules.local_ms(now_ms)), np.full_like(drawn_w, now_ms)
        laxity_ms, feed_w = table[_DUE] - now_ms, table[_CAN_FEED]
        return Plugged(arrival_ms, departure_ms, laxity_ms, drawn_w, most_w, local_ms, feed_w, present_ms)

    def firm_w(self, sessions: list[int]) -> Ints:
        """The firm power of these plugged sessions."""
        return self._columns()[_FIRM, [self.at(session) for session in sessions]]

    def aims(self, import_w: Ints, export_w: Ints, idle_w: int = 0) -> list[tuple[int, int, int]]:
        """Note what is granted now; (session, import, export) of those who are, or were, meant to have any power.

        ``idle_w`` is what a charger draws unasked: where that is something, everyone must be told.
        """
        table = self._columns()
        (powered,) = (table[_IMPORT] | table[_EXPORT] | import_w | export_w | idle_w).nonzero()
        table[_IMPORT], table[_EXPORT] = import_w, export_w
        table[_DRAWN] = np.minimum(import_w, table[_WANTED])
        return [
            (self.sessions[at], imported, exported)
            for at, imported, exported in zip(
                powered.tolist(), import_w[powered].tolist(), export_w[powered].tolist(), strict=True
            )
        ]

    def _columns(self) -> Ints:
        """The table, with all that was reported."""
        if self._reports:
            ats = [self.at(session) for session in self._reports]
            reports = [
                (
                    report.firm_w,
                    report.wanted_w,
                    report.drew,
                    report.owed_ws,
                    report.rent_price,
                    report.due_ms or 0,
                    report.feed_w or 0,
                )
                for report in self._reports.values()
            ]
            self._table[:_REDUCE, ats] = np.array(reports, dtype=np.int64).T
            self._table[_MOST, ats] = np.maximum(self._table[_MOST, ats], self._table[_WANTED, ats])
            self._reports.clear()
        return self._table
