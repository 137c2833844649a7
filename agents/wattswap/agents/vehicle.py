"""The vehicle agent: it declares its need, answers calls as its strategy chooses, and claims what it delivered.

A stationary battery is a vehicle that never departs and needs nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import numpy as np

from wattswap.agents import law
from wattswap.agents.delivery_meter import DeliveryMeter, nothing_delivered
from wattswap.agents.obligations import Obligations
from wattswap.agents.offers import TRANCHES, Call, Own, StrategyError
from wattswap.agents.strategies.elementwise import answer, refused
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.draws import Draws, agent_key
from wattswap.protocol.effects import Forget, Remember, Send
from wattswap.protocol.events import Metered, PluggedIn, Reading, Received, Restarted, Unplugged, Woken
from wattswap.protocol.messages import (
    AWARD,
    MANDATE,
    Ack,
    Award,
    Delivery,
    Mandate,
    Offer,
    Receipt,
    Release,
    ReliefCall,
    Sealed,
    Tranche,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.agents.offers import Strategy
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer


Round: TypeAlias = tuple[int, int]
"""A round's name: feeder and tick."""

_EARNED: Final = "earned"
"""Under this name the car remembers what it was paid, and for which rounds."""

_MOST_ROUNDS: Final = 64
"""So many past rounds are remembered, to recognise what comes twice."""


