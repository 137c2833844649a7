"""``wattswap settle`` where a person has to say what may go on: frozen, given up, alarmed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.conftest import Say
from tests.cli.settled import begun_run, new_book, settled_run, trade
from tests.experiments.settled_runs import DevnetProcess, a_node, quick_street

from wattswap.experiments.api import run_loaded
from wattswap.ledger.book import SITE
from wattswap.ledger.iota import IotaClient
from wattswap.ledger.iota_keys import SeededWallets
from wattswap.ledger.iota_ledger import IotaLedger
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import GIVE_UP_AFTER
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.runners.payments.wallets_seed import read_wallets_seed
from wattswap.runners.recording.rundir import LEDGER, OUTBOX, RunDir, read_run

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture
def stranded(tmp_path: Path) -> Iterator[tuple[DevnetProcess, Path]]:
    """A run whose node died while it went on, and the node that is back."""
    out = tmp_path / "run"
    street = quick_street("ledger.drain_s=0", "ledger.anchor=none", "ledger.pay=each")
    with a_node(tmp_path) as node:
        run_loaded(
            street, engine="fleet", ledger=node.url, out=out, progress=lambda t: node.kill() if t == 10 else None
        )
        node.start()
        yield node, out


def give_up(out: Path) -> int:
    """Let the outbox say of what waits that the ledger refused it again and again; how many items that is."""
    with closing(sqlite3.connect(out / OUTBOX)) as file:
        sql = (
            "UPDATE items SET attempts = ? WHERE item IN"
            " (SELECT item FROM items WHERE account = ? AND batch IS NULL LIMIT 2)"
        )
        count = file.execute(sql, (GIVE_UP_AFTER, SITE)).rowcount
        file.commit()
    return count


def spend_with_a_copied_key(url: str, out: Path) -> None:
    """Another program with the site's key puts its coins together: nobody loses a token, and nobody here did it."""
    block = read_run(out).settlement
    assert block is not None
    with IotaLedger(IotaClient(url), SeededWallets(read_wallets_seed(out, block) or 0), Outbox(None)) as copy:
        adapter = copy.adapter(SITE)
        assert adapter.submit(adapter.sign([], adapter.read(), b"")).verdict == "final"


def test_a_person_lets_go_on_what_was_frozen_given_up_and_alarmed(stranded: tuple[DevnetProcess, Path], say: Say):
    node, out = stranded
    assert give_up(out) == 2
    code, text, _ = say("settle", str(out))
    assert (code, "the ledger refused it again and again" in text) == (1, True), text
    spend_with_a_copied_key(node.url, out)
    code, text, _ = say("settle", str(out))
    assert (code, "is not in this outbox" in text) == (1, True), text
    code, text, _ = say("settle", str(out), "--retry")
    assert (code, "tried again: 2 that were given up" in text) == (1, True), text
    assert "on their way" in text, "what was given up waits, for its account is frozen"
    code, text, _ = say("settle", str(out), "--thaw")
    assert (code, f"thawed: {SITE}" in text) == (1, True), text
    assert "book and ledger agree to the nano" in text, "all is paid, and the alarm is still to be read"
    code, text, _ = say("settle", str(out), "--acknowledge")
    assert (code, "acknowledged: 1 alarms" in text) == (0, True), text
    assert say("settle", str(out))[0] == 0
    block = read_run(out).settlement
    assert block is not None
    assert (block["agree"], block["pending"], block["alarms"]) == (True, 0, [])


def test_a_copied_key_is_noticed_on_a_wallet_that_never_paid(tmp_path: Path, say: Say):
    """The site of this run only takes: nothing but a look at every start would tell that somebody else has its key."""
    out = tmp_path / "run"
    with a_node(tmp_path) as node:
        run_loaded(quick_street("ledger.anchor=none"), engine="fleet", ledger=node.url, out=out)
        assert say("settle", str(out))[0] == 0
        spend_with_a_copied_key(node.url, out)
        code, text, _ = say("settle", str(out))
    assert (code, f"{SITE}: transaction" in text, "If the key file was copied" in text) == (1, True, True), text


