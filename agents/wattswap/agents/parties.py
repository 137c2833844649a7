"""Who a transformer deals with: a plugged car, and the agents that speak for it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


class Party(msgspec.Struct, frozen=True):
    """The agents of a session, as they must be known to settle with it even after it has left."""

    session_id: str
    charger: str
    vehicle: str


@dataclass(slots=True)
class Session:
    """A plugged car, as its mandate declared it."""

    party: Party
    key: int
    """Under which it draws."""
    need_ws: int
    max_w: int
    charger_w: int
    """What its charger is rated for, whatever the charger says."""
    arrival_ms: int
    """When its mandate came."""
