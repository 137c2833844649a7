"""An evening with two cars at two chargers, whose agents are joined by a pretend wire.

A transformer of 20 kW, homes of 3 kW, and two cars that draw 11 kW each: 25 kW where 19.2 kW are the target. The car
that can wait three hours asks 0.3 IOTA for each kWh and hour, the one with a single hour 0.45; so the patient one
sells, and two hours after the round's beginning it draws back what it gave up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.agents.words import (
    CHEAP,
    DEAR,
    HOUR,
    IOTA,
    KWH,
    RULES,
    SITE,
    WAITED,
    happens,
    of_kind,
    plain,
)

from wattswap.agents.base import Agent
from wattswap.agents.charger import Charger
from wattswap.agents.household import Household
from wattswap.agents.offers import Call, Memory, OfferBook, Own, Strategy
from wattswap.agents.roster import Roster
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.protocol.codec import decode, encode, unseal
from wattswap.protocol.draws import Draws
from wattswap.protocol.effects import (
    Bill,
    Effect,
    Forget,
    Pay,
    Remember,
    Send,
    WakeAt,
)
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
    Woken,
)
from wattswap.protocol.identity import Signer, seeded_signer
from wattswap.protocol.messages import (
    CappedOffer,
    Message,
    Report,
    WitnessedDelivery,
)

PATIENT, HASTY = 1, 2
"""The two cars' sessions; the patient one is at charger A."""

SOLD_WS = 6_210 * 30
"""What the patient car gives up in a tick, and later draws back in one."""

Loss = Callable[[str, str, Message], int]
"""How often a message arrives: 1 without faults."""


@dataclass
class Wire:
    """Carries effects out as a driver does, in the order in which they were asked for; notes all that was said."""

    agents: dict[str, Agent]
    arrives: Loss = lambda sender, to, message: 1
    now_ms: int = 0
    alarms: dict[str, set[int]] = field(default_factory=dict)
    """By agent: the instants for which it wants to be woken."""
    base_w: int = 3_000
    read_ms: int = 0
    """What the homes draw, and when everyone was read last."""
    said: list[tuple[str, str, object]] = field(default_factory=list)
    done: list[Effect] = field(default_factory=list)

    def happens(self, name: str, event: Event) -> None:
        """Let something happen to an agent, and everything that follows from it at this instant."""
        if isinstance(event, Woken):
            self.alarms[name] = {at_ms for at_ms in self.alarms.get(name, set()) if at_ms > self.now_ms}
        todo = deque([(name, event)])
        while todo:
            agent, what = todo.popleft()
            for effect in happens(self.agents[agent], what, self.now_ms):
                todo.extend(self.carry_out(agent, effect))

    def carry_out(self, agent: str, effect: Effect) -> list[tuple[str, Event]]:
        match effect:
            case Send(to, message):
                self.said.append((agent, to, opened(message)))
                arrived = decode(encode(message))
                return [(to, Received(agent, arrived))] * self.arrives(agent, to, message)
            case Pay(_, session, tick, _, _, nanos):
                self.done.append(effect)
                return [(agent, Paid(session, tick, nanos, 0))]
            case WakeAt(at_ms):
                self.alarms.setdefault(agent, set()).add(at_ms)
                return []
            case Remember() | Forget():
                return []
            case Bill(session, _, _, nanos):
                self.done.append(effect)
                return [(agent, Billed(session, nanos))]
            case _:
                self.done.append(effect)
                return []

    def wake(self) -> None:
        """Wake everyone whose time has come."""
        for name in self.agents:
            if any(at_ms <= self.now_ms for at_ms in self.alarms.get(name, set())):
                self.happens(name, Woken())

    def sleep_until(self, until_ms: int) -> None:
        """Time passes; who wants to be woken before then is."""
        while (
            at_ms := min((at_ms for alarms in self.alarms.values() for at_ms in alarms), default=until_ms)
        ) < until_ms:
            self.now_ms = at_ms
            self.wake()
        self.now_ms = until_ms

    def heard(self) -> list[tuple[str, str, object]]:
        """What was said since this was asked last."""
        heard, self.said = self.said, []
        return heard

    def did(self) -> list[Effect]:
        """What else was done since this was asked last."""
        did, self.done = self.done, []
        return did


def opened(message: Message) -> object:
    """A message with what is sealed in it laid open."""
    match message:
        case CappedOffer(session, cap_w, offer):
            return session, cap_w, unseal(offer)
        case WitnessedDelivery(session, charger, vehicle):
            return session, unseal(charger), unseal(vehicle)
        case _:
            return plain(message)


