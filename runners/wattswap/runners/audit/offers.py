"""Whether what cars are bound by is their own word (S10).

The auditor sees every car speak, so it knows each byte that is authentic, signed or not. Where agents sign, the
signature must be there too and hold: that is how the transformer is to know.
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
from wattswap.runners.engines.agent_factory import TRANSFORMER

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.loop import SimulatedRun


class OfferAudit:
    """Knows what each car has said."""

    def __init__(self, run: SimulatedRun, *, sign: bool) -> None:
        self._run, self._sign = run, sign
        self._said: defaultdict[str, set[bytes]] = defaultdict(set)
        seed = run.street.scenario.seed
        self._key_of = cache(lambda vehicle: seeded_signer(seed, vehicle).public_key)

    def look(self, agent: str, event: Event, done: list[Effect]) -> None:
        """Note what cars say; check that whoever is taken in as a customer has said so itself."""
        if agent.startswith("vehicle/"):
            self._said[agent] |= {
                effect.message.payload
                for effect in done
                if isinstance(effect, Send) and isinstance(effect.message, Sealed)
            }
        elif agent == TRANSFORMER and isinstance(event, Received) and isinstance(event.message, Sealed):
            self._taken_in(event.message, done)

    def is_authentic(self, sealed: Sealed, session: int) -> bool:
        """Whether the car of this session has said exactly this, and has signed it where agents sign."""
        vehicle = self._run.factory.vehicle_of[session]
        said = sealed.payload in self._said[vehicle]
        return said and (not self._sign or verify(self._key_of(vehicle), sealed.payload, sealed.signature))

    def _taken_in(self, sealed: Sealed, done: list[Effect]) -> None:
        """The mandate names who is paid: it must be the car itself, in its own words."""
        if sealed.kind != MANDATE or not any(isinstance(did, Remember) for did in done):
            return
        mandate = unseal(sealed)
        assert isinstance(mandate, Mandate)
        vehicle = self._run.factory.vehicle_of[mandate.session]
        require(
            self.is_authentic(sealed, mandate.session) and mandate.payee == vehicle,
            "S10 authentic",
            f"{mandate} was taken for the word of {vehicle}, which never said so",
        )
