"""The states of one car's part of a round, and what leads from one to the next.

A round is a small conversation between three: the transformer, the charger that passes messages on, and the vehicle
that answers. Each of them keeps one state per ``Part`` and moves it by the one table below, and by nothing else.

    IDLE ─call→ CALLED ─offer→ OFFERED ─award→ AWARDED ─end→ ENDED ─delivery→ DELIVERED ─receipt→ SETTLED
                   ├─keep→ KEPT    └─end→ LAPSED       └──────delivery──────────↗
                   └─end→ LAPSED

Two things are not in the picture. An award that finds no open offer has ended when it arrives, and nothing is delivered
for it: its window is over, or a newer award is in force, or the agent has crashed and forgotten its offer. And every
message may come twice or late; what has been said before leaves the state where it is.

The transformer and the vehicle follow a part from its call on. The charger passes calls and offers on without keeping
anything of them, so for a charger every part begins OFFERED. When a round clears, the transformer forgets the parts
that won nothing; nobody tells their vehicles, whose offers stay open until the car leaves or a newer award comes.

A pair that is missing from the table cannot happen between honest agents that may crash at any time, such as a receipt
for a delivery never reported. It raises: ``advance`` for what we did ourselves, ``hear`` for what a peer said.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from wattswap.protocol.errors import ProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Part(NamedTuple):
    """One car's part of a round: the round is named by its feeder and the tick of its call, the car by its session."""

    feeder: int
    tick: int
    session: int

    def __str__(self) -> str:
        return f"{self.feeder}.{self.tick}/{self.session}"


class State(Enum):
    """Where one car's part of a round stands."""

    IDLE = auto()
    CALLED = auto()
    OFFERED = auto()
    KEPT = auto()
    """The car goes on charging; it made no offer."""
    AWARDED = auto()
    """The award is in force."""
    ENDED = auto()
    DELIVERED = auto()
    """The delivery was reported."""
    SETTLED = auto()
    LAPSED = auto()
    """The round is over for this car and it was awarded nothing."""


class Input(Enum):
    """What was said or happened."""

    CALL = auto()
    OFFER = auto()
    KEEP = auto()
    """The car answers that it goes on charging."""
    AWARD = auto()
    END = auto()
    """The window ended, a release came, the car unplugged, or a newer award came into force."""
    DELIVERY = auto()
    RECEIPT = auto()


_S, _I = State, Input
TABLE: Final[Mapping[State, Mapping[Input, State]]] = {
    _S.IDLE: {_I.CALL: _S.CALLED, _I.AWARD: _S.ENDED},
    _S.CALLED: {_I.OFFER: _S.OFFERED, _I.KEEP: _S.KEPT, _I.END: _S.LAPSED},
    _S.OFFERED: {
        _I.CALL: _S.OFFERED,
        _I.OFFER: _S.OFFERED,
        _I.KEEP: _S.OFFERED,
        _I.AWARD: _S.AWARDED,
        _I.END: _S.LAPSED,
    },
    _S.KEPT: {
        _I.CALL: _S.KEPT,
        _I.OFFER: _S.KEPT,
        _I.KEEP: _S.KEPT,
        _I.AWARD: _S.ENDED,
        _I.END: _S.KEPT,
    },
    _S.AWARDED: {
        _I.CALL: _S.AWARDED,
        _I.AWARD: _S.AWARDED,
        _I.END: _S.ENDED,
        _I.DELIVERY: _S.DELIVERED,
    },
    _S.ENDED: {_I.CALL: _S.ENDED, _I.AWARD: _S.ENDED, _I.END: _S.ENDED, _I.DELIVERY: _S.DELIVERED},
    _S.DELIVERED: {
        _I.CALL: _S.DELIVERED,
        _I.AWARD: _S.DELIVERED,
        _I.END: _S.DELIVERED,
        _I.DELIVERY: _S.DELIVERED,
        _I.RECEIPT: _S.SETTLED,
    },
    _S.SETTLED: {
        _I.CALL: _S.SETTLED,
        _I.AWARD: _S.SETTLED,
        _I.END: _S.SETTLED,
        _I.DELIVERY: _S.SETTLED,
        _I.RECEIPT: _S.SETTLED,
    },
    _S.LAPSED: {_I.CALL: _S.LAPSED, _I.AWARD: _S.ENDED, _I.END: _S.LAPSED},
}
"""The whole protocol of a round."""


def advance(state: State, said: Input) -> State:
    """The state after what this agent did itself.

    Raises:
        ProtocolError: it cannot happen in this state.
    """
    try:
        return TABLE[state][said]
    except KeyError:
        raise ProtocolError(f"{said.name} is not possible in a round that is {state.name}") from None


def hear(state: State, said: Input) -> State:
    """The state after what a peer said.

    Raises:
        RemoteProtocolError: no honest peer says this in this state.
    """
    if said not in TABLE[state]:
        raise RemoteProtocolError(f"{said.name} is not possible in a round that is {state.name}")
    return TABLE[state][said]
