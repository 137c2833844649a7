"""A run whose ledger is away, full, locked, damaged or another one: control goes on, and no token is lost."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.settled_runs import EVENING, MEMORY, SLOTS, STREET, DevnetProcess, a_node, plain, quick_street

from wattswap.cli import main
from wattswap.experiments.api import run_loaded
from wattswap.experiments.settlements import finish
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import run_street
from wattswap.runners.payments.run_payments import RunPayments
from wattswap.runners.recording.rundir import METERS, read_run

pytest.importorskip("iota_sdk")
pytestmark = pytest.mark.usefixtures("without_report")


WAITING = {"open", "netted", "netted+waiting", "waiting", "unpaid", "disputed"}
"""What trades say whose ledger has decided nothing."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[DevnetProcess]:
    with a_node(tmp_path) as found:
        yield found


# -- the ledger is away -----------------------------------------------------------------------------------------------


def test_a_node_that_dies_for_an_hour_of_the_run_changes_nothing(node: DevnetProcess, tmp_path: Path):
    begins, hour = EVENING, 2

    def outage(tick: int) -> None:
        if tick == begins:
            node.kill()
        if tick == begins + hour:
            node.start()

    result = run_loaded(STREET, engine="messages", ledger=node.url, out=tmp_path / "run", progress=outage)
    assert result.summary["trace_hash"] == MEMORY.summary["trace_hash"]
    block = result.summary["settlement"]
    assert (block["agree"], block["pending"], block["alarms"], block["anchors"]) == (True, 0, [], SLOTS)


def test_a_node_that_stays_away_leaves_a_run_that_can_be_settled_later(node: DevnetProcess, tmp_path: Path, capsys):
    street, out = quick_street("ledger.drain_s=1"), tmp_path / "run"
    result = run_loaded(
        street, engine="fleet", ledger=node.url, out=out, progress=lambda tick: node.kill() if tick == 9 else None
    )
    block = result.summary["settlement"]
    assert plain(result) == plain(MEMORY)
    assert (read_run(out).status, block["agree"], block["differences"]) == ("complete", False, [])
    assert block["pending"] == block["payments"] + SLOTS - block["anchors"]
    assert any("127.0.0.1" in alarm for alarm in block["alarms"])
    assert set(read_run(out).columns("trades")["status"]) <= WAITING
    with pytest.raises(SystemExit) as left:
        main(["report", str(out)])
    assert left.value.code == 0
    assert f"still on their way; nothing is lost: `wattswap settle {out}` goes on." in capsys.readouterr().out
    with pytest.raises(InputError, match="start it again"):
        finish(out)
    node.start()
    settled = settle_command(out, capsys)
    assert (settled["agree"], settled["pending"], settled["anchors"], settled["alarms"]) == (True, 0, SLOTS, [])
    assert read_run(out).settlement == settled
    assert settled["earned_nanos"] == settled["netted_nanos"] + settled["waiting_nanos"] + settled["crossed_nanos"]
    assert finish(out) == settled, "settling twice pays nothing twice"


def settle_command(run_dir: Path, capsys: Any) -> dict[str, Any]:
    with pytest.raises(SystemExit) as left:
        main(["settle", str(run_dir), "--json"])
    assert left.value.code == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_another_chain_in_the_place_of_the_first_is_noticed(tmp_path: Path):
    out = tmp_path / "run"
    with a_node(tmp_path) as node:
        run_loaded(STREET, engine="fleet", ledger=node.url, out=out)
        node.kill()
        (tmp_path / "chain.sqlite").rename(tmp_path / "old chain.sqlite")
        for beside in tmp_path.glob("chain.sqlite-*"):
            beside.unlink()
        node.start()
        with pytest.raises(InputError, match="pays on network"):
            finish(out)


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["ledger", "meters"])
def test_a_full_disk_stops_no_run_and_loses_no_token(file: str, tmp_path: Path):
    """SQLite's own limit stands for the disk's: it fails in the same place with the same error."""
    street, out = quick_street("ledger.drain_s=1"), tmp_path / "run"
    out.mkdir()

    class OnAFullDisk(RunPayments):
        def begun(self, run: Any) -> None:
            super().begun(run)
            inside: Any = self
            database = {
                "ledger": lambda: inside._settlement._database,
                "meters": lambda: inside._metering[0].anchorer._database,
            }[file]()
            [pages] = database.row("PRAGMA page_count")
            database._connection.execute(f"PRAGMA max_page_count={pages + 1}")

    settlement = OnAFullDisk(street, f"sqlite:{tmp_path / 'tokens.sqlite'}", folder=out)
    record = run_street(street, engine="fleet", observers=[settlement])
    settlement.settle()
    block = settlement.block()
    settlement.close()
    assert record.trace_hash() == MEMORY.summary["trace_hash"]
    assert any("full" in alarm for alarm in block["alarms"]), block
    if file == "meters":
        assert block["agree"]
        return
    assert (block["agree"], block["pending"] > 0) == (False, True)
    assert finished(street, out, record, block)["agree"]


def finished(street: Any, out: Path, record: Any, block: dict[str, Any]) -> dict[str, Any]:
    """The run directory as the run would have left it, settled."""
    from wattswap.runners.recording.rundir import RunDir

    directory = RunDir(out)
    directory.write_figures({"settlement": block}, "complete")
    directory.write_text("scenario.toml", street.resolved_toml)
    directory.write_ledger(record.book, run_id=block["run_id"])
    return finish(out)


