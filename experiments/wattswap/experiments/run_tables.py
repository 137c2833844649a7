"""The tables of a run as the picture and the report want them, and the hours of it worth looking at closely."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from wattswap.agents.settlement import rent_nanos
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.parquet_table import TEXTS, read_table
from wattswap.runners.recording.record import ROUND_COLUMNS, SessionRow, TradeRow
from wattswap.runners.recording.rundir import SCENARIO, read_run, wattswap_version
from wattswap.runners.scenario.bundled import DATA, PREFIX
from wattswap.runners.scenario.drawn_homes import RECORDED_HOMES
from wattswap.runners.scenario.zones import end_of_run, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from wattswap.runners.scenario.street import Street

    Floats = NDArray[np.float64]
    Window = tuple[int, int]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
UNCONTROLLED: Final = "uncontrolled"


class FinishedRun(Protocol):
    """A run still in memory, as ``wattswap.experiments.run`` returns it."""

    @property
    def street(self) -> Street: ...  # noqa: D102 - the names say it, and so in what follows
    @property
    def summary(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def twin(self) -> FinishedRun: ...  # noqa: D102
    @property
    def series(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def rounds(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def trades(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def sessions(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def cars(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def owed(self) -> pd.DataFrame: ...  # noqa: D102


@dataclass(frozen=True)
class RunTables:
    """The tables of a run, as ``wattswap.experiments.tables`` makes them, with its summary and its scenario."""

    summary: Mapping[str, Any]
    """``run.json``: the keys of ``run --json``, version and status, and ``uncontrolled`` where that was reckoned."""
    scenario: Mapping[str, Any]
    """``scenario.toml``, parsed."""
    series: pd.DataFrame
    rounds: pd.DataFrame
    trades: pd.DataFrame
    sessions: pd.DataFrame
    cars: pd.DataFrame
    owed: pd.DataFrame
    uncontrolled: pd.DataFrame | None = None
    """``t_ms, load_w`` of the same street with every car charging at once; None where nobody ran it."""

    @classmethod
    def read(cls, run_dir: Path) -> RunTables:
        """The tables of a run directory; what an interrupted run did not get round to writing is empty.

        Raises:
            InputError: there is no run directory, a file of it is torn, or a table holds what no run writes.
        """
        run = read_run(run_dir)
        about = {**run.figures, "version": run.version, "status": run.status}
        curve = run_dir / f"{UNCONTROLLED}.parquet"
        tables = cls(
            summary={**about, UNCONTROLLED: run.uncontrolled} if run.uncontrolled else about,
            scenario=_read_scenario(run_dir / SCENARIO),
            uncontrolled=_read_table(curve, ("t_ms", "load_w")) if curve.is_file() else None,
            series=_together(_read_table(run_dir / "series.parquet", _SERIES_COLUMNS)),
            **{name: _read_table(run_dir / f"{name}.parquet", columns) for name, columns in _COLUMNS.items()},
        )
        tables._refuse_other_times(run_dir)
        return tables

    def _refuse_other_times(self, run_dir: Path) -> None:
        """Refuse tables with instants outside the run, or with one tick twice: pictures have an axis of time."""
        end = end_of_run(self.start, int(self.scenario.get("days", 1)), int(self.scenario.get("hours", 0)))
        first_ms, end_ms = self.start_ms, round(end.timestamp() * 1000)
        named = {name: getattr(self, name) for name in ("series", *_COLUMNS)}
        for name, table in (named | {UNCONTROLLED: self.uncontrolled}).items():
            for column in _INSTANTS.intersection(() if table is None else table.columns):
                if not table[column].between(first_ms, end_ms).all():
                    raise InputError(f"{run_dir / name}.parquet: {column} is outside the run; run the scenario again")
            if name in (UNCONTROLLED, "series") and table is not None and not table["t_ms"].is_unique:
                raise InputError(f"{run_dir / name}.parquet: t_ms has an instant twice; run the scenario again")

    @classmethod
    def of(cls, run: FinishedRun) -> RunTables:
        """The tables of a run still in memory; its uncontrolled twin is run for it, which takes the fleet a moment."""
        about = {"version": wattswap_version(), "status": "complete", **run.summary}
        curve = None
        if run.summary["controller"] != UNCONTROLLED:
            about[UNCONTROLLED] = run.twin.summary
            curve = run.twin.series[["t_ms", "load_w"]]
        return cls(
            summary=about,
            scenario=tomllib.loads(run.street.resolved_toml),
            series=_together(run.series),
            rounds=run.rounds,
            trades=run.trades,
            sessions=run.sessions,
            cars=run.cars,
            owed=run.owed,
            uncontrolled=curve,
        )

    @property
    def start(self) -> datetime:
        """The run's first instant, by the clocks of the street's zone where the scenario names one."""
        at: datetime = self.scenario["start"]
        return at.astimezone(zone_named(self.scenario["zone"])) if self.scenario.get("zone") else at

    @property
    def start_ms(self) -> int:
        """The run's first instant, Unix milliseconds."""
        return round(self.start.timestamp() * 1000)

    @property
    def utc_offset(self) -> timedelta:
        """What the local clock of the time axis is ahead of UTC."""
        return self.start.utcoffset() or timedelta()

    @property
    def zone(self) -> str:
        """The local clock's name, Europe/Oslo or UTC+01:00."""
        if self.scenario.get("zone"):
            return str(self.scenario["zone"])
        ahead = round(self.utc_offset.total_seconds() / 60)
        return f"UTC{'-' if ahead < 0 else '+'}{abs(ahead) // 60:02}:{abs(ahead) % 60:02}"

    @property
    def tick_ms(self) -> int:
        """The grid of readings."""
        return int(self.scenario.get("reading_s", 30)) * 1000

    @property
    def window_ms(self) -> int:
        """The grid awards end on."""
        return int(self.scenario.get("window_s", 300)) * 1000

    @cached_property
    def limit_w(self) -> Floats:
        """The limit in each row of ``series``."""
        limit_w: Floats = self.series["limit_w"].to_numpy(dtype=np.float64)
        return limit_w

    @cached_property
    def rent_open_nanos(self) -> pd.Series[int]:
        """For each row of ``trades``, the rent of its lot if that was open, as if all came back at the run's end."""
        tick_s, still_open = self.tick_ms // 1000, self.trades["status"] == "open"
        columns = self.trades["price_nanos_per_kwh_h"], self.trades["rent"]
        nanos = [rent_nanos(int(price), int(rent), tick_s) for price, rent in zip(*columns, strict=True)]
        return self.trades["nanos"].mul(0).add(nanos).where(still_open, 0)

    @cached_property
    def _vehicles(self) -> dict[str, str]:
        both = (self.cars, self.sessions)
        return {str(s): str(v) for table in both for s, v in zip(table["session"], table["vehicle"], strict=True)}

    def vehicle_of(self, session: object) -> str:
        """The car of a session, by the name that it has everywhere; the session's own where that is not known."""
        return self._vehicles.get(str(session), str(session))

    def uncontrolled_w(self) -> Floats | None:
        """The uncontrolled load on the rows of ``series``; an interrupted run ends before the other does."""
        if self.uncontrolled is None or not len(self.series):
            return None
        known = self.uncontrolled.set_index("t_ms")["load_w"]
        load_w: Floats = known.reindex(self.series["t_ms"]).to_numpy(dtype=np.float64)
        return load_w

    def at(self, t_ms: float) -> datetime:
        """An instant on the local clock."""
        return datetime.fromtimestamp(t_ms / 1000, tz=UTC).astimezone(self.start.tzinfo)

    def clock(self, t_ms: float, pattern: str = "%H:%M") -> str:
        """An instant as the local clock shows it."""
        return self.at(t_ms).strftime(pattern)


