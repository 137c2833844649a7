"""The books of the sites at the start of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.ledger.accounts import SiteAccounts
from wattswap.ledger.book import Book, wallet
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_NANOS, NANOS_PER_IOTA
from wattswap.runners.world import fleet_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.agents.physics import Ints
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import Fleet, World


def open_books(street: Street, world: World) -> tuple[Book, ...]:
    """A book for each feeder, with the scenario's opening funds: those of its site, and those of every car there.

    Who charges on two feeders has a purse on each.

    Raises:
        InputError: the funds on a feeder are together more than any ledger can count.
    """
    return tuple(_open_book(street, world, feeder) for feeder in range(len(street.feeders)))


def _open_book(street: Street, world: World, feeder: int) -> Book:
    site_nanos, car_nanos, vehicles = _opening_funds(street, world.fleet, feeder)
    book = Book(site_nanos, street.scenario.ledger.pay)
    for vehicle in vehicles:
        book.fund(f"opening/{vehicle}", wallet(vehicle), car_nanos)
    return book


def _opening_funds(street: Street, fleet: Fleet, feeder: int) -> tuple[int, int, list[str]]:
    """The tokens of a feeder's site, those of each car there, and these cars."""
    site_iota, car_iota = street.feeders[feeder].transformer.funds_iota, street.scenario.vehicles.funds_iota
    vehicles = list(dict.fromkeys(fleet.vehicle_id[fleet.rows_of(feeder)]))
    total_iota = site_iota + len(vehicles) * car_iota
    if total_iota * NANOS_PER_IOTA > MOST_NANOS:
        raise InputError(
            f"transformer.funds_iota and {len(vehicles):,} times vehicles.funds_iota are {total_iota:,} IOTA, and no"
            f" ledger counts beyond {MOST_NANOS // NANOS_PER_IOTA:,}: lower them"
        )
    return site_iota * NANOS_PER_IOTA, car_iota * NANOS_PER_IOTA, vehicles


def open_accounts(streets: Sequence[Street]) -> tuple[SiteAccounts, Ints]:
    """The same funds as columns of all feeders of these streets, and the number of each row's car.

    Raises:
        InputError: as :func:`open_books` does.
    """
    sites, purses, cars = list[int](), list[int](), list[int]()
    for street in streets:
        fleet = fleet_of(street)
        for feeder in range(len(street.feeders)):
            site_nanos, car_nanos, vehicles = _opening_funds(street, fleet, feeder)
            number = dict(zip(vehicles, range(len(purses), len(purses) + len(vehicles)), strict=True))
            sites.append(site_nanos)
            purses += [car_nanos] * len(vehicles)
            cars += [number[vehicle] for vehicle in fleet.vehicle_id[fleet.rows_of(feeder)]]
    pays = streets[0].scenario.ledger.pay
    return SiteAccounts(np.array(sites), np.array(purses, dtype=np.int64), pays), np.array(cars, dtype=np.int64)
