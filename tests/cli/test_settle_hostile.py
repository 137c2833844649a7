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
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer
from wattswap.runners.payments.run_payments import SITE_KEY, keys_held
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
        assert (code, error.count("\n"), "the folder of this run's keys, is gone" in error) == (2, 1, True), error


def folder_of_keys(folder: Path, url: str) -> Path:
    """Random keys of a site, its gas and its records, and what the site opens with."""
    folder.mkdir(mode=0o700)
    for name in ("site", "gas", "anchors"):
        write_key_file(folder / f"{name}.key", Signer(os.urandom(32)))
    give(url, read_key_file(folder / "site.key").address, 10**9)
    return folder


@pytest.mark.parametrize("whose", ["site", "cy"])
def test_the_key_of_a_wallet_that_is_only_paid_cannot_be_exchanged(node_url, tmp_path: Path, say: Say, whose) -> None:
    """What it is owed would go to a stranger, and every figure would agree."""
    keys = folder_of_keys(tmp_path / "keys", node_url)
    run = settled_run(tmp_path / "run", node_url, keys=keys)
    alter(run / OUTBOX, "UPDATE items SET batch = NULL WHERE nanos > 0")
    (keys / f"{whose}.key").unlink()
    write_key_file(keys / f"{whose}.key", Signer(os.urandom(32)))
    for command in ("settle", "wallet balance --run", "meter verify --run"):
        code, out, error = say(*command.split(), str(run))
        assert (code, out, error.count("\n"), "put back the right wallets.seed, key file" in error) == (2, "", 1, True)


def test_a_person_pays_once_under_a_key_through_the_run_and_through_the_key(node_url, tmp_path: Path, say: Say) -> None:
    keys = folder_of_keys(tmp_path / "keys", node_url)
    run = settled_run(tmp_path / "run", node_url, keys=keys)
    cy = read_key_file(keys / "cy.key").address
    for words in (
        (str(keys / "site.key"), "cy", "--run", str(run)),
        ("site", "cy", "--run", str(run)),
        ("site", cy, "--run", str(run)),
        (str(keys / "site.key"), cy, "--ledger", node_url),
    ):
        payer, payee, *where = words
        code, out, error = say("wallet", "pay", payer, payee, "0.5", *where, "--key", "thanks", "--yes")
        assert (code in (0, 2), "Paid." in out) == (True, words[1] == "cy" and payer != "site"), (out, error)
        for lost in keys.glob("site.key-outbox-*"):
            lost.unlink()
    [cys] = json.loads(say("wallet", "balance", "cy", "--run", str(run), "--json")[1])["wallets"]
    assert cys["nanos"] == 5_500_000_000


def test_an_outbox_that_has_forgotten_where_a_wallet_is_pays_nobody(node_url, tmp_path: Path, say: Say) -> None:
    keys = folder_of_keys(tmp_path / "keys", node_url)
    run = settled_run(tmp_path / "run", node_url, keys=keys)
    alter(run / OUTBOX, "UPDATE items SET batch = NULL WHERE nanos > 0")
    (keys / "cy.key").rename(tmp_path / "cy.key")
    code, out, error = say("settle", str(run))
    assert (code, out, "the key of 'wallet/cy', whose wallet is 0x" in error, "is gone" in error) == (2, "", True, True)
    (tmp_path / "cy.key").rename(keys / "cy.key")
    assert alter(run / OUTBOX, "DELETE FROM addresses WHERE account = 'site'") == 1
    (keys / "site.key").unlink()
    write_key_file(keys / "site.key", Signer(os.urandom(32)))
    code, out, error = say("settle", str(run))
    assert (code, out, error.count("\n"), "settled on wallets" in error) == (2, "", 1, True), error