@dataclass(frozen=True, slots=True)
class VehicleProfile:
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
        profile: VehicleProfile,
        rules: Rules,
        *,
        signer: Signer | None = None,
        transformer_key: bytes | None = None,
    ) -> None:
        self.name, self._character, self._rules = name, profile, rules
        self._signer, self._transformer_key = signer, transformer_key
        self._plug: PluggedIn | None = None
        self._key = np.zeros(1, dtype=np.uint64)
        """The session's, for random draws."""
        self._reading: Reading | None = None
        self._answers: dict[Round, Sealed] = {}
        self._awards: dict[Round, DeliveryMeter] = {}
        self._settled: deque[Round] = deque(maxlen=_MOST_ROUNDS)
        self._owed = Obligations(rules.repeat_ms)
        self.earned_nanos = 0

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the car wants done about an event."""
        match event:
            case Metered():
                return self._on_metered(event, now_ms)
            case Reading():
                self._reading = event
            case Received(charger, Sealed() as sealed):
                return self._on_sealed(charger, sealed, now_ms)
            case Received(charger, Release() as release):
                return self._on_release(charger, release, now_ms)
            case Received(_, Ack(kind, session)) if kind == MANDATE:
                self._owed.done(f"mandate/{session}")
            case Woken():
                return self._owed.due(now_ms)
            case PluggedIn():
                return self._on_plugged_in(event, now_ms)
            case Unplugged():
                return self._on_unplugged(event, now_ms)
            case Restarted():
                return self._on_restarted(event, now_ms)
            case _:
                pass
        return []

    @property
    def owes(self) -> int:
        """Mandates that nobody has noted yet, and awards without receipts."""
        return len(self._owed) + len(self._awards)

    def check(self) -> None:
        """What it keeps of past rounds is bounded, and it counts for one award at a time."""
        assert len(self._answers) <= _MOST_ROUNDS
        assert self._plug is not None or not any(award.runs for award in self._awards.values())

    # -- the cable ----------------------------------------------------------------------------------------------------

    def _on_plugged_in(self, plug: PluggedIn, now_ms: int) -> list[Effect]:
        """Declare need and departure, and sign that the bill may be taken; until the transformer has noted it."""
        self._plug, self._reading = plug, None
        self._key = np.array([agent_key(plug.session_id)], dtype=np.uint64)
        mandate = Mandate(plug.session, plug.session_id, plug.need_ws, plug.departure_ms, self.name)
        return self._owed.owe(f"mandate/{plug.session}", plug.peer, seal(mandate, self._signer), now_ms)

    def _on_unplugged(self, unplugged: Unplugged, now_ms: int) -> list[Effect]:
        """Claim what was delivered until now; a mandate that nobody has noted is void."""
        if self._plug is None or self._plug.session != unplugged.session:
            return []
        charger, self._plug = self._plug.peer, None
        self._owed.done(f"mandate/{unplugged.session}")
        return self._claim_all(charger, now_ms, lambda award: award.session == unplugged.session)

    def _on_metered(self, metered: Metered, now_ms: int) -> list[Effect]:
        """Count the tick that ended; claim what a window's end has closed."""
        if not self._awards or self._plug is None:
            return []
        for delivering in self._awards.values():
            if delivering.runs and delivering.award.session == metered.session:
                delivering.add(metered)
        return self._claim_all(self._plug.peer, now_ms, lambda award: now_ms >= award.until_ms)

    # -- a round ------------------------------------------------------------------------------------------------------

    def _on_sealed(self, charger: str, sealed: Sealed, now_ms: int) -> list[Effect]:
        match unseal(sealed, self._transformer_key):
            case ReliefCall() as call:
                return self._on_call(call)
            case Award() as award:
                return self._on_award(charger, award, now_ms)
            case Receipt() as receipt:
                return self._on_receipt(receipt)
            case _:
                return []

    def _on_call(self, call: ReliefCall) -> list[Effect]:
        """Choose: keep charging, accept less, or feed back. A repeated call hears the same answer again."""
        plug, own, key = self._plug, self._own(call.from_ms), (call.feeder, call.tick)
        if plug is None or own is None:
            return []
        if key not in self._answers:
            self._answers[key] = seal(self._offer(call, own, plug), self._signer)
            if len(self._answers) > _MOST_ROUNDS:
                del self._answers[next(iter(self._answers))]
        return [Send(plug.peer, self._answers[key])]

    def _offer(self, call: ReliefCall, own: Own, plug: PluggedIn) -> Offer:
        bid = Call(np.array([call.need_w]), np.array([call.ceiling_nanos_per_kwh]), call.from_ms, call.until_ms)
        relief_w, ask = self._choose(bid, own, plug.session_id)
        tranches = tuple(Tranche(*pair) for pair in zip(relief_w[0].tolist(), ask[0].tolist(), strict=True))
        return Offer(call.feeder, call.tick, plug.session, tranches if relief_w.any() else ())

    def _choose(self, bid: Call, own: Own, session_id: str) -> tuple[Ints, Ints]:
        draws = Draws(self._character.seed, own.key, bid.from_ms // self._rules.window_ms)
        try:
            return law.admitted(answer(self._character.strategy, bid, own, draws), bid, self._rules)
        except StrategyError as error:
            raise refused(self._character.strategy_name, error, session_id, bid) from error

    def _own(self, now_ms: int) -> Own | None:
        """What the car knows of itself, as the one row of an array."""
        plug, reading, profile = self._plug, self._reading, self._character
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
            profile.round_trip_permille,
            profile.wear_nanos_per_kwh,
            profile.tariff_nanos_per_kwh,
        )
        return Own(self._key, *np.array(columns, dtype=np.int64)[:, np.newaxis])

    # -- after a round ------------------------------------------------------------------------------------------------

    def _on_award(self, charger: str, award: Award, now_ms: int) -> list[Effect]:
        """Count for it from now on, and no longer for an older one, should its release have been lost.

        An award that comes too late, or after a newer one, binds nobody: its claim is nothing.
        """
        key = award.feeder, award.tick
        ack = Send(charger, Ack(AWARD, award.session, award.tick))
        if key in self._awards or key in self._settled:
            return [ack]
        remembered = Remember(_key(award.session, award.tick), msgspec.msgpack.encode((charger, award)))
        delivering = DeliveryMeter(award, self._rules.tick_s)
        binds = self._binds(award) and now_ms < award.until_ms
        older = self._claim_all(charger, now_ms, lambda other: binds and other.session == award.session)
        self._awards[key] = delivering
        if binds:
            return [remembered, ack, *older]
        delivering.end()
        return [remembered, ack, *self._claim(charger, delivering, now_ms)]

    def _on_release(self, charger: str, release: Release, now_ms: int) -> list[Effect]:
        """Claim what was delivered until now; a release of another award ends nothing."""
        delivering = self._awards.get((release.feeder, release.tick))
        if delivering is None or not delivering.runs or not delivering.is_of(release):
            return []
        return self._claim(charger, delivering, now_ms)

    def _binds(self, award: Award) -> bool:
        """Whether it is for the session that is plugged in, answers an offer that was made, and is the newest."""
        plugged = self._plug is not None and award.session == self._plug.session
        newer = any(tick > award.tick for _, tick in (*self._awards, *self._settled))
        return plugged and not newer and (award.feeder, award.tick) in self._answers

    def _claim_all(self, charger: str, now_ms: int, ended: Callable[[Award], bool]) -> list[Effect]:
        """Claim what the awards that ended have delivered."""
        effects: list[Effect] = []
        for delivering in self._awards.values():
            if delivering.runs and ended(delivering.award):
                effects += self._claim(charger, delivering, now_ms)
        return effects

    def _claim(self, charger: str, delivering: DeliveryMeter, now_ms: int) -> list[Effect]:
        """Say what this car's own meter saw of its award, until there is a receipt."""
        delivery, key = delivering.claim(), _key(delivering.award.session, delivering.award.tick)
        return [
            Remember(f"claim/{key}", msgspec.msgpack.encode((charger, delivery))),
            *self._owed.owe(key, charger, seal(delivery, self._signer), now_ms),
        ]

    def _on_receipt(self, receipt: Receipt) -> list[Effect]:
        """Paid, once: a receipt for what is settled already changes nothing."""
        key, delivering = _key(receipt.session, receipt.tick), self._awards.get((receipt.feeder, receipt.tick))
        if delivering is None or not delivering.is_of(receipt):
            return []
        delivering.settled()
        del self._awards[delivering.round]
        self._owed.done(key)
        self._settled.append(delivering.round)
        self.earned_nanos += receipt.nanos
        earned = msgspec.msgpack.encode((self.earned_nanos, list(self._settled)))
        return [Remember(_EARNED, earned), Forget(key), Forget(f"claim/{key}")]

    # -- after a crash ------------------------------------------------------------------------------------------------

    def _on_restarted(self, restarted: Restarted, now_ms: int) -> list[Effect]:
        """Repeat the claims that were made; what was still running has lost its count and claims nothing."""
        effects: list[Effect] = []
        remembered = dict(restarted.remembered)
        if (earned := remembered.pop(_EARNED, None)) is not None:
            self.earned_nanos, settled = msgspec.msgpack.decode(earned, type=tuple[int, list[Round]])
            self._settled.extend(settled)
        for key, value in remembered.items():
            if key.startswith("claim/"):
                charger, delivery = msgspec.msgpack.decode(value, type=tuple[str, Delivery])
            elif f"claim/{key}" not in remembered:
                charger, award = msgspec.msgpack.decode(value, type=tuple[str, Award])
                delivery = nothing_delivered(award)
            else:
                continue
            if (delivery.feeder, delivery.tick) in self._settled:
                # It crashed between the receipt and forgetting what the receipt is for.
                award_key = _key(delivery.session, delivery.tick)
                effects += [Forget(award_key), Forget(f"claim/{award_key}")]
            else:
                effects += self._restore(charger, delivery, now_ms)
        return effects

    def _restore(self, charger: str, delivery: Delivery, now_ms: int) -> list[Effect]:
        award = Award(delivery.feeder, delivery.tick, delivery.session, 0, (0,) * TRANCHES, (0,) * TRANCHES)
        self._awards[delivery.feeder, delivery.tick] = delivering = DeliveryMeter(award, self._rules.tick_s)
        delivering.claim()
        key = _key(delivery.session, delivery.tick)
        return self._owed.owe(key, charger, seal(delivery, self._signer), now_ms)


def _key(session: int, tick: int) -> str:
    return f"award/{session}/{tick}"
