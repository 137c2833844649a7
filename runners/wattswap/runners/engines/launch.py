"""Run a street in one of the engines; both return the same record."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal, Protocol

from wattswap.agents.controllers import controller_named
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_HOUR
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.engines.simulated import SimulatedRun
from wattswap.runners.network.fault_schedule import FaultOptions
from wattswap.runners.scenario.schema import ppm
from wattswap.runners.world import NEVER_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.runners.engines.simulated import JournalListener
    from wattswap.runners.engines.strategy_assignment import StrategyAssignment
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World

Engine = Literal["messages", "fleet"]
ENGINES: Final = ("messages", "fleet")


class Run(Protocol):
    """A street being run, in either engine, tick by tick or all at once."""

    street: Street
    world: World
    record: RunRecord
    """What there is so far."""
    tick: int
    """The next one; the street's number of ticks when only the closing step is left."""

    @property
    def assignment(self) -> StrategyAssignment:
        """Which car follows which strategy."""

    def step(self) -> None:
        """Let one tick happen; there must be one left."""

    def finish(self) -> RunRecord:
        """The closing step after the last tick, once; the record is complete then."""

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""

    def run(self, progress: Callable[[int], None] = ...) -> RunRecord:
        """Every tick that is left, then the closing step."""


def run_street(
    street: Street,
    *,
    controller: str = "negotiated",
    engine: Engine = "messages",
    progress: Callable[[int], None] = lambda _tick: None,
    record: RunRecord | None = None,
    sign: bool = False,
    journal: JournalListener | None = None,
    begun: Callable[[Run], None] = lambda _run: None,
) -> RunRecord:
    """Run a street from its first tick to the closing step of its last.

    ``progress`` is called with each tick that has passed. ``record`` is filled as the run goes, so that whoever holds
    it has what there is when the run is interrupted. ``sign`` lets the agents of the messages engine sign what they
    say; it changes no trade. ``journal`` hears what comes into a run of the messages engine.
    ``begun`` is called with the run before its first tick.

    Raises:
        InputError: as :func:`start_run` does.
    """
    run = start_run(street, controller=controller, engine=engine, record=record, sign=sign, journal=journal)
    begun(run)
    return run.run(progress)


def start_run(
    street: Street,
    *,
    controller: str = "negotiated",
    engine: Engine = "messages",
    record: RunRecord | None = None,
    sign: bool = False,
    journal: JournalListener | None = None,
) -> Run:
    """A run before its first tick; the arguments are those of :func:`run_street`.

    Raises:
        InputError: there is no such controller, engine or strategy (the nearest is named), or the scenario lets things
            go wrong that the engine knows nothing of.
    """
    if engine not in ENGINES:
        nearest = get_close_matches(engine, ENGINES, n=1, cutoff=0.0)[0]
        raise InputError(f"unknown engine {engine!r}; the nearest is {nearest!r} (all: {', '.join(ENGINES)})")
    if len(street.feeders) > 1:
        raise InputError(f"{street.name} has several feeders, and runs of several are not ready yet; run one at a time")
    if engine == "fleet":
        _refuse_faults(street)
        return FleetRun(street, controller_named(controller), record)
    return SimulatedRun(
        street, controller_named(controller), record, sign=sign, faults=faults_of(street), journal=journal
    )


def _refuse_faults(street: Street) -> None:
    """Raise unless nothing can go wrong: a run that leaves faults out would look like one that withstood them."""
    if not faults_of(street).any:
        return
    table = street.scenario.faults
    key, value = next((key, value) for key in _CAUSES if (value := getattr(table, key)))
    raise InputError(
        f"faults.{key} = {value:,}: the fleet engine sends no messages, so nothing can go wrong in it;"
        " use --engine messages, or leave [faults] out"
    )


_CAUSES: Final = (
    "loss_pct",
    "repeat_pct",
    "delay_ms",
    "crashes_per_day",
    "freezes_per_day",
    "cuts_per_day",
    "drift_pct",
)
"""The keys of ``[faults]`` that alone let something go wrong."""


def faults_of(street: Street) -> FaultOptions:
    """What the scenario lets go wrong."""
    table = street.scenario.faults
    return FaultOptions(
        loss_ppm=ppm(table.loss_pct),
        repeat_ppm=ppm(table.repeat_pct),
        delay_ms=table.delay_ms,
        crashes_per_day=table.crashes_per_day,
        freezes_per_day=table.freezes_per_day,
        cuts_per_day=table.cuts_per_day,
        outage_s=table.outage_s,
        drift_ppm=ppm(table.drift_pct),
        until_ms=round(table.hours * MS_PER_HOUR) or NEVER_MS,
    )
