"""The charger agent: it stands between transformer and car, obeys grants, meters, and passes on what is sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.agents.delivering import Delivering
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Send, SetPower
from wattswap.protocol.events import Metered, PluggedIn, Reading, Received, Unplugged
from wattswap.protocol.messages import (
    Award,
    Call,
    CappedOffer,
    Delivery,
    Departed,
    Grant,
    Mandate,
    Offer,
    Receipt,
    Release,
    Report,
    Sealed,
    WitnessedDelivery,
)

if TYPE_CHECKING:
    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer

_NO_AWARD: Final = -1
"""Below the tick of any award."""


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
        self._plug: PluggedIn | None = None
        self._delivering: Delivering | None = None
        self._newest_tick = _NO_AWARD
        self._imported_ws = self._exported_ws = 0

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the charger wants done about an event."""
        if isinstance(event, PluggedIn):
            self._plug, self._delivering, self._newest_tick = event, None, _NO_AWARD
            self._imported_ws = self._exported_ws = 0
            return []
        return [] if self._plug is None else self._while_plugged(event, now_ms, self._plug)

    def _while_plugged(self, event: Event, now_ms: int, plug: PluggedIn) -> list[Effect]:
        match event:
            case Metered():
                return self._on_metered(event, now_ms)
            case Reading():
                return [self._report(event)]
            case Received(self._transformer, message):
                return self._on_transformer(message, plug)
            case Received(plug.peer, Sealed() as sealed):
                return self._on_vehicle(sealed, plug)
            case Unplugged():
                return self._on_unplugged(plug)
            case _:
                return []

    def check(self) -> None:
        """It keeps an award's account only for the car that is plugged in."""
        assert self._delivering is None or self._plug is not None
        assert self._imported_ws >= 0
        assert self._exported_ws >= 0

    def _report(self, reading: Reading) -> Effect:
        """Tell the transformer where the car stands."""
        return Send(
            self._transformer,
            Report(reading.session, reading.firm_w, reading.wanted_w, reading.due_ms, reading.drew),
        )

    def _on_metered(self, metered: Metered, now_ms: int) -> list[Effect]:
        """Count the tick that ended; the car's own claim follows and sends both on their way."""
        self._imported_ws += metered.import_w * self._rules.tick_s
        self._exported_ws += metered.export_w * self._rules.tick_s
        if self._delivering is not None:
            self._delivering.add(metered)
            if now_ms >= self._delivering.award.until_ms:
                self._delivering.end()
        return []

    def _on_transformer(self, message: object, plug: PluggedIn) -> list[Effect]:
        """Obey grants; pass calls, awards, releases and receipts on to the car, untouched."""
        match message:
            case Grant() if message.session == plug.session:
                return [SetPower(message.session, message.import_w, message.export_w)]
            case Release():
                if self._delivering is not None and self._delivering.is_of(message):
                    self._delivering.end()
                return [Send(plug.peer, message)]
            case Sealed():
                return self._on_sealed(message, plug)
            case _:
                return []

    def _on_sealed(self, sealed: Sealed, plug: PluggedIn) -> list[Effect]:
        match unseal(sealed, self._transformer_key):
            case Call():
                pass
            case Award() as award if award.session == plug.session:
                self._on_award(award)
            case Receipt() as receipt:
                self._on_receipt(receipt)
            case _:
                return []
        return [Send(plug.peer, sealed)]

    def _on_award(self, award: Award) -> None:
        """Open its account, once: said again or late, it must not wipe what was counted since."""
        if award.tick > self._newest_tick:
            self._newest_tick = award.tick
            self._delivering = Delivering(award, self._rules.tick_s)

    def _on_receipt(self, receipt: Receipt) -> None:
        if self._delivering is not None and self._delivering.is_of(receipt):
            self._delivering.settled()
            self._delivering = None

    def _on_vehicle(self, sealed: Sealed, plug: PluggedIn) -> list[Effect]:
        """Pass on what the car says, with this charger's own word beside it."""
        match unseal(sealed):
            case Mandate():
                return [Send(self._transformer, sealed)]
            case Offer():
                return [Send(self._transformer, CappedOffer(plug.session, self._max_w, sealed))]
            case Delivery() as delivery if self._delivering is not None and self._delivering.is_of(delivery):
                mine = seal(self._delivering.claim(), self._signer)
                return [Send(self._transformer, WitnessedDelivery(plug.session, mine, sealed))]
            case _:
                return []

    def _on_unplugged(self, plug: PluggedIn) -> list[Effect]:
        """Report the meter's totals; the car has made its claim already, or lost it."""
        self._plug, self._delivering = None, None
        departed = Departed(plug.session, self._imported_ws, self._exported_ws)
        return [SetPower(plug.session, 0, 0), Send(self._transformer, departed)]
