"""Who a transformer deals with: a plugged car, and the agents that speak for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wattswap.protocol.messages import Award


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


class SiteView(NamedTuple):
    """What a transformer knows of its feeder, for whoever looks at it; what it refers to changes with every event."""

    base_w: int
    """What all homes draw, as far as is known."""
    is_base_known: bool
    """Whether every household was heard of lately; else there is no telling what room there is, and none is granted."""
    limit_w: int
    sessions: Mapping[int, Session]
    """The plugged cars, by session."""
    awards: Sequence[Award]
    """Those in force."""
    quiet_until_ms: int
    """After a restart it grants nothing until then: by then every grant from before is certainly over."""
