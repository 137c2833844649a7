"""Settlement: what was delivered of an award, and what it is worth. Amounts are rounded down to the nano."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO, by_car
from wattswap.protocol.units import PRICE_TICK_NANOS, WS_PER_KWH, WS_PER_WH

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

    Whole = TypeVar("Whole", int, Ints)

RENT_CAP_S: Final = 24 * 3_600
"""Rent is paid for a day of waiting at most; the reserve of an award covers it."""
_SAFE: Final = 2.0**62
"""Sums below it stay in 64 bits."""


def relief_w(award_w: Ints, baseline_w: Ints, import_w: Ints, export_w: Ints) -> Ints:
    """What each tranche of the awards, shape (cars, 3), delivers in a tick: the first tranche fills first."""
    reduced = np.maximum(baseline_w - import_w, 0)
    delivered = np.empty_like(award_w)
    delivered[:, TO_FLOOR] = np.minimum(award_w[:, TO_FLOOR], reduced)
    delivered[:, TO_ZERO] = np.minimum(award_w[:, TO_ZERO], reduced - delivered[:, TO_FLOOR])
    delivered[:, FEED] = np.minimum(award_w[:, FEED], export_w)
    return delivered


def payment_id(feeder: int, tick: int, session_id: str) -> str:
    """The settlement key of an award: its round and its session. However often it is asked for, it is paid once."""
    return f"{feeder}.{tick}/{session_id}"


# A price tick is 10^6 nanos, a kWh 3.6 * 10^6 ws and an hour 3,600 s, so a ws that waits a second is worth
# ticks / 12,960 nanos, and a ws that is paid for h hours ticks * h * 10 / 36.


def rent_nanos(price_nanos_per_kwh_h: Whole, rent: Whole, tick_s: int) -> Whole:
    """What a lot has earned: ``rent`` in watt-seconds times ticks, at its price, rounded down."""
    return price_nanos_per_kwh_h // PRICE_TICK_NANOS * rent * tick_s // 12_960


def feed_nanos(price_nanos_per_kwh_h: Whole, fed_ws: Whole, feed_h: Whole | int) -> Whole:
    """What fed energy has earned: as if it waited ``feed_h`` hours, rounded down."""
    return price_nanos_per_kwh_h // PRICE_TICK_NANOS * fed_ws * feed_h * 10 // 36


def most_nanos(price_nanos_per_kwh_h: ArrayLike, award_w: ArrayLike, lasts_s: int, feed_h: int) -> Ints:
    """The most that awards of three tranches, shape (..., 3), can come to: a day of waiting for all of it.

    Each tranche is rounded down.
    """
    hours = np.array([RENT_CAP_S // 3_600, RENT_CAP_S // 3_600, feed_h])
    most_ws = np.asarray(award_w) * lasts_s
    price = exact(np.asarray(price_nanos_per_kwh_h), most_ws, 10 * int(hours.max()))
    return by_car(np.add, feed_nanos(price, most_ws, hours))


def worth_nanos(
    award_w: ArrayLike, price_nanos_per_kwh_h: ArrayLike, rent: ArrayLike, fed_ws: ArrayLike, rules: Rules
) -> Ints:
    """What awards have earned, by tranche, shape (..., 3). The rent of a lot stands at its first one."""
    price, rents, fed = (np.asarray(column) for column in (price_nanos_per_kwh_h, rent, fed_ws))
    lot_price = np.maximum(price[..., TO_FLOOR], price[..., TO_ZERO])
    earned = rent_nanos(exact(lot_price, rents, rules.tick_s), rents, rules.tick_s)
    by_feeding = feed_nanos(exact(price[..., FEED], fed, 10 * rules.feed_h), fed, rules.feed_h)
    in_two = np.asarray(award_w)[..., TO_FLOOR] > 0
    return np.stack((np.where(in_two, earned, 0), np.where(in_two, 0, earned), by_feeding), axis=-1)


def exact(price: Ints, amount: Ints, factor: int) -> Ints:
    """These prices, as plain ints where the sum of price x amount x factor could leave 64 bits.

    A battery that waits for a day at a high price is beyond them.
    """
    most = float(price.max(initial=0)) / PRICE_TICK_NANOS * float(amount.sum(dtype=np.float64)) * factor
    return price if most < _SAFE else price.astype(object)


def agreed_ws(charger_ws: int, vehicle_ws: int) -> tuple[int, bool]:
    """The energy that is paid when two meters report: the lower claim; and whether they differ enough to dispute."""
    tolerance_ws = max(max(charger_ws, vehicle_ws) // 100, 50 * WS_PER_WH)
    return min(charger_ws, vehicle_ws), abs(charger_ws - vehicle_ws) > tolerance_ws


def bill_nanos(tariff_nanos_per_kwh: int, imported_ws: int, exported_ws: int) -> int:
    """The energy bill of a session; fed energy counts at the tariff too, so it may be negative."""
    return tariff_nanos_per_kwh * (imported_ws - exported_ws) // WS_PER_KWH
