"""Run a street in one of the engines; both return the same record."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal

from wattswap.agents.controllers import NEED_DEPARTURES, NEGOTIATED, controller_named
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_HOUR, NEVER_MS
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.network.fault_schedule import FaultOptions
from wattswap.runners.scenario.schema import ppm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Observer
    from wattswap.runners.engines.run import Run
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street

Engine = Literal["messages", "fleet"]
ENGINES: Final = ("messages", "fleet")


def run_street(
    street: Street,
    *,
    controller: str = "negotiated",
    engine: Engine = "messages",
    sign: bool = False,
    observers: Iterable[Observer] = (),
) -> RunRecord:
    """Run a street from its first tick to the closing step of its last; the arguments are those of :func:`start_run`.

    Raises:
        InputError: as :func:`start_run` does.
    """
    return start_run(street, controller=controller, engine=engine, sign=sign, observers=observers).run()


def start_run(
    street: Street,
    *,
    controller: str = "negotiated",
    engine: Engine = "messages",
    sign: bool = False,
    observers: Iterable[Observer] = (),
    operator: LimitOrder | None = None,
    drivers: DriverWishes | None = None,
) -> Run:
    """A run before its first tick, of which its observers have been told.

    Its record is filled as it goes, so whoever holds the run has what there is when it is interrupted. ``sign`` lets
    the agents of the messages engine sign what they say; it changes no trade. Through ``operator`` somebody may
    move the limit while that engine goes on, and ``drivers`` tell their cars in either; the journal has both.

    Raises:
        InputError: there is no such controller, engine or strategy (the nearest is named), or the scenario lets things
            go wrong that the engine knows nothing of; or an observer cannot do its work.
    """
    if engine not in ENGINES:
        nearest = get_close_matches(engine, ENGINES, n=1, cutoff=0.0)[0]
        raise InputError(f"unknown engine {engine!r}; the nearest is {nearest!r} (all: {', '.join(ENGINES)})")
    if controller in NEED_DEPARTURES and street.scenario.vehicles.disclose == "nothing":
        raise InputError(
            f"controller {controller!r} decides by departures, which cars tell nobody;"
            " add --set vehicles.disclose=departure to let them"
        )
    if controller != NEGOTIATED and drivers is not None and drivers.planned:
        raise InputError(f"--at: controller {controller!r} asks no car, so no driver has a say; leave one of them out")
    if engine == "fleet":
        _refuse_faults(street)
        fleet = FleetRun(street, controller_named(controller), observers, drivers=drivers)
        fleet.begin()
        return fleet
    return simulated_run(
        street,
        controller_named(controller),
        sign=sign,
        faults=faults_of(street),
        observers=observers,
        operator=operator,
        drivers=drivers,
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
