"""The node as a process: kills, restarts, signals, files it must not touch, and its command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import iota_sdk as iota
import pytest
from tests.ledger.devnet.people import WalletOwner, a_story, ask, assert_conserved, figures, pay, person

from wattswap.experiments.bench import devnet_load as load
from wattswap.experiments.bench.devnet_child import Child, running
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.process import Settings, serve
from wattswap.ledger.devnet.store import KIND, ChainStore
from wattswap.ledger.iota_faucet import give
from wattswap.protocol.errors import InputError


def digests(ready) -> set[str]:
    """All transactions the node knows."""
    found, cursor = set[str](), None
    while True:
        query = """query ($after: String) {
          transactionBlocks(first: 50, after: $after) { nodes { digest } pageInfo { endCursor hasNextPage } } }"""
        page = ask(ready, query, after=cursor)["data"]["transactionBlocks"]
        found |= {one["digest"] for one in page["nodes"]}
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


async def load_until_killed(child: Child, payments: int) -> list[str]:
    """Ten wallets pay as fast as they can; the node is killed when so many are acknowledged. What was acknowledged."""
    wallets, told, enough = await load.funded(child.ready, 10), list[str](), asyncio.Event()

    async def pay_on(wallet: load.Wallet) -> None:
        with contextlib.suppress(iota.SdkFfiError, TimeoutError):
            while True:
                told.append(await wallet.pay(3))
                if len(told) >= payments:
                    enough.set()

    tasks = [asyncio.create_task(pay_on(wallet)) for wallet in wallets]
    await enough.wait()
    child.kill()
    await asyncio.gather(*tasks)
    return told


@pytest.mark.parametrize("payments", [1, 60])
def test_what_was_acknowledged_survives_a_kill_under_load(tmp_path, payments: int):
    db = str(tmp_path / "chain.sqlite")
    child = Child(Settings(db=db, port=0, as_json=True, tied=True))
    told = asyncio.run(load_until_killed(child, payments))
    with running(db=db) as again:
        assert again.ready.chain_id == child.ready.chain_id
        known = digests(again.ready)
        assert set(told) <= known
        assert_conserved(again.ready)
        assert len(known) == figures(again.ready)["transactions"]
        asyncio.run(load.single(asyncio.run(load.funded(again.ready, 1))[0], 3))
        assert_conserved(again.ready)


def test_a_chain_stays_the_same_over_a_restart_and_every_chain_has_its_own_id(tmp_path):
    db = str(tmp_path / "chain.sqlite")
    with running(db=db) as first:
        asyncio.run(load.funded(first.ready, 2))
        before = figures(first.ready)
    with running(db=db) as second:
        assert second.ready.chain_id == first.ready.chain_id
        assert figures(second.ready) == before
    with running() as other:
        assert other.ready.chain_id != first.ready.chain_id


def test_a_commit_is_on_the_disk_before_it_is_acknowledged(tmp_path):
    """A kill cannot show the difference, only a power cut: so the switches themselves are looked at."""
    store = ChainStore(tmp_path / "chain.sqlite")
    assert [store._database.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")] == ["wal", 2]
    store.close()


@a_story
async def test_the_same_bytes_after_a_restart_give_the_same_effects(tmp_path):
    """The answer was lost in the crash: the customer sends again, and is told what happened."""
    db = str(tmp_path / "chain.sqlite")
    with running(db=db) as child:
        anna = await person(child.ready)
        transaction = anna.priced(pay(anna, WalletOwner(child.ready).address, 5))
        effects = await anna.send(transaction)
        child.kill()
    with running(db=db) as again:
        anna.client = iota.GraphQlClient(again.ready.url)
        assert (await anna.send(transaction)).to_bcs() == effects.to_bcs()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_good_order(tmp_path, number: signal.Signals, code: int):
    with running(db=str(tmp_path / "chain.sqlite")) as child:
        child.process.send_signal(number)
        assert child.process.wait(10) == code
        assert child.process.communicate()[1] == b""
    assert not (tmp_path / "chain.sqlite-wal").exists(), "the log is folded into the file"


def lives(pid: str) -> bool:
    """Whether the process runs; one that has ended and waits to be noticed does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_child_ends_with_its_parent_even_one_that_is_killed():
    """Nobody asks it to leave then: the pipe that only the parent held is what ends."""
    parent = "from wattswap.experiments.bench.devnet_child import running\nimport os\nwith running() as child:\n    "
    parent += "print(child.ready.pid, flush=True)\n    os.kill(os.getpid(), 9)"
    pid = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=False).stdout.strip()
    deadline = time.monotonic() + 30
    assert pid.isdigit()
    while lives(pid):
        assert time.monotonic() < deadline, "it lives on"


