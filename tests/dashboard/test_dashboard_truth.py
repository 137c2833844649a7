"""At any moment of a finished run each screen shows what its tables hold of it, and nothing of what came later."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.dashboard.browser import MISSING, Browser
from tests.dashboard.finished_demo import rows, show

from wattswap.experiments.dashboard.finished import finished_run
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"there is no {MISSING} here; Debian's package brings it")

MOMENTS = (2190, 2300, 2340, 2500, 2900, 4319)
"""Before most calls, in the thick of it, while cars catch up, once all is drawn back, and in the end."""


class Tables:
    """The tables of a run, asked for one moment."""

    def __init__(self, run_dir: Path) -> None:
        names = ("series", "rounds", "trades", "sessions", "cars")
        self.series, self.rounds, trades, self.sessions, self.cars = (rows(run_dir, name) for name in names)
        self.sold = [trade for trade in trades if trade["kind"] != "forced"]

    def clock(self, tick: int) -> str:
        """A tick on the street's clock, as the page writes it."""
        at = datetime.fromtimestamp(self.series[tick]["t_ms"] / 1_000, UTC) + timedelta(hours=1)
        return f"{at:%a %H:%M}"

    def earned(self, tick: int, session: str | None = None) -> int:
        """What was settled by a tick."""
        return sum(
            trade["nanos"]
            for trade in self.sold
            if 0 <= trade["settled_tick"] <= tick and session in (None, trade["session"])
        )

    def sales(self, session: str, tick: int) -> list[tuple[int, str]]:
        """The calls in which a car sold something, the newest first, and what it earned by each so far."""
        found: dict[int, str] = {}
        for trade in self.sold:
            if trade["session"] == session and trade["tick"] <= tick:
                lot = [one for one in self.sold if (one["session"], one["tick"]) == (session, trade["tick"])]
                known = 0 <= trade["settled_tick"] <= tick
                found[trade["tick"]] = iota(sum(one["nanos"] for one in lot)) if known else "–"
        return sorted(found.items(), reverse=True)


def iota(nanos: int) -> str:
    return f"{nanos / 1e9:,.1f}" if nanos >= 100e9 else f"{nanos / 1e9:.3f}"


def kw(watts: int) -> str:
    return f"{watts / 1_000:.0f} kW" if watts >= 100_000 else f"{watts / 1_000:.1f} kW"


def tiles(window: Browser) -> dict[str, list[str]]:
    """By title, the figure of each tile and what stands below."""
    script = (
        "return [...document.querySelectorAll('.tile')].map(one => [...one.children].map(part => part.textContent))"
    )
    found: list[list[str]] = window.js(script)
    return {title: parts for title, *parts in found}


def cells(window: Browser) -> list[list[str]]:
    """The rows of the first table of the screen."""
    script = (
        "return [...document.querySelectorAll('table')].slice(0, 1)"
        ".flatMap(one => [...one.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent)))"
    )
    found: list[list[str]] = window.js(script)
    return found


@pytest.fixture(scope="module")
def tables(finished: Path) -> Tables:
    return Tables(finished)


@pytest.fixture(scope="module")
def seller(tables: Tables) -> dict[str, Any]:
    """A car that sold much, fell behind, and left before the run was over."""
    left = (car for car in tables.sessions if car["status"] == "full" and car["departure_tick"] < 4_319)
    return max(left, key=lambda car: car["earned_nanos"])


@pytest.fixture
def at(window: Browser, address: str, tables: Tables, request: pytest.FixtureRequest):
    """Shows a screen at a moment."""

    def opened(screen: str, tick: int) -> None:
        if window.js("return location.href.split('#')[0]") != address:
            window.size(1280, 800)
            window.open(address)
        window.js(f"location.hash = '{screen}'")
        window.until(f"document.body.dataset.tick == '{len(tables.series) - 1}'")
        show(window, tick)
        name = screen.split("/", maxsplit=1)[0].capitalize()
        named = f"document.querySelector('main section')?.ariaLabel == '{name}'"
        window.until(f"document.body.dataset.shown == {tick} && {named}")
        assert window.js("return document.getElementById('clock').textContent") == tables.clock(tick)

    return opened


