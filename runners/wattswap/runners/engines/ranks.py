"""The order in which an instant's events and messages are handled: each kind has a rank.

Meters come before closings, closings before calls, calls before awards, awards before grants, so that every party acts
on the same picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.protocol import events, messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.protocol.messages import Message

_KINDS: Final = (
    (events.Metered,),
    (messages.Delivery, messages.WitnessedDelivery),
    (messages.Receipt, messages.Ack, events.Paid, events.Billed),
    (events.Unplugged, messages.Departed),
    (events.PluggedIn, messages.Mandate),
    (events.DriverWish, events.CarStatus, events.Reading),
    (messages.Report,),
    (events.BaseRead, events.LimitChanged, messages.BaseReport),
    (events.Woken,),
    (messages.ReliefCall,),
    (messages.Offer, messages.CappedOffer),
    (messages.Release,),
    (messages.Award,),
    (messages.Cleared,),
    (messages.Grant,),
)
"""By rank."""

RANK_OF_KIND: Final[Mapping[type, int]] = {kind: rank for rank, kinds in enumerate(_KINDS) for kind in kinds}
"""Where in an instant an event or message of this class is handled."""
_SEALED_RANK: Final = {kind.__struct_config__.tag: RANK_OF_KIND[kind] for kind in messages.SEALED}
LAST_RANK: Final = len(_KINDS) - 1

WORLD: Final = ""
"""The sender of what no agent said."""


def rank_of(message: Message) -> int:
    """Where in an instant a message is handled."""
    return _SEALED_RANK[message.kind] if isinstance(message, messages.Sealed) else RANK_OF_KIND[type(message)]
