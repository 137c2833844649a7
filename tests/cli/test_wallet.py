"""``wattswap wallet``: what people are told of their tokens, and one more payment, made at most once."""

from __future__ import annotations

import fcntl
import io
import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.settled import memory_run, settled_run
from tests.ledger.local_node import local_node

from wattswap.ledger.base import Payment
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.runners.recording.rundir import read_run

STREET = "sqlite:street.sqlite"
NOBODY = "http://127.0.0.1:9/graphql"
PLACES = ("memory", "sqlite", "network")


@pytest.fixture(params=PLACES, scope="module")
def run(request, tmp_path_factory) -> str:
    """A run that settled in memory, in a file, on a network: only looked at."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "memory":
        return str(memory_run(folder / "run"))
    street = f"sqlite:{folder / 'street.sqlite'}"
    return str(
        settled_run(folder / "run", street if request.param == "sqlite" else request.getfixturevalue("node_url"))
    )


@pytest.fixture(params=PLACES[1:])
def paying(request, say, tmp_path: Path) -> str:
    """A run on a ledger that goes on."""
    return str(
        settled_run(tmp_path / "run", STREET if request.param == "sqlite" else request.getfixturevalue("node_url"))
    )


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    before = content(folder)
    yield
    assert content(folder) == before


# -- looking ----------------------------------------------------------------------------------------------------------


def test_balances_are_the_same_wherever_the_run_settled(say, run):
    code, out, err = say("wallet", "balance", "--run", run, "--json")
    assert (code, err) == (0, "")
    told = {one["name"]: one for one in json.loads(out)["wallets"]}
    assert {name: told[name]["iota"] for name in ("site", "ann", "bob", "cy")} == {
        "site": "1000.999999999",
        "ann": "2.500000001",
        "bob": "6.5",
        "cy": "5",
    }
    assert sum(told[name]["nanos"] for name in ("site", "ann", "bob", "cy")) == 1_015 * 10**9
    assert (told["cy"]["earned_nanos"], told["cy"]["owes_nanos"], told["ann"]["earned_nanos"]) == (40_000_000, 0, 0)


def test_a_history_names_session_and_rounds_of_each_payment(say, run):
    code, out, _ = say("wallet", "history", "ann", "--run", run)
    assert code == 0
    assert out.splitlines() == [
        "5 IOTA at first",
        "-2.499999999  to site  bill/s1",
        "    session s1: 3 for energy, less 0.500000001 for giving way in 2 rounds",
        "        2018-11-25 00:50:00  round 0.100  0.300000001",
        "        2018-11-25 00:55:00  round 0.110  0.2",
        "ann holds 2.500000001 IOTA",
    ]
    [payment] = json.loads(say("wallet", "history", "s2", "--run", run, "--json")[1])["payments"]
    assert (payment["session"], payment["nanos"], payment["billed_nanos"]) == ("s2", 1_500_000_000, 500_000_000)
    assert payment["rounds"] == [
        {"round": "0.110", "at": "2018-11-25 00:55:00", "session": "s2", "nanos": 2_000_000_000}
    ]
    assert (payment["digest"] is not None) == json.loads(say("wallet", "history", "s2", "--run", run, "--json")[1])[
        "ledger"
    ].startswith("http")


def test_opening_and_payments_of_a_history_sum_up_to_the_balance(say, run):
    for name in ("ann", "bob", "cy", "site"):
        told = json.loads(say("wallet", "history", name, "--run", run, "--json")[1])
        assert told["opening_nanos"] + sum(one["nanos"] for one in told["payments"]) == told["nanos"], name


def test_looking_changes_no_file(say, run):
    with unchanged(Path(run).parent):
        for words in (("balance",), ("balance", "ann"), ("history", "site")):
            assert say("wallet", *words, "--run", run)[0] == 0


def test_a_ledger_file_is_read_while_a_run_writes_it(say, tmp_path: Path):
    with SqliteLedger(tmp_path / "street.sqlite", {"site": 5, "wallet/ann": 7}):
        assert say("wallet", "balance", "ann", "--ledger", STREET)[:2] == (0, "ann  0.000000007 IOTA\n")
        code, _, err = say("wallet", "pay", "ann", "site", "0.000000001", "--ledger", STREET, "--yes")
        assert code == 2
        assert "in use by process" in err


# -- paying -----------------------------------------------------------------------------------------------------------


def holds(say, run: str, name: str) -> int:
    [wallet] = json.loads(say("wallet", "balance", name, "--run", run, "--json")[1])["wallets"]
    return int(wallet["nanos"])


def test_a_payment_is_made_once_under_its_key_to_the_nano(say, paying):
    again = ("wallet", "pay", "site", "cy", "0.000000001", "--run", paying, "--key", "thanks", "--yes", "--json")
    states = []
    for _ in range(3):
        code, out, err = say(*again)
        assert code == 0
        assert "key thanks" in err
        states.append(json.loads(out)["state"])
    assert states == ["paid", "exists", "exists"]
    assert holds(say, paying, "cy") == 5 * 10**9 + 1
    assert "+0.000000001  from site  thanks\n" in say("wallet", "history", "cy", "--run", paying)[1]
    code, _, err = say("wallet", "pay", "site", "cy", "0.000000002", "--run", paying, "--key", "thanks")
    assert code == 2
    assert "already stands for 0.000000001 IOTA from site to cy" in err


def test_without_a_key_each_payment_has_its_own_and_prints_it(say, paying):
    told = [
        json.loads(say("wallet", "pay", "site", "cy", "1", "--run", paying, "--yes", "--json")[1]) for _ in range(2)
    ]
    assert {one["state"] for one in told} == {"paid"}
    assert told[0]["key"] != told[1]["key"]
    assert holds(say, paying, "cy") == 7 * 10**9


@pytest.mark.parametrize(
    ("answer", "code", "said"), [("y\n", 0, "Paid."), ("n\n", 1, "Nothing was paid."), ("", 2, "say --yes")]
)
def test_a_person_is_asked_before_anything_is_paid(say, tmp_path, monkeypatch, answer, code, said):
    run = str(settled_run(tmp_path / "run", STREET))
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    found, out, err = say("wallet", "pay", "site", "cy", "1", "--run", run)
    assert (found, said in out + err, "Pay? [y/N]" in err) == (code, True, True)
    assert holds(say, run, "cy") == (6 if code == 0 else 5) * 10**9


def test_keys_of_ones_own_pay_on_a_network_and_remember_it(say, node_url, tmp_path: Path):
    run = str(settled_run(tmp_path / "run", node_url))
    mine = json.loads(say("keys", "new", "mine", "--json")[1])["keys"][0]["address"]
    say("keys", "new", "./yours.key")
    assert say("wallet", "pay", "site", mine.upper().replace("0X", "0x"), "3", "--run", run, "--yes")[0] == 0
    assert say("wallet", "pay", "mine", "./yours.key", "1.000000001", "--ledger", node_url, "--yes")[0] == 0
    assert say("wallet", "pay", "mine", "cy", "0.5", "--run", run, "--yes")[0] == 0
    assert holds(say, run, "./yours.key") == 1_000_000_001
    assert holds(say, run, "cy") == 5_500_000_000
    told = json.loads(say("wallet", "history", "mine", "--run", run, "--json")[1])
    assert [one["nanos"] for one in told["payments"]] == [3 * 10**9, -1_000_000_001, -500_000_000]
    _, out, err = say("wallet", "history", "mine", "--ledger", node_url)
    assert (out.count("-1.000000001"), err) == (
        1,
        "Note: what was paid from here; what came in, and fees, the network alone knows.\n",
    )
    code, _, err = say("wallet", "pay", "mine", "cy", "1.45", "--run", run, "--yes")
    assert (code, "can spend 1." in err) == (2, True)


def test_what_is_still_to_be_paid_is_said_beside_what_a_wallet_holds(say, node_url, tmp_path: Path):
    run = settled_run(tmp_path / "run", node_url)
    block = read_run(run).settlement
    assert block is not None
    with Outbox(run / "outbox.sqlite", run=block["run_id"]) as outbox:
        more = Payment(key="bill/s9", payer="wallet/cy", payee="site", nanos=2 * 10**9)
        outbox.owe([more], lambda _account, _item: b"", 0)
    told = say("wallet", "balance", "cy", "--run", str(run))[1]
    assert "2 of it still to be paid: `wattswap settle` goes on" in told
    [cy] = json.loads(say("wallet", "balance", "cy", "--run", str(run), "--json")[1])["wallets"]
    assert (cy["nanos"], cy["under_way_nanos"]) == (5 * 10**9, 2 * 10**9)


def test_a_payment_by_hand_whose_outbox_was_lost_is_said_to_have_been_paid_and_a_new_one_is_paid(
    say, node_url, tmp_path: Path
):
    run = str(settled_run(tmp_path / "run", node_url))
    key = json.loads(say("keys", "new", "./own.key", "--json")[1])["keys"][0]
    assert say("wallet", "pay", "site", key["address"], "9", "--run", run, "--yes")[0] == 0
    again = ("wallet", "pay", "./own.key", "cy", "1", "--run", run, "--yes")
    assert say(*again, "--key", "k")[1].endswith("Paid.\n")
    code, first, _ = say(*again, "--key", "k")
    assert (code, f"before under this key on {datetime.now(UTC):%Y-%m-%d} by transaction " in first) == (0, True)
    for outbox in Path().glob("own.key-outbox-*"):
        outbox.unlink()
    code, text, _ = say(*again, "--key", "k")
    assert (code, "Was paid before under this key by transaction" in text, "nothing moved" in text) == (0, True, True)
    assert text.rpartition("transaction ")[2] == first.rpartition("transaction ")[2]
    assert holds(say, run, "cy") == 6 * 10**9
    for outbox in Path().glob("own.key-outbox-*"):
        outbox.unlink()
    assert say(*again)[1].endswith("Paid.\n")
    assert say("wallet", "pay", "./own.key", "cy", "2", "--run", run, "--yes", "--key", "k")[1].endswith("Paid.\n")
    assert holds(say, run, "cy") == 9 * 10**9


def test_a_node_that_was_away_is_paid_on_once_when_it_is_back(say, tmp_path: Path):
    db = tmp_path / "chain.sqlite"
    with local_node(db) as (url, _):
        run = str(settled_run(tmp_path / "run", url))
        port = int(url.rpartition(":")[2].partition("/")[0])
    again = ("wallet", "pay", "site", "cy", "1", "--run", run, "--key", "k", "--yes")
    code, _, err = say(*again)
    assert (code, err.count("\n"), url in err) == (2, 1, True)
    with local_node(db, port):
        code, out, _ = say(*again)
        assert (code, out.splitlines()) == (
            0,
            [f"1 IOTA from site to cy on {url.removesuffix('/graphql')}, key k, fee at most 0.0086 IOTA", "Paid."],
        )
        assert say(*again)[0] == 0
        assert holds(say, run, "cy") == 6 * 10**9


# -- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("balance", "anne"), "the nearest is 'ann'"),
        (("history", "bobby"), "the nearest is 'bob'"),
        (("pay", "site", "zy", "1", "--yes"), "the nearest is 'cy'"),
        (("pay", "site", "ann", "0", "--yes"), "more than 0"),
        (("pay", "site", "ann", "-1", "--yes"), "more than 0"),
        (("pay", "site", "ann", "9223372036.854775808", "--yes"), "too much"),
        (("pay", "site", "ann", "9" * 40, "--yes"), "too much"),
        (("pay", "site", "ann", "0.0000000001", "--yes"), "has 10 decimals"),
        (("pay", "site", "ann", "1e3", "--yes"), "no amount"),
        (("pay", "site", "ann", "1,5", "--yes"), "no amount"),
        (("pay", "ann", "site", "2.500000002", "--yes"), "can spend 2.500000001 IOTA"),
        (("pay", "ann", "ann", "1", "--yes"), "cannot pay itself"),
        (("pay", "site", "ann", "1", "--key", "", "--yes"), "needs a key"),
    ],
)
@pytest.mark.parametrize("run", PLACES[1:], indirect=True)
def test_bad_words_are_one_line_and_nothing_is_written(say, run, words, what):
    with unchanged(Path(run).parent):
        code, out, err = say("wallet", *words, "--run", run)
    assert (code, out) == (2, "")
    assert what in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("balance",), "say where"),
        (("balance", "--run", "nowhere"), "no such run directory"),
        (("balance", "--run", "."), "this is no run directory"),
        (("balance", "--ledger", "street.sqlite"), "say sqlite:file"),
        (("balance", "--ledger", "sqlite:"), "say sqlite:file"),
        (("balance", "--ledger", "sqlite:none.sqlite"), "there is no such file"),
        (("balance", "--ledger", "sqlite:."), "there is no such file"),
        (("balance", "--ledger", "sqlite:text"), "not a database"),
        (("balance", "--ledger", "sqlite:other"), "not a ledger of ours"),
        (("balance", "0x1", "--ledger", NOBODY), "127.0.0.1:9"),
        (("balance", "0x1", "--ledger", "http://localhost:99999"), "not the address of an iota node"),
        (("balance", "0x1", "--ledger", "http://[::1"), "not the address of an iota node"),
        (("balance", "0x1", "--ledger", "http://"), "not the address of an iota node"),
        (("balance", "--run", "odd"), "its settlement cannot be read"),
        (("pay", "site", "ann", "1", "--ledger", "sqlite:none.sqlite"), "there is no such file"),
    ],
)
def test_places_that_are_none_are_one_line_and_nothing_is_written(say, tmp_path, words, what):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text('{"schema": 2, "status": "complete", "settlement": {"ledger": 5}}')
    (tmp_path / "text").write_text("this is a text of more than a hundred bytes " * 20)
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("create table things (name text)")
    other.close()
    with unchanged(tmp_path):
        code, out, err = say("wallet", *words)
    assert (code, out) == (2, "")
    assert what in err.lower()
    assert err.count("\n") == 1


def test_a_run_that_settled_in_memory_pays_nobody(say, tmp_path: Path):
    run = str(memory_run(tmp_path / "run"))
    with unchanged(tmp_path):
        code, _, err = say("wallet", "pay", "site", "ann", "1", "--run", run, "--yes")
    assert code == 2
    assert "settled in memory" in err


def test_a_damaged_or_locked_ledger_file_is_one_line(say, tmp_path: Path):
    file = tmp_path / "street.sqlite"
    run = str(settled_run(tmp_path / "run", STREET))
    with sqlite3.connect(file) as forger:
        forger.execute("update accounts set nanos = nanos + 1 where account = 'wallet/ann'")
    forger.close()
    code, _, err = say("wallet", "balance", "--run", run)
    assert (code, "differs by 1 nanos" in err) == (2, True)
    whole = file.read_bytes()
    file.write_bytes(whole[:5_000] + bytes(3_000) + whole[8_000:])
    code, _, err = say("wallet", "balance", "--run", run)
    assert (code, err.count("\n"), "street.sqlite" in err) == (2, 1, True)
    file.unlink()
    code, _, err = say("wallet", "balance", "--run", run)
    assert (code, "is not here" in err) == (2, True)


def test_a_ledger_that_another_program_pays_on_is_not_paid_on(say, tmp_path: Path):
    run = str(settled_run(tmp_path / "run", STREET))
    with (tmp_path / "street.sqlite-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = say("wallet", "pay", "site", "ann", "1", "--run", run, "--yes")
    assert (code, "in use by another program" in err) == (2, True)
    assert holds(say, run, "ann") == 2_500_000_001


def test_addresses_and_keys_on_a_network_are_told_what_is_wrong_with_them(say, node_url, tmp_path: Path):
    run = str(settled_run(tmp_path / "run", node_url))
    say("keys", "new", "./open.key")
    (tmp_path / "open.key").chmod(0o644)
    address = "0x" + "ab" * 32
    for words, what in (
        (("balance", address[:-1]), "it has 63 digits after 0x"),
        (("balance", address[:-1] + "g"), "'g', digit 64 after 0x"),
        (("pay", "site", address + "00", "1", "--yes"), "it has 66 digits after 0x"),
        (("pay", address, "ann", "1", "--yes"), "an address cannot pay"),
        (("pay", "./open.key", "ann", "1", "--yes"), "chmod 600 open.key"),
        (("balance", "./open.key"), "chmod 600 open.key"),
        (("balance", "./none.key"), "the nearest is"),
    ):
        with unchanged(tmp_path):
            code, out, err = say("wallet", *words, "--run", run)
        assert (code, out, err.count("\n"), what in err) == (2, "", 1, True), (words, err)


def test_another_chain_than_the_runs_is_refused(say, node_url, tmp_path: Path):
    with local_node() as (url, _):
        run = str(settled_run(tmp_path / "run", url))
    for words in (("balance",), ("history", "ann"), ("pay", "site", "ann", "1", "--yes")):
        with unchanged(tmp_path):
            code, out, err = say("wallet", *words, "--run", run, "--ledger", node_url)
        assert (code, out, "settled on chain" in err, err.count("\n")) == (2, "", True, 1)


def test_a_proxy_is_not_asked_for_this_machine(say, node_url, tmp_path, monkeypatch):
    run = str(settled_run(tmp_path / "run", node_url))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert say("wallet", "pay", "site", "ann", "1", "--run", run, "--yes")[0] == 0


def test_a_payment_that_was_killed_anywhere_is_made_once_when_it_is_repeated(say, node_url, tmp_path: Path):
    """It dies between the first line it prints and its last, at a moment that is drawn."""
    run, luck = str(settled_run(tmp_path / "run", node_url)), random.Random(4)
    for number in range(5):
        words = ("wallet", "pay", "site", "cy", "1", "--run", run, "--key", f"k{number}", "--yes")
        with subprocess.Popen([sys.executable, "-m", "wattswap", *words], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()  # the key is printed before anything is written down
            time.sleep(luck.random() / 5)
            process.kill()
        assert say(*words)[0] == 0
        assert holds(say, run, "cy") == (6 + number) * 10**9


def test_a_runs_wallets_pay_by_no_other_outbox_than_the_runs(say, node_url, tmp_path: Path):
    """By another one the run's debts would be paid once more."""
    settled_run(tmp_path / "run", node_url)
    with closing(sqlite3.connect(tmp_path / "run" / "outbox.sqlite")) as file:
        file.execute("UPDATE identity SET id = ?", ("0" * 32,))
        file.commit()

    for words in (("pay", "site", "ann", "0.1", "--yes"), ("balance",), ("history", "site")):
        code, out, err = say("wallet", *words, "--run", str(tmp_path / "run"))
        assert (code, out, "put back the right one" in err) == (2, "", True), (out, err)
