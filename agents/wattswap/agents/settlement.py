"""Settlement: what was delivered of an award, and what it is worth. Amounts are rounded down to the nano."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO
from wattswap.protocol.units import PRICE_TICK_NANOS, WS_PER_KWH, WS_PER_WH

if TYPE_CHECKING:
    from collections.abc import Sequence

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


# Money is reckoned on plain ints, award by award: a battery that waits for a day at a high price is beyond 64 bits.
# A price tick is 10^6 nanos, a kWh 3.6 * 10^6 ws and an hour 3,600 s, so a ws that waits a second is worth
# ticks / 12,960 nanos, and a ws that is paid for h hours ticks * h * 10 / 36.


def rent_nanos(price_nanos_per_kwh_h: int, rent: int, tick_s: int) -> int:
    """What a lot has earned: ``rent`` in watt-seconds times ticks, at its price, rounded down."""
    return price_nanos_per_kwh_h // PRICE_TICK_NANOS * rent * tick_s // 12_960


def feed_nanos(price_nanos_per_kwh_h: int, fed_ws: int, feed_h: int) -> int:
    """What fed energy has earned: as if it waited ``feed_h`` hours, rounded down."""
    return price_nanos_per_kwh_h // PRICE_TICK_NANOS * fed_ws * feed_h * 10 // 36


def most_nanos(price_nanos_per_kwh_h: Sequence[int], award_w: Sequence[int], lasts_s: int, feed_h: int) -> int:
    """The most that an award of three tranches can come to: a day of waiting for all of it, each rounded down."""
    hours = (RENT_CAP_S // 3_600, RENT_CAP_S // 3_600, feed_h)
    tranches = zip(price_nanos_per_kwh_h, award_w, hours, strict=True)
    return sum(feed_nanos(price, watts * lasts_s, h) for price, watts, h in tranches)


def worth_nanos(
    award_w: Sequence[int], price_nanos_per_kwh_h: Sequence[int], rent: int, fed_ws: int, rules: Rules
) -> tuple[int, int, int]:
    """What an award has earned, by tranche. The rent of its lot stands at the first one."""
    earned = rent_nanos(max(price_nanos_per_kwh_h[:FEED]), rent, rules.tick_s)
    fed = feed_nanos(price_nanos_per_kwh_h[FEED], fed_ws, rules.feed_h)
    return (earned, 0, fed) if award_w[TO_FLOOR] else (0, earned, fed)


def agreed_ws(charger_ws: int, vehicle_ws: int) -> tuple[int, bool]:
    """The energy that is paid when two meters report: the lower claim; and whether they differ enough to dispute."""
    tolerance_ws = max(max(charger_ws, vehicle_ws) // 100, 50 * WS_PER_WH)
    return min(charger_ws, vehicle_ws), abs(charger_ws - vehicle_ws) > tolerance_ws


def bill_nanos(tariff_nanos_per_kwh: int, imported_ws: int, exported_ws: int) -> int:
    """The energy bill of a session; fed energy counts at the tariff too, so it may be negative."""
    return tariff_nanos_per_kwh * (imported_ws - exported_ws) // WS_PER_KWH
