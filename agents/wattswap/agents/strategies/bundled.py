"""The bundled strategies. Asks are in nanos per kWh and hour; 1 IOTA = 10^9 nanos (assumed 0.10 EUR).

What a car asks starts from what waiting costs it, c = ``own.waiting_nanos_per_kwh_h``.
"""
# ruff: noqa: ARG001 - a strategy is handed all that a car may know and uses what it needs

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.offers import OfferBook
from wattswap.agents.strategies.learning import LearningStrategy
from wattswap.agents.strategies.literature import LITERATURE
from wattswap.protocol.units import PERMILLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.offers import Call, Memory, Outcome, Own, Strategy
    from wattswap.agents.physics import Ints
    from wattswap.protocol.draws import Draws

_MS_PER_MINUTE: Final = 60_000


def truthful(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Asks what waiting costs it: c."""
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=own.waiting_nanos_per_kwh_h)


def need(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Gives way the cheaper the longer it can wait: c + c x 60 / (60 + laxity in minutes)."""
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=_need_ask(own))


def keep(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Ignores every call and finishes charging."""
    return OfferBook.keep(own)


def altruist(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Gives way for nothing."""
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=0)


def prosumer(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Gives way as ``need`` does, and feeds back where that pays for wear and for the energy lost on the way.

    Fed energy is paid as if it waited ``call.feed_h`` hours, so wear and loss are asked for by so many parts.
    """
    reduce_ask = _need_ask(own)
    loss = own.tariff_nanos_per_kwh * (PERMILLE - own.round_trip_permille) // own.round_trip_permille
    feed_ask = (own.wear_nanos_per_kwh + loss) // call.feed_h + reduce_ask
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=reduce_ask).feed(own.feed_w, feed_ask)


def _need_ask(own: Own) -> Ints:
    cost, laxity_minutes = own.waiting_nanos_per_kwh_h, np.maximum(own.laxity_ms, 0) // _MS_PER_MINUTE
    ask: Ints = cost + cost * 60 // (60 + laxity_minutes)
    return ask


def _experienced_offers(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Asks c, and sells only what it expects to have drawn back with an hour to spare before it must leave."""
    expected_ms = memory[:, 1]
    return truthful(call, own, memory, draws).only(own.laxity_ms > expected_ms + 60 * _MS_PER_MINUTE)


def _experience(memory: Memory, own: Own, outcome: Outcome, draws: Draws) -> Memory:
    """Column 0: since when it has been owed energy (ms + 1, 0 while it is not); 1: how long that lasts (ms)."""
    since_ms, expected_ms = memory[:, 0], memory[:, 1]
    now_ms = float(outcome.from_ms)
    waits = (own.owed_ws > 0) | (outcome.award_w[:, 0] + outcome.award_w[:, 1] > 0)
    waited_ms = np.where(since_ms > 0, now_ms + 1 - since_ms, 0.0)
    over = (since_ms > 0) & ~waits
    longer = waits & (waited_ms > expected_ms)
    learned_ms = np.where(over, (expected_ms + waited_ms) / 2, np.where(longer, waited_ms, expected_ms))
    return np.stack((np.where(waits, np.where(since_ms > 0, since_ms, now_ms + 1), 0.0), learned_ms), axis=1)


experienced: Final = LearningStrategy("experienced", _experienced_offers, _experience, columns=2)
"""Asks c, and learns from its own lots how long it should expect to wait."""

BUNDLED: Final[Mapping[str, Strategy]] = {
    "need": need,
    "keep": keep,
    "altruist": altruist,
    "truthful": truthful,
    "prosumer": prosumer,
    "experienced": experienced,
    **LITERATURE,
}

FEEDERS: Final = frozenset({"prosumer"})
"""Those of them that ever offer to feed."""
