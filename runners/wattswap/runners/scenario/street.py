"""A street ready to run: the scenario's feeders, their files read and laid onto the grid of ticks, all in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_S
from wattswap.runners.scenario.ambient import read_temperatures
from wattswap.runners.scenario.car_notes import car_notes, feeds_never
from wattswap.runners.scenario.cars import CARS_CSV, bundled_cars, garage_of
from wattswap.runners.scenario.division import Division, divided_sessions
from wattswap.runners.scenario.effects import event_ticks, lost_events, lost_sessions
from wattswap.runners.scenario.emit import resolved_toml
from wattswap.runners.scenario.homes import homes_w
from wattswap.runners.scenario.input_files import InputFiles
from wattswap.runners.scenario.profiles import Ticks
from wattswap.runners.scenario.read import Source, load_scenario
from wattswap.runners.scenario.resample import DrawnNames
from wattswap.runners.scenario.schema import Battery, FeederTable, Scenario, TransformerTable
from wattswap.runners.scenario.sessions import departure_errors, keys_of
from wattswap.runners.scenario.stations import Stations
from wattswap.runners.scenario.tables import unix_ms
from wattswap.runners.scenario.visits import SessionTable
from wattswap.runners.scenario.zones import end_of_run, scenario_clock

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Ints = NDArray[np.int64]
ColumnsT = TypeVar("ColumnsT", bound="DataclassInstance")


@dataclass(frozen=True)
class Sessions:
    """The sessions that are live at some tick of the run, row i in file order; all arrays have shape (sessions,)."""

    session_id: tuple[str, ...]
    station_id: tuple[str, ...]
    vehicle_id: tuple[str, ...]
    user_id: tuple[str, ...]
    key: NDArray[np.uint64]
    """What the session draws under."""
    user_key: NDArray[np.uint64]
    """What the person draws under: the same in every session, so a person keeps a strategy."""
    arrival_tick: Ints
    """First live tick, from the run's start; negative for a car that was there before."""
    departure_tick: Ints
    """First tick no longer live, by the recorded departure; may lie beyond the run's end."""
    stated_departure_ms: Ints
    """What the agents are told, from the run's start, on the grid of ticks."""
    energy_ws: Ints


@dataclass(frozen=True)
class Feeder:
    """One transformer with the homes, chargers and batteries behind it."""

    name: str
    """Empty where the scenario lists no feeders: then the street is this one."""
    transformer: TransformerTable
    base_w: Ints
    """Mean watts, shape (households, ticks + 1): column 0 is the tick before the start (the first tick's value where
    a profile does not reach back), column k + 1 is [k, k + 1) ticks. Without homes one meter shows 0."""
    limit_w: Ints
    """The transformer's limit with its events applied, shape (ticks,)."""
    sessions: slice
    """Its rows in the street's sessions."""
    batteries: tuple[Battery, ...] = ()
    ambient_by_tick: NDArray[np.float64] | None = None
    """The temperature around the transformer in each tick, shape (ticks,), where the scenario names a file of it."""

    def ambient_c(self, ticks: int) -> NDArray[np.float64]:
        """The temperature in each of the first so many ticks."""
        if self.ambient_by_tick is None:
            return np.full(ticks, float(self.transformer.ambient_c))
        return self.ambient_by_tick[:ticks]


@dataclass(frozen=True, eq=False)
class Street:
    """All that a run needs to know about its feeders and who charges there; a street is equal to itself alone."""

    scenario: Scenario
    name: str
    start_unix_ms: int
    tick_ms: int
    ticks: int
    feeders: tuple[Feeder, ...]
    """At least one."""
    sessions: Sessions
    """Those of all feeders, feeder by feeder. Names are unique on a feeder; two feeders may have the same ones."""
    inputs: dict[str, str]
    """File name -> sha256 of every file that was read."""
    folder: Path
    """What relative paths in the scenario are relative to."""
    notes: tuple[str, ...] = ()
    """What a reader left out of a file or had to decide, one sentence each, for whoever runs the street to see."""

    @cached_property
    def base_w(self) -> Ints:
        """What the homes of each feeder draw together, in mean watts, shape (feeders, ticks + 1)."""
        return np.stack([feeder.base_w.sum(axis=0) for feeder in self.feeders])

    @cached_property
    def household_w(self) -> Ints:
        """What each household draws, feeder by feeder, in mean watts, shape (households, ticks + 1)."""
        return np.concatenate([feeder.base_w for feeder in self.feeders])

    @cached_property
    def limit_w(self) -> Ints:
        """Each transformer's limit, shape (feeders, ticks)."""
        return np.stack([feeder.limit_w for feeder in self.feeders])

    def alone(self, number: int) -> Street:
        """The street of one of its feeders, as it would be in a scenario of its own."""
        feeder, table = self.feeders[number], self.scenario.feeders[number]
        sessions = rows_of(self.sessions, feeder.sessions)
        scenario = msgspec.structs.replace(
            self.scenario,
            transformer=feeder.transformer,
            feeder=(table,) if table.name else (),
            household=self.scenario.on(table, self.scenario.household),
            battery=feeder.batteries,
            event=self.scenario.on(table, self.scenario.event),
        )
        rows = slice(0, len(sessions.session_id))
        return replace(self, scenario=scenario, feeders=(replace(feeder, sessions=rows),), sessions=sessions)

    @property
    def resolved_toml(self) -> str:
        """The scenario of this run as TOML that can be run again from any folder."""
        return resolved_toml(Source(self.scenario, self.folder), self.inputs)


