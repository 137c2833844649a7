"""A round while it is open, on the transformer's side: which cars were called, and what they have answered so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO, TRANCHES
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.round import Input, State, advance, hear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.agents.physics import Ints
    from wattswap.protocol.messages import Offer, ReliefCall


class OpenRound:
    """One call and the answers to it; the first answer of each car counts."""

    def __init__(self, call: ReliefCall, called: Sequence[int]) -> None:
        self.call, self.called = call, called
        self.states = dict.fromkeys(called, advance(State.IDLE, Input.CALL))
        """Where the part of each called car stands."""
        self._offers: dict[int, tuple[list[int], list[int]]] = {}
        self.unanswered = len(called)
        """So many of the called cars have neither answered nor left."""

    def answer(self, offer: Offer, firm_w: int, cap_w: int) -> bool:
        """Take a car's answer, as far as the car draws and the charger carries what it offers; False if none counts.

        An answer counts if it is the first one of a car that was called, and answers this call.

        Raises:
            RemoteProtocolError: no honest car offers this.
        """
        session, call = offer.session, self.call
        before = self.states.get(session)
        if before is None or (offer.feeder, offer.tick) != (call.feeder, call.tick):
            return False
        after = hear(before, Input.OFFER if offer.tranches else Input.KEEP)
        if after is before:
            return False
        if offer.tranches:
            self._offers[session] = _columns(offer, firm_w, cap_w)
        self.states[session] = after
        self.unanswered -= 1
        return True

    def leave(self, session: int) -> None:
        """A car that was called has unplugged before the round was cleared."""
        before = self.states.get(session)
        if before is not None:
            self.states[session] = advance(before, Input.END)
            self.unanswered -= before is State.CALLED

    def offers_of(self, sessions: Sequence[int]) -> tuple[Ints, Ints]:
        """Relief in watts and asks of these called cars, shape (cars, 3) each; zeros for who goes on charging."""
        offered_w = np.zeros((len(sessions), TRANCHES), dtype=np.int64)
        ask = np.zeros_like(offered_w)
        for at, session in enumerate(sessions):
            if session in self._offers:
                offered_w[at], ask[at] = self._offers[session]
        return offered_w, ask


def _columns(offer: Offer, firm_w: int, cap_w: int) -> tuple[list[int], list[int]]:
    """An offer's tranches as relief and asks, three each.

    What the car does not draw and what the charger cannot carry is not on offer.

    Raises:
        RemoteProtocolError: asks that fall from tranche to tranche, or more tranches than there are.
    """
    tranches = offer.tranches
    if len(tranches) > TRANCHES:
        raise RemoteProtocolError(f"an offer of {len(tranches)} tranches; at most {TRANCHES} have a meaning")
    offered = [tranche.ask_nanos_per_kwh_h for tranche in tranches if tranche.relief_w]
    if offered != sorted(offered):
        raise RemoteProtocolError("an offer's asks fall from one tranche to the next")
    none = [0] * (TRANCHES - len(tranches))
    relief_w = [tranche.relief_w for tranche in tranches] + none
    relief_w[TO_ZERO] = min(relief_w[TO_ZERO], firm_w)
    relief_w[TO_FLOOR] = min(relief_w[TO_FLOOR], firm_w - relief_w[TO_ZERO])
    relief_w[FEED] = min(relief_w[FEED], cap_w)
    return relief_w, [tranche.ask_nanos_per_kwh_h for tranche in tranches] + none
