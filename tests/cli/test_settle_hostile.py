"""``wattswap settle`` where files were torn, a ledger was set back, or the wallets have served other runs."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.conftest import Say
from tests.cli.settled import settled_run
from tests.experiments.settled_runs import a_node

from wattswap.ledger.file_lock import FileLock
from wattswap.ledger.iota_faucet import give
from wattswap.ledger.keys import read_key_file, write_key_file
from wattswap.protocol.identity import Signer
from wattswap.runners.payments.wallets_seed import write_wallets_seed
from wattswap.runners.recording.rundir import LEDGER, METERS, OUTBOX, RUN_JSON, read_run

pytestmark = pytest.mark.usefixtures("without_report")


def alter(file: Path, sql: str) -> int:
    """How many rows that changed."""
    with closing(sqlite3.connect(file)) as opened, opened:
        return opened.execute(sql).rowcount


@pytest.mark.parametrize("content", [b"", b'{"schema": 2, "sta', b"\xff\xfe{}", b"{}", None])
def test_a_run_whose_figures_are_torn_says_what_it_still_owes(node_url, tmp_path: Path, say: Say, content) -> None:
    run = settled_run(tmp_path / "run", node_url)
    (run / RUN_JSON).unlink()
    if content is not None:
        (run / RUN_JSON).write_bytes(content)
    error = say("settle", str(run))[2]
    assert ("owed" in error, "backup" in error) == (False, content not in (b"{}", None)), error
    owed = alter(run / OUTBOX, "UPDATE items SET batch = NULL WHERE nanos > 0")
    code, _, error = say("settle", str(run))
    assert (code, error.count("\n")) == (2, 1)
    assert f"{owed} payments or records are still owed" in error
    assert f"put run.json back from a backup, then `wattswap settle {run}` pays" in error
    (run / OUTBOX).write_bytes(b"torn as well")
    assert "tokens may be owed, for outbox.sqlite beside it cannot be read either" in say("settle", str(run))[2]


def test_a_book_that_cannot_be_read_is_moved_away_and_its_debts_are_paid(node_url, tmp_path: Path, say: Say) -> None:
    run = settled_run(tmp_path / "run", node_url)
    alter(run / LEDGER, "UPDATE entries SET key = CAST(x'ff' AS TEXT) WHERE seq = 1")
    assert say("settle", str(run))[2].endswith(f"`wattswap settle {run}` goes on with the book in outbox.sqlite\n")
    alter(run / OUTBOX, "UPDATE items SET batch = NULL WHERE nanos > 0")
    code, _, error = say("settle", str(run))
    assert (code, error.count("\n"), "payments or records are still owed" in error) == (2, 1, True), error
    (run / LEDGER).unlink()
    code, text, _ = say("settle", str(run))
    assert (code, "book and ledger agree" in text) == (1, True), "it is the alarm that a person is to read"
    assert "were not in the outbox as they are on the ledger" in text
    assert say("settle", str(run), "--acknowledge")[0] == 0


def test_an_item_that_is_gone_is_said_and_comes_back(node_url, tmp_path: Path, say: Say) -> None:
    run = settled_run(tmp_path / "run", node_url)
    assert alter(run / OUTBOX, "DELETE FROM items WHERE key = 'bill/s1'") == 1
    code, text, _ = say("settle", str(run))
    assert (code, "nothing is lost" in text, "book and ledger agree" in text) == (1, False, True), text
    assert "missing in the outbox, and written down again from the book: 1 of its payments" in text
    assert say("settle", str(run), "--acknowledge")[0] == 0


def test_wallets_of_another_number_are_refused_in_one_line(node_url, tmp_path: Path, say: Say) -> None:
    run = settled_run(tmp_path / "run", node_url)
    write_wallets_seed(run, 12345)
    code, _, error = say("settle", str(run))
    assert (code, error.count("\n"), "put back the right wallets.seed" in error) == (2, 1, True), error


def test_an_anchor_of_which_nothing_is_left_is_named(tmp_path: Path, say: Say) -> None:
    run = settled_run(tmp_path / "run", f"sqlite:{tmp_path / 'street.sqlite'}")
    assert alter(tmp_path / "street.sqlite", "UPDATE anchors SET content = x'' WHERE sequence = 5") == 1
    for command in (("settle", str(run)), ("meter", "verify", "--run", str(run))):
        code, text, error = say(*command)
        assert (code, error) == (1, ""), (text, error)
        assert "record 5" in text or "anchor/demo/5" in text, text


def test_meter_records_that_an_older_archive_lacks_are_named(node_url, tmp_path: Path, say: Say) -> None:
    run = settled_run(tmp_path / "run", node_url)
    about = json.loads((run / RUN_JSON).read_text())
    about["settlement"] |= {"records": 7, "records_by_site": {"demo": 7}}
    (run / RUN_JSON).write_text(json.dumps(about))
    code, text, _ = say("settle", str(run))
    assert code == 1
    assert f"{run / METERS} holds 6 of the 7 meter records" in text.replace("\n", "")


def test_a_ledger_that_was_set_back_after_all_was_settled_is_the_first_thing_said(tmp_path: Path, say: Say) -> None:
    with a_node(tmp_path) as node:
        older = tmp_path / "older.sqlite"
        with closing(sqlite3.connect(node.db)) as chain, closing(sqlite3.connect(older)) as copy:
            chain.backup(copy)
        run = settled_run(tmp_path / "run", node.url)
        node.kill()
        for beside in tmp_path.glob(f"{node.db.name}-*"):
            beside.unlink()
        shutil.copy(older, node.db)
        node.start()
        for wishes in ((), ("--thaw", "--retry", "--acknowledge")):
            code, text, _ = say("settle", str(run), *wishes)
            assert (code, text.index("set back to an earlier") < text.index("ledger differ")) == (1, True), text
    assert len([text for text in read_run(run).settlement["alarms"] if "set back" in text]) == 1  # type: ignore[index]


def test_runs_with_the_same_wallets_are_each_compared_with_their_own_payments(tmp_path: Path, say: Say) -> None:
    keys = tmp_path / "wallets"
    keys.mkdir(mode=0o700)
    for name in ("site", "gas", "anchors"):
        write_key_file(keys / f"{name}.key", Signer(os.urandom(32)))
    runs = [tmp_path / "monday", tmp_path / "tuesday"]
    with a_node(tmp_path) as node:
        give(f"{node.url}/graphql", read_key_file(keys / "site.key").address, 10**9)
        for run in runs:
            settled_run(run, node.url, keys=keys)
        for run in runs:
            code, text, _ = say("settle", str(run))
            assert (code, text.count("agree to the nano"), text.count("used by other runs")) == (0, 1, 1), text
            code, text, _ = say("meter", "verify", "--run", str(run))
            assert (code, "all as signed" in text) == (0, True), text
        assert say("wallet", "balance", "site", "--run", str(runs[0]))[0] == 0
        by_hand = ("wallet", "pay", str(keys / "site.key"), f"0x{'ab' * 32}", "0.1", "--ledger", f"{node.url}/graphql")
        code, text, error = say(*by_hand, "--yes")
        assert (code, text.endswith("Paid.\n"), "a run with it" in error) == (0, True, True), (text, error)
        lock = FileLock(keys / "in-use")
        code, _, error = say("settle", str(runs[0]))
        lock.release()
        assert (code, error.count("\n"), f"process {os.getpid()} pays with these keys" in error) == (2, 1, True), error
        shutil.rmtree(keys)
        code, _, error = say("meter", "verify", "--run", str(runs[0]))
        assert (code, error.count("\n"), "there is no such folder" in error) == (2, 1, True), error
