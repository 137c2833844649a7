"""The raw charging reports from apartment buildings in Trondheim: semicolons, decimal commas, Norwegian civil time.

Å. L. Sørensen et al., "Residential electric vehicle charging datasets from apartment buildings", Data in Brief 36
(2021) 107105, "Dataset 1_EV charging reports". A session keeps the name it has in the bundled weeks (``TRD-3200``).
Who charges at a private point has that point. A shared session is at ``<garage>/<Shared_ID>``: the report's text does
not call that one point, but no two sessions of one Shared_ID overlap in the reports we have seen, and they do if all of
a garage's count as one. Where it is missing, ``<garage>/shared`` stands for all of them; sessions that overlap at any
station get points of their own. Rows without a plug-out or of no length are left out. No departure is stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import product
from pathlib import Path
from typing import Final

from wattswap.protocol.units import MS_PER_HOUR
from wattswap.runners.scenario.names import named
from wattswap.runners.scenario.tables import YEARS, Cell, Table, read_table, unix_ms
from wattswap.runners.scenario.visits import SessionTable, Visit, VisitCounts, energy_ws, raw_table, unique
from wattswap.runners.scenario.zones import Redating, zone_named

ZONE: Final = "Europe/Oslo"
COLUMNS: Final = ("session_ID", "Garage_ID", "User_ID", "User_type", "Start_plugin", "End_plugout", "El_kWh")
SHARED: Final = "Shared_ID"
LENGTH: Final = "Duration_hours"
"""Neither is needed. The length tells the two hours apart that bear the same name in October."""
_STAMP = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}) (\d{1,2}):(\d{2})")
_NONE: Final = ("", "NA")


def read_trondheim(path: Path, redating: Redating) -> SessionTable:
    """Read the raw report; its times are taken as civil time in Norway, to the minute.

    Raises:
        InputError: file, line and column, and what to do.
    """
    table = read_table(path, COLUMNS, separator=";")
    tally = VisitCounts.of(path)
    visits = list(_visits(table, zone_named(ZONE), tally))
    return raw_table(table.sha256, visits, tally, redating, stated=False)


def _visits(table: Table, zone: tzinfo, tally: VisitCounts) -> Iterator[Visit]:
    columns = {name: list(table.column(name)) for name in COLUMNS}
    columns |= {name: list(table.column(name)) for name in (SHARED, LENGTH) if name in table.header}
    for row, name in enumerate(unique(columns["session_ID"])):
        cells = {column: columns[column][row] for column in columns}
        starts = _readings(cells["Start_plugin"], zone)
        no_end = cells["End_plugout"].text in _NONE
        ends = starts if no_end else _readings(cells["End_plugout"], zone)
        start, end = _ends(starts, ends, cells["End_plugout"], cells.get(LENGTH))
        if len(starts) * len(ends) > 1 and not no_end:
            tally.decided["begin or end in the hour that comes twice in October; the recorded length decides"] += 1
        if tally.keeps(unix_ms(start), None if no_end else unix_ms(end)):
            yield _visit(f"TRD-{name}", cells, start, unix_ms(end))


def _visit(name: str, cells: dict[str, Cell], start: datetime, end_ms: int) -> Visit:
    user = cells["User_ID"].printable()
    return Visit(
        session_id=name,
        station_id=_station(cells),
        user_id=named(user),
        arrival=start,
        departure_ms=end_ms,
        energy_ws=energy_ws(cells["El_kWh"], ","),
    )


def _station(cells: dict[str, Cell]) -> str:
    kind = cells["User_type"]
    if kind.text == "Private":
        return cells["User_ID"].filled()
    if kind.text == "Shared":
        shared = cells[SHARED].printable() if SHARED in cells else ""
        return f"{cells['Garage_ID'].filled()}/{'shared' if shared in _NONE else shared}"
    raise kind.wrong(f"{kind.text!r} is neither Private nor Shared; correct it or drop the row")


def _readings(cell: Cell, zone: tzinfo) -> list[datetime]:
    """The instants a wall clock in ``zone`` shows this time at: one, or two in the hour that comes twice."""
    match = _STAMP.fullmatch(cell.text)
    if match is None:
        raise cell.wrong(f"{cell.text!r} is no time like 26.10.2019 15:27; correct it or drop the row")
    day, month, year, hour, minute = map(int, match.groups())
    try:
        stamp = datetime(year, month, day, hour, minute, tzinfo=zone)
    except ValueError as error:
        raise cell.wrong(f"{cell.text!r} is no time ({error}); correct it or drop the row") from None
    if year not in YEARS:
        raise cell.wrong(f"{cell.text!r} is not between {YEARS[0]} and {YEARS[-1]}; correct the year")
    if stamp.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != stamp.replace(tzinfo=None):
        raise cell.wrong(f"{cell.text!r} never was: clocks in {ZONE} skip that hour; correct it or drop the row")
    later = stamp.replace(fold=1)
    return [stamp] if later.utcoffset() == stamp.utcoffset() else [stamp, later]


def _ends(
    starts: list[datetime], ends: list[datetime], end_cell: Cell, length: Cell | None
) -> tuple[datetime, datetime]:
    """The start and end that fit together: those whose distance is nearest the recorded length, or else the first."""
    pairs = [(start, end) for start, end in product(starts, ends) if unix_ms(end) >= unix_ms(start)]
    if not pairs:
        raise end_cell.wrong(f"{end_cell.text} is before the plug-in; correct one of them or drop the row")
    if len(pairs) == 1 or length is None or length.text in _NONE:
        return pairs[0]
    length_ms = length.number(",") * MS_PER_HOUR
    return min(pairs, key=lambda pair: abs(unix_ms(pair[1]) - unix_ms(pair[0]) - length_ms))
