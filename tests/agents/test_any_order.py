"""An evening on which nothing comes in order: messages late and doubled, wake-ups early, late and doubled.

The agents are those of ``two_chargers``; their host is a queue that draws what goes wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agents.two_chargers import HASTY, PATIENT, SOLD_WS, street
from tests.agents.words import CHEAP, HOUR, KWH, happens

from wattswap.agents.charger import Charger
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.effects import Bill, Effect, Pay, Reserve, Send, WakeAt
from wattswap.protocol.events import (
    BaseRead,
    Billed,
    CarStatus,
    Event,
    Metered,
    Paid,
    PluggedIn,
    Reading,
    Received,
    Unplugged,
    Woken,
)

TICK_MS, SOLD, BACK, TICKS = 30_000, 10, 11, 22
"""For a window the patient car gives way; a tick later it begins to draw that back, for as long."""
CARS = (("A", PATIENT, 3, 4_790), ("B", HASTY, 1, 11_000))
"""Each with its session, its laxity in hours, and what it draws before the patient one draws back."""
WORTH = CHEAP // 1_000_000 * SOLD_WS * sum(range(BACK, BACK + SOLD)) * 30 // 12_960


@dataclass
class Disorder:
    """What may go wrong on this evening."""

    random: Random
    delay_ms: int = 0
    """The most by which messages and readings are late."""
    copies: int = 1
    """The most often that a message or a wake-up comes."""
    early_ms: int = 0
    """The most by which a wake-up is early, the first time that it is asked for."""
    late_ms: int = 0
    """By so much every wake-up of the transformer is late."""
    charger_first: bool = False
    """Whether a charger's meter is always read before its car's."""


@dataclass
class ShuffledEvening:
    """The agents, what is under way to them, and what has been done about money."""

    disorder: Disorder
    now_ms: int = 0
    queue: list[tuple[int, str, Event]] = field(default_factory=list)
    done: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.agents = street().agents
        self.asked: set[tuple[str, int]] = set()
        self.reserved: dict[str, int] = {}

    def run(self) -> None:
        """Plug in, let both cars be metered until all is drawn back, and leave; then what is open is repeated.

        They plug in a second before the first tick. The cable is felt by the charger first: a car learns of its session
        from its charger.
        """
        for at, session, laxity_h, _ in CARS:
            for felt_ms, (agent, peer) in enumerate(((f"charger {at}", f"car {at}"), (f"car {at}", f"charger {at}"))):
                departure_ms = laxity_h * HOUR + 3_272_728
                plug = PluggedIn(session, f"stay {at}", peer, 10 * KWH, departure_ms, 11_000, 0, 60 * KWH, 0)
                self.queue.append((felt_ms - 1_000, agent, plug))
        self.queue.append((self.disorder.late_ms, "transformer", Woken()))
        for tick in range(TICKS + 1):
            self.sense(tick)
        for at, session, _, watts in CARS:
            for agent in (f"charger {at}", f"car {at}"):
                left_ms = TICKS * TICK_MS + 2 * self.disorder.delay_ms + 1
                self.late(left_ms, agent, Unplugged(session, watts * TICKS * 30, 0))
        while self.queue and min(at_ms for at_ms, _, _ in self.queue) < 2 * TICKS * TICK_MS:
            self.step()

    def sense(self, tick: int) -> None:
        """The meters of the tick that ended, where the cars stand, and what the homes draw."""
        at_ms = tick * TICK_MS
        for at, session, laxity_h, watts in CARS:
            firm_w = watts if tick >= SOLD else 11_000
            reading = Reading(session, 10 * KWH, 10 * KWH, 30 * KWH, 11_000, firm_w, firm_w, laxity_h * HOUR, drew=True)
            sensed_ms = sorted(at_ms + self.disorder.random.randint(0, self.disorder.delay_ms) for _ in range(2))
            if not self.disorder.charger_first:
                self.disorder.random.shuffle(sensed_ms)
            import_w = 11_000 if tick > BACK else watts
            baseline_w = watts if tick > SOLD else 11_000
            metered = Metered(session, import_w, 0, baseline_w, 11_000, tick - 1)
            status = CarStatus(session, firm_w, 11_000, drew=True)
            stands: tuple[tuple[str, Event], ...] = ((f"charger {at}", status), (f"car {at}", reading))
            for late, (agent, event) in enumerate(stands):
                if tick:
                    self.queue.append((sensed_ms[late] + self.disorder.charger_first * late, agent, metered))
                self.queue.append((sensed_ms[late] + 2, agent, event))
        self.late(at_ms, "homes", BaseRead(3_000))

    def late(self, at_ms: int, agent: str, event: Event) -> None:
        delay_ms = self.disorder.random.randint(0, self.disorder.delay_ms)
        self.queue.append((at_ms + delay_ms, agent, event))

    def step(self) -> None:
        """Any of what is pending at the next instant happens."""
        self.now_ms = min(at_ms for at_ms, _, _ in self.queue)
        pending = [at for at, (at_ms, _, _) in enumerate(self.queue) if at_ms == self.now_ms]
        _, name, event = self.queue.pop(self.disorder.random.choice(pending))
        for effect in happens(self.agents[name], event, self.now_ms):
            self.carry_out(name, effect)

    def carry_out(self, name: str, effect: Effect) -> None:
        draw = self.disorder.random
        match effect:
            case Send(to, message):
                for _ in range(draw.randint(1, self.disorder.copies)):
                    self.late(self.now_ms, to, Received(name, message))
            case WakeAt(at_ms):
                first = (name, at_ms) not in self.asked
                self.asked.add((name, at_ms))
                early_ms = draw.randint(0, self.disorder.early_ms) if first else 0
                late_ms = self.disorder.late_ms if name == "transformer" else 0
                for _ in range(draw.randint(1, self.disorder.copies)):
                    self.queue.append((max(at_ms + late_ms - early_ms, self.now_ms), name, Woken(at_ms)))
            case Pay(payment_id, session, tick, _, _, nanos):
                self.done.append(effect)
                self.queue.append(
                    (self.now_ms, name, Paid(session, tick, nanos, self.reserved.pop(payment_id) - nanos))
                )
            case Bill(session, _, _, nanos):
                self.done.append(effect)
                self.queue.append((self.now_ms, name, Billed(session, nanos)))
            case Reserve(payment_id, nanos):
                self.done.append(effect)
                self.reserved[payment_id] = nanos
            case _:
                pass

    def paid(self) -> dict[int, int]:
        """What each session was paid, each payment once."""
        payments = [effect for effect in self.done if isinstance(effect, Pay)]
        assert len({payment.payment_id for payment in payments}) == len(payments)
        return {session: sum(pay.nanos for pay in payments if pay.session == session) for session in (PATIENT, HASTY)}


def is_sound(evening: ShuffledEvening) -> None:
    """Nothing is open, cars were paid what they think they were, and no more than was reserved; all are billed once."""
    for agent in evening.agents.values():
        assert not isinstance(agent, Vehicle | Charger | Transformer) or not agent.owes
    paid = evening.paid()
    for at, session, _, _ in CARS:
        car = evening.agents[f"car {at}"]
        assert isinstance(car, Vehicle)
        assert car.earned_nanos == paid[session]
    reserved = {effect.payment_id: effect.nanos for effect in evening.done if isinstance(effect, Reserve)}
    assert all(effect.nanos <= reserved[effect.payment_id] for effect in evening.done if isinstance(effect, Pay))
    bills = [effect.session for effect in evening.done if isinstance(effect, Bill)]
    assert sorted(bills) == [PATIENT, HASTY]


disorders = st.builds(
    Disorder,
    st.randoms(use_true_random=False),
    delay_ms=st.sampled_from([0, 200, 5_000]),
    copies=st.integers(1, 3),
    early_ms=st.sampled_from([0, 1, 40]),
    late_ms=st.sampled_from([0, 500, 10_000]),
)


@settings(max_examples=25, deadline=None)
@given(disorders)
def test_whatever_comes_out_of_order_all_is_settled_and_nobody_is_paid_twice(disorder: Disorder) -> None:
    evening = ShuffledEvening(disorder)
    evening.run()
    is_sound(evening)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([0, 40, 200]), st.integers(1, 3), st.integers(0, 40))
def test_within_200_ms_any_order_pays_the_same_if_the_transformer_decides_after_it_has_heard(
    random: Random, delay_ms: int, copies: int, early_ms: int
) -> None:
    """Half a second after each tick is late enough; then a lot is paid as if all had come in order.

    A charger bears witness of what it has counted when its car claims, so its meter is read before the car's.
    """
    evening = ShuffledEvening(Disorder(random, delay_ms, copies, early_ms, late_ms=500, charger_first=True))
    evening.run()
    is_sound(evening)
    first = [effect.nanos for effect in evening.done if isinstance(effect, Pay) and effect.tick == 0]
    assert first == [WORTH]


@pytest.mark.parametrize("early_ms", [0, 1, 29_999])
def test_a_street_whose_wake_ups_are_all_early_once_still_charges(early_ms: int) -> None:
    """They were once dropped: woken a millisecond early, the transformer slept for the rest of the day."""
    evening = ShuffledEvening(Disorder(Random(1), early_ms=early_ms))
    evening.run()
    is_sound(evening)
    assert evening.paid()[PATIENT] > 0