@pytest.mark.parametrize("tick", MOMENTS)
def test_a_car_has_earned_what_was_settled_by_then_and_sold_what_it_was_asked_for_by_then(
    window, at, tables, seller, tick
):
    session = seller["session"]
    at(f"car/{session}", tick)
    earned, sales, shown = tables.earned(tick, session), tables.sales(session, tick), tiles(window)
    assert shown["Earned"][0] == f"{iota(earned)} IOTA"
    if seller["departure_tick"] <= tick:
        assert shown["Netted"][0] == f"{iota(min(earned, seller['billed_nanos']))} IOTA"
    else:
        assert shown["Waiting"][0] == f"{iota(earned)} IOTA"
    listed = [(row[0][:9], row[6]) for row in cells(window)]
    assert listed == [(tables.clock(call), money) for call, money in sales]
    does = next((car for car in tables.cars if car["session"] == session and _holds(car, tables.series[tick])), None)
    if does and does["activity"] in ("paused", "reduced"):
        assert f"In the call of {tables.clock(sales[0][0])}" in window.js(
            "return document.querySelector('p + h2 + p').textContent"
        )


def _holds(stretch: dict[str, Any], second: dict[str, Any]) -> bool:
    return bool(stretch["from_ms"] <= second["t_ms"] < stretch["to_ms"])


@pytest.mark.parametrize("tick", MOMENTS)
def test_street_and_transformer_show_the_figures_of_that_tick(window, at, tables, tick):
    row, calls = tables.series[tick], [call for call in tables.rounds if call["tick"] <= tick]
    at("street", tick)
    shown = tiles(window)
    assert shown["Load"] == [kw(row["load_w"]), f"limit {kw(row['limit_w'])}"]
    assert shown["Homes"] == [kw(row["base_w"]), f"cars {kw(row['import_w'] - row['export_w'])}"]
    assert shown["Cars earned"][0] == iota(tables.earned(tick))
    assert shown["Last call"][0] == tables.clock(calls[-1]["tick"])
    assert shown["Behind"][0] == f"{row['owed_ws'] / 3_600_000:.1f} kWh"
    at("transformer", tick)
    shown = tiles(window)
    assert (shown["Calls so far"][0], shown["Cars earned"][0]) == (str(len(calls)), iota(tables.earned(tick)))


@pytest.mark.parametrize("tick", MOMENTS)
def test_the_lists_hold_who_is_there_and_what_was_called_by_then(window, at, tables, tick):
    plugged = [car for car in tables.cars if _holds(car, tables.series[tick])]
    at("cars", tick)
    assert len(cells(window)) == len(plugged)
    assert sorted(row[2] for row in cells(window)) == sorted(
        iota(nanos) if (nanos := tables.earned(tick, car["session"])) else "–" for car in plugged
    )
    at("chargers", tick)
    assert sum(row[2] != "free" for row in cells(window)) == len(plugged)
    at("rounds", tick)
    assert len(cells(window)) == sum(call["tick"] <= tick for call in tables.rounds)


def test_a_round_shows_what_came_of_it_by_then_and_nothing_before_it_was_called(window, at, tables):
    call = max(tables.rounds, key=lambda one: one["need_w"])["tick"]
    sold = {trade["session"] for trade in tables.sold if trade["tick"] == call}
    settled = [trade["settled_tick"] for trade in tables.sold if trade["tick"] == call]
    at(f"round/{call}", call - 10)
    window.until("document.querySelector('h2').textContent.includes('after the moment that is shown')")
    window.js("document.getElementById('then').click()")
    window.until(f"document.querySelectorAll('tbody tr').length == {len(sold)}")
    assert {row[7] for row in cells(window)} == {"–"}
    at(f"round/{call}", max(settled))
    window.until("![...document.querySelectorAll('td')].some(one => one.textContent == '–')")


def test_tables_that_do_not_belong_together_are_named(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    table = parquet.read_table(tmp_path / "run" / "trades.parquet")
    names = pa.array(["nobody"] * table.num_rows)
    parquet.write_table(
        table.set_column(table.schema.get_field_index("session"), "session", names),
        tmp_path / "run" / "trades.parquet",
    )
    with pytest.raises(InputError, match="'nobody' has no session"):
        finished_run(tmp_path / "run")
