"""Charging stations with a power of their own: tables of the scenario, or the rows of a CSV file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from wattswap.runners.scenario.keys import nearest
from wattswap.runners.scenario.schema import ChargerTable, Scenario
from wattswap.runners.scenario.tables import Cell, Table, read_table

_FURTHER: Final = ("phases", "dc", "min_a")
"""Columns that may be left out."""
_COPY: Final = re.compile(r"[#~][0-9]+$")
"""What is added to the name of a station for a second point, or for a copy of a user who was drawn again."""
_BOOLEAN: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


def with_stations(scenario: Scenario, path: Path | None) -> Scenario:
    """The scenario with the rows of ``chargers.csv`` as further ``[[charger]]`` tables, in front of its own.

    Raises:
        InputError: the file cannot be used; file, line, column and what would be right.
    """
    if path is None:
        return scenario
    read = tuple(_rows(read_table(path, ("station", "max_w"))))
    chargers = msgspec.structs.replace(scenario.chargers, csv="")
    return msgspec.structs.replace(scenario, chargers=chargers, charger=(*read, *scenario.charger))


def _rows(table: Table) -> Iterator[ChargerTable]:
    names = [name for name in ("station", "max_w", *_FURTHER) if name in table.header]
    columns: dict[str, list[Cell]] = {name: list(table.column(name)) for name in names}
    for row in range(len(table.rows)):
        cells = {name: column[row] for name, column in columns.items()}
        raw: dict[str, object] = {"station": cells["station"].filled(), "max_w": _whole(cells["max_w"])}
        if "dc" in cells:
            raw["dc"] = _boolean(cells["dc"])
        raw |= {name: _whole(cells[name]) for name in ("phases", "min_a") if name in cells and cells[name].text}
        try:
            yield msgspec.convert(raw, ChargerTable)
        except msgspec.ValidationError as error:
            name = next((name for name in cells if f"$.{name}" in str(error)), "max_w")
            raise cells[name].wrong(f"{cells[name].text!r} cannot be used ({str(error).partition(' - ')[0]})") from None


def _whole(cell: Cell) -> int:
    number = cell.number()
    if number != int(number):
        raise cell.wrong(f"{cell.text!r} is no whole number")
    return int(number)


def _boolean(cell: Cell) -> bool:
    if cell.text.lower() not in _BOOLEAN:
        raise cell.wrong(f"{cell.text!r} is neither true nor false")
    return _BOOLEAN[cell.text.lower()]


def station_problems(scenario: Scenario) -> Iterator[tuple[str, ...]]:
    """What is wrong with the stations: what and what to do, then the paths of the values it is about."""
    first: dict[str, int] = {}
    for index, charger in enumerate(scenario.charger):
        path = f"charger.{index}"
        if not charger.station:
            yield f"{path}.station is empty; name the station that it is about", f"{path}.station"
        if (before := first.setdefault(charger.station, index)) < index:
            told = f"{path}.station is {charger.station!r}, and so is charger.{before}.station; leave one out"
            yield told, f"{path}.station", f"charger.{before}.station"
        if charger.min_a not in (0, scenario.chargers.min_a):
            yield (
                f"{path}.min_a is {charger.min_a}: one least current holds for the whole street; set chargers.min_a",
                f"{path}.min_a",
            )


class Stations:
    """The stations that have a table of their own, by name."""

    def __init__(self, listed: Sequence[ChargerTable]) -> None:
        self._by_name: Mapping[str, ChargerTable] = {charger.station: charger for charger in listed}

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def of(self, station: str) -> ChargerTable | None:
        """The table of a station, or of the one whose further point or copy it is."""
        return self._by_name.get(station) or self._by_name.get(_COPY.sub("", station))

    def unused(self, stations: Sequence[str]) -> tuple[str, ...]:
        """A note on stations where nobody charges in the whole recording."""
        used = {*stations, *(_COPY.sub("", station) for station in stations)}
        lone = [name for name in self._by_name if name not in used]
        if not lone:
            return ()
        what = f"{len(lone)} of {len(self._by_name)} stations with a power of their own are in no session"
        meant = f"; {lone[0]}: {nearest(lone[0], sorted(used))}" if used else ""
        return (f"{what}{meant}",)
