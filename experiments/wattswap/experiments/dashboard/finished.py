"""The history of a run that is over, read from the tables of its directory."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from wattswap.protocol.errors import InputError
from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.recording.ageing import AgeingClock
from wattswap.runners.recording.record import ROUND_COLUMNS, SessionRow, TradeRow
from wattswap.runners.recording.rundir import SCENARIO, read_run
from wattswap.runners.scenario.ambient import read_temperatures
from wattswap.runners.scenario.bundled import DATA, PREFIX
from wattswap.runners.scenario.profiles import Ticks
from wattswap.runners.watching.history import FEEDER_COLUMNS, UNTOLD, CarCard, FeederCard, Head, History

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from wattswap.runners.recording.ageing import Paper
    from wattswap.runners.watching.history import Row

    Columns = Mapping[str, Sequence[Any]]

_CARD: Final = tuple(name for name in CarCard.__struct_fields__ if name not in ("battery_wh", "is_whole"))
"""No driver has a say in what is over; a run has seen its cars come."""


def finished_run(path: Path, play_speed: float | None = None) -> History:
    """The history of the run in a directory.

    Raises:
        InputError: there is none, it ended before its tables were written, or a table cannot be read.
    """
    run = read_run(path)
    if not run.figures:
        raise InputError(
            f"{path}: this run {'failed' if run.status == 'failed' else 'is not finished'}, its tables are not written"
            f" yet; to watch a run as it goes, start it with `wattswap run --watch`; `wattswap replay {path}` rebuilds"
            " the tables of one that was broken off"
        )
    scenario = _scenario(path)
    start: datetime = scenario["start"]
    start_ms, tick_ms = round(start.timestamp() * 1_000), int(scenario.get("reading_s", 30)) * 1_000
    offset = start.utcoffset()
    feeders = scenario.get("feeder", ()) or [{}]
    ticks = _tick_rows(run.columns("series"), len(feeders))
    transformers = [_transformer(scenario, feeder, Ticks(start_ms, tick_ms, len(ticks))) for feeder in feeders]
    chargers = scenario.get("chargers", {})
    cars, columns = run.columns("cars"), run.columns("sessions")
    sessions = _rows(columns, SessionRow._fields)
    trades = _rows(run.columns("trades"), TradeRow._fields)
    cards = _cards(_rows(columns, _CARD))
    if run.status != "complete":
        cards += _unwritten({card.session: card for card in cards}, cars, start_ms, tick_ms)
    history = History()
    head = Head(
        name=str(run.figures.get("scenario", path.name)),
        controller=str(run.figures.get("controller", "")),
        start_ms=start_ms,
        utc_offset_ms=round(offset.total_seconds() * 1_000) if offset else 0,
        tick_ms=tick_ms,
        all_ticks=len(ticks),
        feeders=[
            FeederCard(name=str(feeder.get("name", "")), rating_va=each.rating_va)
            for feeder, each in zip(feeders, transformers, strict=True)
        ],
        phases=int(chargers.get("phases", 3)),
        voltage_v=int(chargers.get("voltage_v", 230)),
        is_live=False,
        play_speed=play_speed,
    )
    history.begin(head, cards)
    numbers = _Numbers({card.session: row for row, card in enumerate(cards)})
    history.add(
        ticks=ticks,
        heat=_heat_rows(ticks, transformers, tick_ms // 1_000),
        cars=_car_rows(cars, numbers, start_ms, tick_ms),
        rounds=_rows(run.columns("rounds"), ROUND_COLUMNS),
        trades=trades,
        sessions=sessions,
        **_sales(trades, numbers),
    )
    history.end(run.status)
    return history


class _Numbers(dict[str, int]):
    """The row of each session."""

    def __missing__(self, session: str) -> int:
        raise InputError(f"the run's tables differ on who was there: {session!r} has no session; run it again")


def _scenario(path: Path) -> dict[str, Any]:
    try:
        scenario = tomllib.loads((path / SCENARIO).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path / SCENARIO}: cannot be read ({error}); run the scenario again") from None
    if not isinstance(scenario.get("start"), datetime):
        raise InputError(f"{path / SCENARIO}: not the scenario of a run, it has no start; run the scenario again")
    return scenario


def _rows(columns: Columns, names: Sequence[str]) -> list[Row]:
    """The rows of a table in this order of columns."""
    if missing := [name for name in names if name not in columns]:
        raise InputError(f"the run's tables lack {', '.join(missing)}: another version wrote them; run it again")
    return [list(row) for row in zip(*(columns[name] for name in names), strict=True)]


def _tick_rows(series: Columns, feeders: int) -> list[Row]:
    """The figures of all feeders at each tick, side by side; an interrupted run may lack some of the last ticks."""
    parts: list[list[Row]] = [[] for _ in range(feeders)]
    for row in _rows(series, ("feeder", *FEEDER_COLUMNS)):
        parts[int(row[0])].append(row[1:])
    return [[figure for row in rows for figure in row] for rows in zip(*parts, strict=False)]


class _Heated(NamedTuple):
    """What the figures of a transformer's heat need to know of it."""

    rating_va: int
    ambient_c: NDArray[np.float64]
    paper: Paper