def test_a_run_that_was_moved_with_its_ledger_is_settled_where_that_is_now(tmp_path: Path, say: Say):
    run = begun_run(tmp_path / "run", f"sqlite:{tmp_path / 'tokens.sqlite'}")
    for name in ("tokens.sqlite", "other.sqlite"):
        (tmp_path / "away").mkdir(exist_ok=True)
        settled_run(tmp_path / "other", f"sqlite:{tmp_path / name}") if name == "other.sqlite" else None
        (tmp_path / name).rename(tmp_path / "away" / name)
    code, _, error = say("settle", str(run))
    assert (code, "say with --ledger sqlite:FILE where it was moved" in error) == (2, True), error
    for wrong, what in (("other.sqlite", "is the ledger of run"), ("none.sqlite", "it is gone")):
        code, _, error = say("settle", str(run), "--ledger", f"sqlite:{tmp_path / 'away' / wrong}")
        assert (code, error.count("\n"), what in error) == (2, 1, True), error
    assert say("settle", str(run), "--ledger", "http://127.0.0.1:9125")[0] == 2
    assert say("settle", str(run), "--ledger", f"sqlite:{tmp_path / 'away' / 'tokens.sqlite'}")[0] == 0
    assert say("settle", str(run))[0] == 0, "it is written down"


def paid_on(file: Path) -> set[str]:
    with SqliteLedger(file, reads_only=True) as ledger:
        return ledger.paid_keys()


def test_the_book_of_another_run_of_the_same_street_is_refused_and_nothing_moves(tmp_path: Path, say: Say):
    """Its opening is that of this run, so its payments would all be covered."""
    monday = settled_run(tmp_path / "monday", f"sqlite:{tmp_path / 'monday.sqlite'}")
    tuesday = begun_run(tmp_path / "tuesday", f"sqlite:{tmp_path / 'tuesday.sqlite'}")
    (tuesday / LEDGER).write_bytes((monday / LEDGER).read_bytes())
    code, _, error = say("settle", str(tuesday))
    assert (code, error.count("\n"), "is the book of run" in error) == (2, 1, True), error
    assert paid_on(tmp_path / "tuesday.sqlite") == set()
    (tuesday / LEDGER).unlink()
    assert say("settle", str(tuesday))[0] == 0


def test_a_book_that_did_not_begin_as_the_ledger_says_is_refused_whatever_run_it_names(tmp_path: Path, say: Say):
    run = begun_run(tmp_path / "run", f"sqlite:{tmp_path / 'tokens.sqlite'}")
    other = new_book()
    other.fund("more", SITE, 1)
    trade(other)
    opening, more = other.entries[:4], other.entries[4:]
    reordered = type(other).restore([opening[0], more[0], *opening[1:], *more[1:]])
    block = read_run(run).settlement
    assert block is not None
    RunDir(run).write_ledger(reordered, run_id=block["run_id"])
    code, _, error = say("settle", str(run))
    assert (code, error.count("\n"), "is not the book that" in error) == (2, 1, True), error
    assert paid_on(tmp_path / "tokens.sqlite") == set()


def test_records_that_a_full_disk_has_cost_are_said_and_are_no_good_end(tmp_path: Path, say: Say) -> None:
    """The run metered for six slots and a minute more than its archive holds."""
    out = settled_run(tmp_path / "run", f"sqlite:{tmp_path / 'street.sqlite'}")
    about = json.loads((out / "run.json").read_text())
    about["settlement"]["metered_until_ms"] += 60_000
    (out / "run.json").write_text(json.dumps(about))
    for command in (f"settle {out}", f"meter verify --run {out}"):
        code, said, _ = say(*command.split())
        assert code == 1
        assert "Meter records end at 2018-11-25 00:03:00, and the run went on until 2018-11-25 00:04:00" in said


@pytest.mark.parametrize(
    "damage", ["identities", "entries", "records", "run_id", "records_by_site", "keys", "settlement"]
)
def test_a_note_of_the_ledger_that_was_altered_is_refused_in_one_line(tmp_path: Path, say: Say, damage: str) -> None:
    out = settled_run(tmp_path / "run", f"sqlite:{tmp_path / 'street.sqlite'}")
    about = json.loads((out / "run.json").read_text())
    if damage == "settlement":
        del about["settlement"]
    else:
        about["settlement"][damage] = 5.5
    (out / "run.json").write_text(json.dumps(about))
    Outbox(out / OUTBOX).close()
    code, _, complaint = say("settle", str(out))
    assert (code, complaint.count("\n")) == (2, 1)
    assert "put it back from a backup" in complaint


def test_a_text_that_is_none_in_the_ledgers_file_is_one_line(tmp_path: Path, say: Say) -> None:
    street = tmp_path / "street.sqlite"
    out = settled_run(tmp_path / "run", f"sqlite:{street}")
    with closing(sqlite3.connect(street)) as file:
        file.execute("UPDATE entries SET account = CAST(X'FFFE' AS TEXT) WHERE seq = 3")
        file.commit()
    code, said, complaint = say("settle", str(out))
    assert code in (1, 2)
    assert "Traceback" not in said + complaint
    assert "restore it from a backup" in complaint
