"""The vehicle agent: it declares its need, answers calls as its strategy chooses, and claims what it delivered.

A stationary battery is a vehicle that never departs and needs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from wattswap.agents import law
from wattswap.agents.delivery_meter import DeliveryMeter
from wattswap.agents.obligations import Obligations
from wattswap.agents.offers import TRANCHES, Call, Outcome, Own, StrategyError
from wattswap.agents.peers import Peers
from wattswap.agents.settlement import RENT_CAP_S
from wattswap.agents.strategies.elementwise import answer, refused
from wattswap.agents.strategies.learning import LearningStrategy, learned, memory_columns
from wattswap.agents.strategies.waiting import waiting_cost
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.draws import Draws, agent_key
from wattswap.protocol.effects import Forget, Remember, Send, WakeAt
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import DriverWish, Metered, PluggedIn, Reading, Received, Restarted, Unplugged, Woken
from wattswap.protocol.messages import (
    AWARD,
    MANDATE,
    Ack,
    Award,
    Cleared,
    Mandate,
    Offer,
    Receipt,
    Release,
    ReliefCall,
    Sealed,
    Tranche,
)
from wattswap.protocol.round import Input, Part, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.agents.offers import Memory, Strategy
    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer

_EARNED: Final = "earned"
"""Under this key the car remembers how much it was paid, and for which parts."""

_MOST_ANSWERS: Final = 64
"""The number of answers that are kept, so that a call which comes twice is answered alike."""


@dataclass(frozen=True, slots=True)
class VehicleProfile:
    """What stays the same about a car from session to session."""

    strategy: Strategy
    strategy_name: str
    seed: int
    round_trip_permille: int
    wear_nanos_per_kwh: int
    tariff_nanos_per_kwh: int
    waits: bool = True
    """Whether somebody waits for it; nobody does for a stationary battery."""


class _Called(NamedTuple):
    """The last call, and what the car knew of itself when it heard it."""

    call: ReliefCall
    bid: Call
    own: Own


class _Answer(NamedTuple):
    """What the car has answered to a call."""

    call: ReliefCall
    tranches: tuple[Tranche, ...]
    sealed: Sealed

    def refuse_worse(self, award: Award, *, pays: bool) -> None:
        """Refuse an award that the car has not offered; where the market pays nobody, no price is too low.

        Raises:
            RemoteProtocolError: it is for more watts, a lower price, a longer time or less rent.
        """
        offered = (*self.tranches, *(Tranche(0, 0),) * (TRANCHES - len(self.tranches)))
        bought = zip(award.award_w, award.price_nanos_per_kwh_h, offered, strict=True)
        worse = any(
            watts > one.relief_w or (pays and watts and price < one.ask_nanos_per_kwh_h) for watts, price, one in bought
        )
        if worse or award.until_ms > self.call.until_ms or award.rent_cap_s < RENT_CAP_S:
            raise RemoteProtocolError(f"an award of session {award.session} at tick {award.tick} that it did not offer")


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
        self.name, self._profile, self._rules = name, profile, rules
        self._signer, self._transformer_key = signer, transformer_key
        self._plug: PluggedIn | None = None
        self._key = np.zeros(1, dtype=np.uint64)
        """The session's key for random draws."""
        self._waiting_nanos = 0
        """What it costs the owner of this session when a kWh comes an hour later."""
        self._reading: Reading | None = None
        self._sells = True
        """Whether the driver of this session lets it give way for pay."""
        self._least_ws = 0
        """So much the driver wants in the battery before it does."""
        self._chargers = Peers()
        self._called: _Called | None = None
        """The call whose outcome is not known yet."""
        self._memory: Memory = np.zeros((1, memory_columns(profile.strategy)))
        """What the strategy has learned in this session."""
        self._answers: dict[Part, _Answer] = {}
        self._meter = DeliveryMeter(rules, State.IDLE)
        self._owed = Obligations(rules.repeat_ms)
        self._started_ms = 0
        """When it has started again."""
        self.earned_nanos = 0

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the car wants done about an event."""
        match event:
            case Metered():
                return [*self._meter.add(event), *self._claim(event.session, now_ms)]
            case Reading() if self._plug is not None and event.session == self._plug.session:
                self._reading = event
            case DriverWish(session, sells, _, least_ws) if self._plug is not None and session == self._plug.session:
                self._sells, self._least_ws = sells, least_ws
            case Received(charger, Sealed() as sealed):
                return self._on_sealed(charger, sealed, now_ms)
            case Received(charger, Release() as release) if charger == self._chargers.get(release.session):
                self._meter.end(release.session, only=release.part)
                return self._claim(release.session, now_ms)
            case Received(charger, Cleared() as cleared) if self._plug is not None and charger == self._plug.peer:
                self._learn(cleared)
            case Received(charger, Ack(kind, session)) if kind == MANDATE and charger == self._chargers.get(session):
                self._owed.done(f"mandate/{session}")
            case Woken(at_ms):
                return [WakeAt(at_ms)] if now_ms < at_ms else self._owed.due(now_ms)
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
        """The number of mandates that nobody has acknowledged, and of reported lots without receipts."""
        return len(self._owed)

    def state(self, part: Part) -> State:
        """Where the car's part of a round stands."""
        return self._meter.state(part)

    def check(self) -> None:
        """What it keeps of past rounds is bounded, and it delivers for the session that is plugged in."""
        assert len(self._answers) <= _MOST_ANSWERS
        in_force = self._meter.in_force
        assert in_force is None or self._plug is None or self._plug.session == in_force.session
        self._meter.check()

    # -- the cable ----------------------------------------------------------------------------------------------------

    def _on_plugged_in(self, plug: PluggedIn, now_ms: int) -> list[Effect]:
        """Declare the need, and agree to be billed, until the transformer has acknowledged it."""
        left = [self._meter.leave(session) for session in self._meter.unsettled if session != plug.session]
        self._plug, self._reading, self._called = plug, None, None
        self._sells, self._least_ws = True, 0
        self._key = np.array([agent_key(plug.session_id)], dtype=np.uint64)
        self._key.flags.writeable = False
        self._waiting_nanos = int(waiting_cost(self._profile.seed, self._key)[0]) if self._profile.waits else 0
        self._memory = np.zeros((1, memory_columns(self._profile.strategy)))
        mandate = Mandate(plug.session, plug.session_id, plug.need_ws, plug.max_w, self.name, plug.departure_ms)
        return [
            *(effect for forget in left for effect in forget),
            *(effect for session in sorted(self._meter.unsettled) for effect in self._claim(session, now_ms)),
            *self._chargers.meet(plug.session, plug.peer, self._meter.unsettled),
            *self._owed.owe(f"mandate/{plug.session}", plug.peer, seal(mandate, self._signer), now_ms),
        ]

    def _on_unplugged(self, unplugged: Unplugged, now_ms: int) -> list[Effect]:
        """Report what was delivered and drawn back until now. A mandate that nobody has acknowledged is void."""
        if self._plug is not None and self._plug.session == unplugged.session:
            self._plug = None
        self._owed.done(f"mandate/{unplugged.session}")
        forget = self._meter.leave(unplugged.session)
        return [*forget, *self._claim(unplugged.session, now_ms)]

    # -- a round ------------------------------------------------------------------------------------------------------

    def _on_sealed(self, charger: str, sealed: Sealed, now_ms: int) -> list[Effect]:
        """Listen to the transformer through the charger of the session in question, and through nobody else."""
        match unseal(sealed, self._transformer_key):
            case ReliefCall() as call if self._plug is not None and charger == self._plug.peer:
                return self._on_call(call, self._plug)
            case Award() as award if charger == self._chargers.get(award.session):
                return self._on_award(charger, award, now_ms)
            case Receipt() as receipt if charger == self._chargers.get(receipt.session):
                return self._on_receipt(receipt)
            case _:
                return []

    def _on_call(self, call: ReliefCall, plug: PluggedIn) -> list[Effect]:
        """Choose: go on charging, accept less, or feed back. A repeated call gets the same answer again."""
        part = Part(call.feeder, call.tick, plug.session)
        if self._reading is None:
            return []
        if self._meter.state(part) is State.IDLE:
            tranches = self._choose(call, self._reading, plug)
            self._meter.move(part, Input.CALL, Input.OFFER if tranches else Input.KEEP)
            self._answers[part] = _Answer(call, tranches, seal(Offer(*part, tranches), self._signer))
            if len(self._answers) > _MOST_ANSWERS:
                del self._answers[next(iter(self._answers))]
        else:
            self._meter.move(part, Input.CALL)
        return [Send(plug.peer, self._answers[part].sealed)] if part in self._answers else []

    def _choose(self, call: ReliefCall, reading: Reading, plug: PluggedIn) -> tuple[Tranche, ...]:
        """Ask the strategy, and admit of its answer what the law lets a car sell; nothing if it goes on charging.

        A driver who will not sell is obeyed after the strategy was asked, so that what it learns stays in step.
        """
        profile = self._profile
        owed_ws, _ = self._meter.owed(plug.session)
        # What the car knows of itself, as the one row of an array.
        columns = (
            reading.wanted_w,
            reading.baseline_w,
            reading.firm_w,
            min(reading.firm_w, self._rules.min_w),
            plug.max_w,
            plug.feed_w,
            reading.remaining_ws,
            owed_ws,
            reading.stored_ws,
            plug.capacity_ws,
            max(plug.reserve_ws, self._least_ws),
            reading.due_ms - call.from_ms,
            profile.round_trip_permille,
            profile.wear_nanos_per_kwh,
            profile.tariff_nanos_per_kwh,
            self._waiting_nanos,
        )
        rows = np.array(columns, dtype=np.int64)[:, np.newaxis]
        rows.flags.writeable = False
        own = Own(self._key, *rows)
        bid = Call(np.array([call.need_w]), call.from_ms, call.until_ms, self._rules.feed_h)
        self._called = _Called(call, bid, own)
        try:
            book = answer(profile.strategy, bid, own, self._memory, self._draws(call.from_ms))
            relief_w, ask = law.admitted(book, bid, self._rules)
        except StrategyError as error:
            raise refused(profile.strategy_name, error, plug.session_id, bid) from error
        if not self._sells or reading.stored_ws < self._least_ws or not relief_w.any():
            return ()
        return tuple(map(Tranche, relief_w[0].tolist(), ask[0].tolist()))

    def _draws(self, from_ms: int) -> Draws:
        return Draws(self._profile.seed, self._key, from_ms // self._rules.window_ms)

    def _learn(self, cleared: Cleared) -> None:
        """Let the strategy learn from the round it was called to last; a round is learned from once."""
        profile, called, plug = self._profile, self._called, self._plug
        if called is None or plug is None or (called.call.feeder, called.call.tick) != (cleared.feeder, cleared.tick):
            return
        self._called = None
        if not isinstance(profile.strategy, LearningStrategy):
            return
        award = self._meter.award_of(Part(cleared.feeder, cleared.tick, plug.session))
        outcome = Outcome(
            np.array([(0,) * TRANCHES if award is None else award.award_w], dtype=np.int64),
            np.array([cleared.price_nanos_per_kwh_h]),
            np.array([cleared.reserve_nanos_per_kwh_h]),
            called.call.from_ms,
            called.call.until_ms,
        )
        draws = self._draws(called.call.from_ms)
        try:
            self._memory = learned(profile.strategy, self._memory, called.own, outcome, draws)
        except StrategyError as error:
            raise refused(profile.strategy_name, error, plug.session_id, called.bid) from error

    def _on_award(self, charger: str, award: Award, now_ms: int) -> list[Effect]:
        """Acknowledge an award and count for it from now on; report at once what has ended with it or is over.

        A car that has started again does not know what it had offered before: it believes awards of calls from then
        that it has answered once more, and gives nothing for the others, which end as they come.

        Raises:
            RemoteProtocolError: the car has offered something else, or has more awards than can be.
        """
        answer = self._answers.get(award.part) if self._meter.state(award.part) is State.OFFERED else None
        if answer is not None and answer.call.from_ms >= self._started_ms:
            answer.refuse_worse(award, pays=self._rules.clearing != "none")
        ack = Send(charger, Ack(AWARD, award.session, award.tick))
        plugged = self._plug is not None and self._plug.session == award.session
        if not self._meter.award(award, now_ms, plugged=plugged):
            return [ack, *self._claim(award.session, now_ms)]
        remember = Remember(f"award/{award.part}", msgspec.msgpack.encode(award))
        return [remember, ack, *self._claim(award.session, now_ms)]

    def _claim(self, session: int, now_ms: int) -> list[Effect]:
        """Report the lots of a session that are over: all of them once the car has left."""
        left = self._plug is None or self._plug.session != session
        return self._report(self._meter.over(session, left=left), now_ms)

    def _report(self, parts: Sequence[Part], now_ms: int) -> list[Effect]:
        """Report what this car's own meter counted, until there are receipts."""
        effects: list[Effect] = []
        for part in parts:
            delivery, durable = self._meter.deliver(part)
            charger = self._chargers.get(part.session)
            assert charger is not None
            effects += durable
            effects += self._owed.owe(part, charger, seal(delivery, self._signer), now_ms)
        return effects

    def _on_receipt(self, receipt: Receipt) -> list[Effect]:
        """Count the payment once; a receipt for an award that is settled already changes nothing."""
        forget = self._meter.receipt(receipt.part)
        if not forget:
            return []
        self._owed.done(receipt.part)
        self.earned_nanos += receipt.nanos
        earned = msgspec.msgpack.encode((self.earned_nanos, self._meter.settled))
        return [Remember(_EARNED, earned), *forget]

    # -- after a crash ------------------------------------------------------------------------------------------------

    def _on_restarted(self, restarted: Restarted, now_ms: int) -> list[Effect]:
        """Repeat the claims that were made. An award that was in force goes on from its last count."""
        self._started_ms = now_ms
        remembered, settled = restarted.remembered, list[Part]()
        if (earned := remembered.get(_EARNED)) is not None:
            self.earned_nanos, settled = msgspec.msgpack.decode(earned, type=tuple[int, list[Part]])
        self._chargers.restore(remembered)
        self._meter.restore(remembered, now_ms, settled)
        # It may have crashed between a receipt and forgetting the award that it settles.
        keys = [key for part in settled for key in (f"award/{part}", f"claim/{part}")]
        return [*(Forget(key) for key in keys if key in remembered), *self._report(self._meter.claims, now_ms)]
