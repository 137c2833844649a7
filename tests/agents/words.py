"""What the agents' tests share: the figures of the evening that ``test_a_round`` tells, what is said in it, and how to
tell an agent something and read what it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TypeVar

import pytest

from wattswap.agents.award_book import Site
from wattswap.agents.base import Agent
from wattswap.agents.roster import Roster
from wattswap.agents.rules import Rules
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Effect, Forget, Remember, Send, WakeAt
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Event, Received, Restarted
from wattswap.protocol.messages import (
    Award,
    Delivery,
    Inner,
    Mandate,
    Message,
    Offer,
    ReliefCall,
    Sealed,
    Tranche,
    WitnessedDelivery,
)

Kind = TypeVar("Kind")

IOTA, HOUR, KWH = 1_000_000_000, 3_600_000, 3_600_000
CHEAP, DEAR = 300_000_000, 450_000_000
"""What the two cars ask for each kWh and hour."""
WAITED = 240
"""Two hours, in ticks."""
LATER = 24 * HOUR + 300_000
"""By then a lot of the first tick can have earned all that it ever can."""
WORTH = 310_500_000
"""6.21 kW for a twelfth of an hour, which wait for two hours at 0.3 IOTA/kWh/h."""
SOON = 1_035_000
"""What a minute of 6.21 kW is worth a minute after its award, whatever the meters say: four ticks of waiting."""
DAY_S = 86_400
MOST = 3_726_000_000
"""What they would be worth after a day."""

ROSTER = Roster(
    charger_max_w=dict.fromkeys(("A", "B", "C"), 22_000), vehicles=("car 1", "car 2", "car 3"), households=("homes",)
)
SITE = Site(limit_w=20_000, funds_nanos=100 * IOTA, tariff_nanos_per_kwh=3 * IOTA, seed=1)
RULES = Rules(release_w=400, margin_w=800, clearing="uniform")
CALL = ReliefCall(0, 0, 5_800, 0, 300_000, 2_000)


# -- what is said -----------------------------------------------------------------------------------------------------


def mandate(session: int, car: str | None = None) -> Mandate:
    return Mandate(session, f"stay {session}", 10 * KWH, 11_000, car or f"car {session}")


def full_stop(session: int, ask_nanos_per_kwh_h: int = CHEAP) -> Offer:
    """A car's answer to the call that would draw nothing at all."""
    asks = (Tranche(6_860, ask_nanos_per_kwh_h), Tranche(4_140, ask_nanos_per_kwh_h), Tranche(0, 0))
    return Offer(0, 0, session, asks)


def award(session: int) -> Award:
    """5,800 W are nine amperes, 6,210 W."""
    return Award(0, 0, session, 300_000, (6_210, 0, 0), (CHEAP, 0, 0), DAY_S)


def delivered(
    session: int, seconds: int, *, sold_w: int = 6_210, tick: int = 0, back_ws: int = 0, ticks: int = 0
) -> Delivery:
    """The claim of who gave way for so long, would have drawn 11 kW, and drew so much back that had waited so long."""
    return Delivery(0, tick, session, (sold_w * seconds, 0, 0), 11_000 * seconds, back_ws, back_ws * ticks)


def witnessed(session: int, charger_ws: int, car_ws: int | None = None, tick: int = 0) -> WitnessedDelivery:
    """Charger's and car's claim for the first tranche, all of it drawn back after two hours; the same unless told."""
    mine, theirs = (
        Delivery(0, tick, session, (ws, 0, 0), 3_300_000, ws, ws * WAITED)
        for ws in (charger_ws, charger_ws if car_ws is None else car_ws)
    )
    return WitnessedDelivery(session, seal(mine), seal(theirs))


# -- what happens to an agent -----------------------------------------------------------------------------------------


def happens(agent: Agent, event: Event, now_ms: int = 0) -> list[Effect]:
    """What an agent wants done about an event. It must be in order afterwards."""
    effects = agent.handle(event, now_ms)
    agent.check()
    return effects


def said_by(speaker: str, what: Event | Message | Inner) -> Event:
    """An event, or this agent's message as it arrives: sealed where it travels so."""
    if isinstance(what, Event):
        return what
    return Received(speaker, seal(what) if isinstance(what, Inner) else what)


def remembered(*steps: Iterable[Effect]) -> dict[str, bytes]:
    """What an outbox keeps that has carried all this out."""
    kept: dict[str, bytes] = {}
    for effect in (effect for step in steps for effect in step):
        match effect:
            case Remember(key, value):
                kept[key] = value
            case Forget(key):
                kept.pop(key, None)
            case _:
                pass
    return kept


def survived(*steps: Iterable[Effect], site_nanos: int = 0) -> Restarted:
    """What an agent learns after a crash, when it had asked for all this."""
    return Restarted(2, remembered(*steps), site_nanos)


# -- what an agent does -----------------------------------------------------------------------------------------------


def shown(effects: Iterable[Effect]) -> list[Effect]:
    """What others see of it: without wake-ups and what is made durable, which have tests of their own."""
    return [effect for effect in effects if not isinstance(effect, WakeAt | Remember | Forget)]


def of_kind(effects: Iterable[object], *kinds: type[Kind]) -> list[Kind]:
    return [effect for effect in effects if isinstance(effect, kinds)]


def sent(effects: Iterable[Effect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def plain(message: Message) -> Message | Inner:
    """A message as it was before it was sealed, if it was."""
    return unseal(message) if isinstance(message, Sealed) else message


def refused_as_unsigned() -> AbstractContextManager[object]:
    return pytest.raises(RemoteProtocolError, match="not signed by who should have said it")
