"""The charging sessions of each feeder: of a file of its own, or its share of the file that all have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.draws import agent_key
from wattswap.protocol.errors import InputError
from wattswap.runners.scenario.feeders import seed_on
from wattswap.runners.scenario.generated import RECORDED, generated_sessions
from wattswap.runners.scenario.names import MOST_CHARACTERS, refuse_long
from wattswap.runners.scenario.read import Source
from wattswap.runners.scenario.resample import DrawnNames, resampled
from wattswap.runners.scenario.schema import FeederSessions, FeederTable, Format, Scenario
from wattswap.runners.scenario.sessions import read_sessions
from wattswap.runners.scenario.visits import SessionTable, no_sessions
from wattswap.runners.scenario.zones import Redating, scenario_clock

Ints = NDArray[np.int64]

_NONE: Final = -1


@dataclass(frozen=True)
class Division:
    """Which sessions are on which feeder."""

    feeders: tuple[tuple[SessionTable, Ints], ...]
    """A file's sessions and the rows that are on the feeder, for each feeder."""
    inputs: tuple[tuple[Path, str], ...]
    """The files that were read, with their sha256."""
    notes: tuple[str, ...]
    """What was left out, one sentence each."""


def divided_sessions(source: Source, scenario: Scenario, only: Sequence[int] | None = None) -> Division:
    """Read the files of sessions and find those of each feeder, or of the feeders of these numbers ``only``.

    A file with a column ``feeder`` says itself where its sessions are. Without it a feeder has all sessions of its own
    file, or of the common file those at its share of the stations.

    Raises:
        InputError: a file cannot be used; or it names feeders, and a share of it is asked for.
    """
    files = [_file_of(feeder, scenario.sessions.csv) for feeder in scenario.feeders]
    names = tuple(feeder.name for feeder in scenario.feeder)
    wanted = range(len(files)) if only is None else only
    tables = {file: _table(source, scenario, file, names) for file in dict.fromkeys(files[at] for at in wanted)}
    common = [number for number, feeder in enumerate(scenario.feeders) if not _is_own(feeder)]
    shares = [scenario.feeders[number].sessions.share for number in common]
    is_whole = {at: _is_own(scenario.feeders[at]) and not tables[files[at]].feeder for at in wanted}
    divided = dict.fromkeys(files[at] for at in wanted if not is_whole[at])
    feeder_of = {file: _feeder_of_rows(tables[file], names, common, shares) for file in divided}
    found = []
    for number in wanted:
        feeder, file = scenario.feeders[number], files[number]
        table = tables[file]
        if table.feeder and feeder.sessions.share:
            raise InputError(
                f"{source.path(file.csv)}: its column feeder says which sessions are on feeder {feeder.name};"
                f" leave out feeder.{number}.sessions.share, or the column"
            )
        every = is_whole[number]
        found.append((table, np.arange(len(table.session_id)) if every else np.flatnonzero(feeder_of[file] == number)))
    notes = dict.fromkeys(note for table in tables.values() for note in table.notes)
    return Division(
        feeders=tuple(found),
        inputs=tuple(
            (RECORDED if file.generated else source.path(file.csv), table.sha256)
            for file, table in tables.items()
            if file.csv or file.generated
        ),
        notes=(*notes, *(_left_out([found[number] for number in common]) if only is None else ())),
    )


@dataclass(frozen=True)
class _SessionsFile:
    """How the sessions of a feeder are read."""

    csv: str
    format: Format
    redating: Redating
    generated: FeederSessions | None = None
    """What to draw them after, in place of a file."""
    feeder: str = ""
    """Whose they are, if drawn."""
    resample: bool = False
    """Whether the recorded users are drawn anew."""
    seed: int = 0
    """The feeder's own, if what is drawn is drawn for it alone."""


def _is_own(feeder: FeederTable) -> bool:
    """Whether its sessions are none of the common file's."""
    return bool(feeder.sessions.csv or feeder.sessions.generated_cars)


def _file_of(feeder: FeederTable, common_csv: str) -> _SessionsFile:
    sessions = feeder.sessions
    redating = Redating(sessions.shift_days, sessions.zone)
    if sessions.generated_cars:
        return _SessionsFile("", sessions.format, redating, sessions, feeder.name, seed=feeder.seed)
    csv, resample = sessions.csv or common_csv, sessions.resample == "yes"
    if resample and sessions.csv and feeder.seed:
        return _SessionsFile(csv, sessions.format, redating, feeder=feeder.name, resample=True, seed=feeder.seed)
    return _SessionsFile(csv, sessions.format, redating, resample=resample)


def _table(source: Source, scenario: Scenario, file: _SessionsFile, names: tuple[str, ...]) -> SessionTable:
    seed = seed_on(file.seed, scenario.seed)
    if file.generated:
        return generated_sessions(scenario, seed, file.generated, file.feeder)
    if not file.csv:
        return no_sessions()
    clock = scenario_clock(scenario)
    table = read_sessions(source.path(file.csv), scenario.vehicles.departure, file.format, file.redating, names, clock)
    if not file.resample:
        return table
    drawn = resampled(table, seed, file.feeder)
    if file.feeder:
        for what, its in (("session", drawn.session_id), ("charger", drawn.station_id), ("car", drawn.vehicle_id)):
            if not isinstance(its, DrawnNames) or its.most_characters > MOST_CHARACTERS:
                refuse_long(f"feeder {file.feeder}", what, its)
    return drawn


def _feeder_of_rows(table: SessionTable, names: Sequence[str], common: Sequence[int], shares: Sequence[float]) -> Ints:
    """The number of each session's feeder, -1 for one on none; as the table says, or else by the shares."""
    if table.feeder:
        number_of = {name: number for number, name in enumerate(names)}
        return np.array([number_of[name] for name in table.feeder], dtype=np.int64)
    place_of = feeder_of_stations(table.station_id, shares)
    numbers = np.array([*common, _NONE], dtype=np.int64)
    return numbers[[place_of[station] for station in table.station_id]]


def _left_out(found: Sequence[tuple[SessionTable, Ints]]) -> tuple[str, ...]:
    """A note on sessions of the common file that are on no feeder."""
    total = len(found[0][0].session_id) if found else 0
    left = total - sum(len(rows) for _, rows in found)
    what = "sessions left out: their stations are on no feeder, because the shares add up to less than 1"
    return (f"{left} of {total} {what}",) if left > 0 and not found[0][0].feeder else ()


def feeder_of_stations(stations: Iterable[str], shares: Sequence[float]) -> dict[str, int]:
    """The number of each station's feeder, counted in ``shares``; -1 for a station that no share reaches.

    Each feeder gets its share of the stations, and feeders without one (0) get equal parts of what is left. Which
    stations these are follows from the stations' names alone: neither the seed nor the order of the file matters.
    """
    ordered = sorted(set(stations), key=lambda station: (agent_key(station), station))
    equal = (1 - sum(shares)) / max(shares.count(0), 1)
    found, first, reached = dict.fromkeys(ordered, _NONE), 0, 0.0
    for feeder, share in enumerate(shares):
        reached += share or equal
        last = min(round(reached * len(ordered)), len(ordered))
        found.update(dict.fromkeys(ordered[first:last], feeder))
        first = last
    return found
