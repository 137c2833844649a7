"""What drivers are to say at which instant, read from the words of a command line."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from wattswap.experiments.nearest import nearest
from wattswap.experiments.tables import places_of
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import WS_PER_WH
from wattswap.runners.engines.driver_wishes import DriverWishes, Said, Wish
from wattswap.runners.world import fleet_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wattswap.runners.scenario.street import Street

_MS: Final = timedelta(milliseconds=1)
_WISHES: Final = "veto, stop, sell, full-by=07:00, at-least=60km (or 12kWh)"


def planned_wishes(street: Street, texts: Iterable[Sequence[str]]) -> DriverWishes:
    """The wishes of a run; each text is an instant, ``car=NAME`` and what its driver says.

    A car goes by its charger, its own name or its session.

    Raises:
        InputError: a text names no instant of the run, no car that is plugged in then, or no wish.
    """
    cars = _Cars(street)
    return DriverWishes(_planned(street, cars, *text) for text in texts)


def _planned(street: Street, cars: _Cars, at: str, car: str, wish: str) -> tuple[int, Said]:
    said = f"--at {at} {car} {wish}"
    at_ms = instant_ms(street, at, 0, said)
    tick = -(-at_ms // street.tick_ms)
    if tick >= street.ticks:
        raise InputError(f"{said}: the run is over at {_clock(street, street.ticks)}")
    key, _, name = car.partition("=")
    if key != "car" or not name:
        raise InputError(f"{said}: {car!r} names no car; write car=NAME, its charger, its own name or its session")
    row = cars.plugged_in(name, tick, said)
    what, _, figure = wish.partition("=")
    if what not in list(Wish) or bool(figure) != (what in (Wish.FULL_BY, Wish.AT_LEAST)):
        raise InputError(f"{said}: a driver cannot say {wish!r}; there are {_WISHES}")
    match Wish(what):
        case Wish.FULL_BY:
            return tick, Said(row, Wish.FULL_BY, by_ms=instant_ms(street, figure, at_ms, said))
        case Wish.AT_LEAST:
            return tick, Said(row, Wish.AT_LEAST, least_ws=_least_ws(street, cars.capacity_ws(row), figure, said))
        case plain:
            return tick, Said(row, plain)


def _least_ws(street: Street, capacity_ws: int, text: str, said: str) -> int:
    """What a battery is to hold, given as a range or as energy."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?(km|kWh)", text)
    if not found:
        raise InputError(f"{said}: {text!r} is neither a range nor an energy; write at-least=60km or at-least=12kWh")
    wh_each = street.scenario.vehicles.wh_per_km if found[2] == "km" else 1_000
    least_ws = round(float(found[1]) * wh_each * WS_PER_WH)
    if least_ws > capacity_ws:
        raise InputError(
            f"{said}: the battery holds {capacity_ws / WS_PER_WH / 1_000:.1f} kWh at most, and {text} are"
            f" {least_ws / WS_PER_WH / 1_000:.1f}"
        )
    return least_ws


def instant_ms(street: Street, text: str, after_ms: int, said: str) -> int:
    """An instant by the street's clock, in the run's milliseconds: ``19:10`` is the first one from ``after_ms`` on."""
    start = street.scenario.start
    try:
        if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text):
            after = start + after_ms * _MS
            found = datetime.combine(after.date(), time.fromisoformat(text), start.tzinfo)
            found += timedelta(days=found < after)
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=start.tzinfo)
    except ValueError:
        raise InputError(f"{said}: {text!r} is no instant; write 19:10 or 2018-11-25T19:10") from None
    if found < start:
        raise InputError(f"{said}: {text} is before the run, which begins at {start:%Y-%m-%d %H:%M}")
    return (found - start) // _MS


def _clock(street: Street, tick: int) -> str:
    return f"{street.scenario.start + int(tick) * street.tick_ms * _MS:%a %H:%M}"


class _Cars:
    """The sessions of a street by all their names."""

    def __init__(self, street: Street) -> None:
        self._street, self._fleet = street, fleet_of(street)
        prefix = [place.prefix for place in places_of(street)]
        self._rows: dict[str, list[int]] = {}
        fleet = self._fleet
        for row, feeder in enumerate(fleet.feeder.tolist()):
            if fleet.is_session[row]:
                for names in (fleet.station_id, fleet.vehicle_id, fleet.session_id):
                    rows = self._rows.setdefault(prefix[feeder] + names[row], [])
                    if row not in rows:
                        rows.append(row)

    def capacity_ws(self, row: int) -> int:
        """What the battery of a row's car holds."""
        return int(self._fleet.capacity_ws[row])

    def plugged_in(self, name: str, tick: int, said: str) -> int:
        """The row of the session that goes by this name at a tick."""
        rows, fleet, street = self._rows.get(name), self._fleet, self._street
        if rows is None:
            raise InputError(f"{said}: there is no car {name!r}; the nearest is {nearest(name, self._rows)!r}")
        for row in rows:
            if fleet.arrival_tick[row] <= tick < fleet.departure_tick[row]:
                return row
        stays = ", ".join(
            f"{_clock(street, arrival)} to {_clock(street, departure)}"
            for arrival, departure in zip(fleet.arrival_tick[rows[:3]], fleet.departure_tick[rows[:3]], strict=True)
        )
        raise InputError(f"{said}: {name} is not plugged in then; it is from {stays}")
