"""Equal shares of the power that the homes leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents.law import Grants

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules


def equal_share(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """Water-filling: everyone gets the same, but none more than it wants; what one leaves goes to the others.

    Where the shares would fall under 6 A, as many cars as can have min(6 A, wanted) share among themselves, and the
    others wait: a queue by arrival, the only order that asks no car for its plans.
    """
    room_w = max(target_w - base_w, 0)
    nothing = np.zeros_like(cars.wanted_w)
    if int(cars.wanted_w.sum()) <= room_w:
        return Grants(cars.wanted_w, nothing, nothing)
    in_turn = fit(np.minimum(cars.wanted_w, rules.min_w), room_w, plugged.arrival_ms)
    return Grants(water_filled(np.where(in_turn, cars.wanted_w, 0), room_w), nothing, nothing)


def water_filled(wanted_w: Ints, room_w: int) -> Ints:
    """Max-min fair shares of ``room_w``: the smallest wish first, each min(wish, what is left / cars left).

    Bertsekas and Gallager, Data Networks, 2nd edition, section 6.5.2. Whole watts that do not divide go to the
    largest wishes.
    """
    granted_w = np.zeros_like(wanted_w)
    order = np.argsort(wanted_w, kind="stable").tolist()
    for behind, car in enumerate(order):
        granted_w[car] = share_w = min(int(wanted_w[car]), room_w // (len(order) - behind))
        room_w -= share_w
    return granted_w


def fit(least_w: Ints, room_w: int, place: Ints) -> NDArray[np.bool_]:
    """Who can have its least, the lowest ``place`` first."""
    fits = np.ones(len(least_w), dtype=bool)
    if int(least_w.sum()) > room_w:
        for car in np.argsort(place, kind="stable").tolist():
            fits[car] = least_w[car] <= room_w
            room_w -= int(least_w[car]) if fits[car] else 0
    return fits
