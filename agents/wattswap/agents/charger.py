"""The charger agent: it stands between transformer and car, obeys grants, meters, and passes on what is sealed.

It never holds money and decides little: what is said end to end, between transformer and car, is repeated by those
two; the charger itself owes only the word that its car has left.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.agents.delivery_meter import DeliveryMeter, nothing_delivered
from wattswap.agents.lease import Lease
from wattswap.agents.obligations import Obligations
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Forget, Remember, Send, SetPower, WakeAt
from wattswap.protocol.events import Metered, PluggedIn, Reading, Received, Restarted, Unplugged, Woken
from wattswap.protocol.messages import (
    DEPARTED,
    Ack,
    Award,
    CappedOffer,
    Delivery,
    Departed,
    Grant,
    Mandate,
    Offer,
    Receipt,
    Release,
    ReliefCall,
    Report,
    Sealed,
    WitnessedDelivery,
)

if TYPE_CHECKING:
    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer

_MOST_PEERS: Final = 16
"""So many cars may still have business here after they left."""

_MOST_ROUNDS: Final = 64
"""So many settled awards are remembered, to recognise what comes late."""


class Charger:
    """One charging point, or the inverter of a stationary battery."""

    def __init__(
        self,
        name: str,
        transformer: str,
        max_w: int,
        rules: Rules,
        *,
        signer: Signer | None = None,
        transformer_key: bytes | None = None,
    ) -> None:
        self.name, self._transformer, self._max_w, self._rules = name, transformer, max_w, rules
        self._signer, self._transformer_key = signer, transformer_key
        self._epoch, self._seq = 1, 0
        self._plug: PluggedIn | None = None
        self._reading: Reading | None = None
        self._lease = Lease(rules.guaranteed_w)
        self._woken_at_ms: int | None = None
        self._awards: dict[tuple[int, int], DeliveryMeter] = {}
        self._settled: deque[tuple[int, int]] = deque(maxlen=_MOST_ROUNDS)
        self._vehicles: dict[int, str] = {}
        self._owed = Obligations(rules.repeat_ms)

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the charger wants done about an event; a lease that is over ends before anything else is heard."""
        due_ms = self._woken_at_ms
        if due_ms is None or now_ms < due_ms:
            return self._on(event, now_ms)
        return [*self._lapse(now_ms), *self._on(event, now_ms)]

    @property
    def owes(self) -> int:
        """Departures that nobody has noted yet."""
        return len(self._owed)

    @property
    def lease_ends_ms(self) -> int | None:
        """When what was granted is over, on this charger's clock; None while nothing is."""
        return self._lease.expires_ms

    def check(self) -> None:
        """It bears no more than it was granted and keeps no account of cars it does not know."""
        assert self._lease.import_w <= max(self._max_w, self._rules.guaranteed_w)
        assert len(self._vehicles) <= _MOST_PEERS
        assert {session for session, _ in self._awards} <= set(self._vehicles)

    def _on(self, event: Event, now_ms: int) -> list[Effect]:
        match event:
            case Reading() if self._plugs(event.session):
                self._reading = event
                return [self._report(event, now_ms)]
            case Received(self._transformer, message):
                return self._on_transformer(message, now_ms)
            case Received(sender, Sealed() as sealed):
                return self._on_vehicle(sender, sealed)
            case Received(sender, Ack() as ack) if sender == self._vehicles.get(ack.session):
                return [Send(self._transformer, ack)]
            case Woken():
                return self._owed.due(now_ms)
            case PluggedIn():
                return self._on_plugged_in(event)
            case Unplugged():
                return self._on_unplugged(event, now_ms)
            case Metered():
                self._on_metered(event, now_ms)
            case Restarted():
                return self._on_restarted(event, now_ms)
            case _:
                pass
        return []

    # -- the cable and the meter --------------------------------------------------------------------------------------

    def _on_plugged_in(self, plug: PluggedIn) -> list[Effect]:
        self._plug, self._reading = plug, None
        known = self._know(plug.session, plug.peer)
        return [*known, *self._set_power()] if self._lease.import_w else known

    def _know(self, session: int, vehicle: str) -> list[Effect]:
        """Remember who is behind a session, for as long as there may be business, a crash or not."""
        if self._vehicles.get(session) == vehicle:
            return []
        self._vehicles[session] = vehicle
        effects: list[Effect] = [Remember(f"peer/{session}", vehicle.encode())]
        while len(self._vehicles) > _MOST_PEERS:
            oldest = next(old for old in self._vehicles if not self._plugs(old))
            del self._vehicles[oldest]
            effects.append(Forget(f"peer/{oldest}"))
            self._awards = {key: award for key, award in self._awards.items() if key[0] != oldest}
        return effects

    def _on_metered(self, metered: Metered, now_ms: int) -> None:
        """Count the tick that ended; the car's own claim follows and sends both on their way."""
        for (session, _), delivering in self._awards.items():
            if session == metered.session and delivering.runs:
                delivering.add(metered)
                if now_ms >= delivering.award.until_ms:
                    delivering.end()

    def _on_unplugged(self, unplugged: Unplugged, now_ms: int) -> list[Effect]:
        """Report the meter's totals until the transformer has noted them."""
        self._end_awards(unplugged.session)
        if self._plugs(unplugged.session):
            self._plug, self._reading = None, None
            self._lease.end()
        departed = Departed(unplugged.session, unplugged.imported_ws, unplugged.exported_ws)
        key = f"departed/{unplugged.session}"
        return [
            SetPower(unplugged.session, 0, 0),
            Remember(key, msgspec.msgpack.encode(departed)),
            *self._owed.owe(key, self._transformer, departed, now_ms),
        ]

    def _plugs(self, session: int) -> bool:
        return self._plug is not None and self._plug.session == session

    # -- power --------------------------------------------------------------------------------------------------------

    def _report(self, reading: Reading, now_ms: int) -> Effect:
        """The beat: where the car stands, this charger's clock, and which grant it heard last."""
        self._seq += 1
        report = Report(
            reading.session,
            reading.firm_w,
            reading.wanted_w,
            reading.due_ms,
            reading.drew,
            self._epoch,
            self._seq,
            now_ms,
            *self._lease.heard,
        )
        return Send(self._transformer, report)

    def _on_grant(self, grant: Grant, now_ms: int) -> list[Effect]:
        """Obey; and confirm at once whatever gives the street room."""
        before, before_net_w = (self._lease.import_w, self._lease.export_w), self._lease.net_w
        if not self._plugs(grant.session) or not self._lease.accept(grant, self._epoch, now_ms):
            return []
        effects: list[Effect] = []
        if (self._lease.import_w, self._lease.export_w) != before:
            effects += self._set_power()
        if self._lease.net_w < before_net_w and self._reading is not None:
            effects.append(self._report(self._reading, now_ms))
        return [*effects, *self._wake_for_lease()]

    def _set_power(self) -> list[Effect]:
        if self._plug is None:
            return []
        return [SetPower(self._plug.session, self._lease.import_w, self._lease.export_w)]

    def _lapse(self, now_ms: int) -> list[Effect]:
        """Nothing was heard for the length of a lease: fall back to the guaranteed minimum."""
        self._woken_at_ms = None
        if self._lease.lapse(now_ms):
            return self._set_power()
        return self._wake_for_lease()

    def _wake_for_lease(self) -> list[Effect]:
        """One wake-up is asked for at a time; when it comes and the lease was renewed, the next."""
        if self._woken_at_ms is not None or self._lease.expires_ms is None:
            return []
        self._woken_at_ms = self._lease.expires_ms
        return [WakeAt(self._lease.expires_ms)]

    # -- what is passed on --------------------------------------------------------------------------------------------

    def _on_transformer(self, message: object, now_ms: int) -> list[Effect]:
        """Obey grants; pass calls, awards, releases and receipts on to the car, untouched."""
        match message:
            case Grant():
                return self._on_grant(message, now_ms)
            case Sealed():
                return self._on_sealed(message, now_ms)
            case Release():
                if (account := self._account(message)) is not None:
                    account.end()
                return self._pass_on(message.session, message)
            case Ack(kind, session) if kind == DEPARTED:
                self._owed.done(f"departed/{session}")
                return [Forget(f"departed/{session}")]
            case Ack(_, session):
                return self._pass_on(session, message)
            case _:
                return []

    def _on_sealed(self, sealed: Sealed, now_ms: int) -> list[Effect]:
        match unseal(sealed, self._transformer_key):
            case ReliefCall() if self._plug is not None:
                return self._pass_on(self._plug.session, sealed)
            case Award() as award:
                return [*self._on_award(award, now_ms), *self._pass_on(award.session, sealed)]
            case Receipt() as receipt:
                return [*self._on_receipt(receipt), *self._pass_on(receipt.session, sealed)]
            case _:
                return []

    def _on_award(self, award: Award, now_ms: int) -> list[Effect]:
        """Open this charger's account of it, and beat, so that the grant that follows finds a fresh stamp.

        A car holds one award at a time: whichever is newer ends the other, should its release have been lost.
        """
        key = award.session, award.tick
        known = key in self._awards or key in self._settled
        if known or not self._plugs(award.session) or now_ms >= award.until_ms:
            return []
        self._end_awards(award.session, before=award.tick)
        self._awards[key] = delivering = DeliveryMeter(award, self._rules.tick_s)
        if any(session == award.session and tick > award.tick for session, tick in self._awards):
            delivering.end()
        beat = [] if self._reading is None else [self._report(self._reading, now_ms)]
        remembered = msgspec.msgpack.encode((self._vehicles[award.session], award))
        return [Remember(_key(*key), remembered), *beat]

    def _on_receipt(self, receipt: Receipt) -> list[Effect]:
        """Close this charger's account; should the award come once more, it opens none."""
        if self._account(receipt) is None:
            return []
        del self._awards[receipt.session, receipt.tick]
        self._settled.append((receipt.session, receipt.tick))
        return [Forget(_key(receipt.session, receipt.tick))]

    def _account(self, said: Delivery | Receipt | Release) -> DeliveryMeter | None:
        """This charger's account of the very award that something is said of."""
        account = self._awards.get((said.session, said.tick))
        return account if account is not None and account.is_of(said) else None

    def _pass_on(self, session: int, message: Sealed | Release | Ack) -> list[Effect]:
        vehicle = self._vehicles.get(session)
        return [] if vehicle is None else [Send(vehicle, message)]

    def _on_vehicle(self, vehicle: str, sealed: Sealed) -> list[Effect]:
        """Pass on what the car says, with this charger's own word beside it."""
        match unseal(sealed):
            case Mandate(session) if vehicle == self._vehicles.get(session):
                return [Send(self._transformer, sealed)]
            case Offer() as offer if self._plugs(offer.session) and vehicle == self._vehicles.get(offer.session):
                return [Send(self._transformer, CappedOffer(offer.session, self._max_w, sealed))]
            case Delivery() as delivery if vehicle == self._vehicles.get(delivery.session, vehicle):
                if delivery.session not in self._vehicles:
                    self._know(delivery.session, vehicle)
                return [self._witness(delivery, sealed)]
            case _:
                return []

    def _witness(self, delivery: Delivery, sealed: Sealed) -> Effect:
        """The car's claim beside this charger's; an award that never arrived here delivered nothing here."""
        account = self._account(delivery)
        mine = nothing_delivered(delivery) if account is None else account.claim()
        return Send(self._transformer, WitnessedDelivery(delivery.session, seal(mine, self._signer), sealed))

    def _end_awards(self, session: int, before: int | None = None) -> None:
        """End what runs for a session, all of it or what is older than a tick."""
        for (award_session, tick), delivering in self._awards.items():
            if award_session == session and delivering.runs and (before is None or tick < before):
                delivering.end()

    # -- after a crash ------------------------------------------------------------------------------------------------

    def _on_restarted(self, restarted: Restarted, now_ms: int) -> list[Effect]:
        """Start at the minimum, in a new epoch; go on with what was promised."""
        self._epoch = restarted.epoch
        effects: list[Effect] = []
        for key, value in restarted.remembered.items():
            if key.startswith("peer/"):
                self._vehicles[int(key.removeprefix("peer/"))] = value.decode()
            elif key.startswith("departed/"):
                departed = msgspec.msgpack.decode(value, type=Departed)
                effects += self._owed.owe(key, self._transformer, departed, now_ms)
            else:
                vehicle, award = msgspec.msgpack.decode(value, type=tuple[str, Award])
                self._vehicles[award.session] = vehicle
                self._awards[award.session, award.tick] = DeliveryMeter(award, self._rules.tick_s)
        return effects


def _key(session: int, tick: int) -> str:
    return f"award/{session}/{tick}"
