"""The names of the columns that hold prices, and what they are counted in: the one place where the dashboard knows."""

from __future__ import annotations

from typing import Final

from wattswap.runners.recording.record import ROUND_COLUMNS, TradeRow

_PRICE: Final = "price_nanos_per_"
_ASK: Final = "ask_nanos_per_"
_UNITS: Final = {"kwh": "IOTA per kWh", "kwh_h": "IOTA per kWh and hour"}

PRICE: Final = next(name for name in ROUND_COLUMNS if name.startswith(_PRICE))
"""The highest accepted price of a round; in a trade, its own."""
ASK: Final = next(name for name in TradeRow._fields if name.startswith(_ASK))
PRICE_UNIT: Final = _UNITS[PRICE.removeprefix(_PRICE)]
