"""The directory of a run: what it holds, how it ends, and what is said of one that cannot be read."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from wattswap.ledger.book import Book
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.journal import Header
from wattswap.runners.recording.rundir import RunDir, default_path, read_run

HEADER = Header(
    wattswap="0.2.0",
    scenario="demo",
    scenario_sha256="",
    seed=1,
    controller="negotiated",
    engine="messages",
    strategy="need",
    sign=False,
    contents="inputs",
)


@pytest.fixture
def directory(tmp_path: Path):
    directory = RunDir.create(tmp_path / "runs" / "one", 'name = "demo"\n')
    yield directory
    directory.close()


def test_a_run_that_has_just_begun_says_interrupted_for_that_is_what_a_power_cut_leaves(directory):
    run = read_run(directory.path)
    assert (run.status, run.figures, run.uncontrolled) == ("interrupted", {}, None)
    assert (directory.path / "scenario.toml").read_text(encoding="utf-8") == 'name = "demo"\n'


def test_figures_come_back_as_they_were_written(directory):
    directory.write_figures({"peak_w": 1, "uncontrolled": {"peak_w": 2}}, "complete")
    run = read_run(directory.path)
    assert (run.status, run.figures, run.uncontrolled) == ("complete", {"peak_w": 1}, {"peak_w": 2})
    assert json.loads((directory.path / "run.json").read_text(encoding="utf-8"))["schema"] == 2


def test_tables_come_back_as_they_were_written_even_empty_ones(directory):
    columns = {"session": np.array(["a", "b"], dtype=object), "nanos": np.array([1, 1 << 62])}
    assert directory.write_table("trades", columns)
    assert directory.write_table("rounds", {name: column[:0] for name, column in columns.items()})
    run = read_run(directory.path)
    assert run.columns("trades") == {"session": ["a", "b"], "nanos": [1, 1 << 62]}
    assert run.columns("rounds") == {"session": [], "nanos": []}


def test_the_ledger_file_explains_its_balances(directory):
    book = Book(1_000)
    book.fund("opening/ann", "wallet/ann", 50)
    assert book.reserve("r1", 400)
    book.settle("r1", "ann", 300)
    book.bill("s1", "ann", 500)
    directory.write_ledger(book)
    with closing(sqlite3.connect(directory.path / "ledger.sqlite")) as database:
        balances = dict(database.execute("select account, nanos from balances"))
        moved = "select account, sum(nanos) from ({} union all {}) group by account"
        came = "select to_account as account, nanos from postings"
        went = "select from_account as account, -nanos as nanos from postings"
        explained = dict(database.execute(moved.format(came, went)))
        entries = database.execute("select operation, key, account, nanos from entries order by seq").fetchall()
    assert balances == book.balances()
    assert {account: nanos for account, nanos in balances.items() if nanos} == {
        account: nanos for account, nanos in explained.items() if nanos
    }
    assert [tuple(entry[:4]) for entry in book.entries] == entries


def test_the_log_is_a_json_object_a_line(directory):
    directory.log.info("run started", scenario="demo")
    directory.log.warning("limit exceeded", fallback_unsafe_w=7)
    directory.close()
    lines = [json.loads(line) for line in (directory.path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "run started"),
        ("warning", "limit exceeded"),
    ]
    assert all(datetime.fromisoformat(line["timestamp"]).tzinfo for line in lines)


def test_discarding_leaves_nothing_not_even_the_folders_above(tmp_path: Path):
    directory = RunDir.create(tmp_path / "runs" / "one", "")
    directory.log.info("run started")
    directory.write_table("trades", {"nanos": np.array([1])})
    directory.journal(HEADER)
    directory.discard()
    assert not list(tmp_path.iterdir())


def test_discarding_spares_what_others_put_there(directory):
    (directory.path / "mine.txt").write_text("mine", encoding="utf-8")
    directory.discard()
    assert [path.name for path in directory.path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_used_and_kept(tmp_path: Path):
    RunDir.create(tmp_path, "").discard()
    assert tmp_path.is_dir()


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_a_place_that_is_taken_is_refused_and_left_alone(tmp_path: Path, taken: str):
    place = tmp_path / "out"
    inside = place / "mine.txt" if taken == "folder" else place
    inside.parent.mkdir(exist_ok=True)
    inside.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"--out .*out: (there is something|this is a file)"):
        RunDir.create(place, "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [inside]


def test_a_place_below_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written to"):
        RunDir.create(tmp_path / "file" / "out", "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_runs_in_the_same_second_get_two_places(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = datetime(2018, 11, 25, 18, 30, tzinfo=UTC)
    first = default_path("demo", "negotiated", 1, started)
    assert first == Path("runs/20181125T183000-demo-negotiated-s1")
    first.mkdir(parents=True)
    assert default_path("demo", "negotiated", 1, started) == Path("runs/20181125T183000-demo-negotiated-s1-2")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "this is no run directory"),
        ('{"schema": 2, "sta', "torn"),
        ("[]", "not written by wattswap"),
        ('{"status": "complete"}', "not written by wattswap"),
        ('{"schema": 2, "status": "dancing"}', "not written by wattswap"),
        ('{"schema": 1, "status": "complete", "version": "0.1"}', "schema 1, this version reads 2; use wattswap 0.1,"),
        (b"\xff\xfe", "torn"),
    ],
)
def test_a_directory_that_is_missing_foreign_or_torn_is_refused_in_one_line(tmp_path: Path, content, what: str):
    if content is not None:
        (tmp_path / "run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=what) as refused:
        read_run(tmp_path)
    assert "\n" not in str(refused.value)


def test_the_version_that_wrote_the_former_formats_is_not_this_one():
    """Who is told to use wattswap 0.1.0 must not have it already."""
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == "0.2.0"
    assert f"## [{project['version']}]" in (root / "CHANGELOG.md").read_text("utf-8")


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no such run directory"):
        read_run(tmp_path / "none")


@pytest.mark.parametrize(("content", "what"), [(None, "no such table"), (b"PAR1", "not a readable Parquet file")])
def test_a_table_that_is_missing_or_torn_is_refused(directory, content, what: str):
    if content:
        (directory.path / "trades.parquet").write_bytes(content)
    with pytest.raises(InputError, match=what):
        read_run(directory.path).columns("trades")


def test_a_table_that_lacks_what_is_needed_of_it_is_another(directory):
    directory.write_table("trades", {"nanos": np.array([1])})
    with pytest.raises(InputError, match=r"trades\.parquet: another table, it has no kind, session; run the scenario"):
        read_run(directory.path).columns("trades", ("session", "kind", "nanos"))
