"""Units, price ticks and the numbers that name what a random draw is for.

Every quantity is an integer with its unit in the name: ``_w`` watts, ``_ws`` watt-seconds, ``_wh`` watt-hours,
``_ms`` milliseconds, ``_nanos`` billionths of an IOTA token, ``_permille`` thousandths, ``_ppm`` millionths.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final

NANOS_PER_IOTA: Final = 1_000_000_000
WS_PER_KWH: Final = 3_600_000
WS_PER_WH: Final = 3_600
MS_PER_S: Final = 1_000
MS_PER_HOUR: Final = 3_600_000
MS_PER_DAY: Final = 24 * MS_PER_HOUR
NEVER_MS: Final = 1 << 42
"""The departure of what never departs: some 139 years from the start."""
PPM: Final = 1_000_000
PERMILLE: Final = 1_000

PRICE_TICK_NANOS: Final = 1_000_000
"""Prices are whole multiples of this many nanos per kWh, so that money on int64 arrays never overflows."""

MOST_W: Final = 100_000_000
"""No single power on the wire exceeds 100 MW."""
MOST_WS: Final = 1 << 52
"""No single energy on the wire exceeds this (about 1.25 TWh)."""
MOST_MS: Final = 1 << 47
"""No instant or duration on the wire exceeds this (about 4,460 years)."""
MOST_NANOS: Final = 1 << 62
"""No amount of money on the wire exceeds this (about 4.6 thousand million IOTA)."""


@unique
class Purpose(IntEnum):
    """What a draw is for. A number, once given, never changes: it is part of what a seed means."""

    NOISE = 1
    STRATEGY = 2
    TIE = 3
    ASK = 4
    WAITING_COST = 5
    DEPARTURE = 6
    MANIPULATION = 7
    LEARNING_RATE = 8
    MOMENTUM = 9
    FIRST_MARGIN = 10
    SESSION = 11
    PLACE = 12
