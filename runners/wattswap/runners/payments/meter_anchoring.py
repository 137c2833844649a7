"""What the meters of a simulated street show, and the thread that makes signed records of it.

After a tick the agents' thread hands over the row that the run keeps of it anyway. Counting, JSON, hashes, signatures
and files are the other thread's: they would otherwise cost the agents more than their own decisions.
"""

from __future__ import annotations

import sqlite3
import threading
from queue import Empty, SimpleQueue
from time import monotonic, sleep, thread_time
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from wattswap.ledger.anchors import MeterReading
from wattswap.ledger.base import LedgerDownError
from wattswap.ledger.ledger import REST
from wattswap.protocol.units import MS_PER_S
from wattswap.runners.engines.agent_factory import transformer_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wattswap.ledger.anchoring import Anchorer
    from wattswap.runners.recording.record import TickRow
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import Fleet

Slot: TypeAlias = tuple[int, list[MeterReading]]

_AT_ONCE: Final = 60
"""Ticks that are sealed in one write, if so many wait."""
_AGAIN_S: Final = 0.1


class Meters:
    """Every meter of a street: of each household and each charger, and the transformer's over all of them."""

    def __init__(self, street: Street, fleet: Fleet) -> None:
        self._base_w, self._tick_ms = street.household_w, street.tick_ms
        stations = list(dict.fromkeys(fleet.station_id))
        households = [f"household/{number}" for number in range(len(street.household_w))]
        self.names = (
            *households,
            *(f"charger/{station}" for station in stations),
            transformer_name(street.feeders[0].name),
        )
        """In the order of a record's readings."""
        place = {station: len(households) + number for number, station in enumerate(stations)}
        self._meter_of = np.array([place[station] for station in fleet.station_id], dtype=np.int64)
        self._import_w, self._export_w, self._import_ws, self._export_ws = np.zeros(
            (4, len(self.names)), dtype=np.int64
        )

    def count(self, row: TickRow) -> None:
        """Let every register count a tick."""
        tick_s = self._tick_ms // MS_PER_S
        self._import_w[:] = self._export_w[:] = 0
        base_w = self._base_w[:, row.tick + 1]
        np.add.at(self._import_w, self._meter_of[row.rows], row.import_w)
        np.add.at(self._export_w, self._meter_of[row.rows], row.export_w)
        load_w = int(base_w.sum() + self._import_w.sum() - self._export_w.sum())
        net_w = np.append(base_w, load_w)
        at = np.append(np.arange(len(base_w)), len(self.names) - 1)
        self._import_w[at], self._export_w[at] = np.maximum(net_w, 0), np.maximum(-net_w, 0)
        self._import_ws += self._import_w * tick_s
        self._export_ws += self._export_w * tick_s

    def readings(self, at_ms: int) -> list[MeterReading]:
        """What they show; powers are those of the last tick."""
        columns: NDArray[np.int64] = np.stack((self._import_w, self._export_w, self._import_ws, self._export_ws))
        return [
            MeterReading(
                meter=name,
                at_ms=at_ms,
                import_w=import_w,
                export_w=export_w,
                import_ws=import_ws,
                export_ws=export_ws,
            )
            for name, (import_w, export_w, import_ws, export_ws) in zip(self.names, columns.T.tolist(), strict=True)
        ]


class MeterAnchoring:
    """A thread that counts ticks and has a record made every so many of them; it rests until it is to ``finish``."""

    def __init__(self, street: Street, fleet: Fleet, anchorer: Anchorer, every_ticks: int) -> None:
        self.anchorer, self._meters, self._every = anchorer, Meters(street, fleet), every_ticks
        self._tick_ms = street.tick_ms
        self._passed = 0
        self._rows: SimpleQueue[TickRow | None] = SimpleQueue()
        self._patience_s: float | None = None
        self._pressed = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="meters", daemon=True)
        self._thread.start()

    def passed(self, row: TickRow) -> None:
        """A tick has passed. Returns at once; the row's arrays must not change any more."""
        self._passed = row.tick + 1
        self._rows.put(row)

    @property
    def metered_until_ms(self) -> int:
        """Until when there should be records of what has passed."""
        return self._passed // self._every * self._every * self._tick_ms

    def finish(self, patience_s: float) -> None:
        """Wait until every record is made and handed over; raises what stopped them.

        A file that cannot be written now is tried again for so long.
        """
        self._end(patience_s)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stop, whatever is left, and close the records' file. Closing twice is harmless."""
        self._end(0.0)
        self.anchorer.close()

    def _end(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._pressed.set()
        self._rows.put(None)
        self._thread.join()

    # -- its own thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            going_on = True
            while going_on:
                began_s = thread_time()
                rows = self._take()
                going_on = None not in rows
                slots = [slot for row in rows if row is not None for slot in self._counted(row)]
                self._patiently(lambda: self.anchorer.add(slots))  # noqa: B023 - called at once
                self._pressed.wait(REST * (thread_time() - began_s))
            self._patiently(self.anchorer.hand_over)
        except BaseException as error:  # noqa: BLE001 - it ends the thread, and is raised by `finish`
            self._failure = error

    def _take(self) -> list[TickRow | None]:
        """What has been handed over; waits for the first."""
        rows = [self._rows.get()]
        try:
            while len(rows) < _AT_ONCE:
                rows.append(self._rows.get_nowait())
        except Empty:
            pass
        return rows

    def _counted(self, row: TickRow) -> list[Slot]:
        """Count a tick; the record that ends with it, if one does."""
        self._meters.count(row)
        if (row.tick + 1) % self._every:
            return []
        at_ms = (row.tick + 1) * self._tick_ms
        return [(at_ms, self._meters.readings(at_ms))]

    def _patiently(self, write: Callable[[], None]) -> None:
        """Write, as soon as the files let us."""
        first_s: float | None = None
        while True:
            try:
                write()
            except (LedgerDownError, sqlite3.Error):
                if self._patience_s is not None:
                    first_s = first_s or monotonic()
                    if monotonic() - first_s >= self._patience_s:
                        raise
                sleep(_AGAIN_S)
            else:
                return
