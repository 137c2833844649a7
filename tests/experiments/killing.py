"""kill -9 on whole commands, again and again at random moments, then an audit of book and wallets by code of its own.

    python -m tests.experiments.killing --folder DIR [--kills N] [--seed N] [--ledger sqlite|node]

A story is a ``wattswap run`` that is killed, or whose disk fills, while agents trade, while it drains, or not at all;
then ``wattswap settle``, killed as well, on a node that may be killed under it; and at last one that may finish. Prints
one JSON object a story. The commands are forked from this process, which has opened nothing: a start takes no time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sqlite3
import time
import traceback
from collections import Counter
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.experiments.settled_runs import MEMORY, QUICK, DevnetProcess

from wattswap.cli import _code
from wattswap.ledger.iota_keys import SeededWallets

SETTINGS = [word for setting in (*QUICK, "ledger.drain_s=20") for word in ("--set", setting)]
BOOK = MEMORY.record.book.entries if MEMORY.record.book else ()
KILLED = -signal.SIGKILL
OURS = ("wattswap.experiments.api", "wattswap.experiments.settlements", "wattswap.experiments.report")
FOREIGN = ("matplotlib.backends.backend_agg", "matplotlib.figure", "matplotlib.style", "pandas", "pyarrow.parquet")
"""What ours import where they draw and write."""


def command(words: list[str], kill_after_s: float | None = None, most_bytes: int | None = None) -> int:
    """Fork ``wattswap WORDS``, kill it after so many seconds; its exit code, or ``KILLED``."""
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if most_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            os._exit(_code(words))
        except BaseException:  # noqa: BLE001 - a child must never return into its parent's code
            traceback.print_exc()
            os._exit(99)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Story:
    """One run on a ledger of its own, and what happens to it."""

    def __init__(self, folder: Path, node: DevnetProcess | None, luck: random.Random, whole_s: float) -> None:
        folder.mkdir()
        self.run, self.tokens, self._node, self._luck, self._whole_s = (
            folder / "run",
            folder / "tokens",
            node,
            luck,
            whole_s,
        )
        self.kills = Counter[str]()
        self.seed = luck.randrange(1 << 50)
        where = node.url if node else f"sqlite:{self.tokens}"
        self.begin = ["run", "demo", "--engine", "fleet", "--ledger", where, "--wallets-seed", str(self.seed)]
        self.begin += [*SETTINGS, "--out", str(self.run)]
        self.go_on = ["settle", str(self.run), "--patience", "20"]

    def happen(self) -> int:
        """Live through it; the exit code of the last command."""
        luck = self._luck
        if luck.random() < 0.25:
            self._note("disk full", command(self.begin, most_bytes=luck.randrange(30_000, 400_000)))
        else:
            self._note("run", command(self.begin, luck.uniform(0.0, self._whole_s)))
        for _ in range(luck.randrange(1, 4)):
            if self._node is not None and luck.random() < 0.4:
                self._node.kill()
                self.kills["node"] += 1
                self._note("settle without node", command(self.go_on, luck.uniform(0.0, 0.3)))
                self._node.start()
            self._note("settle", command(self.go_on, luck.uniform(0.0, self._whole_s / 3)))
        return command(self.go_on)

    def _note(self, what: str, code: int) -> None:
        self.kills[what] += code == KILLED or what == "disk full"
        assert code in (KILLED, 0, 1, 2), f"{what} left with {code}"

    # -- the audit, with nothing but files -----------------------------------------------------------------------------

    def audit(self, code: int) -> list[str]:
        """What is wrong with book and wallets."""
        entries, postings = self._book()
        held, payments = self._held({account for entry in entries for account in (entry[2],)} | {"site"})
        if code == 2:  # it died before its ledger was open
            return ["a run that never began has moved tokens"] * bool(entries or payments)
        about = json.loads((self.run / "run.json").read_text())["settlement"]
        is_settled = about["agree"] and not about["alarms"] and not about["pending"]
        # 1 is also said of a run that was killed before its meters' records were written: these are lost, and no token
        wrong = [f"settle left with {code}"] * (code != 0 and not (code == 1 and is_settled))
        told = [entry[:4] for entry in BOOK[: len(entries)]]
        wrong += ["the book is not the beginning of the run's"] * (entries != told)
        expected: Counter[str] = Counter()
        crossed = Counter[int]()
        for seq, source, target, nanos in postings:
            for account, sign in ((source, -1), (target, 1)):
                lies = "site" if account in ("site", "reserved") or account.startswith("payable/") else account
                expected[lies] += sign * nanos
                crossed[seq] += sign * nanos * account.startswith("wallet/")
        for account, nanos in expected.items():
            if (account == "site" or account.startswith("wallet/")) and held.get(account, 0) != nanos:
                wrong.append(f"{account} holds {held.get(account, 0)}, not {nanos}")
        owed = sorted(abs(crossed[seq]) for seq, entry in enumerate(entries, 1) if entry[0] == "bill" and crossed[seq])
        wrong += ["payments are not those that bills make"] * (sorted(payments) != owed)
        return wrong

    def _book(self) -> tuple[list[tuple[Any, ...]], list[tuple[int, str, str, int]]]:
        file = self.run / "outbox.sqlite" if self._node else self.tokens
        if not file.is_file() or not file.stat().st_size:
            return [], []
        with closing(sqlite3.connect(file)) as reader:
            if not reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
                return [], []
            entries = reader.execute("SELECT operation, key, account, nanos FROM entries ORDER BY seq").fetchall()
            return entries, reader.execute("SELECT seq, from_account, to_account, nanos FROM postings").fetchall()

    def _held(self, accounts: set[str]) -> tuple[dict[str, int], list[int]]:
        """What wallets hold on the ledger, and what was paid."""
        if self._node is None:
            if not self.tokens.is_file() or not self.tokens.stat().st_size:
                return {}, []
            with closing(sqlite3.connect(self.tokens)) as reader:
                if not reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'accounts'").fetchone():
                    return {}, []
                held = dict(reader.execute("SELECT account, nanos FROM accounts").fetchall())
                return held, [nanos for (nanos,) in reader.execute("SELECT nanos FROM payments")]
        with closing(sqlite3.connect(self._node.db)) as reader:
            owned = dict(
                reader.execute("SELECT owner, sum(nanos) FROM coins WHERE spent IS NULL GROUP BY owner").fetchall()
            )
        wallets = SeededWallets(self.seed)
        holds = {name: owned.get(bytes.fromhex(wallets.address(name)[2:]), 0) for name in accounts if name}
        outbox = self.run / "outbox.sqlite"
        if not outbox.is_file():
            return holds, []
        with closing(sqlite3.connect(outbox)) as reader:
            if not reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchone():
                return holds, []
            return holds, [nanos for (nanos,) in reader.execute("SELECT nanos FROM items WHERE nanos > 0")]


def main() -> None:
    """Tell stories until so many commands were killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger", choices=("sqlite", "node"), default="sqlite")
    chosen = parser.parse_args()
    for name in (*OURS, *FOREIGN):  # once for all lives
        import_module(name)
    if chosen.ledger == "node":
        import_module("wattswap.ledger.iota_ledger")
    node = DevnetProcess(chosen.folder / "chain.sqlite") if chosen.ledger == "node" else None
    luck, number, done = random.Random(chosen.seed), 0, 0
    began_s = time.monotonic()
    whole = Story(chosen.folder / "whole", node, luck, 0.0)
    code = command(whole.begin)
    print(json.dumps({"story": "nothing happens", "kills": {}, "wrong": whole.audit(code)}), flush=True)  # noqa: T201
    whole_s = time.monotonic() - began_s
    while done < chosen.kills:
        number += 1
        story = Story(chosen.folder / str(number), node, luck, whole_s)
        wrong = story.audit(story.happen())
        done += story.kills.total()
        print(json.dumps({"story": number, "kills": story.kills, "wrong": wrong}), flush=True)  # noqa: T201
    if node is not None:
        node.close()


if __name__ == "__main__":
    main()
