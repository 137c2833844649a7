"""Where tokens and records of a street lie: what a run says of itself, or what a person names."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wattswap.experiments.run_book import RunBook, read_book
from wattswap.experiments.run_clock import RunClock, clock_of
from wattswap.experiments.settlement_note import settlement_note
from wattswap.ledger.base import DamagedError, LedgerDownError
from wattswap.ledger.outbox_reading import read_outbox
from wattswap.ledger.settlement import open_node
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.runners.payments.run_payments import MEMORY, METERS_IDENTITY, SQLITE
from wattswap.runners.payments.wallets_seed import read_wallets_seed
from wattswap.runners.recording.rundir import OUTBOX, book_file, feeders_with_books

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wattswap.ledger.iota_keys import Wallets
    from wattswap.ledger.iota_ledger import IotaLedger
    from wattswap.ledger.outbox import Outbox


@dataclass(frozen=True)
class LedgerPlace:
    """A ledger, a run, or both."""

    ledger: str
    """``memory``, ``sqlite:FILE`` or a URL."""
    run: Path | None = None
    book: RunBook | None = None
    clock: RunClock | None = None
    wallets_seed: int | None = None
    run_id: str | None = None
    """What tells the run from all others."""
    archive_ids: frozenset[str] = frozenset()
    """The same of its archives of meter records, one for each site."""
    records: int = 0
    """How many meter records the run says that it wrote."""
    records_by_site: dict[str, int] = field(default_factory=dict)
    """The same by site."""
    keys: Path | None = None
    """The folder of its wallets' keys, if they have one."""
    feeders: tuple[str, ...] = ("",)
    public_key: str | None = None
    """The one that signed the run's meter records, in hexadecimal."""

    @property
    def title(self) -> str:
        """What a person calls it."""
        return str(self.run) if self.ledger == MEMORY else self.ledger

    def require_book(self) -> RunBook:
        """The book.

        Raises:
            InputError: there is none.
        """
        if self.book is None:
            assert self.run is not None
            return read_book(self.run, self.run_id)
        return self.book


def place_of(ledger: str | None, run: Path | None) -> LedgerPlace:
    """What is meant by ``--ledger`` and ``--run``; the first may be left out where the run names its own.

    Raises:
        InputError: nothing is named, or what is named cannot be used.
    """
    if ledger is not None:
        _require_ledger(ledger)
    if run is None:
        if ledger is None:
            raise InputError(
                "say where: a run directory with --run DIR, or a ledger with --ledger sqlite:FILE or a URL"
            )
        return LedgerPlace(ledger)
    note = settlement_note(run)
    where = ledger or (MEMORY if note is None else note.ledger)
    _require_ledger(where, also=(MEMORY,))
    path = sqlite_path(where)
    if path is not None and ledger is None and not path.is_file():
        raise InputError(f"{run}: its ledger {where} is not here; name the file with --ledger sqlite:FILE")
    is_written = all((run / book_file(feeder)).is_file() for feeder in feeders_with_books(run))
    book = read_book(run, None if note is None else note.run_id) if is_written else None
    if note is None:
        return LedgerPlace(where, run, book, clock_of(run))
    return LedgerPlace(
        where,
        run,
        book,
        clock_of(run),
        read_wallets_seed(run, {"wallets_seed": note.wallets_seed}),
        note.run_id,
        frozenset(identity for name, identity in note.identities.items() if name.startswith(METERS_IDENTITY)),
        note.records,
        note.records_by_site,
        Path(note.keys) if note.keys else None,
        tuple(note.feeders or ("",)),
        note.public_key,
    )


def sqlite_path(ledger: str) -> Path | None:
    """The file of a ``sqlite:FILE``; None for another ledger."""
    return Path(ledger.removeprefix(SQLITE)) if ledger.startswith(SQLITE) else None


def wallets_of(place: LedgerPlace) -> Wallets | None:
    """The wallets of a run on a network: from its seed, or from its folder of keys.

    Raises:
        InputError: the folder, or a key in it, is gone, or others can read it.
    """
    from wattswap.ledger.iota_keys import SeededWallets, wallets_of_folder

    if place.keys is not None:
        require_keys_there(place.keys)
        wallets: Wallets = wallets_of_folder(place.keys, place.feeders)
    elif place.wallets_seed is not None:
        wallets = SeededWallets(place.wallets_seed)
    else:
        return None
    if place.run is not None and (place.run / OUTBOX).is_file():
        with read_outbox(place.run / OUTBOX) as outbox:
            outbox.require_addresses(wallets.address)
    return wallets


def require_keys_there(keys: Path) -> None:
    """Refuse to take an empty place for the folder of a run's keys: new ones would be nobody's.

    Raises:
        InputError: it is gone.
    """
    if not keys.is_dir():
        raise InputError(f"{keys}, the folder of this run's keys, is gone: put it back (`settle --keys` takes another)")


@contextmanager
def opened_chain(
    url: str, wallets: Wallets, outbox: Outbox, *, allow: Sequence[str] | None, sponsored: bool = True
) -> Iterator[IotaLedger]:
    """The ledger behind a URL. ``allow`` names the public chains that may be paid on; None is for looking only.

    Raises:
        InputError: its software is not installed, or this network must not be used so.
    """
    with ExitStack() as undo:
        undo.callback(outbox.close)
        client = undo.enter_context(open_node(url))
        from wattswap.ledger.iota_ledger import IotaLedger

        chains = (client.chain_id(),) if allow is None else allow
        yield undo.enter_context(IotaLedger(client, wallets, outbox, allow=chains, sponsored=sponsored))


def require_same_chain(place: LedgerPlace, chain_id: str) -> None:
    """Refuse a node that is not of the chain on which the run settled.

    Raises:
        InputError: it is another one.
    """
    if place.run is None or not (place.run / OUTBOX).is_file():
        return
    with read_outbox(place.run / OUTBOX) as outbox:
        settled_on = outbox.network
    if settled_on not in ("", chain_id):
        raise InputError(
            f"{place.run} settled on chain {settled_on}, and {place.ledger} is chain {chain_id}: its node was started"
            " anew without its file, or is another one"
        )


@contextmanager
def answering() -> Iterator[None]:
    """Say in one line what a ledger or a file could not do."""
    try:
        yield
    except LedgerDownError as error:
        raise InputError(str(error)) from None
    except sqlite3.Error as error:
        raise InputError(f"a file of the ledger cannot be read: {error}") from None
    except DamagedError as error:
        raise InputError(f"what lies there is damaged: {error}") from None
    except LocalProtocolError as error:
        raise InputError(f"what lies there was not written by wattswap: {error}") from None


def _require_ledger(ledger: str, also: tuple[str, ...] = ()) -> None:
    if ledger in also or ledger.startswith(("http://", "https://")) or ledger.removeprefix(SQLITE) not in ("", ledger):
        return
    raise InputError(
        f"--ledger {ledger}: say sqlite:FILE, or the URL of an IOTA node such as http://127.0.0.1:9125/graphql"
    )
