"""What a street of processes on the wall clock tells its log: its processes, its rounds, and beats that came late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from wattswap.protocol.effects import NoteForced, NoteRound
from wattswap.runners.engines.observer import Observer
from wattswap.runners.node.live.run import SHARES_OF_A_BEAT, LiveRun

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from wattswap.runners.engines.observer import Note
    from wattswap.runners.engines.run import Run


class Lateness(Observer):
    """Learns by how much the latest beat of a run came late."""

    def __init__(self) -> None:
        self._run: LiveRun | None = None

    def begun(self, run: Run) -> None:
        """Learn which run this is; one in lockstep has no beats that could be late."""
        self._run = cast("Any", run) if isinstance(run, LiveRun) else None

    def warning(self) -> str | None:
        """A line for people, if the machine was too slow for the speed; None if all was well."""
        if self._run is None:
            return None
        late_ms, tick_ms = self._run.latest_ms, self._run.rules.tick_ms
        if late_ms < tick_ms // SHARES_OF_A_BEAT:
            return None
        return (
            f"a beat of {tick_ms / 1_000:g} s came {late_ms / 1_000:.1f} s late: this machine is too slow or too busy"
            " for this speed; take a lower one"
        )


class LiveLog(Observer):
    """Writes into a run's log."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._run: LiveRun | None = None
        self._told_late_ms = 0

    def begun(self, run: Run) -> None:
        """Tell which processes there are."""
        assert isinstance(run, LiveRun)
        self._run = run
        for number, pid in enumerate(run.pool.pids):
            self._log.info("process started", process=number, pid=pid, agents=len(run.hosted(number)))

    def noted(self, transformer: str, note: Note) -> None:
        """Tell of rounds, and of what the last resort took."""
        if isinstance(note, NoteRound):
            fields = {name: getattr(note, name) for name in note.__struct_fields__}
            self._log.info("round", transformer=transformer, **fields)
        elif isinstance(note, NoteForced):
            self._log.warning("forced", tick=note.tick, session=note.session, forced_w=note.forced_w)

    def tick_passed(self, tick: int) -> None:
        """Tell of a beat that came later than all before, if that is late indeed."""
        assert self._run is not None
        late_ms = self._run.latest_ms
        if late_ms > max(self._told_late_ms, self._run.rules.tick_ms // SHARES_OF_A_BEAT):
            self._told_late_ms = late_ms
            self._log.warning("beat late", tick=tick, late_ms=late_ms)
