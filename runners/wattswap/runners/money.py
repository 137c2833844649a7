"""The site's book at the start of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.ledger.book import Book, wallet
from wattswap.protocol.units import NANOS_PER_IOTA

if TYPE_CHECKING:
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World


def open_book(street: Street, world: World) -> Book:
    """The scenario's opening funds: the site's, and every car's."""
    scenario = street.scenario
    book = Book(scenario.transformer.funds_iota * NANOS_PER_IOTA)
    for vehicle in dict.fromkeys(world.fleet.vehicle_id):
        book.fund(f"opening/{vehicle}", wallet(vehicle), scenario.vehicles.funds_iota * NANOS_PER_IOTA)
    return book
