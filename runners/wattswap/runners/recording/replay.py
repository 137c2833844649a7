"""A run told again from its journal: the same agents on the same network, and the journal in place of the world.

The world is what its meters said: where the cars stand comes from their readings, what they drew from their metered
powers. So whatever is rebuilt (rounds, trades, sessions, the street tick by tick) follows from the journal and from
the agents alone, and every tick's hash shows whether they still do what they did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers import controller_named
from wattswap.agents.law import ChargingState
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import LimitChanged, Metered, PluggedIn, Reading, Unplugged
from wattswap.runners.engines.agent_factory import AgentFactory
from wattswap.runners.engines.launch import faults_of
from wattswap.runners.engines.observer import TickProgress
from wattswap.runners.engines.simulated import assembled
from wattswap.runners.recording.difference import Check, Difference, Lines
from wattswap.runners.recording.journal import STREET, Reader, sha256_of
from wattswap.runners.recording.rundir import SCENARIO, read_run
from wattswap.runners.scenario import load_street
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.loop import SimulatedRun
    from wattswap.runners.engines.observer import Observer, Sensed
    from wattswap.runners.recording.journal import Header, JournalLine
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.recording.rundir import RunFiles
    from wattswap.runners.scenario.street import Street

_NOBODY: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Recorded:
    """A run directory with its journal at the first tick."""

    run: RunFiles
    street: Street
    header: Header
    lines: Lines


@dataclass(frozen=True)
class Replay:
    """A run told again."""

    recorded: Recorded
    record: RunRecord
    """Rebuilt; its last tick is the last one whose powers the journal has, which are metered at the next one."""
    ticks: int
    """So many ticks were told, from the first on."""
    whole: bool
    """The journal goes on to the run's end."""
    difference: Difference | None
    """Where the agents first do something else than they did."""
    altered: Difference | None
    """Where the journal is not as it was written, or ends before a complete run did."""


def read_recorded(path: Path) -> Recorded:
    """Open what is to be told again.

    Raises:
        InputError: there is no run at ``path`` or no journal in it, or it is damaged, or not of this scenario.
    """
    run = read_run(path)
    reader = Reader(journal_of(run))
    street = _street_of(path, reader.header)
    lines = Lines(reader)
    if lines.next is None:
        raise InputError(f"{path / STREET}: the journal ends before its first tick; there is nothing to replay")
    return Recorded(run, street, reader.header, lines)


def replay_run(recorded: Recorded, progress: Callable[[int], None] = lambda _tick: None) -> Replay:
    """Tell a run again, once, to fresh agents; nothing is written.

    Raises:
        InputError: the journal is damaged.
    """
    street, header, lines = recorded.street, recorded.header, recorded.lines
    check = Check(lines, full=header.contents == "full")
    again, whole = _replayed_run(street, header, lines, (check, TickProgress(progress))), False
    try:
        again.run()
        whole = True
    except JournalEndsError:
        pass
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - what a changed agent or a falsified fact stumbles over is a difference
        check.fails(again.tick, error)
    ticks = min(check.passed_lines, street.ticks)
    return Replay(recorded, again.record, ticks, whole, check.difference, _altered(recorded))


def _altered(recorded: Recorded) -> Difference | None:
    reader = recorded.lines.reader
    while recorded.lines.advance() is not None:  # where agents stumbled, the rest has not been read
        pass
    if (found := reader.altered) is not None:
        what = "the journal's header" if found.tick < 0 else "the journal's line"
        return Difference(max(found.tick, 0), f"{what} is not as it was written", found.written, found.found)
    if not reader.ended and recorded.run.status == "complete":
        ticks = f"{recorded.street.ticks} ticks and the journal's end"
        return Difference(reader.ticks, "the journal ends too early", ticks, f"{reader.ticks} lines and no end")
    return None


def journal_of(run: RunFiles) -> Path:
    """The journal of a run directory; an InputError if it has none."""
    path = run.path / STREET
    if path.is_file():
        return path
    if run.figures.get("engine") == "fleet":
        raise InputError(f"{run.path}: a run of the fleet engine has no journal; run it with --engine messages")
    raise InputError(f"{run.path}: this run has no journal ({STREET}); run the scenario again with --journal inputs")


def _street_of(path: Path, header: Header) -> Street:
    """The street as it was run."""
    file = path / SCENARIO
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{file}: cannot be read; without its scenario a run cannot be replayed") from None
    if sha256_of(text) != header.scenario_sha256:
        raise InputError(
            f"{file}: not the scenario of this journal (its sha256 differs from the one in the journal's header);"
            " put the old file back, or run the changed scenario"
        )
    street = load_street(str(file))
    if (street.name, street.scenario.seed) != (header.scenario, header.seed):
        raise InputError(f"{path / STREET}: the journal's header is damaged, it does not fit {SCENARIO}")
    return street