def street(arrives: Loss = lambda sender, to, message: 1, *, signed: bool = False, funds_iota: int = 100) -> Wire:
    """Everyone, in place but not yet plugged in."""
    keys: dict[str, bytes] = {}

    def signer(name: str) -> Signer | None:
        key = seeded_signer(1, name)
        keys[name] = key.public_key
        return key if signed else None

    transformer_signer = signer("transformer")
    key = keys["transformer"] if signed else None
    profiles = {
        at: VehicleProfile(asks(ask), "asks", 1, 880, IOTA // 2, 3 * IOTA) for at, ask in (("A", CHEAP), ("B", DEAR))
    }
    site = replace(SITE, funds_nanos=funds_iota * IOTA)
    roster = Roster(dict.fromkeys(("charger A", "charger B"), 22_000), ("car A", "car B"), ("homes",))
    agents: list[Agent] = [
        *(Charger(f"charger {at}", "transformer", 11_000, RULES, signer=signer(f"charger {at}"), transformer_key=key)
          for at in "AB"),
        *(Vehicle(f"car {at}", profiles[at], RULES, signer=signer(f"car {at}"), transformer_key=key) for at in "AB"),
        Household("homes", "transformer"),
        Transformer("transformer", site, RULES, roster, signer=transformer_signer, trusted=keys if signed else None),
    ]  # fmt: skip
    return Wire({agent.name: agent for agent in agents}, arrives)


def asks(nanos: int) -> Strategy:
    """Gives way for this price, whatever it is asked for."""

    def strategy(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=nanos)

    return strategy


def plug_in(wire: Wire) -> None:
    for at, session, laxity_h in (("A", PATIENT, 3), ("B", HASTY, 1)):
        departure_ms = laxity_h * HOUR + 3_272_728
        for agent, peer in ((f"charger {at}", f"car {at}"), (f"car {at}", f"charger {at}")):
            plugged_in = PluggedIn(session, f"stay {at}", peer, 10 * KWH, departure_ms, 11_000, 0, 60 * KWH, 0)
            wire.happens(agent, plugged_in)
    read(wire)


def read(wire: Wire, base_w: int = 3_000) -> None:
    """Both cars want their full power, now and in their baseline."""
    for at, session, laxity_h in (("A", PATIENT, 3), ("B", HASTY, 1)):
        reading = Reading(session, 10 * KWH, 10 * KWH, 30 * KWH, 11_000, 11_000, 11_000, laxity_h * HOUR, drew=True)
        wire.happens(f"car {at}", reading)
        wire.happens(f"charger {at}", CarStatus(session, 11_000, 11_000, drew=True))
    wire.happens("homes", BaseRead(base_w))
    wire.base_w, wire.read_ms = base_w, wire.now_ms


def meter(wire: Wire, patient_w: int, ticks: int = 1) -> None:
    """``ticks`` pass in which the patient car draws so much and the other its full power.

    Before each, everyone is read and woken that has not been yet; after the last one nobody is.
    """
    for _ in range(ticks):
        if wire.now_ms - wire.read_ms >= 30_000:
            read(wire, wire.base_w)
        wire.wake()
        wire.sleep_until((wire.now_ms // 30_000 + 1) * 30_000)
        for at, session, import_w in (("A", PATIENT, patient_w), ("B", HASTY, 11_000)):
            for agent in (f"charger {at}", f"car {at}"):
                wire.happens(agent, Metered(session, import_w, 0, 11_000, import_w, wire.now_ms // 30_000 - 1))


def draw_back(wire: Wire, ticks: int = 10) -> None:
    """From two hours on, the patient car draws back in each tick what it gave up in one; nobody else is heard of."""
    for tick in range(WAITED, WAITED + ticks):
        wire.now_ms = (tick + 1) * 30_000
        for agent in ("charger A", "car A"):
            wire.happens(agent, Metered(PATIENT, 11_000, 0, 4_790, 11_000, tick))


def waited(ticks: int = 10, since: int = 0) -> int:
    """The rent of so many ticks' energy, given up under an award of that tick and drawn back from two hours on."""
    return sum(SOLD_WS * (tick - since) for tick in range(WAITED, WAITED + ticks))


def worth(ticks: int = 10, since: int = 0) -> int:
    """The nanos that are paid for it."""
    return CHEAP // 1_000_000 * waited(ticks, since) * 30 // 12_960


def heartbeat(session: int, seq: int, stamp_ms: int = 0, *, heard: int = 0, gave_way: int = 0) -> Report:
    """A charger's report of its car: how it stands, what it gave up in so many ticks, and the newest grant."""
    owed_ws, price = gave_way * SOLD_WS, CHEAP if gave_way else 0
    return Report(session, 11_000, 11_000, True, owed_ws, price, 1, seq, stamp_ms, min(heard, 1), heard)


def earned(wire: Wire, car: str) -> int:
    vehicle = wire.agents[car]
    assert isinstance(vehicle, Vehicle)
    return vehicle.earned_nanos


def whole_round(wire: Wire, patient_w: int = 4_790) -> tuple[list[tuple[str, str, object]], list[Effect]]:
    """A window in which one gives way, and its drawing back."""
    plug_in(wire)
    wire.happens("transformer", Woken())
    wire.now_ms = 2_000
    wire.happens("transformer", Woken())
    meter(wire, patient_w, ticks=10)
    draw_back(wire)
    return wire.heard(), wire.did()


def paid(effects: list[Effect]) -> list[Effect]:
    return of_kind(effects, Pay)


def carries(message: Message, kind: type) -> bool:
    """Whether a message is, or seals, one of this class."""
    return isinstance(plain(message), kind)


def losing(times: int, kind: type, *, sender: str = "", to: str = "") -> Loss:
    """The first so many messages of a class are lost, of those between these two if they are named."""
    left = times

    def arrives(by: str, at: str, message: Message) -> int:
        nonlocal left
        lost = left > 0 and carries(message, kind) and sender in {"", by} and to in {"", at}
        left -= lost
        return 0 if lost else 1

    return arrives
