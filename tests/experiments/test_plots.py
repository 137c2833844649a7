"""The picture of a run: what it shows of which hours and cars, and that it is the same picture every time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timezone
from io import BytesIO

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from wattswap.experiments.api import Result, run, run_loaded
from wattswap.experiments.formatting import amount
from wattswap.experiments.headline import headline
from wattswap.experiments.plots import car_selection
from wattswap.experiments.plots.picture import plot_run, save_png
from wattswap.experiments.run_tables import DAY_MS, HOUR_MS, RunTables, shown_window
from wattswap.runners.scenario import load_street

TITLES = {
    "overview": "The whole run: load of the transformer, kW",
    "load": "Load of the transformer, kW",
    "cars": "What the cars did",
    "price": "Price of each round, IOTA per kWh and hour of waiting",
    "tokens": "Tokens for what was sold, IOTA, added up",
}


@pytest.fixture(scope="module")
def demo() -> Result:
    return run("demo", engine="fleet")


@pytest.fixture(scope="module")
def tables(demo) -> RunTables:
    return RunTables.of(demo)


@pytest.fixture(scope="module")
def figure(tables):
    """The demo's picture, for tests that only look at it."""
    return plot_run(tables)


@pytest.fixture(scope="module")
def days() -> RunTables:
    """Friday to Sunday: long enough to be shown as a week is."""
    settings = ("start=2018-11-23T00:00:00+01:00", "days=3", "reading_s=300")
    return RunTables.of(run("a400", engine="fleet", settings=settings))


@pytest.fixture(scope="module")
def uncontrolled() -> RunTables:
    return RunTables.of(run("demo", engine="fleet", controller="uncontrolled"))


def panels(figure):
    """The panels of a figure by the start of their titles."""
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def png(figure) -> bytes:
    buffer = BytesIO()
    save_png(figure, buffer, dpi=40)
    return buffer.getvalue()


def up_to(tables: RunTables, ticks: int) -> RunTables:
    """The run as it stood after so many ticks."""
    end_ms = tables.start_ms + ticks * tables.tick_ms
    cars = tables.cars[tables.cars["from_ms"] < end_ms]
    return replace(
        tables,
        summary={**tables.summary, "status": "interrupted"},
        series=tables.series.iloc[:ticks],
        rounds=tables.rounds[tables.rounds["t_ms"] < end_ms],
        trades=tables.trades[tables.trades["t_ms"] < end_ms],
        sessions=tables.sessions[tables.sessions["departure_ms"] < end_ms],
        cars=cars.assign(to_ms=cars["to_ms"].clip(upper=end_ms)),
    )


# --- the demo ----------------------------------------------------------------------------------------------------


def test_the_demo_shows_load_cars_price_and_tokens_under_its_headline(tables, figure):
    assert list(panels(figure)) == [TITLES[name] for name in ("load", "cars", "price", "tokens")]
    assert figure.texts[0].get_text().replace("\n", " ") == headline(tables.summary)
    assert figure.get_size_inches()[0] * 100 == 1400
    assert "SimBench" in figure.texts[-1].get_text()


def test_the_upper_edge_of_the_stack_is_the_load_and_never_above_the_limit_drawn(tables, figure):
    axes = panels(figure)[TITLES["load"]]
    dashed, limit = axes.lines
    assert sorted(set(limit.get_ydata())) == [280, 380]
    shown_ms = np.round(dashed.get_xdata() * DAY_MS).astype(int)
    alone = tables.uncontrolled.set_index("t_ms")["load_w"]
    assert dashed.get_ydata() * 1000 == pytest.approx(alone.loc[shown_ms].to_numpy())
    tops = [path.vertices[:, 1].max() for path in axes.collections[1].get_paths()]
    series = tables.series[tables.series["t_ms"].isin(shown_ms)]
    assert max(tops) == series["load_w"].max() / 1000 < 380
    assert {"limit 380 kW", "limit lowered to 280 kW"} <= set(texts(axes))
    assert legend(axes) == ["homes", "cars", "fed back", "without control", "… and over the limit"]


