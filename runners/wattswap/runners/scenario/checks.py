"""What the type of a single key cannot say: which values must fit together, and what a text may hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import datetime

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_S
from wattswap.runners.scenario.cars import parse_models
from wattswap.runners.scenario.feeders import feeder_problems
from wattswap.runners.scenario.keys import Origin
from wattswap.runners.scenario.schema import DAY_S, Scenario, SessionsFile
from wattswap.runners.scenario.sessions import departure_error_ms
from wattswap.runners.scenario.stations import station_problems
from wattswap.runners.scenario.tables import YEARS
from wattswap.runners.scenario.zones import zone_named

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def check(scenario: Scenario, origin: Origin) -> None:
    """Refuse a scenario whose figures are out of range or do not fit together."""
    for what, *paths in _problems(scenario):
        raise origin.wrong(what, *paths)


Problem = tuple[str, ...]
"""What is wrong and what to do, then the paths of the values it is about."""


def _problems(scenario: Scenario) -> Iterator[Problem]:
    """All that is wrong, the first one first. Later checks may rely on earlier ones."""
    yield from _time(scenario)
    yield from _power(scenario)
    yield from _texts(scenario)
    yield from feeder_problems(scenario)
    yield from station_problems(scenario)
    yield from _files(scenario)
    yield from _events(scenario)


def _time(scenario: Scenario) -> Iterator[Problem]:
    start, window_s, reading_s = scenario.start, scenario.window_s, scenario.reading_s
    if start.utcoffset() is None:
        yield _zone_missing("start", start), "start"
    if start.year not in YEARS:
        yield f"start ({start.isoformat()}) is not between {YEARS[0]} and {YEARS[-1]}; correct the year", "start"
    if start.microsecond:
        yield f"start is {start.isoformat()}; it must be a whole second", "start"
    if window_s % reading_s:
        what = f"window_s ({window_s}) must be a multiple of reading_s ({reading_s}), like 300 and 30"
        yield what, "window_s", "reading_s"
    if DAY_S % window_s:
        yield f"window_s ({window_s}) must divide a day of {DAY_S} s, like 300 or 900", "window_s"
    if scenario.market.deadline_ms > reading_s * MS_PER_S:
        what = f"market.deadline_ms ({scenario.market.deadline_ms}) must not be longer than reading_s ({reading_s} s)"
        yield f"{what}: a round ends before the next reading", "market.deadline_ms", "reading_s"
    if 0 < scenario.market.lease_s < 2 * reading_s:
        what = f"market.lease_s ({scenario.market.lease_s}) must be at least two ticks of reading_s ({reading_s} s)"
        yield f"{what}: a grant holds until the next one is there; 0 is three ticks", "market.lease_s", "reading_s"


def _zone_missing(path: str, stamp: datetime) -> str:
    return f"{path} ({stamp.isoformat()}) has no time zone; add the offset, like {stamp.isoformat()}+01:00"


def _power(scenario: Scenario) -> Iterator[Problem]:
    chargers = scenario.chargers
    least_w = chargers.min_a * chargers.phases * chargers.voltage_v
    if least_w > chargers.max_w:
        what = f"chargers.max_w ({chargers.max_w}) is under min_a x phases x voltage_v = {least_w} W, the least a"
        paths = (f"chargers.{key}" for key in ("max_w", "min_a", "phases", "voltage_v"))
        yield f"{what} charger can do; raise it, or lower min_a or phases", *paths


def _misnamed(path: str, name: str, after_it: str) -> str:
    """That a name will not do, and the nearest one that will."""
    what = f"{path} is {name!r}; {after_it} are named after it: use up to 64 letters, digits, dots, dashes"
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    near = _UNFIT.sub("-", plain).strip("-._")[:64]
    return f"{what} and underscores" + (f", like {near}" if near else "")


def _texts(scenario: Scenario) -> Iterator[Problem]:
    if not _NAME.fullmatch(scenario.name):
        yield _misnamed("name", scenario.name, "folders"), "name"
    for index, feeder in enumerate(scenario.feeder):
        if not _NAME.fullmatch(feeder.name):
            path = f"feeder.{index}.name"
            yield _misnamed(path, feeder.name, "agents"), path
    yield from _departure(scenario)
    yield from _model(scenario)
    if not scenario.vehicles.strategy:
        yield "vehicles.strategy is empty; name one, like need:0.8+prosumer:0.2", "vehicles.strategy"
    for index, battery in enumerate(scenario.battery):
        if not battery.strategy:
            path = f"battery.{index}.strategy"
            yield f"{path} is empty; name one, like prosumer", path


def _departure(scenario: Scenario) -> Iterator[Problem]:
    departure = scenario.vehicles.departure
    if departure not in ("actual", "stated") and departure_error_ms(departure) is None:
        yield f"vehicles.departure is {departure!r}; write actual, stated, or error:2h", "vehicles.departure"
    for path, sessions in _session_files(scenario):
        if departure == "stated" and sessions.format == "trondheim":
            what = "vehicles.departure is 'stated' and the reports from Trondheim state none; write actual or error:2h"
            yield what, "vehicles.departure", f"{path}.format"


def _session_files(scenario: Scenario) -> Iterator[tuple[str, SessionsFile]]:
    """The tables that say where sessions come from, with their paths."""
    yield "sessions", scenario.sessions
    yield from ((f"feeder.{index}.sessions", feeder.sessions) for index, feeder in enumerate(scenario.feeder))


def _model(scenario: Scenario) -> Iterator[Problem]:
    if scenario.vehicles.model:
        yield from _refused("vehicles.model", parse_models, scenario.vehicles.model)
    elif scenario.vehicles.curve == "model":
        yield "vehicles.curve is 'model' and vehicles.model names none; name one, or write flat", "vehicles.curve"


def _files(scenario: Scenario) -> Iterator[Problem]:
    for path, sessions in _session_files(scenario):
        if sessions.zone:
            yield from _refused(f"{path}.zone", zone_named, sessions.zone)
        yield from _generate(path, sessions, scenario)
    bases = [
        ("base", scenario.base),
        *((f"feeder.{index}.base", each.base) for index, each in enumerate(scenario.feeder)),
    ]
    for path, base in bases:
        if base.pv_csv and not (base.household_csv or base.homes) and not (path == "base" and scenario.feeder):
            what = f"{path}.pv_csv needs {path}.household_csv, from which the sun is subtracted; name both"
            yield what, f"{path}.pv_csv", f"{path}.household_csv"
    for index, household in enumerate(scenario.household):
        if not (household.household_csv or household.homes):
            path = f"household.{index}.household_csv"
            yield f"{path} is missing; name the CSV file of this household's load", path
    for path, base in (*bases, *((f"household.{index}", each) for index, each in enumerate(scenario.household))):
        if base.homes and base.household_csv:
            key, csv = f"{path}.homes", f"{path}.household_csv"
            yield f"{key} draws homes and {csv} names a file of them; leave one out", key, csv
    homes = any(scenario.households_of(feeder) for feeder in scenario.feeders)
    cars = any(sessions.csv or sessions.generated_cars for _, sessions in _session_files(scenario))
    if not (homes or cars or scenario.battery):
        paths = "base.household_csv", "sessions.csv"
        yield f"there is nothing on this street; name {paths[0]}, {paths[1]} or both", *paths


def _generate(path: str, sessions: SessionsFile, scenario: Scenario) -> Iterator[Problem]:
    """Sessions are drawn or read, and a share of the homes needs their number."""
    share, count = f"{path}.generate_pct", f"{path}.generate"
    key = count if sessions.generate else share
    if sessions.generate and sessions.generate_pct:
        yield f"{count} and {share} both say how many cars there are; leave one out", count, share
    if sessions.generate_pct and not sessions.homes:
        yield f"{share} is a share of the homes; write how many there are as {path}.homes", share
    if sessions.generated_cars and sessions.csv:
        yield f"{key} draws sessions and {path}.csv names a file of them; leave one out", key, f"{path}.csv"
    if sessions.generated_cars and sessions.resample == "yes":
        what = f"{key} draws other cars with every seed already; compare with --seeds 10, without --resample"
        yield f"{what} and {path}.resample", f"{path}.resample", key
    if sessions.generated_cars and scenario.vehicles.departure == "stated":
        yield "vehicles.departure is 'stated' and drawn sessions state none; write actual or error:2h", key


def _refused(path: str, read: Callable[[str], object], text: str) -> Iterator[Problem]:
    """What ``read`` says against the text at ``path``."""
    try:
        read(text)
    except InputError as error:
        yield f"{path}: {error}", path


def _events(scenario: Scenario) -> Iterator[Problem]:
    for index, event in enumerate(scenario.event):
        path = f"event.{index}"
        for key, stamp in (("from", event.from_), ("to", event.to)):
            if stamp.utcoffset() is None:
                yield _zone_missing(f"{path}.{key}", stamp), f"{path}.{key}"
        if event.to <= event.from_:
            span = f"{path}.to ({event.to.isoformat()}) must be after {path}.from ({event.from_.isoformat()})"
            yield f"{span}; correct one of them", f"{path}.to", f"{path}.from"
