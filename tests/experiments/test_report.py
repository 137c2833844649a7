"""The report: complete in itself, true to the figures, and safe to open whatever a scenario or a file calls itself."""

from __future__ import annotations

import json
import re
import shutil
import struct
from base64 import b64decode
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest
from tests.html_page import HOSTILE, ReadPage

from wattswap.experiments import report, report_figures
from wattswap.experiments.api import run
from wattswap.experiments.headline import headline
from wattswap.experiments.narrative import biggest_round, round_steps, trades_of
from wattswap.experiments.report import page, write_report
from wattswap.experiments.run_tables import RunTables
from wattswap.experiments.tables import TABLES
from wattswap.protocol.errors import InputError
from wattswap.runners.scenario.bundled import DATA


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="module")
def uncontrolled(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("runs") / "uncontrolled", controller="uncontrolled")


@pytest.fixture(scope="module")
def tables(demo) -> RunTables:
    return RunTables.read(demo)


@pytest.fixture
def without_picture(monkeypatch):
    """A page in a moment, for tests of its text."""
    monkeypatch.setattr(report, "_picture", lambda tables: "")


def made(path: Path, **options: object) -> Path:
    run("demo", engine="fleet", out=path, **options)  # type: ignore[arg-type]
    return path


def figures(run_dir: Path) -> dict[str, object]:
    about: dict[str, object] = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    return about


def number(text: str) -> float:
    return float(text.replace(",", ""))


# --- a whole run -------------------------------------------------------------------------------------------------


def test_the_report_opens_with_the_headline_of_the_run(demo):
    path = write_report(demo)
    assert path == demo / "report.html"
    html = path.read_text(encoding="utf-8")
    assert f"<h1>{headline(figures(demo))}</h1>" in html
    assert "may carry 380 kW (the red line), but from Sunday 18:30 to Sunday 19:30 only 280 kW." in html
    assert html.startswith("<!DOCTYPE html>")
    assert "${" not in html
    assert not list(demo.glob(".*"))


def test_it_needs_nothing_but_itself(demo):
    html = (demo / "report.html").read_text(encoding="utf-8")
    found = ReadPage(html)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "a"} & set(found.tags)
    loads = [value for _, name, value in found.attributes if name in ("src", "href", "srcset", "background", "data")]
    assert len(loads) == 1
    assert loads[0].startswith("data:image/png;base64,")
    assert "url(" not in html
    assert "@import" not in html
    assert not [name for _, name, _ in found.attributes if name.startswith("on") or name == "style"]


def test_the_picture_in_it_is_one(demo):
    html = (demo / "report.html").read_text(encoding="utf-8")
    picture = b64decode(html.partition("data:image/png;base64,")[2].partition('"')[0], validate=True)
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert 1700 < width < height < 2200


def test_every_figure_beside_the_uncontrolled_one_is_that_of_run_json(demo, tables, without_picture):
    about = figures(demo)
    rows = ReadPage(page(tables)).table("", "negotiated", "uncontrolled")
    keys = [(words, key) for words, key, _ in report_figures._FIGURES]
    assert [row[0] for row in rows] == [words for words, _ in keys]
    scale = {"overload_s": 60, "near_limit_s": 60}
    for row, (_, key) in zip(rows, keys, strict=True):
        by = 1e9 if key.endswith("_nanos") else scale.get(key, 1000 if key.endswith(("_wh", "_w", "_wh_h")) else 1)
        for text, told in zip(row[1:], (about, about["uncontrolled"]), strict=True):
            half = 0.5 * 10 ** -len(text.partition(".")[2])
            assert number(text) == pytest.approx(told[key] / by, abs=half * 1.001), key  # type: ignore[index]


def test_all_cars_that_sold_something_are_listed_with_what_they_earned(demo, tables, without_picture):
    cars = ReadPage(page(tables)).table("car", "charger", "session", "strategy")
    sold = tables.trades.groupby("session")["nanos"].sum()
    assert {row[2] for row in cars} == set(sold.index)
    for row in cars:
        assert number(row[10]) == pytest.approx(sold[row[2]] / 1e9, abs=0.00501)
    assert [number(row[10]) for row in cars] == sorted((number(row[10]) for row in cars), reverse=True)
    assignment = ReadPage(page(tables)).table("strategy")
    assert [row[0] for row in assignment] == ["keep", "need", "prosumer"]
    assert sum(int(row[1]) for row in assignment) == figures(demo)["sessions"]
    for column, key in ((5, "paid_nanos"), (6, "rent_open_nanos")):
        assert sum(number(row[column]) for row in assignment) == pytest.approx(figures(demo)[key] / 1e9, abs=0.02)  # type: ignore[operator]
    assert assignment[0][2:] == ["0", "0.0", "0.0", "0.00", "0.00", "0"]