def test_the_hours_shown_begin_before_the_first_call_and_end_when_all_have_caught_up(tables):
    first, end = shown_window(tables)
    assert tables.clock(first) == "17:00"
    assert end == tables.series["t_ms"].iloc[-1] + tables.tick_ms
    owed = tables.series.set_index("t_ms")["owed_ws"]
    assert owed[owed.index < first].max() == 0


def test_each_group_of_cars_is_counted_and_each_car_has_what_it_earned(tables, figure):
    axes = panels(figure)[TITLES["cars"]]
    fed = tables.trades[tables.trades["kind"] == "feed"]["session"].nunique()
    gave = tables.trades[tables.trades["kind"] == "reduce"]["session"].nunique()
    both = len(set(tables.trades[tables.trades["kind"] == "feed"]["session"]) & set(sold(tables, "reduce")))
    titles = [text for text in texts(axes) if "car" in text]
    assert titles[0] == f"fed power back: {fed} cars"
    assert titles[1].startswith("deferred energy: ")
    assert titles[1].endswith(f" of {gave - both} cars shown")
    earned = tables.trades.groupby("session")["nanos"].sum()
    rows = car_selection.car_rows(tables.cars, tables.trades, tables.rounds, shown_window(tables))
    assert len(axes.get_yticks()) == len(rows) == car_selection.MOST_ROWS
    shown = [text for text in texts(axes) if text == "–" or text.replace(".", "").isdigit()]
    assert shown == [f"{earned[row.session] / 1e9:.2f}" if row.session in earned else "–" for row in rows]


def sold(tables, kind) -> list[str]:
    return [str(name) for name in tables.trades[tables.trades["kind"] == kind]["session"]]


def test_bars_cover_what_the_table_says_and_departures_are_marked(tables, figure):
    axes = panels(figure)[TITLES["cars"]]
    window = shown_window(tables)
    rows = car_selection.car_rows(tables.cars, tables.trades, tables.rounds, window)
    shown = tables.cars[tables.cars["session"].isin([row.session for row in rows])]
    shown = shown[(shown["to_ms"] > window[0]) & (shown["from_ms"] < window[1])]
    assert sum(len(bars.get_paths()) for bars in axes.collections) == len(shown)
    ends = shown.groupby("session")["to_ms"].max()
    (marks,) = axes.lines
    assert sorted(np.round(marks.get_xdata() * DAY_MS)) == sorted(ends[ends < window[1]])
    assert legend(axes)[-1] == "leaves"


def test_the_tokens_add_up_to_what_was_paid_and_what_is_open_stands_above(tables, figure):
    axes = panels(figure)[TITLES["tokens"]]
    (line,) = axes.lines
    assert line.get_ydata()[0] == 0
    assert line.get_ydata()[-1] == pytest.approx(tables.summary["paid_nanos"] / 1e9)
    paid, rent_open = (tables.summary[key] / 1e9 for key in ("paid_nanos", "rent_open_nanos"))
    assert texts(axes) == [f"{amount(paid)} IOTA", *([f"+ {amount(rent_open)} open"] if rent_open else [])]
    top = axes.collections[1].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(paid + rent_open)


def test_a_dot_per_round_with_a_price(tables, figure):
    axes = panels(figure)[TITLES["price"]]
    prices = tables.rounds[tables.rounds["price_nanos_per_kwh_h"] > 0]["price_nanos_per_kwh_h"]
    assert axes.lines[0].get_ydata().tolist() == (prices / 1e9).tolist()


def test_result_plot_is_the_same_picture(demo, figure):
    assert png(demo.plot()) == png(figure)


# --- other runs --------------------------------------------------------------------------------------------------


def test_a_run_of_days_is_shown_whole_and_its_most_contested_evening_closely(days):
    figure = plot_run(days)
    assert next(iter(panels(figure))) == TITLES["overview"]
    first, end = shown_window(days)
    assert end - first < DAY_MS
    assert days.clock(first, "%A") == "Sunday"
    need = days.rounds.groupby(days.rounds["t_ms"].map(lambda t_ms: days.clock(t_ms, "%A")))["need_w"].sum()
    assert need.idxmax() == "Sunday"
    whole = panels(figure)[TITLES["overview"]].get_xlim()
    assert np.diff(whole) * DAY_MS == pytest.approx(3 * DAY_MS)
    assert "Tokens for what was sold in these hours, IOTA, added up" in panels(figure)