def test_a_file_that_another_program_writes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattswap.ledger.database._BUSY_S", 0.5)
    street, out, file = quick_street("ledger.drain_s=0"), tmp_path / "run", tmp_path / "tokens.sqlite"
    with ExitStack() as others:

        def lock(tick: int) -> None:
            if tick == 0:
                other = others.enter_context(closing(sqlite3.connect(file, isolation_level=None)))
                other.execute("BEGIN IMMEDIATE")

        block = run_loaded(street, engine="fleet", ledger=f"sqlite:{file}", out=out, progress=lock).summary[
            "settlement"
        ]
        assert (block["agree"], block["pending"]) == (False, block["payments"] + SLOTS - block["anchors"])
    assert finish(out)["agree"]


@pytest.fixture(scope="module")
def settled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that settled in a file beside its directory."""
    folder = tmp_path_factory.mktemp("settled")
    run_loaded(STREET, engine="fleet", ledger=f"sqlite:{folder / 'tokens.sqlite'}", out=folder / "run")
    return folder


@pytest.mark.parametrize("name", ["tokens.sqlite", f"run/{METERS}", "run/ledger.sqlite"])
@pytest.mark.parametrize("damage", ["torn", "gone", "no database"])
def test_a_damaged_file_is_named_and_nothing_is_paid_from_it(name: str, damage: str, settled_folder: Path):
    path = settled_folder / name
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "torn" else b"tokens\n" * 10_000)
    try:
        if (path.name, damage) == (METERS, "gone"):
            settled = finish(settled_folder / "run")
            assert settled["anchors"] == SLOTS, "they are on the ledger all the same"
            assert "is gone: meter records cannot be anchored any more" in settled["alarms"][0]
        elif (path.name, damage) == ("ledger.sqlite", "gone"):
            assert finish(settled_folder / "run")["agree"], "the book is where it was written down as it grew"
        else:
            with pytest.raises(InputError, match=path.name) as refused:
                finish(settled_folder / "run")
            assert "\n" not in str(refused.value)
    finally:
        path.write_bytes(whole)
    assert finish(settled_folder / "run")["agree"]


@pytest.mark.parametrize("engine", ["messages", "fleet"])
def test_a_run_that_was_killed_is_settled_without_a_replay(engine: str, tmp_path: Path):
    """Its bills were in the outbox alone, and a fleet run has no journal to replay: it could never be settled."""
    out, file = tmp_path / "run", tmp_path / "tokens.sqlite"
    command = [sys.executable, "-m", "wattswap", "run", "b250", "--engine", engine, "--ledger", f"sqlite:{file}"]
    with subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not paid_so_far(file):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    paid = paid_so_far(file)
    settled = finish(out)
    assert settled["agree"], settled
    assert settled["payments"] >= paid > 0
    assert read_run(out).status == "interrupted"


def paid_so_far(file: Path) -> int:
    if not file.is_file():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
        try:
            return int(reader.execute("SELECT count(*) FROM payments").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


# -- files of another run ---------------------------------------------------------------------------------------------


def test_a_ledger_of_another_run_pays_nothing(settled_folder: Path, tmp_path: Path):
    """Monday's run once paid 403 IOTA out of Tuesday's file of the same name."""
    file = settled_folder / "tokens.sqlite"
    whole = file.read_bytes()
    run_loaded(STREET, engine="fleet", ledger=f"sqlite:{tmp_path / 'tokens.sqlite'}", out=tmp_path / "run")
    other = (tmp_path / "tokens.sqlite").read_bytes()
    try:
        file.write_bytes(other)
        with pytest.raises(InputError, match="is the ledger of run"):
            finish(settled_folder / "run")
        assert file.read_bytes() == other
    finally:
        file.write_bytes(whole)


def test_a_ledger_that_was_rolled_back_pays_nothing(tmp_path: Path):
    out, file, copies = tmp_path / "run", tmp_path / "tokens.sqlite", []

    def keep(tick: int) -> None:
        if tick == EVENING:
            with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(tmp_path / "copy")) as copy:
                live.backup(copy)
            copies.append((tmp_path / "copy").read_bytes())

    run_loaded(STREET, engine="fleet", ledger=f"sqlite:{file}", out=out, progress=keep)
    file.write_bytes(copies[0])
    with pytest.raises(InputError, match="it was rolled back to an older copy"):
        finish(out)
    assert file.read_bytes() == copies[0]


@pytest.mark.parametrize(("ledger", "most_bytes", "reading_s"), [("sqlite:x", 200_000, 30), ("memory", 60_000, 900)])
def test_a_disk_on_which_nothing_fits_any_more_is_one_line(
    ledger: str, most_bytes: int, reading_s: int, tmp_path: Path
):
    """No file may grow beyond so many bytes: meter records and report do, or the run's own copy of its book."""
    limited = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({most_bytes}, {most_bytes}))\n"
        "from wattswap.cli import main\n"
        f"main(['run', 'demo', '--engine', 'fleet', '--ledger', '{ledger}', '--set', 'ledger.drain_s=0',"
        f" '--set', 'reading_s={reading_s}', '--set', 'window_s=900', '--out', 'r'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    *notes, said = done.stderr.splitlines()
    assert (done.returncode, all(note.startswith("Note: ") for note in notes)) == (2, True), done.stderr
    assert said.endswith("make room and run it again")


def test_an_interrupted_run_can_be_settled(tmp_path: Path):
    out = tmp_path / "run"

    def interrupt(tick: int) -> None:
        if tick == EVENING:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_loaded(STREET, engine="fleet", ledger=f"sqlite:{tmp_path / 'tokens.sqlite'}", out=out, progress=interrupt)
    block = read_run(out).settlement
    assert read_run(out).status == "interrupted"
    assert block is not None
    assert not block["agree"]
    assert finish(out)["agree"]
