"""Raw sessions of ACN-Data: the object that its web page downloads, or the plain list that a client saves.

Z. J. Lee, T. Li, S. H. Low, "ACN-Data: Analysis and Applications of an Open EV Charging Dataset", e-Energy 2019.

Energy is ``kWhDelivered``, what the meter saw; ``kWhRequested`` is a wish and is not used, nor is ``doneChargingTime``
(often null, sometimes after the plug-out). The station is ``stationID``. The user is ``userID``, which is null where
nobody claimed the session.

A car states its departure once, at plug-in, so of the revisions in ``userInputs`` the one counts that was known then:
the last one made up to five minutes after the plug-in (drivers type while they stand there), or the first of all where
the driver said nothing so early. Later revisions would be foresight. Who never said anything states the recorded
departure; the notes count them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.scenario.names import named
from wattswap.runners.scenario.tables import YEARS, read_content, unix_ms
from wattswap.runners.scenario.visits import MOST_KWH, SessionTable, Visit, VisitCounts, raw_table
from wattswap.runners.scenario.zones import Redating, zone_named

KNOWN_MS: Final = 5 * 60 * 1000
"""What a driver says up to this long after the plug-in is known at plug-in."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RFC_1123 = re.compile(rf"[A-Z][a-z]{{2}}, (\d\d) ({'|'.join(_MONTHS)}) (\d{{4}}) (\d\d):(\d\d):(\d\d) GMT")


class _AcnInput(msgspec.Struct, frozen=True):
    """What a driver said in the app, at one time."""

    modified_at: str = msgspec.field(name="modifiedAt")
    requested_departure: str = msgspec.field(name="requestedDeparture")


class _Item(msgspec.Struct, frozen=True):
    """One session, as far as we read it."""

    session_id: str = msgspec.field(name="sessionID")
    station_id: str = msgspec.field(name="stationID")
    connection_time: str = msgspec.field(name="connectionTime")
    disconnect_time: str | None = msgspec.field(name="disconnectTime")
    kwh_delivered: float = msgspec.field(name="kWhDelivered")
    timezone: str
    user_id: str | int | None = msgspec.field(name="userID", default=None)
    user_inputs: tuple[_AcnInput, ...] | None = msgspec.field(name="userInputs", default=None)


class _Download(msgspec.Struct, frozen=True):
    """The object that the web page downloads."""

    items: tuple[_Item, ...] = msgspec.field(name="_items")


@dataclass(frozen=True)
class _AcnPlace:
    """One item, which knows where it stands in its file."""

    file: Path
    path: str
    item: _Item

    def wrong(self, key: str, what: str) -> InputError:
        """An error about one key of this item."""
        return InputError(f"{self.file}, at {self.path}.{key}: {what}")

    def text(self, key: str, text: str) -> str:
        """A name, which must be filled and fit for a line of output."""
        if not text or not text.isprintable():
            raise self.wrong(key, f"{text!r} is no name that can be printed; correct it or drop the item")
        return text

    def instant(self, key: str, text: str) -> datetime:
        """An RFC 1123 date in GMT, or ISO 8601 with an offset, as an instant in UTC."""
        stamp = _stamp(text)
        if stamp is None or stamp.tzinfo is None:
            raise self.wrong(key, f"{text!r} is no time like 'Sat, 20 Mar 2021 01:39:37 GMT'; correct it")
        if stamp.year not in YEARS:
            raise self.wrong(key, f"{text!r} is not between {YEARS[0]} and {YEARS[-1]}; correct the year")
        return stamp.astimezone(UTC)


def read_acn(path: Path, redating: Redating, *, stated: bool) -> SessionTable:
    """Read either layout; times are exact to the second, energies to the watt-second.

    Raises:
        InputError: the file is torn or no JSON, or an item cannot be used; its place (counted from 0) is named.
    """
    content = read_content(path)
    tally = VisitCounts.of(path)
    places = _places(path, content)
    _refuse_repeats(places)
    visits = [visit for place in places if (visit := _visit(place, tally, stated=stated)) is not None]
    return raw_table(sha256(content).hexdigest(), visits, tally, redating, stated=stated)


