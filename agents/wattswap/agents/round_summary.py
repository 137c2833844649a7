"""How a cleared round is noted for the record, by the transformer agent and the fleet engine alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.agents.offers import FEED
from wattswap.protocol.effects import NoteRound

if TYPE_CHECKING:
    from wattswap.agents.physics import Ints
    from wattswap.protocol.messages import ReliefCall


def round_summary(call: ReliefCall, firm_w: Ints, offered_w: Ints, award_w: Ints, price: Ints) -> NoteRound:
    """Sum up a cleared round: one row a called car, tranches as columns."""
    return NoteRound(
        tick=call.tick,
        need_w=call.need_w,
        ceiling_nanos_per_kwh=call.ceiling_nanos_per_kwh,
        called=len(firm_w),
        kept=int(((firm_w > 0) & ~offered_w.any(axis=1)).sum()),
        offered_w=int(offered_w.sum()),
        awarded_w=int(award_w.sum()),
        price_nanos_per_kwh=int(price.max(initial=0)),
        reduce_awards=int(award_w[:, :FEED].any(axis=1).sum()),
        feed_awards=int((award_w[:, FEED] > 0).sum()),
    )
