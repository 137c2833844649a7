"""How many payments a second a ledger takes, one by one and batched, and what they cost.

    python -m wattswap.experiments.bench.settling                  # embedded ledger, then a local IOTA node of its own
    python -m wattswap.experiments.bench.settling --url URL        # a local devnet that runs already
    python -m wattswap.experiments.bench.settling --payments 200 --json

"handed in": ``Ledger.pay``, that waits until all is decided. "through the outbox": written down, batched, signed and
decided, each on the disk before the next, as a site pays.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from wattswap.experiments.bench.devnet_child import running
from wattswap.ledger.base import Anchor, Payment
from wattswap.ledger.book import Book
from wattswap.ledger.ledger import Ledger
from wattswap.ledger.settlement import open_settlement

_PURSE_NANOS = 10**14
_BATCHES = (1, 100, 500)


class SettlingRow(msgspec.Struct, frozen=True):
    """One measurement."""

    ledger: str
    way: str
    batch: int
    payments: int
    seconds: float
    fee_nanos: int
    """Burned for all of them together."""
    deposit_nanos: int
    """Locked in new coins, for all of them together."""

    @property
    def a_second(self) -> float:
        """Payments a second."""
        return self.payments / self.seconds


def debts(name: str, count: int) -> list[Payment]:
    """Small payments to many cars."""
    return [
        Payment(key=f"{name}/{number}", payer="site", payee=f"car{number % 500}", nanos=1 + number)
        for number in range(count)
    ]


def handed_in(where: str, name: str, batch: int, count: int) -> SettlingRow:
    """Call ``pay`` with so many at a time."""
    with open_settlement(where, {"site": _PURSE_NANOS}, wallets_seed=time.time_ns()) as settlement:
        seconds = _timed(lambda: _hand_in(settlement, debts(f"direct {batch}", count), batch))
        return _row(settlement, name, "handed in", batch, count, seconds)


def from_the_book(where: str, name: str, batch: int, count: int, folder: Path) -> SettlingRow:
    """Post a book that pays each reward, so many at a time, and wait for them."""
    outbox, book = folder / f"outbox {name} {batch}", Book(_PURSE_NANOS, "each")
    with open_settlement(where, {"site": _PURSE_NANOS}, wallets_seed=time.time_ns(), outbox=outbox) as settlement:
        seconds = _timed(lambda: _post(settlement, book, batch, count))
        return _row(settlement, name, "from the book", batch, count, seconds)


def anchored(where: str, name: str, size: int, count: int) -> SettlingRow:
    """Anchor records of so many bytes one by one; ``batch`` stands for the size."""
    records = [Anchor(site="site", sequence=number, content=b"%06d" % number * (size // 6)) for number in range(count)]
    with open_settlement(where, {"site": _PURSE_NANOS}, wallets_seed=time.time_ns()) as settlement:
        seconds = _timed(lambda: _keep(settlement, records))
        return _row(settlement, name, f"anchored, {size} B", 1, count, seconds)


def _keep(settlement: Ledger, records: Sequence[Anchor]) -> None:
    for record in records:
        settlement.keep([record])
        settlement.drain()


def _row(settlement: Ledger, name: str, way: str, batch: int, count: int, seconds: float) -> SettlingRow:
    settled = settlement.settled()
    return SettlingRow(name, way, batch, count, seconds, settled.fees_nanos, settled.deposits_nanos)


def measure(url: str, folder: Path, count: int) -> Iterator[SettlingRow]:
    """All rows, as they are measured. A single payment on a chain takes long, so fewer of them are made."""
    for number, batch in enumerate(_BATCHES):
        few = count if batch > 1 else max(20, count // 5)
        yield handed_in(f"sqlite:{folder / f'direct {number}'}", "sqlite", batch, few)
        yield from_the_book(f"sqlite:{folder / f'book {number}'}", "sqlite", batch, few, folder)
    for batch in _BATCHES:
        few = count if batch > 1 else max(20, count // 5)
        yield handed_in(url, "devnet", batch, few)
        yield from_the_book(url, "devnet", batch, few, folder)
    for size in (300, 30_000):
        yield anchored(url, "devnet", size, max(20, count // 10))


@contextmanager
def a_node(url: str | None) -> Iterator[str]:
    """The URL of a local IOTA node: the one that is given, or one that lives as long as the block."""
    if url is not None:
        yield url
        return
    with running() as child:
        yield child.ready.url


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="GraphQL of a local devnet; without it, one is started")
    parser.add_argument("--payments", type=int, default=1_000, help="in each batched measurement (1000)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    chosen = parser.parse_args(arguments)
    if not chosen.json:
        print(
            f"{'ledger':8} {'way':20} {'at a time':>9} {'payments':>9}"
            f" {'a second':>9} {'ms each':>8} {'nanos each':>11}"
        )
    with a_node(chosen.url) as url, tempfile.TemporaryDirectory() as folder:
        for row in measure(url, Path(folder), chosen.payments):
            _show(row, as_json=chosen.json)


def _show(row: SettlingRow, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(row).decode())
        return
    cost = (row.fee_nanos + row.deposit_nanos) // row.payments
    print(
        f"{row.ledger:8} {row.way:20} {row.batch:9,} {row.payments:9,} {row.a_second:9,.0f}"
        f" {1_000 * row.seconds / row.payments:8.2f} {cost:11,}",
        flush=True,
    )


def _hand_in(ledger: Ledger, payments: Sequence[Payment], batch: int) -> None:
    for at in range(0, len(payments), batch):
        assert all(status.ok for status in ledger.pay(payments[at : at + batch]))


def _post(settlement: Ledger, book: Book, batch: int, count: int) -> None:
    for at in range(0, count, batch):
        for number in range(at, min(at + batch, count)):
            book.reserve(f"{number}", 1 + number)
            book.settle(f"{number}", f"car{number % 500}", 1 + number)
        settlement.post(book)
        assert settlement.drain().ok


def _timed(work: Callable[[], object]) -> float:
    begins = time.perf_counter()
    work()
    return time.perf_counter() - begins


if __name__ == "__main__":
    main()
