"""A run as one page for people: ``report.html``, complete in itself, to be read without a network and without scripts.

Whatever comes from a scenario, a data file or a strategy is text and is escaped (:mod:`.markup`).
"""

from __future__ import annotations

import shlex
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wattswap.experiments.fault_costs import TITLE, failing
from wattswap.experiments.formatting import minutes
from wattswap.experiments.headline import headline, is_complete
from wattswap.experiments.markup import element, paragraphs, section, steps, table
from wattswap.experiments.narrative import (
    KWH_WS,
    ROUND_HEAD,
    biggest_round,
    kilowatts,
    round_rows,
    round_steps,
    were,
    what_you_see,
)
from wattswap.experiments.plots.picture import plot_run, save_png
from wattswap.experiments.report_figures import iota, side_by_side
from wattswap.experiments.report_inputs import settings, sources
from wattswap.experiments.report_page import embedded, whole_page
from wattswap.experiments.run_tables import RunTables
from wattswap.experiments.settlement_texts import figures_of, verdict
from wattswap.runners.recording.rundir import REPORT
from wattswap.runners.recording.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

_MOST_CARS: Final = 120
_DOTS_PER_INCH: Final = 130


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` into a run directory and return its path.

    Raises:
        InputError: there is no run directory, or a file of it is torn.
    """
    path = run_dir / REPORT
    write_whole(path, page(RunTables.read(run_dir)))
    return path


def refresh_report(run_dir: Path) -> None:
    """Write ``report.html`` anew where a run directory has one.

    Raises:
        InputError: as :func:`write_report` does.
    """
    if (run_dir / REPORT).is_file():
        write_report(run_dir)


def page(tables: RunTables) -> str:
    """The whole page."""
    sections = (
        section("What you see", paragraphs(what_you_see(tables))),
        section(*side_by_side(tables)),
        section(TITLE, *failing(tables.summary)),
        section("One round, step by step", *_round(tables)),
        section("Who kept charging, who deferred energy, who fed back", *_cars(tables)),
        section("The last resort", *_last_resort(tables)),
        section("The ledger", *_ledger(tables)),
        section("Settings", settings(tables.scenario)),
        section("Data and licences", *sources(tables.scenario)),
        section("Run it again", *_again(tables)),
    )
    about = tables.summary
    return whole_page(
        f"{about.get('scenario', 'Wattswap')}: {headline(about)}",
        headline(about),
        _subtitle(tables),
        warnings=_warnings(about),
        picture=_picture(tables),
        sections=sections,
    )


def _subtitle(tables: RunTables) -> str:
    about = tables.summary
    named = [f"{key} {about[key]}" for key in ("scenario", "controller", "strategy", "engine", "seed") if key in about]
    return " · ".join([*named, f"from {tables.start:%A %d %B %Y, %H:%M} ({tables.zone})"])


def _warnings(about: Mapping[str, Any]) -> Iterator[str]:
    if not is_complete(about):
        yield f"This run was {about['status']}: everything here covers only the part that was written down."
    if about.get("fallback_unsafe_w"):
        missing = kilowatts(about["fallback_unsafe_w"])
        yield (
            f"If nobody answered the chargers, this site would exceed its limit by {missing} at the worst moment,"
            " though every charger falls back to its guaranteed minimum."
        )


def _picture(tables: RunTables) -> str:
    if not len(tables.series):
        return ""
    buffer = BytesIO()
    save_png(plot_run(tables, heading=False), buffer, dpi=_DOTS_PER_INCH)
    alt = "Load of the transformer under its limit, what each car did, prices and tokens over time"
    return embedded(buffer.getvalue(), "image/png", alt)


# --- cars --------------------------------------------------------------------------------------------------------


def _cars(tables: RunTables) -> Iterator[str]:
    """Choices, the strategies behind them, then every car that sold something or was cut."""
    choices = tables.summary.get("choices")
    if choices and tables.summary.get("rounds"):
        yield element(
            "p",
            f"In {tables.summary['rounds']:,} calls, cars that could have reduced their power kept charging"
            f" {choices['keep']:,} times, charged less under {choices['reduce']:,} awards"
            f" and fed back under {choices['feed']:,}.",
        )
    sums = _sums(tables)
    if not len(tables.rounds) and not len(sums):
        return
    if len(tables.sessions):
        yield table(_STRATEGY_HEAD, _strategy_rows(tables.sessions, sums))
    if len(sums):
        shown = sums.head(_MOST_CARS)
        yield element("h3", "Car by car")
        yield table(_CAR_HEAD, (_car_row(tables, name, row) for name, row in shown.to_dict("index").items()), words=4)
        if more := len(sums) - len(shown):
            yield element("p", f"… and {more:,} more; all are in sessions.parquet and trades.parquet.")
    elif len(tables.sessions):
        yield element("p", "No car deferred energy, fed back or was cut.")


def _sums(tables: RunTables) -> pd.DataFrame:
    """What each session sold, fed, lost to the last resort and earned, most tokens first; indexed by session."""
    trades, tick_s = tables.trades, tables.tick_ms // 1000
    parts = trades.assign(
        deferred_ws=trades["delivered_ws"].where(trades["kind"] == "reduce", 0),
        fed_ws=trades["delivered_ws"].where(trades["kind"] == "feed", 0),
        forced_ws=trades["forced_w"] * tick_s,
        open_nanos=tables.rent_open_nanos,
    )
    sums = parts.groupby("session")[["deferred_ws", "fed_ws", "forced_ws", "nanos", "open_nanos"]].sum()
    sums = sums.join(tables.sessions.drop_duplicates("session").set_index("session")[_SESSION_FACTS])
    return sums.sort_values(["nanos", "forced_ws"], ascending=False, kind="stable")


_SESSION_FACTS: Final = ["vehicle", "station", "strategy", "arrival_ms", "departure_ms", "need_ws", "status"]
_STRATEGY_HEAD: Final = (
    "strategy", "sessions", "sold", "deferred, kWh", "fed back, kWh", "paid, IOTA", "rent open, IOTA", "left short",
)  # fmt: skip
_CAR_HEAD: Final = (
    "car", "charger", "session", "strategy", "plugged in", "left", "needed, kWh", "deferred, kWh", "fed back, kWh",
    "cut, kWh", "paid, IOTA", "rent open, IOTA", "outcome",
)  # fmt: skip
_ENDING: Final = {"full": "left full", "short": "left short", "open": "still plugged in", "battery": "battery"}
_NOTHING: Final = "–"


def _strategy_rows(sessions: pd.DataFrame, sums: pd.DataFrame) -> Iterator[list[str]]:
    """Each strategy with what those who follow it sold and earned; stationary batteries for themselves."""
    strategy = sessions["strategy"].where(sessions["status"] != "battery", "stationary battery")
    sold_columns = sums[["deferred_ws", "fed_ws", "nanos", "open_nanos"]]
    joined = sessions[["session", "status"]].assign(strategy=strategy).join(sold_columns, on="session")
    for name, each in joined.groupby("strategy", sort=True):
        sold = ((each["deferred_ws"] > 0) | (each["fed_ws"] > 0)).sum()
        energies = [f"{each[column].sum() / KWH_WS:,.1f}" for column in ("deferred_ws", "fed_ws")]
        short = (each["status"] == "short").sum()
        tokens = [iota(each[column].sum()) for column in ("nanos", "open_nanos")]
        yield [str(name), f"{len(each):,}", f"{sold:,}", *energies, *tokens, f"{short:,}"]


def _car_row(tables: RunTables, name: object, row: Mapping[Any, Any]) -> list[str]:
    energies = [
        f"{row[column] / KWH_WS:,.2f}" if row[column] else _NOTHING for column in ("deferred_ws", "fed_ws", "forced_ws")
    ]
    tokens = [iota(row["nanos"]), iota(row["open_nanos"]) if row["open_nanos"] else _NOTHING]
    if row["station"] != row["station"]:  # an interrupted run did not come to write the session down
        return ["", "", str(name), "", "", "", "", *energies, *tokens, ""]
    left = tables.clock(int(row["departure_ms"]), "%a %H:%M") if row["status"] in ("full", "short") else _NOTHING
    facts = [tables.clock(int(row["arrival_ms"]), "%a %H:%M"), left, f"{row['need_ws'] / KWH_WS:,.1f}"]
    ending = _ENDING.get(str(row["status"]), str(row["status"]))
    return [
        str(row["vehicle"]),
        str(row["station"]),
        str(name),
        str(row["strategy"]),
        *facts,
        *energies,
        *tokens,
        ending,
    ]


# --- one round, the last resort ----------------------------------------------------------------------------------


def _round(tables: RunTables) -> Iterator[str]:
    row = biggest_round(tables)
    if row is None:
        if len(tables.rounds):
            yield element("p", f"The transformer called {len(tables.rounds):,} times, and no offer was accepted.")
        return
    yield element("p", "The round in which most power changed hands:")
    yield steps(round_steps(tables, row))
    rows, more = round_rows(tables, row)
    yield table(ROUND_HEAD, rows, words=2)
    if more:
        yield element("p", more)


def _last_resort(tables: RunTables) -> Iterator[str]:
    """Who was cut without pay, and for how long."""
    forced = tables.trades[tables.trades["kind"] == "forced"]
    if not len(forced):
        return
    tick_s = tables.tick_ms // 1000
    cars = forced.groupby("session").agg(first=("t_ms", "min"), ticks=("tick", "nunique"), watts=("forced_w", "sum"))
    cars = cars.sort_values("watts", ascending=False, kind="stable")
    yield element(
        "p",
        f"There was less power than was needed, so {were(len(cars))} cut without pay: all down to one level; where that"
        " is under 6 A, a draw decides who goes on.",
    )
    yield table(
        ("car", "session", "first cut", "minutes", "kWh"),
        (
            [
                tables.vehicle_of(name),
                str(name),
                tables.clock(int(row["first"]), "%a %H:%M"),
                minutes(row["ticks"] * tick_s),
                f"{row['watts'] * tick_s / KWH_WS:,.2f}",
            ]
            for name, row in cars.head(_MOST_CARS).to_dict("index").items()
        ),
        words=2,
    )
    if len(cars) > _MOST_CARS:
        yield element("p", f"… and {len(cars) - _MOST_CARS:,} more.")


def _ledger(tables: RunTables) -> Iterator[str]:
    """What crossed the run's ledger, and whether it agrees with the book."""
    block = tables.summary.get("settlement")
    if block is None:
        return
    yield paragraphs(verdict(block))
    yield table(("", "figure"), figures_of(block))


# --- reproduction ------------------------------------------------------------------------------------------------


def _again(tables: RunTables) -> Iterator[str]:
    about = tables.summary
    options = "".join(f" --{key} {shlex.quote(str(about[key]))}" for key in ("controller", "engine") if key in about)
    yield element("p", "In this run directory:")
    yield element("pre", f"wattswap run scenario.toml{options}")
    if about.get("trace_hash") and is_complete(about):
        yield element(
            "p",
            f"gives the same trades to the last nano on any machine{_and_engine(about)}: trace {about['trace_hash']}.",
        )
    yield element("p", f"Made by wattswap {about.get('version', 'unknown')}.")


def _and_engine(about: Mapping[str, Any]) -> str:
    """Where messages are lost, trades are others than in the engine that sends none."""
    return "" if about.get("faults") else " and in any engine"
