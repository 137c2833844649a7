"""The charger agent: it stands between transformer and car, obeys grants, meters, and passes sealed messages on.

It holds no money and decides little. Transformer and car repeat to each other what must arrive; the charger itself
repeats only that its car has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from wattswap.agents.delivery_meter import DeliveryMeter
from wattswap.agents.lease import Lease
from wattswap.agents.obligations import Obligations
from wattswap.agents.peers import Peers
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Forget, Remember, Send, SetPower, WakeAt
from wattswap.protocol.events import CarStatus, Metered, PluggedIn, Received, Restarted, Unplugged, Woken
from wattswap.protocol.messages import (
    AWARD,
    DEPARTED,
    Ack,
    Award,
    CappedOffer,
    Cleared,
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
from wattswap.protocol.round import State

if TYPE_CHECKING:
    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer
    from wattswap.protocol.round import Part


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
        self._plugged: int | None = None
        """The session of the car that is plugged in."""
        self._status: CarStatus | None = None
        self._lease = Lease(rules, max_w)
        self._woken_at_ms: int | None = None
        """The wake-up that was asked for to end the lease."""
        self._vehicles = Peers()
        self._meter = DeliveryMeter(rules, State.OFFERED)
        self._held: dict[Part, Sealed] = {}
        """Claims that count a tick which this charger's own meter has not counted yet."""
        self._owed = Obligations(rules.repeat_ms)

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the charger wants done about an event. A lease that is over ends before the event is looked at."""
        if self._woken_at_ms is None or now_ms < self._woken_at_ms:
            return self._on(event, now_ms)
        return [*self._lapse(now_ms), *self._on(event, now_ms)]

    @property
    def owes(self) -> int:
        """The number of departures that the transformer has not acknowledged."""
        return len(self._owed)

    @property
    def held(self) -> list[Part]:
        """The claims that wait for the next count of this charger's own meter."""
        return list(self._held)

    @property
    def lease_ends_ms(self) -> int | None:
        """When the lease in force ends, on this charger's clock; None without one."""
        return self._lease.expires_ms

    def state(self, part: Part) -> State:
        """Where a car's part of a round stands for this charger."""
        return self._meter.state(part)

    def check(self) -> None:
        """It draws no more than it is rated for, and counts for cars that it knows."""
        assert self._lease.import_w <= max(self._max_w, self._rules.guaranteed_w, self._rules.min_w)
        assert all(self._vehicles.get(session) is not None for session in self._meter.unsettled)
        assert all(part.session == self._plugged for part in self._held)
        self._meter.check()

    def _on(self, event: Event, now_ms: int) -> list[Effect]:
        match event:
            case CarStatus() if event.session == self._plugged:
                self._status = event
                return [self._report(event, now_ms)]
            case Received(self._transformer, Grant() as grant):
                return self._on_grant(grant, now_ms)
            case Received(self._transformer, Sealed() as sealed):
                return self._on_sealed(sealed, now_ms)
            case Received(self._transformer, Release() as release):
                self._meter.end(release.session, only=release.part)
                return self._pass_on(release.session, release)
            case Received(self._transformer, Cleared() as cleared):
                return [] if self._plugged is None else self._pass_on(self._plugged, cleared)
            case Received(self._transformer, Ack() as ack):
                return self._on_ack(ack, now_ms)
            case Received(vehicle, Sealed() as sealed):
                return self._on_vehicle(vehicle, sealed)
            case Received(vehicle, Ack(kind, session) as ack) if kind == AWARD and vehicle == self._vehicles.get(
                session
            ):
                return [Send(self._transformer, ack)]
            case Woken(at_ms):
                return [WakeAt(at_ms)] if now_ms < at_ms else self._owed.due(now_ms)
            case Metered():
                counted = self._meter.add(event)
                return [*counted, *self._witness_held(event.session)] if self._held else counted
            case PluggedIn():
                return self._on_plugged_in(event)
            case Unplugged():
                return self._on_unplugged(event, now_ms)
            case Restarted():
                return self._on_restarted(event, now_ms)
            case _:
                pass
        return []

    # -- the cable ----------------------------------------------------------------------------------------------------

    def _on_plugged_in(self, plug: PluggedIn) -> list[Effect]:
        """Remember whose session this is, and let the car draw the guaranteed minimum."""
        left = [self._meter.leave(session) for session in self._meter.unsettled if session != plug.session]
        self._plugged, self._status = plug.session, None
        effects = [effect for forget in left for effect in forget]
        effects += self._vehicles.meet(plug.session, plug.peer, self._meter.unsettled)
        return [*effects, *self._set_power()] if self._lease.import_w else effects

    def _on_unplugged(self, unplugged: Unplugged, now_ms: int) -> list[Effect]:
        """Report the meter's totals until the transformer has acknowledged them."""
        forget = self._meter.leave(unplugged.session)
        if unplugged.session == self._plugged:
            self._plugged = self._status = None
            self._lease.end()
        departed = Departed(unplugged.session, unplugged.imported_ws, unplugged.exported_ws)
        key = f"departed/{unplugged.session}"
        return [
            *forget,
            *self._witness_held(unplugged.session),
            SetPower(unplugged.session, 0, 0),
            Remember(key, msgspec.msgpack.encode(departed)),
            *self._owed.owe(key, self._transformer, departed, now_ms),
        ]

    def _on_ack(self, ack: Ack, now_ms: int) -> list[Effect]:
        """The transformer knows that a car has left, or, from its mandate, that one is plugged in.

        A report that came before the mandate was of no use to the transformer, so it is made once more.
        """
        if ack.kind == DEPARTED:
            key = f"departed/{ack.session}"
            self._owed.done(key)
            return [Forget(key)]
        effects = self._pass_on(ack.session, ack)
        if ack.session == self._plugged and self._status is not None:
            effects.append(self._report(self._status, now_ms))
        return effects

    # -- power --------------------------------------------------------------------------------------------------------

    def _report(self, status: CarStatus, now_ms: int) -> Effect:
        """The heartbeat: the car's state, this charger's clock, and the newest grant that it has accepted."""
        self._seq += 1
        report = Report(
            status.session,
            status.firm_w,
            status.wanted_w,
            status.drew,
            *self._meter.owed(status.session),
            self._epoch,
            self._seq,
            now_ms,
            *self._lease.heard,
            status.due_ms,
            status.feed_w,
        )
        return Send(self._transformer, report)

    def _on_grant(self, grant: Grant, now_ms: int) -> list[Effect]:
        """Obey a grant, and report at once if it lowers the load, so that others may be granted the room."""
        lease = self._lease
        effects: list[Effect] = []
        import_w, export_w = lease.import_w, lease.export_w
        if grant.session != self._plugged or not lease.accept(grant, self._epoch, now_ms):
            return []
        if (lease.import_w, lease.export_w) != (import_w, export_w):
            effects += self._set_power()
        if lease.import_w - lease.export_w < import_w - export_w and self._status is not None:
            effects.append(self._report(self._status, now_ms))
        return [*effects, *self._wake_for_lease()]

    def _set_power(self) -> list[Effect]:
        if self._plugged is None:
            return []
        return [SetPower(self._plugged, self._lease.import_w, self._lease.export_w)]

    def _lapse(self, now_ms: int) -> list[Effect]:
        """Fall back to the guaranteed minimum if the lease was not renewed."""
        self._woken_at_ms = None
        return self._set_power() if self._lease.lapse(now_ms) else self._wake_for_lease()

    def _wake_for_lease(self) -> list[Effect]:
        """Ask for one wake-up at a time; if the lease was renewed until it comes, ask for the next one then."""
        if self._woken_at_ms is not None or self._lease.expires_ms is None:
            return []
        self._woken_at_ms = self._lease.expires_ms
        return [WakeAt(self._lease.expires_ms)]

    # -- a round ------------------------------------------------------------------------------------------------------

    def _on_sealed(self, sealed: Sealed, now_ms: int) -> list[Effect]:
        """Pass calls, awards and receipts on to the car, untouched."""
        match unseal(sealed, self._transformer_key):
            case ReliefCall() if self._plugged is not None:
                return self._pass_on(self._plugged, sealed)
            case Award() as award:
                return [*self._on_award(award, now_ms), *self._pass_on(award.session, sealed)]
            case Receipt() as receipt:
                return [*self._meter.receipt(receipt.part), *self._pass_on(receipt.session, sealed)]
            case _:
                return []

    def _on_award(self, award: Award, now_ms: int) -> list[Effect]:
        """Count for it, and report, so that the grant that follows finds a fresh stamp."""
        plugged = award.session == self._plugged
        if self._vehicles.get(award.session) is None or not self._meter.award(award, now_ms, plugged=plugged):
            return []
        effects: list[Effect] = [Remember(f"award/{award.part}", msgspec.msgpack.encode(award))]
        if self._meter.in_force == award.part and self._status is not None:
            effects.append(self._report(self._status, now_ms))
        return effects

    def _pass_on(self, session: int, message: Sealed | Release | Ack | Cleared) -> list[Effect]:
        vehicle = self._vehicles.get(session)
        return [] if vehicle is None else [Send(vehicle, message)]

    def _on_vehicle(self, vehicle: str, sealed: Sealed) -> list[Effect]:
        """Pass on what the car of a session says, with what this charger has to add; strangers are not listened to."""
        message = unseal(sealed)
        session = None if isinstance(message, ReliefCall) else message.session
        if session is None or vehicle != self._vehicles.get(session):
            return []
        match message:
            case Mandate(payee=payee) if session == self._plugged and payee == vehicle:
                return [Send(self._transformer, sealed)]
            case Offer() if session == self._plugged:
                return [Send(self._transformer, CappedOffer(session, self._max_w, sealed))]
            case Delivery() if session == self._plugged and self._meter.is_behind(message):
                self._held[message.part] = sealed
                return []
            case Delivery():
                return self._witness(message.part, sealed)
            case _:
                return []

    def _witness(self, part: Part, claim: Sealed) -> list[Effect]:
        """Send the car's claim on, with this charger's own count beside it."""
        mine, durable = self._meter.deliver(part)
        return [*durable, Send(self._transformer, WitnessedDelivery(part.session, seal(mine, self._signer), claim))]

    def _witness_held(self, session: int) -> list[Effect]:
        """A claim that overtook this charger's meter waits for its next count, or for the car's departure."""
        held = [part for part in self._held if part.session == session]
        return [effect for part in held for effect in self._witness(part, self._held.pop(part))]

    # -- after a crash ------------------------------------------------------------------------------------------------

    def _on_restarted(self, restarted: Restarted, now_ms: int) -> list[Effect]:
        """Start in a new epoch at the guaranteed minimum, and go on with what was promised."""
        self._epoch = restarted.epoch
        self._vehicles.restore(restarted.remembered)
        self._meter.restore(restarted.remembered, now_ms, settled=[])
        effects: list[Effect] = []
        for key, value in restarted.remembered.items():
            if key.startswith("departed/"):
                departed = msgspec.msgpack.decode(value, type=Departed)
                effects += self._owed.owe(key, self._transformer, departed, now_ms)
        return effects
