"""A run's tokens on a real ledger: the same run to the nano, whatever the ledger does meanwhile."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.settled_runs import Node, a_node, in_memory, plain, quick_street
from tests.ledger.local_node import local_node

from wattswap.cli import main
from wattswap.experiments.api import run_loaded
from wattswap.experiments.settlements import finish
from wattswap.ledger.anchors import read, verify
from wattswap.ledger.iota_bytes import quicken
from wattswap.ledger.memory import MemoryLedger
from wattswap.ledger.settling import Settler, differences, open_settler
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import seeded_signer
from wattswap.runners.cast import TRANSFORMER
from wattswap.runners.engines import run_street
from wattswap.runners.rundir import METERS, OUTBOX, read_book, read_run
from wattswap.runners.settlement import Settlement, detail_of

pytest.importorskip("iota_sdk")

STREET = quick_street()
MEMORY = in_memory(STREET)
SLOTS = STREET.ticks
TRADES = STREET.ticks * 3 // 4
"""A tick of the evening, when cars trade and leave."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_node() as (found, _):
        yield found.removesuffix("/graphql")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with a_node(tmp_path) as found:
        yield found


@pytest.fixture(params=["sqlite", "devnet"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("url")) if request.param == "devnet" else f"sqlite:{tmp_path / 'tokens.sqlite'}"


def public_key() -> bytes:
    return seeded_signer(STREET.scenario.seed, TRANSFORMER).public_key


def reopened(run_dir: Path) -> Settler:
    block = read_run(run_dir).settlement
    assert block is not None
    return open_settler(block["ledger"], None, wallets_seed=block["wallets_seed"], outbox=run_dir / OUTBOX)


# -- all is well ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["fleet", "messages"])
def test_a_run_on_a_ledger_is_the_run_in_memory_and_its_tokens_cross(where: str, engine: str, tmp_path: Path):
    result = run_loaded(STREET, engine=engine, ledger=where, out=tmp_path / "run")
    assert {**plain(result), "engine": 0, "events_hash": 0} == {**plain(MEMORY), "engine": 0, "events_hash": 0}
    assert sorted(result.record.trades) == sorted(MEMORY.record.trades)
    block = result.summary["settlement"]
    assert (block["ledger"], block["agree"], block["differences"], block["alarms"]) == (where, True, [], [])
    assert (block["pending"], block["refused"], block["anchors"]) == (0, 0, SLOTS)
    assert block["payments"] > 20
    assert 0 < block["agents_cpu_s"] < 60
    assert (block["fees_nanos"] > 0, block["deposits_nanos"] > 0) == (where.startswith("http"),) * 2
    written = read_run(tmp_path / "run")
    assert written.settlement == written.figures["settlement"] == block
    assert "book and ledger agree to the nano" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_what_lies_on_the_ledger_is_what_the_meters_showed(where: str, tmp_path: Path):
    result = run_loaded(STREET, engine="fleet", ledger=where, out=tmp_path / "run")
    with reopened(tmp_path / "run") as settler:
        assert differences(read_book(tmp_path / "run")[1], settler.ledger) == []
        anchored = settler.ledger.anchored(STREET.name)
    assert verify(anchored, public_key(), last=SLOTS - 1) == []
    records = [read(anchor, public_key()) for anchor in anchored]
    assert [record.to_ms for record in records] == [STREET.tick_ms * slot for slot in range(1, SLOTS + 1)]
    last = {reading.meter: reading for reading in records[-1].readings}
    assert sum(reading.import_ws for meter, reading in last.items() if meter.startswith("charger/")) == sum(
        row.imported_ws for row in result.record.sessions
    )
    by_station = Counter[str]()
    for row in result.record.sessions:
        by_station[f"charger/{row.station}"] += row.exported_ws
    assert {meter: last[meter].export_ws for meter in by_station} == by_station
    for record, tick in zip(records, result.record.ticks, strict=True):
        shown = {reading.meter: reading.import_w - reading.export_w for reading in record.readings}
        assert shown["transformer"] == tick.base_w + int(tick.import_w.sum() - tick.export_w.sum())
        assert shown["household/0"] == tick.base_w


def test_a_second_run_on_the_same_node_has_wallets_of_its_own(url: str):
    seeds = [run_loaded(STREET, engine="fleet", ledger=url).summary["settlement"]["wallets_seed"] for _ in range(2)]
    assert seeds[0] != seeds[1]
    assert run_loaded(STREET, engine="fleet", ledger=url, wallets_seed=7).summary["settlement"]["wallets_seed"] == 7


@pytest.mark.parametrize(("anchor", "records"), [("full", 48), ("root", 48), ("none", None), ("auto", None)])
def test_in_memory_meters_are_anchored_if_asked_for(anchor: str, records: int | None, tmp_path: Path):
    street = quick_street(f"ledger.anchor={anchor}", "ledger.anchor_s=1_800")
    result = run_loaded(street, engine="fleet", out=tmp_path / "run")
    block = result.summary["settlement"]
    assert plain(result) == plain(MEMORY)
    assert (tmp_path / "run" / METERS).exists() == (records is not None)
    assert (block and block["anchors"]) == records
    assert not block or block["agree"]
    assert result.uncontrolled["settlement"] is None


def test_readings_stand_in_the_open_only_where_the_ledger_is_ones_own():
    here, elsewhere = SqliteLedger(None, {}), MemoryLedger({})
    assert [detail_of("auto", where, here) for where in ("memory", "sqlite:x")] == [None, "full"]
    assert (detail_of("auto", "https://x", elsewhere), detail_of("none", "https://x", elsewhere)) == ("root", None)
    with pytest.raises(InputError, match="everyone could read who charges when"):
        detail_of("full", "https://x", elsewhere)
    here.close()


def test_the_sdk_is_handed_its_bytes_in_one_piece():
    """``quicken`` is told when another version of the SDK is built otherwise."""
    assert quicken()


# -- the ledger is away -----------------------------------------------------------------------------------------------


def test_a_node_that_dies_for_an_hour_of_the_run_changes_nothing(node: Node, tmp_path: Path):
    begins, hour = TRADES, 4

    def weather(tick: int) -> None:
        if tick == begins:
            node.kill()
        if tick == begins + hour:
            node.start()

    result = run_loaded(STREET, engine="messages", ledger=node.url, out=tmp_path / "run", progress=weather)
    assert result.summary["trace_hash"] == MEMORY.summary["trace_hash"]
    block = result.summary["settlement"]
    assert (block["agree"], block["pending"], block["alarms"], block["anchors"]) == (True, 0, [], SLOTS)


def test_a_node_that_stays_away_leaves_a_run_that_can_be_settled_later(node: Node, tmp_path: Path, capsys):
    street, out = quick_street("ledger.drain_s=1"), tmp_path / "run"
    result = run_loaded(
        street, engine="fleet", ledger=node.url, out=out, progress=lambda tick: node.kill() if tick == 9 else None
    )
    block = result.summary["settlement"]
    assert plain(result) == plain(MEMORY)
    assert (read_run(out).status, block["agree"], block["differences"]) == ("complete", False, [])
    assert block["pending"] == block["payments"] + SLOTS - block["anchors"]
    assert any("127.0.0.1" in alarm for alarm in block["alarms"])
    assert set(read_run(out).columns("trades")["status"]) == {"paid", "pending"}
    with pytest.raises(InputError, match="start it again"):
        finish(out)
    node.start()
    settled = settle_command(out, capsys)
    assert (settled["agree"], settled["pending"], settled["anchors"], settled["alarms"]) == (True, 0, SLOTS, [])
    assert read_run(out).settlement == settled
    assert set(read_run(out).columns("trades")["status"]) == {"paid"}
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


@pytest.mark.parametrize("file", ["ledger", "outbox", "meters"])
def test_a_full_disk_stops_no_run_and_loses_no_token(file: str, tmp_path: Path):
    """SQLite's own limit stands for the disk's: it fails in the same place with the same error."""
    street, out = quick_street("ledger.drain_s=1"), tmp_path / "run"
    out.mkdir()
    settlement = Settlement(street, f"sqlite:{tmp_path / 'tokens.sqlite'}", folder=out)

    def begun(run: Any) -> None:
        settlement.begin(run)
        inside: Any = settlement
        database = {
            "ledger": lambda: inside._settler.ledger._database,
            "outbox": lambda: inside._settler._outbox._database,
            "meters": lambda: inside._metering.anchorer._database,
        }[file]()
        database._connection.execute("PRAGMA max_page_count=50")

    record = run_street(street, engine="fleet", begun=begun, progress=settlement.passed)
    settlement.end()
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
    from wattswap.runners.rundir import RunDir

    directory = RunDir(out)
    directory.write_figures({"settlement": block}, "complete")
    directory.write_text("scenario.toml", street.resolved_toml)
    directory.write_ledger(record.book)
    return finish(out)


def test_a_file_that_another_program_writes_is_waited_for(tmp_path: Path):
    street, out, file = quick_street("ledger.drain_s=0"), tmp_path / "run", tmp_path / "tokens.sqlite"
    with ExitStack() as others:

        def lock(tick: int) -> None:
            if tick == 0:
                other = others.enter_context(closing(sqlite3.connect(file, isolation_level=None)))
                other.execute("BEGIN IMMEDIATE")

        block = run_loaded(street, engine="fleet", ledger=f"sqlite:{file}", out=out, progress=lock).summary[
            "settlement"
        ]
        assert (block["agree"], block["pending"]) == (False, block["payments"] + SLOTS)
    assert finish(out)["agree"]


@pytest.fixture(scope="module")
def settled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that settled in a file beside its directory."""
    folder = tmp_path_factory.mktemp("settled")
    run_loaded(STREET, engine="fleet", ledger=f"sqlite:{folder / 'tokens.sqlite'}", out=folder / "run")
    (folder / "run" / "report.html").unlink()
    return folder


@pytest.mark.parametrize("name", ["tokens.sqlite", f"run/{OUTBOX}", f"run/{METERS}", "run/ledger.sqlite"])
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
            assert finish(settled_folder / "run")["anchors"] == SLOTS, "they are on the ledger all the same"
        else:
            with pytest.raises(InputError, match=path.name) as refused:
                finish(settled_folder / "run")
            assert "\n" not in str(refused.value)
    finally:
        path.write_bytes(whole)
    assert finish(settled_folder / "run")["agree"]


# -- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("--ledger", "momory"), "is no ledger: say memory, sqlite:FILE"),
        (("--ledger", "sqlite:"), "is no ledger"),
        (("--ledger", "sqlite:no/such/folder/x.sqlite"), "No such file or directory"),
        (("--ledger", "sqlite:there.sqlite"), "belongs to one run; name a new one"),
        (("--ledger", "sqlite:here/ledger.sqlite"), "choose another name"),
        (("--ledger", "http://127.0.0.1:1"), "127.0.0.1:1"),
        (("--ledger", "https://"), "is not the address of an IOTA node"),
        (("--set", "transformer.funds_iota=4_611_686_018"), "no ledger counts beyond 4,611,686,018"),
        (("--ledger", "memory", "--set", "ledger.anchor=ful"), "full"),
    ],
)
def test_a_ledger_that_cannot_be_used_is_one_line_and_leaves_nothing(args, what: str, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.sqlite").write_bytes(b"somebody's")
    with pytest.raises(SystemExit) as left:
        main(["run", "demo", "--engine", "fleet", "--out", "here", *args])
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (2, "", 1)
    assert what in err
    assert [path.name for path in tmp_path.iterdir()] == ["there.sqlite"]


def test_more_than_the_faucet_has_is_one_line(url: str):
    with pytest.raises(InputError, match="the faucet at"):
        run_loaded(quick_street("transformer.funds_iota=4_000_000_000"), engine="fleet", ledger=url)


def test_a_proxy_is_not_asked_for_a_node_on_this_machine(url: str, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert run_loaded(STREET, engine="fleet", ledger=url).summary["settlement"]["agree"]


def test_a_run_in_memory_has_nothing_to_settle(tmp_path: Path):
    run_loaded(STREET, engine="fleet", out=tmp_path / "run")
    with pytest.raises(InputError, match="kept its tokens in memory"):
        finish(tmp_path / "run")
    assert MEMORY.summary["settlement"] is None


def test_the_agents_thread_hands_over_and_goes_on(tmp_path: Path):
    """What it does for the ledger takes far less than the law of a round."""
    settlement = Settlement(STREET, f"sqlite:{tmp_path / 'tokens.sqlite'}")
    spent = [0.0, 0.0]

    def passed(tick: int) -> None:
        began = time.thread_time()
        settlement.passed(tick)
        spent[0] += time.thread_time() - began

    began = time.thread_time()
    run_street(STREET, engine="messages", begun=settlement.begin, progress=passed)
    spent[1] = time.thread_time() - began
    settlement.end()
    settlement.close()
    assert spent[0] < 0.05 * spent[1]


def test_result_of_an_interrupted_run_can_be_settled(tmp_path: Path):
    out = tmp_path / "run"

    def interrupt(tick: int) -> None:
        if tick == TRADES:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_loaded(STREET, engine="fleet", ledger=f"sqlite:{tmp_path / 'tokens.sqlite'}", out=out, progress=interrupt)
    block = read_run(out).settlement
    assert read_run(out).status == "interrupted"
    assert block is not None
    assert not block["agree"]
    assert finish(out)["agree"]