class JournalEndsError(Exception):
    """There is nothing more to tell."""


def _replayed_run(street: Street, header: Header, lines: Lines, observers: Iterable[Observer]) -> SimulatedRun:
    """A run whose world and whose sensors are read from a journal."""
    world = MeteredWorld(street, lines)
    factory = AgentFactory(street, world, controller_named(header.controller), sign=header.sign)
    return assembled(street, world, factory, JournalFeed(street, world, factory, lines), faults_of(street), observers)


class MeteredWorld(World):
    """The world as its meters told of it."""

    def __init__(self, street: Street, lines: Lines) -> None:
        super().__init__(street)
        self._lines = lines
        self.base_w = np.zeros_like(self.base_w)
        self._standing = np.zeros((len(ChargingState._fields), len(self.fleet)), dtype=np.int64)

    def arrive(self, tick: int) -> Ints:
        """Nobody to tell of: what was told at this tick is so from now on."""
        line = self._lines.now
        assert line is not None
        assert line.tick == tick
        self._meter(line)
        for _, event in line.told:
            match event:
                case Unplugged(session=row):
                    self.plugged = np.setdiff1d(self.plugged, row)
                    self.imported_ws[row], self.exported_ws[row] = event.imported_ws, event.exported_ws
                case PluggedIn(session=row):
                    self.plugged = np.union1d(self.plugged, row)
                    self.remaining_ws[row] = self.baseline_ws[row] = event.need_ws
        self._read([event for _, event in line.told if isinstance(event, Reading)])
        return _NOBODY

    def _meter(self, line: JournalLine) -> None:
        self.base_w[:, line.tick] = line.base_w

    def _read(self, readings: list[Reading]) -> None:
        rows = [reading.session for reading in readings]
        self.remaining_ws[rows] = [reading.remaining_ws for reading in readings]
        self.baseline_ws[rows] = [reading.baseline_remaining_ws for reading in readings]
        self.stored_ws[rows] = [reading.stored_ws for reading in readings]
        for column, name in zip(self._standing, ChargingState._fields, strict=True):
            column[rows] = [getattr(reading, name) for reading in readings]

    def leave(self, tick: int) -> Ints:  # noqa: ARG002 - the journal knows when
        """Nobody to tell of."""
        return _NOBODY

    def charging(self, tick: int) -> ChargingState:  # noqa: ARG002 - as above
        """Where the plugged cars stand by their readings."""
        return ChargingState(*self._standing[:, self.plugged])

    def move(self, charging: ChargingState, import_w: Ints, export_w: Ints) -> tuple[Ints, Ints]:  # noqa: ARG002
        """Let one tick pass in which was drawn and fed what the meters say, whatever was granted."""
        line = self._lines.next
        if line is None:
            raise JournalEndsError
        self._meter(line)
        metered = np.zeros((2, len(self.fleet)), dtype=np.int64)
        for _, event in line.told:
            if isinstance(event, Metered):
                metered[:, event.session] = event.import_w, event.export_w
        return super().move(charging, *metered[:, self.plugged])


class JournalFeed:
    """What a journal's world told, in place of a simulated street's sensors."""

    def __init__(self, street: Street, world: World, factory: AgentFactory, lines: Lines) -> None:
        self._world, self._lines, self._transformers = world, lines, factory.transformers
        self._limit_w = np.array([feeder.transformer.limit_w for feeder in street.feeders], dtype=np.int64)
        self._recovered: Iterator[tuple[str, list[Event]]] = iter(())

    def closing(self, tick: int) -> Iterator[Sensed]:  # noqa: ARG002 - the journal knows
        """All that was told at this tick, in its order."""
        line = self._lines.advance()
        if line is None:
            raise JournalEndsError
        self._recovered = iter(line.recovered)
        self._limit_w = self._limit_w.copy()
        for who, event in line.told:
            if isinstance(event, LimitChanged):
                self._limit_w[self._transformers.index(str(who))] = event.limit_w
        yield from line.told

    def arrivals(self, tick: int) -> Iterator[Sensed]:
        """Nothing: it was told at the closing. The world reads what its cars are like now."""
        self._world.arrive(tick)
        yield from ()

    def opening(self, tick: int, charging: ChargingState, granted: NDArray[np.bool_]) -> Iterator[Sensed]:  # noqa: ARG002
        """Nothing: it was told at the closing."""
        yield from ()

    def holds(self, name: str) -> Iterator[Event]:
        """What this agent sensed when it had started again."""
        agent, sensed = next(self._recovered, (name, []))
        yield from sensed if agent == name else ()

    def limit_w(self) -> Ints:
        """The limits in force, by feeder."""
        return self._limit_w