def load_street(
    name_or_path: str,
    *,
    settings: Sequence[str] = (),
    strategy: str | None = None,
    seed: int | None = None,
    day: int | None = None,
) -> Street:
    """Load a scenario (see :func:`.read.load_scenario`) and its files; ``day`` picks one day, counted from 1."""
    source = load_scenario(name_or_path, settings, strategy=strategy, seed=seed)
    return build_street(source, day)


def load_streets(
    name_or_path: str,
    seeds: Sequence[int],
    *,
    settings: Sequence[str] = (),
    strategy: str | None = None,
    day: int | None = None,
) -> list[Street]:
    """The streets that :func:`load_street` loads with each of these seeds; what they share is read once."""
    source = load_scenario(name_or_path, settings, strategy=strategy, seed=seeds[0])
    return _build_streets(source, day, seeds)


def build_street(source: Source, day: int | None = None, feeders: Sequence[int] | None = None) -> Street:
    """Read the files a scenario names and lay them onto its grid of ticks.

    ``feeders`` are the numbers of those to be built, in the order of the file, if not all: each comes out as it does
    beside all others.
    """
    (street,) = _build_streets(source, day, [source.scenario.seed], feeders)
    return street


def _build_streets(
    source: Source, day: int | None, seeds: Sequence[int], feeders: Sequence[int] | None = None
) -> list[Street]:
    whole = source.scenario if day is None else one_day(source.scenario, day)
    scenario = whole if feeders is None or not whole.feeder else whole.only(feeders)
    start_ms, tick_ms = unix_ms(scenario.start), scenario.reading_s * MS_PER_S
    end_ms = unix_ms(end_of_run(scenario.start, scenario.days, scenario.hours))
    ticks = Ticks(start_ms, tick_ms, (end_ms - start_ms) // tick_ms)
    inputs = InputFiles(scenario.inputs)
    base_w = homes_w(source, scenario, ticks, inputs, seeds)
    streets = []
    for at, seed in enumerate(seeds):
        own = msgspec.structs.replace(scenario, seed=seed)
        divided = divided_sessions(source, msgspec.structs.replace(whole, seed=seed), feeders)
        streets.append(_build(source, own, ticks, divided, [homes[:, at] for homes in base_w], inputs.again(), day))
    return streets


def _build(
    source: Source,
    scenario: Scenario,
    ticks: Ticks,
    divided: Division,
    base_w: Sequence[Ints],
    inputs: InputFiles,
    day: int | None,
) -> Street:
    """The street of this scenario, whose homes draw so much."""
    for path, sha256 in divided.inputs:
        inputs.add(path, sha256)
    if scenario.vehicles.model:
        inputs.add(CARS_CSV, bundled_cars()[1])
    sessions = [_live(table, rows, scenario, ticks) for table, rows in divided.feeders]
    ends = list(accumulate((len(each.session_id) for each in sessions), initial=0))
    ambient_c = _ambients_c(source, scenario, ticks, inputs)
    feeders = tuple(
        Feeder(
            name=table.name,
            transformer=table.transformer,
            base_w=base_w[at],
            limit_w=_limit_w(scenario, table, ticks),
            sessions=slice(ends[at], ends[at + 1]),
            batteries=scenario.on(table, scenario.battery),
            ambient_by_tick=ambient_c[table.transformer.ambient_csv],
        )
        for at, table in enumerate(scenario.feeders)
    )
    joined = concatenated(sessions)
    garage = garage_of(scenario, joined.user_key, joined.station_id)
    stays_s = (joined.departure_tick - joined.arrival_tick) * scenario.reading_s
    return Street(
        scenario=scenario,
        name=scenario.name,
        start_unix_ms=ticks.start_ms,
        tick_ms=ticks.tick_ms,
        ticks=ticks.count,
        feeders=feeders,
        sessions=joined,
        inputs=inputs.sha256,
        folder=source.folder,
        notes=(
            *inputs.notes,
            *divided.notes,
            *lost_sessions(divided.feeders, ticks, whole=day is None),
            *lost_events(scenario, ticks, whole=day is None),
            *car_notes(scenario, garage, joined.station_id, stays_s, joined.energy_ws),
            *feeds_never(scenario),
            *(Stations(scenario.charger).unused(_all_stations(divided.feeders)) if scenario.charger else ()),
        ),
    )


def _all_stations(feeders: Sequence[tuple[SessionTable, Ints]]) -> list[str]:
    """Where anybody charges in the whole recording."""
    return [station for table, _ in feeders for station in table.station_id]


def one_day(scenario: Scenario, day: int) -> Scenario:
    """The ``day``-th day of a scenario as a scenario of one day; the name stays."""
    if not 1 <= day <= scenario.days:
        days = f"{scenario.days} day{'s' if scenario.days > 1 else ''}"
        raise InputError(f"--day {day}: scenario {scenario.name} has {days}; choose 1 to {scenario.days}")
    start = scenario.start + timedelta(days=day - 1)
    return msgspec.structs.replace(scenario, start=start, days=1, hours=0)


def _ambients_c(
    source: Source, scenario: Scenario, ticks: Ticks, inputs: InputFiles
) -> dict[str, NDArray[np.float64] | None]:
    """The temperature of each tick by the name of the file that tells it, which feeders share; None for no file."""
    found: dict[str, NDArray[np.float64] | None] = {"": None}
    for name in dict.fromkeys(table.transformer.ambient_csv for table in scenario.feeders):
        if name:
            path = source.path(name)
            temperatures = read_temperatures(path, scenario_clock(source.scenario))
            inputs.add(path, temperatures.sha256)
            inputs.note(temperatures.file, temperatures.notes(ticks))
            found[name] = temperatures.over(ticks)
    return found


def _limit_w(scenario: Scenario, feeder: FeederTable, ticks: Ticks) -> Ints:
    """The limit in each tick, shape (ticks,): an event holds from the first tick that starts at or after it."""
    limit_w: Ints = np.broadcast_to(np.int64(feeder.transformer.limit_w), ticks.count)  # which takes no memory
    if events := scenario.on(feeder, scenario.event):
        limit_w = limit_w.copy()
        for event in events:
            limit_w[event_ticks(event, ticks)] = event.limit_w
    return limit_w


def _live(table: SessionTable, rows: Ints, scenario: Scenario, ticks: Ticks) -> Sessions:
    """Of these rows of a file, the sessions live at some tick of the run: arrival rounded up, departure down."""
    arrival_tick = -((ticks.start_ms - table.arrival_ms) // ticks.tick_ms)
    departure_tick = (table.departure_ms - ticks.start_ms) // ticks.tick_ms
    live = rows[(np.maximum(arrival_tick, 0) < np.minimum(departure_tick, ticks.count))[rows]]
    session_id = _pick(table.session_id, live)
    user_id = _pick(table.user_id, live)
    key = keys_of(session_id)
    stated_ms = _stated_ms(table, scenario, key, live, ticks)
    return Sessions(
        session_id=session_id,
        station_id=_pick(table.station_id, live),
        vehicle_id=_pick(table.vehicle_id, live),
        user_id=user_id,
        key=key,
        user_key=keys_of(user_id),
        arrival_tick=arrival_tick[live],
        departure_tick=departure_tick[live],
        stated_departure_ms=np.maximum(stated_ms // ticks.tick_ms, arrival_tick[live] + 1) * ticks.tick_ms,
        energy_ws=table.energy_ws[live],
    )


def concatenated(parts: Sequence[ColumnsT]) -> ColumnsT:
    """Tables of columns, one below the other: tuples and arrays, whose first axis counts the rows."""
    columns = {column.name: [getattr(part, column.name) for part in parts] for column in fields(parts[0])}
    joined: dict[str, Any] = {
        name: tuple(chain(*column)) if isinstance(column[0], tuple) else np.concatenate(column)
        for name, column in columns.items()
    }
    return replace(parts[0], **joined)


def rows_of(table: ColumnsT, rows: slice) -> ColumnsT:
    """Some rows of a table of columns."""
    return replace(table, **{column.name: getattr(table, column.name)[rows] for column in fields(table)})


def _stated_ms(table: SessionTable, scenario: Scenario, key: NDArray[np.uint64], live: Ints, ticks: Ticks) -> Ints:
    """The departures the agents are told, in ms from the run's start, shape (live,), not yet on the grid."""
    told_ms = table.departure_ms if table.estimated_ms is None else table.estimated_ms
    return told_ms[live] - ticks.start_ms + departure_errors(scenario.vehicles.departure, scenario.seed, key)


def _pick(names: Sequence[str], rows: Ints) -> tuple[str, ...]:
    return names.take(rows) if isinstance(names, DrawnNames) else tuple([names[row] for row in rows.tolist()])