def test_the_biggest_round_is_told_from_the_reading_to_the_payment(tables, without_picture):
    row = biggest_round(tables)
    assert row is not None
    assert row["awarded_w"] == tables.rounds["awarded_w"].max()
    steps = dict(round_steps(tables, row))
    assert list(steps) == ["Reading.", "Call.", "Offers.", "Clearing.", "Delivery.", "Settlement."]
    trades = tables.trades[(tables.trades["tick"] == row["tick"]) & (tables.trades["kind"] != "forced")]
    assert f"{row['need_w'] / 1000:,.1f} kW too much" in steps["Reading."].replace(".0 kW", " kW")
    assert f"calls the {row['called']} cars" in steps["Call."]
    assert "What it pays at most it does not tell" in steps["Call."]
    assert f"{row['price_nanos_per_kwh_h'] / 1e9:.3f} IOTA per kWh and hour" in steps["Clearing."]
    assert f"{len(trades)} from {trades['session'].nunique()} cars" in steps["Clearing."]
    assert f"count {trades['delivered_ws'].sum() / 3.6e6:.2f} of at most" in steps["Delivery."]
    assert f"{trades['nanos'].sum() / 1e9:.3f} IOTA in all" in steps["Settlement."]
    found = ReadPage(page(tables))
    assert all(text in found.text for text in steps.values())
    told = found.table("car", "sold")
    assert [number(row[2]) for row in told] == sorted(number(row[2]) for row in told)
    for told_row, trade in zip(told, trades_of(tables, row["tick"]).to_dict("records"), strict=False):
        assert told_row[0] == tables.vehicle_of(trade["session"])
        assert number(told_row[3]) == pytest.approx(trade["price_nanos_per_kwh_h"] / 1e9, abs=0.000501)
        assert number(told_row[5]) == pytest.approx(trade["delivered_ws"] / 3.6e6, abs=0.000501)
        assert number(told_row[6] or "0") == pytest.approx(trade["returned_ws"] / 3.6e6, abs=0.000501)
        assert number(told_row[7]) == pytest.approx(trade["nanos"] / 1e9, abs=0.000501)


def test_the_sources_and_their_licences_are_named(tables, without_picture):
    text = " ".join(ReadPage(page(tables)).text.split())
    for words in ("Sørensen", "CC BY 4.0", "University of Bamberg", "CC BY-SA 4.0", "SimBench", "ODbL"):
        assert words in text
    for folder in ("sessions", "households", "sun"):
        notice = (DATA / folder / "NOTICE").read_text(encoding="utf-8").partition("SHA-256\n")[0]
        assert " ".join(notice.split()) in text
    assert tables.scenario["inputs"]["A400_sessions.csv"] in text


def test_how_to_run_it_again_is_said(demo, tables, without_picture):
    text = ReadPage(page(tables)).text
    assert "wattswap run scenario.toml --controller negotiated --engine fleet" in text
    assert str(figures(demo)["trace_hash"]) in text
    assert f"Made by wattswap {figures(demo)['version']}." in text


# --- other runs --------------------------------------------------------------------------------------------------


def test_an_uncontrolled_run_has_figures_but_no_round_and_nobody_to_pay(uncontrolled):
    found = ReadPage((uncontrolled / "report.html").read_text(encoding="utf-8"))
    assert found.table("", "uncontrolled")
    assert "Side by side" not in found.text
    assert "One round" not in found.text
    assert "Who kept" not in found.text
    assert "nobody is asked to wait. The load is over the limit for 122.5 minutes." in found.text


def test_an_interrupted_run_says_so_and_compares_nothing(tmp_path):
    def stop(tick: int) -> None:
        if tick == 2250:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "run", progress=stop)
    found = ReadPage(write_report(tmp_path / "run").read_text(encoding="utf-8"))
    assert "This run was interrupted" in found.text
    assert "Interrupted run, so far:" in found.text
    assert "One round, step by step" in found.text
    assert "uncontrolled" not in "".join(cell for row in found.tables[0] for cell in row)
    assert "to the last nano" not in found.text


