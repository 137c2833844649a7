"""What an agent is, and which messages its role may send to which other role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from wattswap.protocol import messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.protocol.messages import Message

Role = Literal["transformer", "charger", "vehicle", "household", "battery"]
"""A stationary battery has one key card and speaks as two: a vehicle that never departs, and a charger."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_PASSED_DOWN: Final = frozenset(
    {messages.ReliefCall, messages.Cleared, messages.Award, messages.Receipt, messages.Release, messages.Ack}
)
_MAY_SEND: Final[Mapping[tuple[Role, Role], frozenset[type]]] = {
    ("vehicle", "charger"): frozenset({messages.Mandate, messages.Offer, messages.Delivery, messages.Ack}),
    ("charger", "transformer"): frozenset(
        {
            messages.Mandate,
            messages.Report,
            messages.CappedOffer,
            messages.WitnessedDelivery,
            messages.Departed,
            messages.Ack,
        }
    ),
    ("household", "transformer"): frozenset({messages.BaseReport}),
    ("transformer", "charger"): _PASSED_DOWN | {messages.Grant},
    ("charger", "vehicle"): _PASSED_DOWN,
}
"""(sender's role, receiver's role) -> classes of messages, those inside a ``Sealed`` by the class of what is sealed."""

_INNER: Final = {kind.__struct_config__.tag: kind for kind in messages.SEALED}


def may_send(sender: Role, receiver: Role, message: Message) -> bool:
    """Whether an agent of one role may say this to an agent of another.

    Of a sealed message only the number of what is inside is looked at: whoever opens it holds the number against it.
    """
    kind = _INNER.get(message.kind) if isinstance(message, messages.Sealed) else type(message)
    return kind in kinds_sent(sender, receiver)


def kinds_sent(sender: Role, receiver: Role) -> frozenset[type]:
    """The classes of messages that one role may send to another."""
    return _MAY_SEND.get((sender, receiver), frozenset())
