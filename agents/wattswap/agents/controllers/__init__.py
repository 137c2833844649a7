"""What the negotiation is compared with: rules that set every car's power themselves and ask nobody.

A controller takes what a transformer knows, (base load, target, cars, plugged, rules), and returns grants. Under a
controller no call goes out and no token moves.
"""
# ruff: noqa: ARG001 - a controller is handed all that a transformer knows and uses what it needs

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers.capped import edf, fcfs, llf
from wattswap.agents.controllers.karma import Accounts, Karma
from wattswap.agents.controllers.overridden import Overridden
from wattswap.agents.controllers.planning import Foresight
from wattswap.agents.controllers.poc import poc
from wattswap.agents.controllers.receding_horizon import RecedingHorizon
from wattswap.agents.controllers.rivals import bandwidth, dimming, droop, round_robin, static_cap, time_of_use
from wattswap.agents.controllers.share import equal_share
from wattswap.agents.controllers.valley_filling import ValleyFilling
from wattswap.agents.law import Grants
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

    Controller = Callable[[int, int, Cars, Plugged, Rules], Grants]

NEGOTIATED: Final = "negotiated"

KNOWLEDGE: Final = {
    "edf": "departures",
    "llf": "departures",
    "valley-filling": "departures and the homes' day ahead",
    "receding-horizon": "departures and prices of waiting",
    "karma": "departures",
}
"""What controllers know that in the negotiation nobody tells."""
NEED_DEPARTURES: Final = frozenset(KNOWLEDGE)
"""The controllers that cannot do without knowing when cars leave."""


def uncontrolled(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """Everyone draws what it wants; the transformer only watches."""
    nothing = np.zeros_like(cars.wanted_w)
    return Grants(cars.wanted_w, nothing, nothing)


CONTROLLERS: Final[Mapping[str, Controller | None]] = {
    NEGOTIATED: None,
    "uncontrolled": uncontrolled,
    "fcfs": fcfs,
    "equal-share": equal_share,
    "edf": edf,
    "llf": llf,
    "dimming": dimming,
    "round-robin": round_robin,
    "static-cap": static_cap,
    "time-of-use": time_of_use,
    "bandwidth": bandwidth,
    "droop": droop,
    "valley-filling": ValleyFilling(),
    "receding-horizon": RecedingHorizon(),
    "karma": Karma(),
    "poc": poc,
}
"""By name; ``negotiated`` is the market itself and stands for no controller."""


def controller_named(name: str) -> Controller | None:
    """The controller of this name, None for the negotiation.

    Raises:
        InputError: there is none; the nearest is named.
    """
    if name not in CONTROLLERS:
        nearest = get_close_matches(name, CONTROLLERS, n=1, cutoff=0.0)[0]
        raise InputError(f"unknown controller {name!r}; the nearest is {nearest!r} (all: {', '.join(CONTROLLERS)})")
    return CONTROLLERS[name]


def informed(
    controller: Controller | None, base_w: Ints, seed: int, persons: Mapping[int, int] | None = None
) -> Controller | None:
    """A controller as it begins on one feeder: a planner is told what it plans by, and karma opens its accounts.

    ``base_w`` is the homes' load at each tick of the run, the first one that of the tick before its start; ``persons``
    has the key of the person behind each session's. Any other controller is told nothing.
    """
    if isinstance(controller, Overridden):
        inner = informed(controller.controller, base_w, seed, persons)
        return controller if inner is None else replace(controller, controller=inner)
    if isinstance(controller, ValleyFilling | RecedingHorizon):
        return replace(controller, told=Foresight(base_w, seed))
    if isinstance(controller, Karma):
        return replace(controller, told=Foresight(base_w, seed), accounts=Accounts(persons or {}))
    return controller
