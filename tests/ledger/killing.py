"""kill -9 on a process that settles: again and again at random moments, then an audit of its files from outside.

    python -m tests.ledger.killing --folder DIR [--kills N] [--seed N] [--ledger sqlite|chain|URL] [--design NAME]

Prints one JSON object: kills, debts acknowledged and paid, batches, and what is ``wrong`` (nothing, if all is well).
The process under test is forked from this one, which has opened nothing: forty lives a second instead of four.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import sqlite3
import time
import traceback
from collections import Counter
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.ledger.fake_chain import FakeAdapter, FakeChain, Faults
from tests.ledger.wrong_designs import PayFirst, Rebuild

from wattswap.ledger.account_adapter import AccountAdapter
from wattswap.ledger.base import Payment
from wattswap.ledger.book import Book, wallet
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.ledger.submitter import Submitter

DESIGNS: dict[str, type[Submitter]] = {"right": Submitter, "pay-first": PayFirst, "rebuild": Rebuild}
OPENING = 10**15
_MOST_TO_BEGIN_S = 20.0


def debt(number: int) -> Payment:
    """The number-th debt: a function of its number, so that every life agrees on it."""
    luck = random.Random(number)
    return Payment(key=f"k{number}", payer="site", payee=f"car{luck.randrange(5)}", nanos=luck.randrange(1, 10**6))


def live(folder: Path, ledger: str, design: str, acknowledged: int, *, last: bool) -> None:
    """One life: go on where the last one died, take on debts until killed (none in the last life), and pay them."""
    seed = time.time_ns()
    if ledger == "sqlite":
        post(folder, acknowledged, last=last)
        return
    if ledger == "chain":
        faults = Faults(seed, lost=0.05, unheard=0.1, late=0.05, abort=0.02)
        chain = FakeChain({"site": (OPENING, OPENING)}, folder / "ledger.sqlite", Faults() if last else faults)
        chain.execute_all()
        adapter: AccountAdapter = FakeAdapter(chain, "site")
    else:
        adapter = iota_adapter(folder, ledger)
    outbox = Outbox(folder / "outbox.sqlite")
    submitter = DESIGNS[design](outbox, lambda _: adapter)
    number = max(0, count(outbox) - 3)  # the last ones once more: a repeat must be harmless
    while not last:
        submitter.owe([debt(number + more) for more in range(3)])
        number += 3
        os.write(acknowledged, number.to_bytes(4, "big"))
        submitter.work()
    while outbox.unsettled:
        submitter.work()
        time.sleep(submitter.wait_ms() / 1_000)


def post(folder: Path, acknowledged: int, *, last: bool) -> None:
    """The same over the embedded ledger: go on with the book as it was written down, and pay each reward."""
    with SqliteLedger(folder / "ledger.sqlite", {"site": OPENING}) as ledger:
        entries = ledger.entries()
        book = Book.restore(entries) if entries else Book(OPENING)
        book.pays = "each"
        number = sum(entry[0] == "settle" for entry in entries)
        while not last:
            for one in (debt(number + more) for more in range(3)):
                book.reserve(one.key, one.nanos)
                book.settle(one.key, one.payee, one.nanos)
            ledger.post(book)
            number += 3
            os.write(acknowledged, number.to_bytes(4, "big"))


def iota_adapter(folder: Path, url: str) -> AccountAdapter:
    """The site's wallet on a devnet; the first life has the faucet fill it."""
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.iota_adapter import IotaAdapter
    from wattswap.ledger.iota_faucet import give

    client, wallets = IotaClient(url), iota_wallets(folder)
    for account, least in (("site", 10**12), ("gas", 10**12)):
        if sum(coin.nanos for coin in client.coins(wallets.address(account))) < least // 2:
            give(url, wallets.address(account), least)
    return IotaAdapter(client, wallets, "site", sponsor="gas", is_whole=True)


def iota_wallets(folder: Path) -> Any:
    """Wallets that belong to this folder alone."""
    from wattswap.ledger.iota_keys import SeededWallets

    return SeededWallets(int.from_bytes(blake2b(str(folder).encode(), digest_size=6).digest()))


def count(outbox: Outbox) -> int:
    """How many debts it has ever taken on."""
    return int(outbox._database.rows("SELECT count(*) FROM items")[0][0])


def one_life(folder: Path, ledger: str, design: str, kill_after_s: float | None, *, at_work: bool = False) -> int:
    """Fork a life, kill it after so many seconds (``None``: let it finish); the last number it acknowledged.

    The seconds count from its birth, or ``at_work`` from the moment it first acknowledges something.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            live(folder, ledger, design, writer, last=kill_after_s is None)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child must never return into its parent's code
            traceback.print_exc()
        os._exit(1)
    os.close(writer)
    if kill_after_s is not None:
        if at_work:
            select.select([reader], [], [], _MOST_TO_BEGIN_S)
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a life ended by itself")
    numbers = [int.from_bytes(said[at : at + 4], "big") for at in range(0, len(said) - 3, 4)]
    return max(numbers, default=0)


def paid_on(path: Path, ledger: str) -> Counter[str]:
    """What payees hold, read from the ledger's own file, or asked of the node."""
    if ledger.startswith("http"):
        from wattswap.ledger.iota import IotaClient

        wallets, payees = iota_wallets(path.parent), {debt(number).payee for number in range(200)}
        with IotaClient(ledger) as client:
            return Counter(
                {payee: sum(coin.nanos for coin in client.coins(wallets.address(payee))) for payee in payees}
            )
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    holds = Counter(dict(connection.execute("SELECT owner, sum(nanos) FROM coins GROUP BY owner").fetchall()))
    connection.close()
    return holds


