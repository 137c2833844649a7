"""The states of a round between a transformer and one car, and what leads from one to the next.

A round is a small conversation, the same for all three who take part in it: the transformer, the charger that passes
messages on, and the vehicle that answers. Each keeps one state per (round, session) and moves it by this one table.

    IDLE ─call→ CALLED ─offer→ OFFERED ─award→ AWARDED ─end→ ENDED ─delivery→ DELIVERED ─receipt→ SETTLED
                   ├─keep→ KEPT    └─pass→ LAPSED      └──────delivery──────────↗
                   └─deadline→ LAPSED

A window that ends, or a car that leaves, before an award lapses the round as well.

Every message may come twice or late: a repeat leaves the state where it is, and what arrives after the deadline finds
the round LAPSED, where nothing more binds anyone. Only what no honest peer can say, such as an award for an offer
never made or a receipt for a delivery never reported, is missing from the table: it raises, and whoever asked
decides whether that is our bug or a peer's.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from wattswap.protocol.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(Enum):
    """Where one car's part of a round stands."""

    IDLE = auto()
    CALLED = auto()
    OFFERED = auto()
    KEPT = auto()
    AWARDED = auto()
    ENDED = auto()
    DELIVERED = auto()
    SETTLED = auto()
    LAPSED = auto()


class Input(Enum):
    """What was said or happened."""

    CALL = auto()
    OFFER = auto()
    KEEP = auto()
    AWARD = auto()
    PASS = auto()
    """The round cleared without this car."""
    DEADLINE = auto()
    END = auto()
    """The window ended, a release came, or the car unplugged."""
    DELIVERY = auto()
    RECEIPT = auto()


FINAL: Final = frozenset({State.KEPT, State.SETTLED, State.LAPSED})
"""Nothing leads out of these."""

_S, _I = State, Input
TABLE: Final[Mapping[State, Mapping[Input, State]]] = {
    _S.IDLE: {_I.CALL: _S.CALLED, _I.END: _S.LAPSED},
    _S.CALLED: {
        _I.CALL: _S.CALLED,
        _I.OFFER: _S.OFFERED,
        _I.KEEP: _S.KEPT,
        _I.DEADLINE: _S.LAPSED,
        _I.END: _S.LAPSED,
    },
    _S.OFFERED: {
        _I.CALL: _S.OFFERED,
        _I.OFFER: _S.OFFERED,
        _I.AWARD: _S.AWARDED,
        _I.PASS: _S.LAPSED,
        _I.DEADLINE: _S.OFFERED,
        _I.END: _S.LAPSED,
    },
    _S.KEPT: {_I.CALL: _S.KEPT, _I.KEEP: _S.KEPT, _I.PASS: _S.KEPT, _I.DEADLINE: _S.KEPT, _I.END: _S.KEPT},
    _S.AWARDED: {
        _I.CALL: _S.AWARDED,
        _I.OFFER: _S.AWARDED,
        _I.AWARD: _S.AWARDED,
        _I.END: _S.ENDED,
        _I.DELIVERY: _S.DELIVERED,
    },
    _S.ENDED: {
        _I.CALL: _S.ENDED,
        _I.OFFER: _S.ENDED,
        _I.AWARD: _S.ENDED,
        _I.END: _S.ENDED,
        _I.DELIVERY: _S.DELIVERED,
    },
    _S.DELIVERED: {
        _I.CALL: _S.DELIVERED,
        _I.OFFER: _S.DELIVERED,
        _I.AWARD: _S.DELIVERED,
        _I.END: _S.DELIVERED,
        _I.DELIVERY: _S.DELIVERED,
        _I.RECEIPT: _S.SETTLED,
    },
    _S.SETTLED: {
        _I.CALL: _S.SETTLED,
        _I.OFFER: _S.SETTLED,
        _I.AWARD: _S.SETTLED,
        _I.END: _S.SETTLED,
        _I.DELIVERY: _S.SETTLED,
        _I.RECEIPT: _S.SETTLED,
    },
    _S.LAPSED: {
        _I.CALL: _S.LAPSED,
        _I.OFFER: _S.LAPSED,
        _I.KEEP: _S.LAPSED,
        _I.AWARD: _S.LAPSED,
        _I.PASS: _S.LAPSED,
        _I.DEADLINE: _S.LAPSED,
        _I.END: _S.LAPSED,
    },
}
"""The whole protocol of a round. A pair that is missing cannot happen between honest parties."""


def advance(state: State, said: Input) -> State:
    """The state after ``said``.

    Raises:
        ProtocolError: no honest party says this in this state.
    """
    try:
        return TABLE[state][said]
    except KeyError:
        raise ProtocolError(f"{said.name} is not possible in a round that is {state.name}") from None
