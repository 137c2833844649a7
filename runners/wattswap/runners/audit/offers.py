"""Whether the mandates and offers that count were sent by the cars they name (S10).

The auditor sees every message that a car sends, so it knows which bytes are authentic, signed or not. Where agents
sign, the signature must be there too and be valid, because the transformer has nothing else to go by.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import Remember, Send
from wattswap.protocol.events import Received
from wattswap.protocol.identity import seeded_signer, verify
from wattswap.protocol.messages import MANDATE, Mandate, Sealed
from wattswap.runners.audit.audit_error import require
from wattswap.runners.audit.rules import Rule

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.loop import SimulatedRun


class OfferAudit:
    """Knows what each car has sent."""

    def __init__(self, run: SimulatedRun, *, sign: bool) -> None:
        (self._transformer,) = run.factory.transformers
        self._run, self._sign = run, sign
        self._sent: defaultdict[str, set[bytes]] = defaultdict(set)
        self.accepted: set[int] = set()
        """Sessions whose mandate the transformer has accepted."""
        seed = run.street.scenario.seed
        self._key_of = cache(lambda vehicle: seeded_signer(seed, vehicle).public_key)

    def look(self, agent: str, event: Event, done: list[Effect]) -> None:
        """Note what cars send; check that every session the transformer accepts was mandated by its own car."""
        if agent.startswith("vehicle/"):
            self._sent[agent] |= {
                effect.message.payload
                for effect in done
                if isinstance(effect, Send) and isinstance(effect.message, Sealed)
            }
        elif agent == self._transformer and isinstance(event, Received) and isinstance(event.message, Sealed):
            self._accepted(event.message, done)

    def is_authentic(self, sealed: Sealed, session: int) -> bool:
        """Whether the car of this session has sent exactly this, and has signed it where agents sign."""
        vehicle = self._run.factory.vehicle_of[session]
        sent = sealed.payload in self._sent[vehicle]
        return sent and (not self._sign or verify(self._key_of(vehicle), sealed.payload, sealed.signature))

    def _accepted(self, sealed: Sealed, done: list[Effect]) -> None:
        """The mandate names who is paid: it must come from that car itself."""
        if sealed.kind != MANDATE or not any(isinstance(did, Remember) for did in done):
            return
        mandate = unseal(sealed)
        assert isinstance(mandate, Mandate)
        vehicle = self._run.factory.vehicle_of[mandate.session]
        require(
            self.is_authentic(sealed, mandate.session) and mandate.payee == vehicle,
            Rule.AUTHENTIC,
            f"{mandate} was accepted from {vehicle}, which never sent it",
        )
        self.accepted.add(mandate.session)