def starts(tmp_path, **settings) -> str:
    """Why a node does not start."""
    with pytest.raises(InputError) as caught:
        serve(Settings(**{"port": 0, **settings}), pytest.fail)
    return str(caught.value)


def test_a_database_in_use_is_left_alone(tmp_path):
    db = str(tmp_path / "chain.sqlite")
    with running(db=db) as child:
        assert "in use by process" in starts(tmp_path, db=db)
        assert figures(child.ready)["transactions"] == 1
        child.kill()
    DevnetNode(ChainStore(Path(db)), lambda: 0).store.close()


def test_a_port_in_use_is_named(tmp_path):
    with running() as child:
        assert f"port {child.ready.port}" in starts(tmp_path, port=child.ready.port)


def test_files_of_others_are_refused_and_not_touched(tmp_path):
    db = tmp_path / "chain.sqlite"
    db.write_bytes(b"my diary" * 1_000)
    assert "cannot open devnet chain" in starts(tmp_path, db=str(db))
    assert db.read_bytes() == b"my diary" * 1_000
    db.unlink()
    with contextlib.closing(sqlite3.connect(db)) as other:
        other.execute("CREATE TABLE diary (day)")
    before = db.read_bytes()
    assert "is not a devnet chain of ours" in starts(tmp_path, db=str(db))
    assert db.read_bytes() == before
    assert "cannot open devnet chain" in starts(tmp_path, db=str(tmp_path / "none" / "chain.sqlite"))
    assert "cannot open devnet chain" in starts(tmp_path, db=str(tmp_path))


def test_a_database_of_another_version_or_with_forged_tokens_is_refused(tmp_path):
    db = tmp_path / "chain.sqlite"
    DevnetNode(ChainStore(db), lambda: 0).store.close()
    with contextlib.closing(sqlite3.connect(db)) as other:
        other.execute("PRAGMA user_version = 99")
    assert "of version 99" in starts(tmp_path, db=str(db))
    with contextlib.closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute(f"PRAGMA user_version = {KIND.version}")
        other.execute("UPDATE coins SET nanos = nanos + 1")
    assert "do not add up" in starts(tmp_path, db=str(db))


def test_the_database_is_its_owners_alone(tmp_path):
    """It says who paid whom."""
    db = tmp_path / "chain.sqlite"
    with running(db=str(db)) as child:
        asyncio.run(load.funded(child.ready, 1))
        assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


COMMAND = [sys.executable, "-c", "from wattswap.cli.devnet import devnet; devnet(prog_name='wattswap devnet')"]


IN_THE_BACKGROUND = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]


@pytest.mark.parametrize("shell", [[], IN_THE_BACKGROUND])
def test_the_command_says_in_one_line_that_it_is_ready(shell: list[str]):
    """Ctrl-C ends it also where a shell that started it in the background had it ignored."""
    process = subprocess.Popen([*shell, *COMMAND, "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("IOTA devnet ")
    assert "http://127.0.0.1:" in line
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[0] == ""
    assert process.returncode == 130


def test_the_command_says_it_in_json_too(tmp_path):
    command = [*COMMAND, "--port", "0", "--json", "--db", str(tmp_path / "x.sqlite")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = json.loads(process.stdout.readline())
    assert set(said) == {"url", "chain_id", "port", "pid"}

    give(said["url"], "0x7", 5)
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_the_help_says_what_it_is_not():
    shown = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    for words in ("one authority", "no Move machine", "wattswap devnet --port 9125"):
        assert words in " ".join(shown.split())