def _places(path: Path, content: bytes) -> list[_AcnPlace]:
    """The items of either layout."""
    text = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    try:
        if text.startswith(b"["):
            items, at = msgspec.json.decode(text, type=tuple[_Item, ...]), "$"
        else:
            items, at = msgspec.json.decode(text, type=_Download).items, "$._items"
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}; is this a file of ACN-Data? if so, correct or drop the item") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: torn, or no JSON ({error}); download it again") from None
    return [_AcnPlace(path, f"{at}[{number}]", item) for number, item in enumerate(items)]


def _refuse_repeats(places: list[_AcnPlace]) -> None:
    seen: dict[str, str] = {}
    for place in places:
        name = place.text("sessionID", place.item.session_id)
        if name in seen:
            raise place.wrong("sessionID", f"session {name} stands already at {seen[name]}; drop one of them")
        seen[name] = place.path


def _visit(place: _AcnPlace, tally: VisitCounts, *, stated: bool) -> Visit | None:
    """The session of one item, or None if there is nothing to use; counted in ``tally`` then."""
    item = place.item
    arrival = place.instant("connectionTime", item.connection_time)
    departure_ms = None if item.disconnect_time is None else _departure_ms(place, item.disconnect_time, arrival)
    energy_ws = _energy_ws(place)
    zone = _zone(place)
    if not tally.keeps(unix_ms(arrival), departure_ms) or departure_ms is None:
        return None
    return Visit(
        session_id=item.session_id,
        station_id=place.text("stationID", item.station_id),
        user_id=_user(place),
        arrival=arrival.astimezone(zone),
        departure_ms=departure_ms,
        energy_ws=energy_ws,
        stated_ms=_stated_ms(place, unix_ms(arrival), tally) if stated else None,
    )


def _user(place: _AcnPlace) -> str:
    user = "" if place.item.user_id is None else named(str(place.item.user_id))
    return place.text("userID", user) if user else ""


def _departure_ms(place: _AcnPlace, text: str, arrival: datetime) -> int:
    departure = place.instant("disconnectTime", text)
    if departure < arrival:
        raise place.wrong("disconnectTime", f"{text} is before connectionTime; correct one of them or drop the item")
    return unix_ms(departure)


def _energy_ws(place: _AcnPlace) -> int:
    energy_kwh = place.item.kwh_delivered
    if not 0 <= energy_kwh <= MOST_KWH:
        raise place.wrong("kWhDelivered", f"{energy_kwh} kWh is not between 0 and {MOST_KWH}; correct or drop the item")
    return round(energy_kwh * WS_PER_KWH)


def _zone(place: _AcnPlace) -> tzinfo:
    try:
        return zone_named(place.item.timezone)
    except InputError as error:
        raise place.wrong("timezone", str(error)) from None


def _stated_ms(place: _AcnPlace, arrival_ms: int, tally: VisitCounts) -> int | None:
    """The departure the driver had stated when the car was plugged in; None if the driver never stated one."""
    said = [(_said_ms(place, number, "modifiedAt"), number) for number in range(len(place.item.user_inputs or ()))]
    if not said:
        tally.decided["state no departure, so the recorded one is told"] += 1
        return None
    known = [one for one in said if one[0] <= arrival_ms + KNOWN_MS]
    if not known:
        tally.decided["state a departure only later than 5 min after plug-in, so their first one is told"] += 1
    _, number = max(known) if known else min(said)
    return _said_ms(place, number, "requestedDeparture")


def _said_ms(place: _AcnPlace, number: int, key: str) -> int:
    said = (place.item.user_inputs or ())[number]
    text = said.modified_at if key == "modifiedAt" else said.requested_departure
    return unix_ms(place.instant(f"userInputs[{number}].{key}", text))


def _stamp(text: str) -> datetime | None:
    """An RFC 1123 date in GMT, read without regard to the machine's language, or an ISO 8601 one."""
    match = _RFC_1123.fullmatch(text)
    try:
        if match is None:
            return datetime.fromisoformat(text)
        day, month, year, hour, minute, second = match.groups()
        date = int(year), _MONTHS.index(month) + 1, int(day)
        return datetime(*date, int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None