_SERIES = ("t_ms", "feeder", "base_w", "firm_w", "wanted_w", "drawn_w", "load_w", "limit_w", "import_w", "export_w")
_CARS = ("session", "station", "vehicle", "from_ms", "to_ms", "activity", "import_w", "export_w", "feeder")
_SERIES_COLUMNS: Final = (*_SERIES, "awarded_w", "forced_w", "owed_ws")
_INSTANTS: Final = frozenset({"t_ms", "from_ms", "to_ms"})
"""A session's own are not among them: it may have begun before the run and end after it."""
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "rounds": ("t_ms", *ROUND_COLUMNS),
    "trades": ("t_ms", *TradeRow._fields),
    "sessions": (*SessionRow._fields, "feeder", "arrival_ms", "departure_ms"),
    "cars": _CARS,
    "owed": ("t_ms", "feeder", "session", "owed_ws"),
}


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        return pd.DataFrame({name: pd.Series(dtype="str" if name in TEXTS else "int64") for name in columns})
    table: pd.DataFrame = read_table(path, columns).to_pandas(ignore_metadata=True)
    return table


def _together(series: pd.DataFrame) -> pd.DataFrame:
    """The series of all feeders together, a row for each tick: pictures show the street as one."""
    if not series["feeder"].any():
        return series
    return series.groupby("t_ms", as_index=False, sort=False).sum().assign(feeder=0)