def test_what_a_power_cut_leaves_has_a_report_too(demo, tmp_path):
    """The moment a run starts there are its scenario and a run.json that says interrupted, and nothing else."""
    about = figures(demo)
    bare = {key: about[key] for key in ("schema", "version")} | {"status": "interrupted"}
    (tmp_path / "run.json").write_text(json.dumps(bare), encoding="utf-8")
    shutil.copy(demo / "scenario.toml", tmp_path)
    found = ReadPage(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "Interrupted run: it left no figures" in found.text
    assert "nothing to see" in found.text
    assert "Sørensen" in found.text


def test_whoever_was_cut_without_pay_is_listed(tmp_path, without_picture):
    path = made(tmp_path / "run", strategy="keep", settings=["reading_s=300"])
    found = ReadPage(page(RunTables.read(path)))
    cut = found.table("car", "session", "first cut")
    assert len(cut) > 10
    assert sum(number(row[4]) for row in cut) == pytest.approx(figures(path)["forced_wh"] / 1000, abs=0.01 * len(cut))  # type: ignore[operator]
    assert "no offer was accepted" in found.text
    assert "cut without pay" in found.text


def test_a_folder_that_is_no_run_is_bad_input_and_stays_as_it_is(tmp_path):
    with pytest.raises(InputError, match="no run directory"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("torn", ["cars.parquet", "uncontrolled.parquet", "scenario.toml"])
def test_a_torn_file_is_named_and_an_older_report_survives(demo, tmp_path, torn):
    path = shutil.copytree(demo, tmp_path / "run")
    (path / torn).write_bytes(b"\xff torn")
    (path / "report.html").write_text("older", encoding="utf-8")
    with pytest.raises(InputError, match=torn):
        write_report(path)
    assert (path / "report.html").read_text(encoding="utf-8") == "older"
    assert not list(path.glob(".*"))


SWAPPED = [
    *permutations(TABLES, 2),
    ("uncontrolled", "rounds"),
    ("series", "uncontrolled"),
]


def linked(demo: Path, tmp_path: Path, without: str) -> Path:
    """The same run directory without one of its tables."""
    path = tmp_path / "run"
    path.mkdir()
    for file in demo.iterdir():
        if file.is_file() and file.stem != without:
            (path / file.name).symlink_to(file)
    return path


@pytest.mark.parametrize(("name", "other"), SWAPPED)
def test_a_table_under_the_name_of_another_is_refused_in_one_line(demo, tmp_path, name, other):
    path = linked(demo, tmp_path, name)
    (path / f"{name}.parquet").symlink_to(demo / f"{other}.parquet")
    with pytest.raises(InputError, match=rf"{name}\.parquet: another table, it has no \w+") as refused:
        RunTables.read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "column", "change", "what"),
    [
        ("series", "limit_w", lambda watts: watts.astype(str), "limit_w holds string, not int64"),
        (
            "series",
            "load_w",
            lambda watts: watts.where(watts < 0),
            "load_w holds double, not int64",
        ),
        ("rounds", "need_w", lambda watts: watts.astype(str), "need_w holds string, not int64"),
        ("trades", "rent", lambda rent: rent.astype(str), "rent holds string, not int64"),
        ("trades", "session", lambda names: names.where(names != names[0], None), "session has gaps"),
        ("cars", "session", lambda names: names.str.len(), "session holds int64, not string"),
        ("series", "t_ms", lambda t_ms: t_ms + 2**60, "t_ms is outside the run"),
        ("series", "t_ms", lambda t_ms: t_ms * 0, "t_ms is outside the run"),
        ("series", "t_ms", lambda t_ms: t_ms * 0 + t_ms[0], "t_ms has an instant twice"),
        ("uncontrolled", "t_ms", lambda t_ms: t_ms * 0 + t_ms[0], "t_ms has an instant twice"),
        ("cars", "to_ms", lambda t_ms: t_ms + 2**60, "to_ms is outside the run"),
    ],
)
def test_a_table_with_what_no_run_writes_is_refused_in_one_line(demo, tmp_path, name, column, change, what):
    path = linked(demo, tmp_path, name)
    table = pd.read_parquet(demo / f"{name}.parquet")
    table.assign(**{column: change(table[column])}).to_parquet(path / f"{name}.parquet")
    with pytest.raises(InputError) as refused:
        RunTables.read(path)
    assert str(refused.value) == f"{path / name}.parquet: {what}; run the scenario again"