def _transformer(scenario: Mapping[str, Any], feeder: Mapping[str, Any], ticks: Ticks) -> _Heated:
    """A feeder's transformer and the temperature around it; where its file is gone, one temperature for all ticks."""
    table = {**scenario.get("transformer", {}), **feeder.get("transformer", {})}
    ambient_c = np.full(max(ticks.count, 1), float(table.get("ambient_c", 20)))
    if file := str(table.get("ambient_csv", "")):
        path = DATA / file.removeprefix(PREFIX) if file.startswith(PREFIX) else Path(file)
        with suppress(InputError):
            ambient_c = read_temperatures(path).over(ticks)
    return _Heated(int(table.get("rating_va", 400_000)), ambient_c, table.get("paper", "normal"))


def _heat_rows(ticks: Sequence[Row], transformers: Sequence[_Heated], tick_s: int) -> list[Row]:
    """What the load made of each transformer; see ``HEAT_COLUMNS``."""
    clocks = [AgeingClock(each.rating_va, tick_s, each.ambient_c, each.paper) for each in transformers]
    width = len(FEEDER_COLUMNS)
    rows: list[Row] = []
    base, drawn, fed = (FEEDER_COLUMNS.index(name) for name in ("base_w", "import_w", "export_w"))
    for tick in ticks:
        for feeder, clock in enumerate(clocks):
            here = tick[feeder * width : (feeder + 1) * width]
            clock.add(int(here[base]) + int(here[drawn]) - int(here[fed]))
        rows.append(
            [figure for clock in clocks for figure in (round(clock.hot_spot_c * 10), round(clock.used_h * 3600))]
        )
    return rows


def _cards(rows: Iterable[Row]) -> list[CarCard]:
    return msgspec.convert([dict(zip(_CARD, row, strict=True)) for row in rows], list[CarCard])


def _unwritten(known: Mapping[str, CarCard], cars: Columns, start_ms: int, tick_ms: int) -> list[CarCard]:
    """The cars that were plugged in when a run was broken off: it did not come to write their sessions down."""
    cards: dict[str, CarCard] = {}
    names = ("session", "station", "vehicle", "feeder", "from_ms")
    for session, station, vehicle, feeder, from_ms in _rows(cars, names):
        if session not in known and session not in cards:
            cards[str(session)] = CarCard(
                session=str(session),
                station=str(station),
                vehicle=str(vehicle),
                strategy="",
                arrival_tick=(int(from_ms) - start_ms) // tick_ms,
                departure_tick=UNTOLD,
                need_ws=0,
                feeder=int(feeder),
            )
    return list(cards.values())


def _sales(trades: Iterable[Row], numbers: Mapping[str, int]) -> dict[str, list[Row]]:
    """What was sold, in the order of the calls: the offers that were taken, as far as they were, and the awards."""
    rows = [TradeRow(*trade) for trade in trades]  # type: ignore[arg-type]  # as the table has them
    sold = sorted(
        (row.tick, row.feeder, numbers[row.session], row.tranche, row) for row in rows if row.kind != "forced"
    )
    return {
        "offers": [[*key, row.offered_w, row.ask_nanos_per_kwh_h] for *key, row in sold],
        "awards": [[*key, row.awarded_w, row.price_nanos_per_kwh_h] for *key, row in sold],
    }


def _car_rows(cars: Columns, numbers: Mapping[str, int], start_ms: int, tick_ms: int) -> Iterator[Row]:
    """Each stretch of constant activity, and after a car's last one that it has gone; in the order of time."""
    meters: dict[int, tuple[int, int]] = {}
    ends: dict[int, int] = {}
    rows: list[Row] = []
    names = ("session", "from_ms", "to_ms", "activity", "import_w", "export_w")
    _rows(cars, names)  # refuses what lacks a column
    for session, from_ms, to_ms, what, import_w, export_w in zip(*(cars[name] for name in names), strict=True):
        number, seconds = numbers[session], (to_ms - from_ms) // 1_000
        imported_ws, exported_ws = meters.get(number, (0, 0))
        begins, ends[number] = (from_ms - start_ms) // tick_ms, (to_ms - start_ms) // tick_ms
        rows.append([begins, number, ACTIVITIES.index(what), import_w, export_w, imported_ws, exported_ws])
        meters[number] = imported_ws + import_w * seconds, exported_ws + export_w * seconds
    rows += [[end, number, -1, 0, 0, *meters[number]] for number, end in ends.items()]
    yield from sorted(rows)