def test_only_cars_plugged_in_the_hours_shown_have_a_row(days):
    window = shown_window(days)
    for row in car_selection.car_rows(days.cars, days.trades, days.rounds, window):
        mine = days.cars[days.cars["session"] == row.session]
        assert mine["from_ms"].min() < window[1]
        assert mine["to_ms"].max() > window[0]


@pytest.mark.long
@pytest.mark.parametrize("name", ["a400", "b250", "c250stress"])
def test_each_bundled_week_has_its_picture(name):
    week = RunTables.of(run(name, engine="fleet"))
    figure = plot_run(week)
    assert len(figure.axes) == 5
    assert week.clock(shown_window(week)[0], "%A") == "Sunday"
    assert "788 of 788" in figure.texts[0].get_text() or name == "b250"


def test_an_uncontrolled_run_has_no_market_and_shows_its_own_overload(uncontrolled):
    figure = plot_run(uncontrolled)
    assert list(panels(figure)) == [TITLES["load"], TITLES["cars"]]
    assert legend(panels(figure)[TITLES["load"]]) == ["homes", "cars", "over the limit"]
    assert "122.5 min over the limit" in figure.texts[0].get_text()
    assert any("charged, nobody was asked" in text for text in texts(panels(figure)[TITLES["cars"]]))


def test_cars_that_a_controller_keeps_waiting_come_first():
    shown = RunTables.of(run("demo", engine="fleet", controller="fcfs", settings=["reading_s=300"]))
    rows = car_selection.car_rows(shown.cars, shown.trades, shown.rounds, shown_window(shown))
    assert [row.group for row in rows] == sorted((row.group for row in rows), reverse=True)  # waited, then kept
    assert rows[0].title.startswith("had to wait: ")


@pytest.mark.parametrize("ticks", [1, 2, 2300])
def test_an_interrupted_run_is_drawn_as_far_as_it_came(tables, ticks):
    figure = plot_run(up_to(tables, ticks))
    assert figure.texts[0].get_text().startswith("Interrupted run, so far: ")
    assert shown_window(up_to(tables, ticks))[1] <= tables.start_ms + ticks * tables.tick_ms
    assert png(figure).startswith(b"\x89PNG")


def test_a_run_without_a_tick_says_that_there_is_nothing_to_draw(tables):
    figure = plot_run(up_to(tables, 0))
    assert not figure.axes
    assert "nothing to draw" in figure.texts[1].get_text()
    assert png(figure).startswith(b"\x89PNG")


def test_an_islands_limit_of_nothing_and_a_surplus_of_sun_stay_in_view(tables):
    series = tables.series.assign(limit_w=-20_000, base_w=-50_000, load_w=-50_000, import_w=0, export_w=0)
    axes = panels(plot_run(replace(tables, series=series)))[TITLES["load"]]
    assert axes.get_ylim()[0] < -50
    assert "limit -20 kW" in texts(axes)


def test_a_street_without_cars_shows_its_homes():
    street = load_street("demo")
    nobody = replace(street.sessions, session_id=(), station_id=(), vehicle_id=(), user_id=())
    columns = ("key", "user_key", "arrival_tick", "departure_tick", "stated_departure_ms", "energy_ws")
    nobody = replace(nobody, **{name: getattr(nobody, name)[:0] for name in columns})
    shown = RunTables.of(run_loaded(replace(street, sessions=nobody), engine="fleet"))
    figure = plot_run(shown)
    assert list(panels(figure)) == [TITLES["load"]]
    assert "no cars" in figure.texts[0].get_text()
    assert shown_window(shown) == (shown.start_ms, shown.start_ms + 36 * HOUR_MS)


# --- the same picture every time ---------------------------------------------------------------------------------


