"""A replayed run beside what it left behind: which table differs first, and which ones are to be rebuilt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from wattswap.experiments.tables import TABLES, table_of
from wattswap.runners.network.fault_free_twin import with_cost
from wattswap.runners.recording.difference import Difference
from wattswap.runners.recording.metrics import summary
from wattswap.runners.recording.replay import replay_run
from wattswap.runners.recording.rundir import SETTLEMENT, RunDir
from wattswap.runners.recording.time_series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from wattswap.experiments.tables import Columns
    from wattswap.runners.recording.metrics import Summary
    from wattswap.runners.recording.replay import Recorded, Replay
    from wattswap.runners.recording.rundir import Status
    from wattswap.runners.scenario.street import Street

_PAID: Final = "paid"
_ON_THE_LEDGER: Final = ("netted", "waiting", "crossed")
_WHOLE_ONLY: Final = ("cars",)
"""Tables whose first rows are not the same when a run ends early."""
_INSTANT: Final = ("t_ms", "from_ms", "departure_ms")
"""The columns that say when a row was, of which each table has one."""


@dataclass(frozen=True)
class Checked:
    """A replay held against its run directory."""

    replay: Replay
    figures: Summary
    differences: tuple[Difference, ...]
    """The first of the agents' doings, and the first in a table or the figures; none where all is the same."""
    compared: tuple[str, ...]
    """The tables that were there to compare."""
    tables: Mapping[str, Columns]
    """All tables as the replay makes them."""


def check_run(recorded: Recorded, progress: Callable[[int], None] = lambda _tick: None) -> Checked:
    """Replay a run and compare; nothing is written.

    Raises:
        InputError: the journal is damaged, or a table cannot be read.
    """
    began = perf_counter()
    replay = replay_run(recorded, progress)
    series = TimeSeries.of(recorded.street, replay.record)
    figures = _figures(replay, series, perf_counter() - began)
    tables = {name: table_of(name, recorded.street, replay.record, series) for name in TABLES}
    compared = tuple(name for name in TABLES if _is_compared(replay, name))
    found = [row for name in compared if (row := _first_in_table(replay, name, tables[name])) is not None]
    rows = [min(found, key=lambda difference: difference.tick)] if found else _first_figure(replay, figures)
    doings = [found for found in (replay.altered, replay.difference) if found is not None]
    return Checked(replay, figures, (*doings, *rows), compared, tables)


def rebuild(checked: Checked) -> list[str]:
    """Write the tables and figures that the run did not get to write; what is there stays. The names of what is new."""
    replay = checked.replay
    run, record = replay.recorded.run, replay.record
    directory = RunDir(run.path)
    written = [
        _table(run.path, name).name for name in missing(checked) if directory.write_table(name, checked.tables[name])
    ]
    run_id = (run.settlement or {}).get("run_id", "")
    written += directory.write_ledgers(replay.recorded.street, record, run_id=run_id)
    if not run.figures:
        status: Status = "complete" if replay.whole else run.status
        directory.write_figures({**checked.figures, SETTLEMENT: run.settlement}, status)
        written.append("the figures in run.json")
    return written


def missing(checked: Checked) -> list[str]:
    """The tables that are not there."""
    return [name for name in TABLES if not _table(checked.replay.recorded.run.path, name).exists()]


def instant(street: Street, tick: int) -> datetime:
    """When a tick begins, by the street's clocks."""
    return street.scenario.start + timedelta(milliseconds=tick * street.tick_ms)


def _figures(replay: Replay, series: TimeSeries, wall_s: float) -> Summary:
    header, street = replay.recorded.header, replay.recorded.street
    figures = summary(
        street,
        replay.record,
        controller=header.controller,
        strategy=header.strategy,
        engine=header.engine,
        wall_s=wall_s,
        series=series,
    )
    return with_cost(street, figures) if replay.whole else figures


def _table(path: Path, name: str) -> Path:
    return path / f"{name}.parquet"


def _is_compared(replay: Replay, name: str) -> bool:
    return _table(replay.recorded.run.path, name).exists() and (replay.whole or name not in _WHOLE_ONLY)


def _first_in_table(replay: Replay, name: str, columns: Columns) -> Difference | None:
    """The first row of a table that differs; where the journal ends early, the rows it does not reach do not count."""
    street = replay.recorded.street
    recorded = _by_feeder(replay.recorded.run.columns(name))
    if "status" in recorded:  # what the run's ledger made of a reward is not the agents' doing
        recorded["status"] = [_PAID if status.startswith(_ON_THE_LEDGER) else status for status in recorded["status"]]
    replayed = {key: column.tolist() for key, column in columns.items()}
    if recorded.keys() != replayed.keys():
        return Difference(0, f"{name}, its columns", ", ".join(recorded), ", ".join(replayed))
    for number, (one, other) in enumerate(_rows(recorded, replayed)):
        if one != other and not (other is None and not replay.whole):
            row = dict(zip(recorded, one or other or (), strict=True))
            at_ms = next(row[key] for key in _INSTANT if key in row)
            tick = (at_ms - street.start_unix_ms) // street.tick_ms
            return Difference(tick, f"{name}, row {number}", *_cells(tuple(recorded), one, other))
    return None


def _by_feeder(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """A table that grew portion by portion, with the rows of one feeder below those of the other."""
    order = sorted(range(len(columns["feeder"])), key=columns["feeder"].__getitem__) if "feeder" in columns else []
    return {name: [column[at] for at in order] for name, column in columns.items()} if order else columns


def _rows(recorded: Mapping[str, Sequence[Any]], replayed: Mapping[str, Sequence[Any]]) -> Iterator[tuple[Any, Any]]:
    """The rows of both tables side by side, None where one has no more."""
    return zip_longest(zip(*recorded.values(), strict=True), zip(*replayed.values(), strict=True))


def _cells(names: Sequence[str], one: Sequence[Any] | None, other: Sequence[Any] | None) -> tuple[str, str]:
    """The cells of two rows that differ, as texts."""
    if one is None or other is None:
        texts = ["no such row" if row is None else _text(names, row, range(len(names))) for row in (one, other)]
    else:
        at = [place for place, (mine, theirs) in enumerate(zip(one, other, strict=True)) if mine != theirs]
        texts = [_text(names, row, at) for row in (one, other)]
    return texts[0], texts[1]


def _text(names: Sequence[str], row: Sequence[Any], at: Sequence[int] | range) -> str:
    return ", ".join(f"{names[place]} {row[place]}" for place in at)


def _first_figure(replay: Replay, figures: Summary) -> list[Difference]:
    """The first figure of ``run.json`` that differs, of a run that was told to its end."""
    recorded, ticks = replay.recorded.run.figures, replay.recorded.street.ticks
    if not replay.whole or replay.recorded.run.status != "complete":
        return []
    return [
        Difference(ticks, f"run.json, {key}", str(recorded.get(key)), str(figure))
        for key, figure in figures.items()
        if key not in ("timing", SETTLEMENT) and recorded.get(key) != figure
    ][:1]
