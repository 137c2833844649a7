"""The books of the sites at the start of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.ledger.book import Book, wallet
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_NANOS, NANOS_PER_IOTA

if TYPE_CHECKING:
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World


def open_books(street: Street, world: World) -> tuple[Book, ...]:
    """A book for each feeder, with the scenario's opening funds: those of its site, and those of every car there.

    Who charges on two feeders has a purse on each.

    Raises:
        InputError: the funds on a feeder are together more than any ledger can count.
    """
    return tuple(_open_book(street, world, feeder) for feeder in range(len(street.feeders)))


def _open_book(street: Street, world: World, feeder: int) -> Book:
    site_iota, car_iota = street.feeders[feeder].transformer.funds_iota, street.scenario.vehicles.funds_iota
    vehicles = dict.fromkeys(world.fleet.vehicle_id[world.rows_of(feeder)])
    total_iota = site_iota + len(vehicles) * car_iota
    if total_iota * NANOS_PER_IOTA > MOST_NANOS:
        raise InputError(
            f"transformer.funds_iota and {len(vehicles):,} times vehicles.funds_iota are {total_iota:,} IOTA, and no"
            f" ledger counts beyond {MOST_NANOS // NANOS_PER_IOTA:,}: lower them"
        )
    book = Book(site_iota * NANOS_PER_IOTA, street.scenario.ledger.pay)
    for vehicle in vehicles:
        book.fund(f"opening/{vehicle}", wallet(vehicle), car_iota * NANOS_PER_IOTA)
    return book
