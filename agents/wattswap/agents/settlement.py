"""Settlement: what was delivered of an award, and what it is worth. Amounts are rounded down to the nano."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO
from wattswap.protocol.units import PRICE_TICK_NANOS, WS_PER_KWH, WS_PER_WH

if TYPE_CHECKING:
    from wattswap.agents.physics import Ints

_TICKS_TO_NANOS = (PRICE_TICK_NANOS // 100_000, WS_PER_KWH // 100_000)
"""A price tick is 10^6 nanos and a kWh 3.6 * 10^6 ws: ticks * ws * 10 // 36 keeps int64 from overflowing."""


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


def value_nanos(price_nanos_per_kwh_h: IntsT, energy_ws: IntsT) -> IntsT:
    """``price * energy // 3_600_000`` for prices on the tick, computed so that int64 holds it."""
    up, down = _TICKS_TO_NANOS
    return price_nanos_per_kwh_h // PRICE_TICK_NANOS * energy_ws * up // down


def agreed_ws(charger_ws: int, vehicle_ws: int) -> tuple[int, bool]:
    """The energy that is paid when two meters report: the lower claim; and whether they differ enough to dispute."""
    tolerance_ws = max(max(charger_ws, vehicle_ws) // 100, 50 * WS_PER_WH)
    return min(charger_ws, vehicle_ws), abs(charger_ws - vehicle_ws) > tolerance_ws


def bill_nanos(tariff_nanos_per_kwh: int, imported_ws: int, exported_ws: int) -> int:
    """The energy bill of a session; fed energy counts at the tariff too, so it may be negative."""
    return tariff_nanos_per_kwh * (imported_ws - exported_ws) // WS_PER_KWH
