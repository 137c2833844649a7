"""What was said in one round of a real run, line by line: the dialogue that the documentation shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import Effect, Pay, Reserve, Send, SetPower
from wattswap.protocol.events import Event
from wattswap.protocol.messages import (
    Ack,
    Award,
    BaseReport,
    CappedOffer,
    Cleared,
    Delivery,
    Departed,
    Grant,
    Mandate,
    Message,
    Offer,
    Receipt,
    Release,
    ReliefCall,
    Report,
    Sealed,
    Tranche,
    WitnessedDelivery,
)
from wattswap.protocol.units import MS_PER_S, WS_PER_KWH
from wattswap.runners.engines.observer import Observer
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.scenario import load_street


@dataclass
class Listener(Observer):
    """Hears what the agents did within one tick."""

    done: list[tuple[int, str, Effect]] = field(default_factory=list)

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        """Keep it."""
        self.done += [(now_ms, agent, effect) for effect in effects]

    def sent(self) -> Iterator[object]:
        """What was said, opened."""
        for _, _, effect in self.done:
            if isinstance(effect, Send):
                yield _opened(effect.message)


def dialogue(scenario: str = "demo") -> list[str]:
    """The first round of a scenario that led to an award, as the car saw it that won the first one."""
    street = load_street(scenario)
    listener = Listener()
    run = simulated_run(street, observers=[listener])
    while not run.record.rounds or not run.record.rounds[-1].reduce_awards:
        listener.done.clear()
        run.step()
    award = next(said for said in listener.sent() if isinstance(said, Award))
    done = list(listener.done)
    receipt = None
    while receipt is None:
        listener.done.clear()
        run.step()
        receipt = next((said for said in listener.sent() if isinstance(said, Receipt) and _is_of(said, award)), None)
    party = ("transformer", run.factory.charger_of[award.session], run.factory.vehicle_of[award.session])
    clock = datetime.fromtimestamp(street.start_unix_ms / MS_PER_S, street.scenario.start.tzinfo or UTC)
    told = _Telling(clock, party, award, run.record.rounds[-1].tick, street.scenario.reading_s)
    ends = [each for each in listener.done if not _goes_on(each[2])]
    return [line for each in (*done, *ends) if (line := told.line(*each))]


def _opened(message: Message) -> object:
    return unseal(message) if isinstance(message, Sealed) else message


def _is_of(said: Receipt, award: Award) -> bool:
    return (said.session, said.tick) == (award.session, award.tick)


def _goes_on(effect: Effect) -> bool:
    """What belongs to the tick after the round rather than to its end."""
    said = _opened(effect.message) if isinstance(effect, Send) else effect
    return not isinstance(said, Delivery | WitnessedDelivery | Receipt | Pay)


@dataclass
class _Telling:
    """One car's part of a round in plain words."""

    clock: datetime
    party: tuple[str, str, str]
    award: Award
    tick: int
    tick_s: int

    def line(self, now_ms: int, agent: str, effect: Effect) -> str:
        """What was done, or nothing if it was not part of it."""
        at = f"{self._at(now_ms)}  "
        match effect:
            case Send(to, message) if agent in self.party and to in self.party:
                words = self._words(_opened(message))
                return f"{at}{_short(agent)} → {_short(to)}".ljust(33) + words if words else ""
            case Reserve(payment_id, nanos) | Pay(payment_id=payment_id, nanos=nanos) if self._is_mine(payment_id):
                what = "reserves" if isinstance(effect, Reserve) else "pays"
                return f"{at}{_short(agent)}".ljust(33) + f"{what} {_iota(nanos)} under {payment_id}"
            case SetPower(session, import_w, _) if session == self.award.session:
                return f"{at}{_short(agent)}".ljust(33) + f"sets {import_w:,} W"
            case _:
                return ""

    def _is_mine(self, payment_id: str) -> bool:
        return payment_id.startswith(f"{self.award.feeder}.{self.award.tick}/")

    def _words(self, said: object) -> str:
        match said:
            case ReliefCall():
                return f"call: {said.need_w:,} W until {self._at(said.until_ms)}"
            case Cleared():
                price, reserve = _iota(said.price_nanos_per_kwh_h), _iota(said.reserve_nanos_per_kwh_h)
                return f"cleared: {price} per kWh and hour; the reserve was {reserve}"
            case Offer():
                return f"offer: {_tranches(said.tranches)}"
            case CappedOffer():
                offer = unseal(said.offer)
                assert isinstance(offer, Offer)
                return f"that offer, sealed; my cap is {said.cap_w:,} W"
            case Award():
                watts, prices = said.award_w, said.price_nanos_per_kwh_h
                bought = [
                    f"{w:,} W at {_iota(price)} per kWh and hour" for w, price in zip(watts, prices, strict=True) if w
                ]
                return f"award: {', '.join(bought)}"
            case Ack():
                return "award acknowledged"
            case Report():
                return f"report: may draw {said.firm_w:,} W, wants {said.wanted_w:,} W"
            case Grant():
                return f"grant: draw {said.import_w:,} W, for {said.lease_ms // MS_PER_S} s"
            case Delivery():
                hours = said.rent * self.tick_s / WS_PER_KWH / 3_600
                return (
                    f"delivery: {_kwh(sum(said.delivered_ws))} sold, {_kwh(said.returned_ws)} back, {hours:.3f} kWh·h"
                )
            case WitnessedDelivery():
                return "both deliveries, the charger's meter's and the car's"
            case Receipt():
                return f"receipt: {_iota(said.nanos)}"
            case _:
                assert isinstance(said, BaseReport | Departed | Mandate | Release)
                return ""

    def _at(self, ms: int) -> str:
        return f"{self.clock + timedelta(milliseconds=ms):%H:%M:%S}"


def _tranches(tranches: tuple[Tranche, ...]) -> str:
    return ", then ".join(
        f"{tranche.relief_w:,} W at {_iota(tranche.ask_nanos_per_kwh_h)}" for tranche in tranches if tranche.relief_w
    )


def _short(agent: str) -> str:
    return agent.partition("/")[0]


def _iota(nanos: int) -> str:
    return f"{nanos / 1e9:.3f} IOTA"


def _kwh(energy_ws: int) -> str:
    return f"{energy_ws / WS_PER_KWH:.3f} kWh"