def test_the_same_run_gives_the_same_bytes_whatever_the_user_likes(tables, figure):
    plain = png(figure)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.bbox": "tight", "lines.linewidth": 9}):
        assert png(plot_run(tables)) == plain
        assert mpl.rcParams["font.size"] == 30
    assert not {b"tIME", b"tEXt", b"iTXt"} & {plain[at : at + 4] for at in range(len(plain))}


def test_no_window_opens_and_matplotlib_waits_until_it_is_needed():
    script = (
        "import sys; import wattswap.experiments.plots.picture, wattswap.experiments.report\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from wattswap.experiments.api import run; run('demo', engine='fleet', settings=['reading_s=300']).plot();"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_names_that_look_like_formulas_or_are_endless_are_drawn_as_text(tables):
    """matplotlib reads $...$ as a formula and stops at one it cannot read."""
    charger = tables.cars["station"]
    hostile = {"C066": "$\\frac{$", "C180": "two\nlines " * 30, "C007": "充電器"}
    cars = tables.cars.assign(vehicle=charger.map(hostile).fillna(tables.cars["vehicle"]))
    named = replace(tables, cars=cars, summary={**tables.summary, "scenario": "$x^", "strategy": "need$_:1"})
    figure = plot_run(named)
    labels = [label.get_text() for label in panels(figure)[TITLES["cars"]].get_yticklabels()]
    assert {"$\\frac{$", "two?lines two?lines…", "???"} <= set(labels)
    assert png(figure).startswith(b"\x89PNG")


# --- rows and words ----------------------------------------------------------------------------------------------


def stretches(*rows: tuple[str, int, int, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["session", "from_ms", "to_ms", "activity"])
    return frame.assign(station="c", vehicle=frame["session"].str.upper())


def trades(*rows: tuple[str, str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["session", "kind", "t_ms", "delivered_ws"])


def test_groups_come_in_order_and_within_one_whoever_was_touched_first():
    cars = stretches(*((name, 0, 100, "charging") for name in ("late", "early", "fed", "cut", "kept")))
    sold = trades(
        ("late", "reduce", 50, 9), ("early", "reduce", 10, 1), ("fed", "reduce", 0, 5), ("fed", "feed", 60, 5),
        ("cut", "forced", 70, 0), ("cut", "reduce", 0, 5),
    )  # fmt: skip
    rows = car_selection.car_rows(cars, sold, pd.DataFrame({"t_ms": [10, 50]}), (0, 100))
    assert [(row.session, row.group) for row in rows] == [
        ("cut", "forced"), ("fed", "feed"), ("early", "reduce"), ("late", "reduce"), ("kept", "kept"),
    ]  # fmt: skip
    assert rows[2].title == "deferred energy: 2 cars"
    assert rows[0].label == "CUT"


def test_of_too_many_cars_those_that_gave_most_are_shown():
    names = [f"car{number:02}" for number in range(50)]
    cars = stretches(*((name, 0, 100, "charging") for name in names))
    sold = trades(*((name, "reduce", 99 - number, number) for number, name in enumerate(names)))
    rows = car_selection.car_rows(cars, sold, pd.DataFrame({"t_ms": [1]}), (0, 100))
    assert [row.session for row in rows] == names[: -car_selection.MOST_ROWS - 1 : -1]
    assert rows[0].title == f"deferred energy: {car_selection.MOST_ROWS} of 50 cars shown"


def test_who_left_before_the_hours_shown_has_no_row():
    cars = stretches(("gone", 0, 100, "charging"), ("here", 100, 200, "charging"))
    rows = car_selection.car_rows(cars, trades(("gone", "reduce", 10, 1)), pd.DataFrame({"t_ms": [150]}), (100, 200))
    assert [row.session for row in rows] == ["here"]


def test_the_clock_is_that_of_the_street(tables):
    assert tables.zone == "UTC+01:00"
    assert tables.clock(tables.start_ms + 90 * HOUR_MS // 60) == "01:30"
    west = replace(tables, scenario={"start": tables.start.astimezone(timezone(-tables.utc_offset * 3.5))})
    assert west.zone == "UTC-03:30"
    assert west.clock(tables.start_ms) == "19:30"