def audit(folder: Path, ledger: str, acknowledged: int) -> dict[str, object]:
    """Compare what was acknowledged, what the outbox says and what the ledger did, with nothing but their files."""
    if ledger == "sqlite":
        return audit_book(folder / "ledger.sqlite", acknowledged)
    connection = sqlite3.connect(f"file:{folder / 'outbox.sqlite'}?mode=ro", uri=True)
    rows = connection.execute("SELECT key, payee, nanos, state FROM items LEFT JOIN batches USING (batch)").fetchall()
    states = Counter(dict(connection.execute("SELECT state, count(*) FROM batches GROUP BY state").fetchall()))
    alarms = [text for (text,) in connection.execute("SELECT text FROM alarms")]
    connection.close()
    owed: Counter[str] = Counter()
    for number in range(len(rows)):
        owed[debt(number).payee] += debt(number).nanos
    holds = paid_on(folder / "ledger.sqlite", ledger)
    expected = {(debt(n).key, debt(n).payee, debt(n).nanos) for n in range(len(rows))}
    wrong = [f"{payee} got {holds[payee]} nanos, not {nanos}" for payee, nanos in owed.items() if holds[payee] != nanos]
    wrong += ["acknowledged debts are gone"] * (acknowledged > len(rows))
    wrong += ["the outbox holds other debts than were taken on"] * ({row[:3] for row in rows} != expected)
    wrong += ["not all is paid"] * any(row[3] != "FINAL" for row in rows)
    paid, was_owed = sum(holds[payee] for payee in owed), sum(owed.values())
    return {"debts": len(rows), "owed": was_owed, "paid": paid, "batches": states, "wrong": wrong + alarms}


def audit_book(path: Path, acknowledged: int) -> dict[str, object]:
    """The same for the embedded ledger: entries, postings, payments and accounts must tell one story."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    settled = connection.execute("SELECT key, account, nanos FROM entries WHERE operation = 'settle'").fetchall()
    payments = connection.execute("SELECT key, payee, nanos FROM payments").fetchall()
    held = dict(connection.execute("SELECT account, nanos FROM accounts").fetchall())
    posted = connection.execute(
        "SELECT to_account, sum(nanos) FROM postings WHERE to_account LIKE 'wallet/%' GROUP BY 1"
    )
    postings = dict(posted.fetchall())
    connection.close()
    debts = [debt(number) for number in range(len(settled))]
    owed: Counter[str] = Counter()
    for one in debts:
        owed[wallet(one.payee)] += one.nanos
    wrong = ["acknowledged debts are gone"] * (acknowledged > len(settled))
    wrong += ["the book holds other debts"] * (settled != [(one.key, one.payee, one.nanos) for one in debts])
    wrong += ["entries and payments differ"] * (
        sorted(payments) != sorted((f"reward/{one.key}", wallet(one.payee), one.nanos) for one in debts)
    )
    wrong += ["postings and debts differ"] * (postings != dict(owed))
    wrong += ["accounts and debts differ"] * ({**held, "site": 0} != {**owed, "site": 0})
    wrong += ["tokens were made or lost"] * (sum(held.values()) != OPENING)
    return {"debts": len(debts), "owed": sum(owed.values()), "paid": OPENING - held["site"], "wrong": wrong}


def main() -> None:
    """Kill, audit, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger", default="sqlite", metavar="sqlite|chain|URL")
    parser.add_argument("--design", choices=DESIGNS, default="right")
    chosen = parser.parse_args()
    if chosen.ledger.startswith("http"):
        import_module("wattswap.ledger.iota_adapter")  # once for all lives; using the network before a fork would hang
    luck, acknowledged = random.Random(chosen.seed), 0
    longest_s = 0.2 if chosen.ledger.startswith("http") else 0.1
    for _ in range(chosen.kills):
        kill_after_s, at_work = luck.uniform(0.002, longest_s), luck.random() < 0.6
        said = one_life(chosen.folder, chosen.ledger, chosen.design, kill_after_s, at_work=at_work)
        acknowledged = max(acknowledged, said)
    one_life(chosen.folder, chosen.ledger, chosen.design, None)
    report = {"kills": chosen.kills, "acknowledged": acknowledged, **audit(chosen.folder, chosen.ledger, acknowledged)}
    print(json.dumps(report))  # noqa: T201 - the report is for whoever started this


if __name__ == "__main__":
    main()