def _read_scenario(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run the scenario again") from None


def input_names(scenario: Mapping[str, Any]) -> Iterator[str]:
    """The input files a scenario uses, bundled ones with their prefix: what feeders have replaced is not among them."""
    feeders = scenario.get("feeder") or (scenario,)
    homes = [feeder.get("base", {}) for feeder in feeders]
    for household in (*homes, *scenario.get("household", ())):
        yield from (household[key] for key in ("household_csv", "pv_csv") if household.get(key))
        if household.get("homes"):
            yield f"{PREFIX}{RECORDED_HOMES.relative_to(DATA).as_posix()}"
    files = [feeder.get("sessions", {}).get("csv") for feeder in feeders]
    yield from (name for name in dict.fromkeys([*files, *_common_sessions(scenario, files)]) if name)


def _common_sessions(scenario: Mapping[str, Any], files: Sequence[str | None]) -> Iterator[str | None]:
    """The common file of sessions, where a feeder has none of its own and so takes its share."""
    if not all(files):
        yield scenario.get("sessions", {}).get("csv")


def is_long(tables: RunTables) -> bool:
    """More than two days: the picture then shows the whole run above, and one day of it closely."""
    return len(tables.series) * tables.tick_ms > 2 * DAY_MS


def shown_window(tables: RunTables) -> Window:
    """The hours worth looking at closely: from before the first shortage to when the cars have caught up.

    Of a long run, those of its most contested day; where nothing happened, a whole day.
    """
    first, end = extent(tables)
    moments, weight = _moments(tables)
    if is_long(tables):
        first, end = _most_contested_day(tables, moments, weight, (first, end))
        moments = moments[(moments >= first) & (moments < end)]
    if not len(moments):
        return first, end
    begins = (int(moments.min()) - HOUR_MS) // HOUR_MS * HOUR_MS
    caught_up = _until_caught_up(tables, int(moments.max()), end)
    ends = -(-(caught_up + HOUR_MS // 2) // HOUR_MS) * HOUR_MS
    return max(begins, first), min(max(ends, begins + 4 * HOUR_MS), end)


def extent(tables: RunTables) -> Window:
    """From the first tick to the end of the last."""
    if not len(tables.series):
        return tables.start_ms, tables.start_ms + tables.tick_ms
    return int(tables.series["t_ms"].iloc[0]), int(tables.series["t_ms"].iloc[-1]) + tables.tick_ms


def _moments(tables: RunTables) -> tuple[NDArray[np.int64], Floats]:
    """The instants at which power was short, here or uncontrolled, and by how many watts."""
    t_ms = tables.series["t_ms"].to_numpy(dtype=np.int64)
    load_w = tables.series["load_w"].to_numpy(dtype=np.float64)
    other_w = tables.uncontrolled_w()
    over_w = np.maximum(load_w if other_w is None else np.fmax(load_w, other_w), tables.limit_w) - tables.limit_w
    called_ms = tables.rounds["t_ms"].to_numpy(dtype=np.int64)
    need_w = tables.rounds["need_w"].to_numpy(dtype=np.float64)
    return np.concatenate((t_ms[over_w > 0], called_ms)), np.concatenate((over_w[over_w > 0], need_w))


def _most_contested_day(tables: RunTables, moments: NDArray[np.int64], weight: Floats, run: Window) -> Window:
    """Days are cut at six in the morning, when the night's catching up is over."""
    offset_ms = round(tables.utc_offset.total_seconds() * 1000) - 6 * HOUR_MS
    if len(moments):
        days, which = np.unique((moments + offset_ms) // DAY_MS, return_inverse=True)
        day = int(days[np.argmax(np.bincount(which, weights=weight))])
    else:
        highest = tables.series["load_w"].to_numpy(dtype=np.float64).argmax()
        day = (int(tables.series["t_ms"].iloc[highest]) + offset_ms) // DAY_MS
    first = day * DAY_MS - offset_ms
    return max(first, run[0]), min(first + DAY_MS, run[1])


def _until_caught_up(tables: RunTables, last_ms: int, end_ms: int) -> int:
    """When the last car that was behind at ``last_ms`` had what it was owed."""
    owed_ws = tables.series["owed_ws"].to_numpy(dtype=np.float64)
    t_ms = tables.series["t_ms"].to_numpy(dtype=np.int64)
    even = t_ms[(owed_ws <= 0) & (t_ms > last_ms)]
    return min(int(even[0]), end_ms) if len(even) else end_ms
