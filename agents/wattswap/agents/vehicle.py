"""The vehicle agent: it declares its need, answers calls as its strategy chooses, and claims what it delivered.

A stationary battery is a vehicle that never departs and needs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents import law
from wattswap.agents.delivering import Delivering
from wattswap.agents.offers import Call as Bid
from wattswap.agents.offers import Own, StrategyError
from wattswap.agents.strategies.elementwise import answer, refused
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.draws import Draws, agent_key
from wattswap.protocol.effects import Send
from wattswap.protocol.events import Metered, PluggedIn, Reading, Received, Unplugged
from wattswap.protocol.messages import Award, Call, Mandate, Offer, Receipt, Release, Sealed, Tranche
from wattswap.protocol.round import State

if TYPE_CHECKING:
    from wattswap.agents.offers import Strategy
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer

_NO_AWARD: Final = -1
"""Below the tick of any award."""


@dataclass(frozen=True, slots=True)
class Character:
    """What stays the same about a car from session to session."""

    strategy: Strategy
    strategy_name: str
    seed: int
    round_trip_permille: int
    wear_nanos_per_kwh: int
    tariff_nanos_per_kwh: int


class Vehicle:
    """One car; it lives through session after session at whatever charger it is plugged into."""

    def __init__(
        self,
        name: str,
        character: Character,
        rules: Rules,
        *,
        signer: Signer | None = None,
        transformer_key: bytes | None = None,
    ) -> None:
        self.name, self._character, self._rules = name, character, rules
        self._signer, self._transformer_key = signer, transformer_key
        self._plug: PluggedIn | None = None
        self._reading: Reading | None = None
        self._delivering: Delivering | None = None
        self._newest_tick = _NO_AWARD
        self.earned_nanos = 0

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the car wants done about an event."""
        match event:
            case Metered():
                return self._on_metered(event, now_ms)
            case Reading():
                self._reading = event
            case Received(_, Sealed() as sealed):
                return self._on_sealed(sealed)
            case Received(_, Release() as release) if self._delivering is not None and self._delivering.is_of(release):
                return self._claim()
            case PluggedIn():
                return self._on_plugged_in(event)
            case Unplugged():
                return self._on_unplugged()
            case _:
                pass
        return []

    def check(self) -> None:
        """Once unplugged it has claimed what it delivered, and waits for the receipt at most."""
        assert self._plug is not None or self._delivering is None or self._delivering.state is State.DELIVERED

    def _on_plugged_in(self, plug: PluggedIn) -> list[Effect]:
        """Declare need and departure, and sign that the bill may be taken."""
        self._plug, self._reading, self._delivering, self._newest_tick = plug, None, None, _NO_AWARD
        mandate = Mandate(plug.session, plug.session_id, plug.need_ws, plug.departure_ms, self.name)
        return [Send(plug.peer, seal(mandate, self._signer))]

    def _on_unplugged(self) -> list[Effect]:
        effects = self._claim()
        self._plug = None
        return effects

    def _on_metered(self, metered: Metered, now_ms: int) -> list[Effect]:
        if self._delivering is None:
            return []
        self._delivering.add(metered)
        return self._claim() if now_ms >= self._delivering.award.until_ms else []

    def _on_sealed(self, sealed: Sealed) -> list[Effect]:
        match unseal(sealed, self._transformer_key):
            case Call() as call:
                return self._on_call(call)
            case Award() as award:
                self._on_award(award)
            case Receipt() as receipt:
                self._on_receipt(receipt)
            case _:
                pass
        return []

    def _on_call(self, call: Call) -> list[Effect]:
        """Choose: keep charging, accept less, or feed back."""
        plug, own = self._plug, self._own(call.from_ms)
        if plug is None or own is None:
            return []
        bid = Bid(call.need_w, call.ceiling_nanos_per_kwh, call.from_ms, call.until_ms)
        relief_w, ask = self._choose(bid, own, plug.session_id)
        tranches = tuple(Tranche(*pair) for pair in zip(relief_w[0].tolist(), ask[0].tolist(), strict=True))
        offer = Offer(call.feeder, call.tick, plug.session, tranches if relief_w.any() else ())
        return [Send(plug.peer, seal(offer, self._signer))]

    def _choose(self, bid: Bid, own: Own, session_id: str) -> tuple[Ints, Ints]:
        draws = Draws(self._character.seed, own.key, bid.from_ms // self._rules.window_ms)
        try:
            return law.admitted(answer(self._character.strategy, bid, own, draws), bid, self._rules)
        except StrategyError as error:
            raise refused(self._character.strategy_name, error.problem, session_id, bid) from error

    def _own(self, now_ms: int) -> Own | None:
        """What the car knows of itself, as the one row of an array."""
        plug, reading, character = self._plug, self._reading, self._character
        if plug is None or reading is None:
            return None
        columns = (
            reading.wanted_w,
            reading.baseline_w,
            reading.firm_w,
            min(reading.firm_w, self._rules.min_w),
            plug.max_w,
            plug.feed_w,
            reading.remaining_ws,
            max(reading.remaining_ws - reading.baseline_remaining_ws, 0),
            reading.stored_ws,
            plug.capacity_ws,
            plug.reserve_ws,
            reading.due_ms - now_ms,
            character.round_trip_permille,
            character.wear_nanos_per_kwh,
            character.tariff_nanos_per_kwh,
        )
        key = np.array([agent_key(plug.session_id)], dtype=np.uint64)
        return Own(key, *np.array(columns, dtype=np.int64)[:, np.newaxis])

    def _on_award(self, award: Award) -> None:
        """Open its account, once: said again or late, it must not wipe what was counted since."""
        plugged = self._plug is not None and award.session == self._plug.session
        if plugged and award.tick > self._newest_tick:
            self._newest_tick = award.tick
            self._delivering = Delivering(award, self._rules.tick_s)

    def _claim(self) -> list[Effect]:
        """Say what this car's own meter saw of its award."""
        if self._delivering is None or self._plug is None:
            return []
        return [Send(self._plug.peer, seal(self._delivering.claim(), self._signer))]

    def _on_receipt(self, receipt: Receipt) -> None:
        """Note what was paid for the award, once."""
        if self._delivering is not None and self._delivering.is_of(receipt):
            self._delivering.settled()
            self._delivering = None
            self.earned_nanos += receipt.nanos