# --- hostile names, private paths --------------------------------------------------------------------------------


def test_names_that_are_markup_stay_text(tables):
    """Names come from data files, scenario files and strategy files, which may come from anybody."""
    names = dict(zip(tables.trades["session"].unique(), HOSTILE * 20, strict=False))
    names = {name: f"{hostile}{number}" for number, (name, hostile) in enumerate(names.items())}
    frames = {
        name: getattr(tables, name).assign(session=getattr(tables, name)["session"].replace(names))
        for name in ("trades", "sessions", "cars")
    }
    frames["trades"] = frames["trades"].assign(payment_id="<script>pay</script>")
    for column in ("station", "strategy"):
        frames["sessions"] = frames["sessions"].assign(**{column: HOSTILE[0]})
    about = {**tables.summary, **dict.fromkeys(("scenario", "strategy", "engine", "trace_hash", "version"), HOSTILE[1])}
    scenario = {**tables.scenario, "name": HOSTILE[2], HOSTILE[0]: HOSTILE[3], "inputs": {HOSTILE[1]: HOSTILE[0]}}
    html = page(replace(tables, summary=about, scenario=scenario, **frames))
    found = ReadPage(html)
    assert not {"script", "svg", "b"} & set(found.tags)
    assert found.tags.count("img") == 1
    assert {name for _, name, _ in found.attributes} <= {"alt", "charset", "class", "content", "lang", "name", "src"}
    assert set(names.values()) == {row[2] for row in found.table("car", "charger")}
    assert HOSTILE[2] in found.text
    assert re.search(r"--controller negotiated --engine '\"><img src=x onerror=alert\(2\)>'", found.text)


def test_a_street_of_ones_own_needs_no_credit_and_its_folders_stay_private(tmp_path, without_picture):
    for kind, name in (("households", "A400_household_15min.csv"), ("sessions", "A400_sessions.csv")):
        shutil.copy(DATA / kind / name, tmp_path / f"my-{kind}.csv")
    scenario = tmp_path / "mine.toml"
    scenario.write_text(
        'start = 2018-11-25T00:00:00+01:00\ndays = 1\nreading_s = 300\n[base]\nhousehold_csv = "my-households.csv"\n'
        '[sessions]\ncsv = "my-sessions.csv"\n',
        encoding="utf-8",
    )
    run(scenario, engine="fleet", out=tmp_path / "run")
    html = page(RunTables.read(tmp_path / "run"))
    assert "my-households.csv" in html
    assert str(tmp_path) not in html
    assert "Sørensen" not in html


def test_sessions_an_interrupted_run_never_wrote_down_are_listed_all_the_same(tables, without_picture):
    nobody = tables.sessions.iloc[:0]
    cars = ReadPage(page(replace(tables, sessions=nobody))).table("car", "charger")
    assert {row[2] for row in cars} == set(tables.trades["session"])
    assert {row[1] for row in cars} == {""}


def test_a_long_list_is_cut_and_says_so(tables, without_picture):
    many = pd.concat([tables.trades.assign(session=tables.trades["session"] + f"-{number}") for number in range(5)])
    found = ReadPage(page(replace(tables, trades=many)))
    count = many["session"].nunique()
    assert len(found.table("car", "charger")) == 120
    assert f"… and {count - 120} more; all are in sessions.parquet and trades.parquet." in found.text


@pytest.mark.parametrize(("day", "hours"), [("2023-10-29", 25), ("2024-03-31", 23), ("2024-04-01", 24)])
def test_a_day_on_which_the_clocks_change_is_read_again_by_the_clock_on_the_wall(tmp_path, day, hours):
    street = tmp_path / "street.toml"
    street.write_text(
        f'start = {day}T00:00:00\nzone = "Europe/Berlin"\ndays = 1\nreading_s = 300\n[sessions]\ngenerate = 2\n'
    )
    run(str(street), engine="fleet", out=tmp_path / "run")
    tables = RunTables.read(tmp_path / "run")
    assert len(tables.series) == hours * 12
    assert (tables.zone, f"{tables.at(tables.series['t_ms'].iloc[-1]):%H:%M}") == ("Europe/Berlin", "23:55")
