"""Tables of a run for a notebook: instants with a time zone, energies in kWh, powers in kW, money in IOTA.

The tables of a run directory count in integers (milliseconds, watt-seconds, watts, nanos), so that nothing is lost.
Here they are turned into what a person reads. pandas is imported where it is used; the extra ``sim`` brings it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.protocol.units import NANOS_PER_IOTA, WS_PER_KWH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    import pandas as pd

_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "_nanos_per_kwh_h": ("_iota_per_kwh_h", NANOS_PER_IOTA),
    "_nanos": ("_iota", NANOS_PER_IOTA),
    "_ws": ("_kwh", WS_PER_KWH),
    "_w": ("_kw", 1_000),
}
"""Endings of columns, what they become, and by what the figures are divided; the first that fits holds."""


def readable(table: pd.DataFrame, zone: tzinfo | None) -> pd.DataFrame:
    """A table of a run with ``t_ms`` as ``time``, ``..._ws`` as ``..._kwh`` and so on; instants in this zone."""
    import pandas as pd

    columns: dict[str, object] = {}
    for column in table.columns:
        name, values = str(column), table[column]
        if name.endswith("_ms"):
            instants = pd.to_datetime(values, unit="ms", utc=True)
            columns["time" if name == "t_ms" else name.removesuffix("_ms")] = instants.dt.tz_convert(zone)
            continue
        ending = next((ending for ending in _UNITS if f"_{name}".endswith(ending)), None)
        if ending is None:
            columns[name] = values
        else:
            unit, per_unit = _UNITS[ending]
            columns[f"_{name}".removesuffix(ending).removeprefix("_") + unit] = values / per_unit
    frame = pd.DataFrame({name.removeprefix("_"): values for name, values in columns.items()})
    return frame.set_index("time") if "time" in frame else frame
