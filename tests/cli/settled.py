"""The directory of a run that settled on a ledger, made of real parts: book, worker, anchorer, run directory."""

from __future__ import annotations

import secrets
from functools import cache
from itertools import count
from pathlib import Path

from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Detail, MeterReading, Whose
from wattswap.ledger.book import Book, wallet
from wattswap.ledger.crossing import opening_in
from wattswap.ledger.keys import write_key_file
from wattswap.ledger.settlement import open_settlement
from wattswap.protocol.identity import Signer
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.payments.run_payments import SITE_KEY, wallets_in
from wattswap.runners.recording.rundir import RunDir
from wattswap.runners.scenario import load_street

CARS = ("ann", "bob", "cy")
SITE_NAME = "demo"
SLOT_MS = 30_000
SEEDS = count(7_000_000)
"""For wallets that nobody had before on a node that several tests share."""


@cache
def scenario_toml() -> str:
    return load_street("demo").resolved_toml


def new_book() -> Book:
    """Three cars of 5 IOTA each. Ann gives way in two rounds and charges; bob earns more than he charges."""
    book = Book(1_000 * NANOS_PER_IOTA)
    for car in CARS:
        book.fund(f"opening/{car}", wallet(car), 5 * NANOS_PER_IOTA)
    return book


def trade(book: Book) -> None:
    for round_, session, car, nanos in (
        ("0.100", "s1", "ann", 300_000_001),
        ("0.110", "s1", "ann", 200_000_000),
        ("0.110", "s2", "bob", 2_000_000_000),
        ("0.120", "s3", "cy", 40_000_000),
    ):
        book.reserve(f"{round_}/{session}", 2 * NANOS_PER_IOTA)
        book.settle(f"{round_}/{session}", car, nanos)
    book.bill("s1", "ann", 3 * NANOS_PER_IOTA)
    book.bill("s2", "bob", 500_000_000)


def readings(slot: int, meters: int = 3) -> list[MeterReading]:
    return [
        MeterReading(
            meter=f"c{meter}", at_ms=slot * SLOT_MS, import_w=3_000, export_w=0, import_ws=slot * 90_000, export_ws=0
        )
        for meter in range(meters)
    ]


def settled_run(
    path: Path, ledger: str, *, slots: int = 6, detail: Detail = Detail.ROOT, keys: Path | None = None
) -> Path:
    """A run at ``path`` whose bills were paid and whose meters were anchored on a ledger, from wallets in ``keys``."""
    wallets = None if keys is None else wallets_in(keys, vehicles=CARS)
    seed, run_id = next(SEEDS), secrets.token_hex(16)
    directory, book = RunDir.create(path, scenario_toml()), new_book()
    with open_settlement(
        ledger, opening_in(book.entries), wallets_seed=seed, wallets=wallets, outbox=path / "outbox.sqlite", run=run_id
    ) as settlement:
        signer = Signer(secrets.token_bytes(32), network=settlement.network)
        write_key_file(path / SITE_KEY, signer)
        whose = Whose(site=SITE_NAME, run=run_id, begins="2018-11-25T00:00:00+01:00")
        with Anchorer(path / "meters.sqlite", signer, whose, settlement, detail=detail) as anchorer:
            for slot in range(1, slots + 1):
                anchorer.add([(slot * SLOT_MS, readings(slot))])
            identities = {**settlement.identities(), "meters": anchorer.identity}
        trade(book)
        settlement.post(book)
        assert settlement.drain().ok
    directory.write_ledger(book, run_id=run_id)
    bare = ledger.removesuffix("/graphql")  # as people name a node
    block = {
        "ledger": bare,
        "wallets_seed": None if keys else seed,
        "keys": None if keys is None else str(keys),
        "run_id": run_id,
        "identities": identities,
        "public_key": signer.public_key.hex(),
        "records": slots,
        "metered_until_ms": slots * SLOT_MS,
        "entries": len(book.entries),
    }
    directory.write_figures({"seed": 1, "settlement": block}, "complete")
    directory.close()
    return path


def begun_run(path: Path, ledger: str) -> Path:
    """A run at ``path`` that was killed when its ledger was open and nothing was traded."""
    seed, run_id = next(SEEDS), secrets.token_hex(16)
    directory, book = RunDir.create(path, scenario_toml()), new_book()
    with open_settlement(
        ledger, opening_in(book.entries), wallets_seed=seed, outbox=path / "outbox.sqlite", run=run_id
    ) as settlement:
        settlement.post(book)
        block = {
            "ledger": ledger,
            "wallets_seed": seed,
            "run_id": run_id,
            "identities": settlement.identities(),
            "records": 0,
            "entries": 0,
        }
    directory.write_figures({"settlement": block}, "interrupted")
    directory.close()
    return path


def memory_run(path: Path) -> Path:
    """A run at ``path`` that settled in memory."""
    directory, book = RunDir.create(path, scenario_toml()), new_book()
    trade(book)
    directory.write_ledger(book)
    directory.write_figures({"seed": 1}, "complete")
    directory.close()
    return path
