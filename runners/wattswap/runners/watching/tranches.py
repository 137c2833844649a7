"""Offers and awards as rows of a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.agents.offers import MOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.protocol.messages import Offer
    from wattswap.runners.watching.history import Row


def tranche_rows(key: tuple[int, int, int], powers_w: Iterable[int], prices: Iterable[int]) -> list[Row]:
    """A row for each tranche of which there is any power, after tick, feeder and car."""
    tranches = enumerate(zip(powers_w, prices, strict=True), 1)
    return [[*key, number, power_w, price] for number, (power_w, price) in tranches if power_w]


def offer_rows(offer: Offer, row: int, most_w: int = MOST) -> list[Row]:
    """What a car in this row offers, as far as its charger can carry it."""
    powers_w = (min(tranche.relief_w, most_w) for tranche in offer.tranches)
    asks = (tranche.ask_nanos_per_kwh_h for tranche in offer.tranches)
    return tranche_rows((offer.tick, offer.feeder, row), powers_w, asks)