def test_an_account_without_a_key_is_told_before_anything_moves(node_url, tmp_path: Path, say: Say) -> None:
    run = settled_run(tmp_path / "run", node_url)
    owed = alter(run / OUTBOX, "UPDATE items SET batch = NULL WHERE nanos > 0")
    folder = folder_of_keys(tmp_path / "keys", node_url)
    pays = ("wallet", "pay", str(folder / "site.key"), f"0x{'ab' * 32}", "0.1", "--ledger", node_url, "--yes")
    assert say(*pays)[0] == 0
    (folder / "site.key").unlink()
    write_key_file(folder / "site.key", Signer(os.urandom(32)))
    give(node_url, read_key_file(folder / "site.key").address, 10**9)
    code, out, error = say(*pays)
    assert (code, "Paid" in out, "there is no key for the wallet of" in error) == (2, False, True), error
    assert (
        json.loads(say("wallet", "balance", str(folder / "site.key"), "--ledger", node_url, "--json")[1])["wallets"][0][
            "nanos"
        ]
        == 10**9
    )
    with closing(sqlite3.connect(run / OUTBOX)) as file, file:
        file.execute("INSERT INTO accounts (account) VALUES ('0x' || ?)", ("cd" * 32,))
        assert say("settle", str(run))[0] == 2
        waiting = "SELECT count(*) FROM items WHERE batch IS NULL AND nanos > 0"
        assert file.execute(waiting).fetchone() == (owed,)
    code, out, error = say(*pays, "--key", "\udcff")
    assert (code, error.count("\n"), "is text, not" in error) == (2, 1, True), error


@pytest.mark.parametrize("harm", ["archive", "key"])
def test_nothing_moves_where_meter_records_or_their_key_are_anothers(node_url, tmp_path: Path, say: Say, harm) -> None:
    run, other = (settled_run(tmp_path / name, node_url) for name in ("run", "other"))
    owed = alter(run / OUTBOX, "UPDATE items SET batch = NULL WHERE nanos > 0")
    name = METERS if harm == "archive" else SITE_KEY
    shutil.copy2(other / name, run / name)
    code, out, error = say("settle", str(run))
    assert (code, out, error.count("\n")) == (2, "", 1), error
    with closing(sqlite3.connect(run / OUTBOX)) as file:
        assert file.execute("SELECT count(*) FROM items WHERE batch IS NULL AND nanos > 0").fetchone() == (owed,)


def test_a_lost_meter_key_stops_no_payment(node_url, tmp_path: Path, say: Say) -> None:
    run = settled_run(tmp_path / "run", node_url)
    alter(run / OUTBOX, "UPDATE items SET batch = NULL WHERE nanos > 0")
    (run / SITE_KEY).rename(tmp_path / SITE_KEY)
    code, out, _ = say("settle", str(run))
    assert (code, "agree to the nano" in out, f"{SITE_KEY} is gone" in out.replace("\n", "")) == (1, True, True), out
    (tmp_path / SITE_KEY).rename(run / SITE_KEY)
    assert say("settle", str(run), "--acknowledge")[0] == 0


def test_a_folders_lock_is_no_way_to_its_keys(tmp_path: Path) -> None:
    (tmp_path / "gas.key").write_text("secret")
    for linked in (Path.symlink_to, Path.hardlink_to):
        linked(tmp_path / "in-use", tmp_path / "gas.key")
        with pytest.raises(InputError, match="`in-use` is no lock"), keys_held(tmp_path):
            pass
        assert (tmp_path / "gas.key").read_text() == "secret"
        (tmp_path / "in-use").unlink()
    (tmp_path / "in-use").mkdir()
    with pytest.raises(InputError, match="`in-use` is no lock"), keys_held(tmp_path):
        pass
    with keys_held(tmp_path / "nowhere"):
        assert not (tmp_path / "nowhere").exists()


def test_records_that_nobody_made_are_said(tmp_path: Path, say: Say) -> None:
    run = settled_run(tmp_path / "run", f"sqlite:{tmp_path / 'street.sqlite'}")
    alter(tmp_path / "street.sqlite", "INSERT INTO anchors VALUES ('zzz', 0, randomblob(50))")
    code, out, _ = say("settle", str(run))
    assert (code, "1 meter records lie on the ledger that this run has not made" in out) == (1, True), out
