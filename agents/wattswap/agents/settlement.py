"""Settlement: what was delivered of an award, and what it is worth. Amounts are rounded down to the nano."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO
from wattswap.protocol.units import PRICE_TICK_NANOS, WS_PER_KWH, WS_PER_WH

if TYPE_CHECKING:
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

RENT_CAP_S: Final = 24 * 3_600
"""Rent is paid for a day of waiting at most; the reserve of an award covers it."""


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


IntsT = TypeVar("IntsT", "Ints", int)

# A price tick is 10^6 nanos, a kWh 3.6 * 10^6 ws and an hour 3,600 s, so a ws that waits a second is worth
# ticks / 12,960 nanos and a ws paid for h hours ticks * h * 10 / 36: all within int64 for any price on the wire.


def rent_nanos(price_nanos_per_kwh_h: IntsT, rent: IntsT, tick_s: int) -> IntsT:
    """What a lot has earned: ``rent`` in watt-seconds times ticks, at its price, rounded down."""
    return price_nanos_per_kwh_h // PRICE_TICK_NANOS * rent * tick_s // 12_960


def feed_nanos(price_nanos_per_kwh_h: IntsT, fed_ws: IntsT, feed_h: int) -> IntsT:
    """What fed energy has earned: as if it waited ``feed_h`` hours, rounded down."""
    return price_nanos_per_kwh_h // PRICE_TICK_NANOS * fed_ws * feed_h * 10 // 36


def most_nanos(price_nanos_per_kwh_h: Ints, award_w: Ints, lasts_s: int, feed_h: int) -> Ints:
    """The most that awards of shape (cars, 3) can come to, each tranche rounded down: one row a car."""
    hours = np.array([RENT_CAP_S // 3_600, RENT_CAP_S // 3_600, feed_h])
    of_tranches = price_nanos_per_kwh_h // PRICE_TICK_NANOS * (award_w * lasts_s) * hours * 10 // 36
    most: Ints = of_tranches.sum(axis=1)
    return most


def worth_nanos(award_w: Ints, price_nanos_per_kwh_h: Ints, rent: Ints, fed_ws: Ints, rules: Rules) -> Ints:
    """What awards have earned, by tranche: shape (awards, 3). The rent of a lot stands at its first tranche."""
    nanos = np.zeros_like(award_w)
    price: Ints = price_nanos_per_kwh_h[:, :FEED].max(axis=1)
    first = np.where(award_w[:, TO_FLOOR] > 0, TO_FLOOR, TO_ZERO)
    nanos[np.arange(len(award_w)), first] = rent_nanos(price, rent, rules.tick_s)
    nanos[:, FEED] = feed_nanos(price_nanos_per_kwh_h[:, FEED], fed_ws, rules.feed_h)
    return nanos


def agreed_ws(charger_ws: int, vehicle_ws: int) -> tuple[int, bool]:
    """The energy that is paid when two meters report: the lower claim; and whether they differ enough to dispute."""
    tolerance_ws = max(max(charger_ws, vehicle_ws) // 100, 50 * WS_PER_WH)
    return min(charger_ws, vehicle_ws), abs(charger_ws - vehicle_ws) > tolerance_ws


def bill_nanos(tariff_nanos_per_kwh: int, imported_ws: int, exported_ws: int) -> int:
    """The energy bill of a session; fed energy counts at the tariff too, so it may be negative."""
    return tariff_nanos_per_kwh * (imported_ws - exported_ws) // WS_PER_KWH
