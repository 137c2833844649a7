"""A low-voltage network as two tables: cables between buses, and what is connected where.

A folder with ``cables.csv`` (from, to, length_m, r_ohm_per_km, x_ohm_per_km, rated_a) and ``loads.csv`` (bus, p_kw,
q_kvar). One bus is called ``transformer``; every other one is reached from there. The bundled one is SimBench's subnet
LV4.101, semi-urban, 400 kVA.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.protocol.errors import InputError
from wattswap.runners.scenario.bundled import DATA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BUNDLED: Final = DATA / "grid"
TRANSFORMER: Final = "transformer"
_CABLES: Final = ("from", "to", "length_m", "r_ohm_per_km", "x_ohm_per_km", "rated_a")
_LOADS: Final = ("bus", "p_kw", "q_kvar")


@dataclass(frozen=True)
class GridNetwork:
    """Buses by name, the transformer's first; cables and loads name them by their numbers."""

    buses: tuple[str, ...]
    ends: NDArray[np.int64]
    """Of each cable, shape (cables, 2)."""
    r_ohm: Floats
    """Of a phase of each cable, as is ``x_ohm``."""
    x_ohm: Floats
    rated_a: Floats
    load_bus: NDArray[np.int64]
    """Where each load is."""
    share: Floats
    """Of the street's homes at each load; they add up to 1."""
    q_per_p: float
    """What homes draw in reactive power for each watt."""

    def cable(self, number: int) -> str:
        """A cable by its ends."""
        start, end = (self.buses[bus] for bus in self.ends[number].tolist())
        return f"{start} to {end}"


def read_network(folder: Path = BUNDLED) -> GridNetwork:
    """The network of a folder.

    Raises:
        InputError: a file is missing or has no such column; a number is none; a bus is not reached.
    """
    cables, loads = _read(folder / "cables.csv", _CABLES), _read(folder / "loads.csv", _LOADS)
    names = dict.fromkeys([TRANSFORMER, *(str(row[end]) for row in cables for end in ("from", "to"))])
    number = {name: at for at, name in enumerate(names)}
    for line, load in enumerate(loads, 2):
        if load["bus"] not in number:
            raise InputError(f"{folder / 'loads.csv'}, row {line}: no cable reaches {load['bus']!r}")
    ends = np.array([[number[str(row[end])] for end in ("from", "to")] for row in cables], dtype=np.int64)
    _refuse_islands(folder / "cables.csv", tuple(names), ends)
    km = _column(folder / "cables.csv", cables, "length_m") / 1_000
    p_kw = _column(folder / "loads.csv", loads, "p_kw")
    if p_kw.sum() <= 0:
        raise InputError(f"{folder / 'loads.csv'}: p_kw is 0 everywhere; it says how the homes share the street")
    return GridNetwork(
        tuple(names),
        ends,
        km * _column(folder / "cables.csv", cables, "r_ohm_per_km"),
        km * _column(folder / "cables.csv", cables, "x_ohm_per_km"),
        _column(folder / "cables.csv", cables, "rated_a"),
        np.array([number[str(row["bus"])] for row in loads], dtype=np.int64),
        p_kw / p_kw.sum(),
        float(_column(folder / "loads.csv", loads, "q_kvar").sum() / p_kw.sum()),
    )


def _read(path: Path, columns: tuple[str, ...]) -> list[Mapping[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            found: list[Mapping[str, str]] = [
                {name: (value or "").strip() for name, value in row.items() if name} for row in rows
            ]
            missing = [name for name in columns if name not in (rows.fieldnames or ())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if missing or not found:
        raise InputError(
            f"{path}: {f'no column {missing[0]!r}' if missing else 'no row'}; it needs {', '.join(columns)}"
        )
    return found


def _column(path: Path, rows: list[Mapping[str, str]], name: str) -> Floats:
    """A column of numbers; lengths, resistances and ratings are above 0."""
    values = np.zeros(len(rows))
    for at, row in enumerate(rows):
        try:
            values[at] = float(row[name])
        except ValueError:
            raise InputError(f"{path}, row {at + 2}: {name} is {row[name]!r}, not a number") from None
        least = 0.0 if name in ("p_kw", "q_kvar", "x_ohm_per_km") else 1e-9
        if not (np.isfinite(values[at]) and values[at] >= least):
            bound = "0 or more" if least == 0 else "more than 0"
            raise InputError(f"{path}, row {at + 2}: {name} is {row[name]}; it must be {bound}")
    return values


def _refuse_islands(path: Path, names: tuple[str, ...], ends: NDArray[np.int64]) -> None:
    reached = {0}
    while True:
        touched = [pair for pair in ends.tolist() if (pair[0] in reached) != (pair[1] in reached)]
        if not touched:
            break
        reached.update(bus for pair in touched for bus in pair)
    if len(reached) < len(names):
        island = next(name for at, name in enumerate(names) if at not in reached)
        raise InputError(f"{path}: {island!r} is not reached from the bus {TRANSFORMER!r}")
