"""Look-ups in pages: coins by owner or id, transactions by whatever names them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from wattswap.ledger.devnet import names, sdk
from wattswap.ledger.devnet.model import CoinObject, Refused
from wattswap.ledger.devnet.rules import MOST_PAGE_SIZE, PAGE_SIZE
from wattswap.ledger.devnet.store import ChainStore, Entry, Mention

_MOST_SEQ: Final = 2**53


class Window(Struct, frozen=True):
    """Which page is wanted: the first n after a cursor, or the last n before one."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def size(self) -> int:
        """How many rows; raises ``Refused`` if there is no such page."""
        if self.first is not None and self.last is not None:
            raise Refused("a page has first or last, not both")
        size = next((one for one in (self.first, self.last) if one is not None), PAGE_SIZE)
        if not 0 <= size <= MOST_PAGE_SIZE:
            raise Refused(f"a page has 0 to {MOST_PAGE_SIZE} entries, not {size}")
        return size


Row = TypeVar("Row")


class Page(Struct, Generic[Row], frozen=True):
    """Some rows in their order, and whether there are more on either side."""

    rows: list[Row]
    cursors: list[str]
    has_previous: bool
    has_next: bool


class CoinFilter(Struct, frozen=True):
    """Which coins; all that is given must hold."""

    type: str | None = None
    owner: str | None = None
    ids: list[str] | None = None


class EntryFilter(Struct, frozen=True):
    """Which transactions; all that is given must hold. Addresses and digests as people write them."""

    function: str | None = None
    programmable: bool | None = None
    after_checkpoint: int | None = None
    at_checkpoint: int | None = None
    before_checkpoint: int | None = None
    sender: str | None = None
    recipient: str | None = None
    input: str | None = None
    changed: str | None = None
    deleted: str | None = None
    digests: list[str] | None = None


def coins(store: ChainStore, wanted: CoinFilter, window: Window) -> Page[CoinObject]:
    """Coins as they are now, by id."""
    where, values = list[str](), list[object]()
    if wanted.type is not None and names.short_type(wanted.type) not in names.COIN_TYPES:
        where.append("FALSE")
    if wanted.owner is not None:
        where.append("owner = ?")
        values.append(names.address(wanted.owner))
    if wanted.ids is not None:
        _among("id", [names.address(one) for one in wanted.ids], where, values)
    _bound("id", window, names.address, where, values)
    rows = store.coins(where, values, count=window.size + 1, backwards=window.last is not None)
    return _page(rows, window, viewed_at(store, window), lambda coin: names.shown(coin.id))


def entries(store: ChainStore, wanted: EntryFilter, window: Window) -> Page[Entry]:
    """Transactions in the order in which they were carried out."""
    where, values = list[str](), list[object]()
    for condition, value in (
        ("seq > ?", wanted.after_checkpoint),
        ("seq = ?", wanted.at_checkpoint),
        ("seq < ?", wanted.before_checkpoint),
        ("(seq > 0) = ?", wanted.programmable),
        ("sender = ?", wanted.sender and names.address(wanted.sender)),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    if wanted.digests is not None:
        _among("digest", [sdk.from_base58(one) for one in wanted.digests], where, values)
    _bound("seq", window, _number, where, values)
    newest = viewed_at(store, window)
    where.append("seq <= ?")
    values.append(newest)
    named = _mentions(wanted)
    rows = store.entries(where, values, named, count=window.size + 1, backwards=window.last is not None)
    return _page(rows, window, newest, lambda entry: str(entry.seq))


def _mentions(wanted: EntryFilter) -> list[tuple[Mention, bytes]]:
    """What the transactions must name."""
    found = []
    for kind, text in (
        (Mention.INPUT, wanted.input),
        (Mention.CHANGED, wanted.changed),
        (Mention.DELETED, wanted.deleted),
        (Mention.RECIPIENT, wanted.recipient),
    ):
        if text is not None:
            found.append((kind, names.address(text)))
    if wanted.function is not None:
        found.append((Mention.FUNCTION, names.function(wanted.function)))
    return found


def checkpoints(store: ChainStore, window: Window) -> Page[Entry]:
    """All checkpoints; each is kept with its transaction."""
    return entries(store, EntryFilter(), window)


def viewed_at(store: ChainStore, window: Window) -> int:
    """The checkpoint a page is seen at: the newest, or the one its cursor was made at.

    As on IOTA's own service, a cursor pins that checkpoint: whoever keeps one never sees anything newer with it.
    """
    last = store.entry()
    newest = last.seq if last else 0
    return min([newest, *(_cursor(one)[0] for one in (window.after, window.before) if one is not None)])


def _cursor(text: str) -> tuple[int, str]:
    """The checkpoint a cursor was made at, and the place it names."""
    try:
        checkpoint, place = msgspec.json.decode(names.from_base64(text), type=tuple[int, str])
    except (msgspec.MsgspecError, UnicodeDecodeError, Refused):
        raise Refused("a cursor is what an earlier answer gave") from None
    if not 0 <= checkpoint < _MOST_SEQ:
        raise Refused("a cursor is what an earlier answer gave")
    return checkpoint, place


def _bound(column: str, window: Window, read: Callable[[str], object], where: list[str], values: list[object]) -> None:
    """Let the page begin after, or end before, the cursor."""
    for sign, cursor in ((">", window.after), ("<", window.before)):
        if cursor is not None:
            where.append(f"{column} {sign} ?")
            values.append(read(_cursor(cursor)[1]))


def _page(rows: list[Row], window: Window, checkpoint: int, write: Callable[[Row], str]) -> Page[Row]:
    """A page from one row more than it holds: that one says whether there is another page."""
    more, rows = len(rows) > window.size, rows[: window.size]
    before, after = window.before is not None, window.after is not None
    if window.last is not None:
        rows.reverse()
    cursors = [b64encode(msgspec.json.encode((checkpoint, write(row)))).decode() for row in rows]
    if window.last is not None:
        return Page(rows, cursors, more, before)
    return Page(rows, cursors, after, more)


def _among(column: str, keys: list[bytes], where: list[str], values: list[object]) -> None:
    if len(keys) > MOST_PAGE_SIZE:
        raise Refused(f"a filter names at most {MOST_PAGE_SIZE} of them")
    where.append(f"{column} IN ({', '.join('?' * len(keys))})")
    values += keys


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 16 and int(cursor) < _MOST_SEQ):
        raise Refused("a cursor is what an earlier answer gave")
    return int(cursor)
