"""Run a street in one of the engines; both return the same record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from wattswap.agents.controllers import controller_named
from wattswap.runners.fleet import FleetRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.runners.record import Record
    from wattswap.runners.scenario.street import Street

Engine = Literal["messages", "fleet"]
ENGINES: Final = ("messages", "fleet")


def run_street(
    street: Street,
    *,
    controller: str = "negotiated",
    engine: Engine = "messages",
    progress: Callable[[int], None] = lambda tick: None,
) -> Record:
    """Run a street from its first tick to the closing step of its last.

    ``progress`` is called with each tick that has passed.
    """
    return FleetRun(street, controller_named(controller)).run(progress)
