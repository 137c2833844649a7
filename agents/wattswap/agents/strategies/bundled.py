"""The bundled strategies. Prices in nanos per kWh; 1 IOTA = 10^9 nanos (assumed 0.10 EUR)."""
# ruff: noqa: ARG001 - a strategy is handed all that a car may know and uses what it needs

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.offers import OfferBook
from wattswap.protocol.units import MS_PER_HOUR, PERMILLE, Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.offers import Call, Own, Strategy
    from wattswap.agents.physics import Ints
    from wattswap.protocol.draws import Draws

_NEED_FLAT: Final = 100_000_000
_NEED_URGENT: Final = 2_000_000_000
_WAITING_LOW: Final = 5e7
_WAITING_HIGH: Final = 5e8


def need(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    """Gives way the cheaper the longer it can wait: 0.1 + 2 / (1 + laxity in hours) IOTA per kWh."""
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=_need_ask(own))


def keep(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    """Ignores every call and finishes charging."""
    return OfferBook.keep(own)


def altruist(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    """Gives way for nothing."""
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=0)


def truthful(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    """Asks its own cost of waiting, 0.05 to 0.5 IOTA per kWh and hour by character, for an expected hour."""
    ask = draws.constant(Purpose.WAITING_COST, _WAITING_LOW, _WAITING_HIGH)
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=ask)


def prosumer(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    """Gives way as ``need`` does, and feeds back where that pays for wear and for the energy lost on the way."""
    reduce_ask = _need_ask(own)
    loss = own.tariff_nanos_per_kwh * (PERMILLE - own.round_trip_permille) // own.round_trip_permille
    feed_ask = np.maximum(reduce_ask, own.wear_nanos_per_kwh + loss)
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=reduce_ask).feed(own.feed_w, feed_ask)


def _need_ask(own: Own) -> Ints:
    waits_ms = np.maximum(own.laxity_ms, 0)
    return _NEED_FLAT + _NEED_URGENT * MS_PER_HOUR // (MS_PER_HOUR + waits_ms)


BUNDLED: Final[Mapping[str, Strategy]] = {
    strategy.__name__: strategy for strategy in (need, keep, altruist, truthful, prosumer)
}
