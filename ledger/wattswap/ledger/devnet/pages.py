"""Look-ups in pages: coins by owner or id, transactions by whatever names them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

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


Filter = Mapping[str, Any]
"""What all of the wanted must be, under the schema's names; None is as if it were not given."""

_CHECKPOINTS: Final = {"afterCheckpoint": "seq > ?", "atCheckpoint": "seq = ?", "beforeCheckpoint": "seq < ?"}
_MENTIONS: Final = {
    "inputObject": Mention.INPUT,
    "changedObject": Mention.CHANGED,
    "wrappedOrDeletedObject": Mention.DELETED,
    "recvAddress": Mention.RECIPIENT,
}
_KINDS: Final = {"PROGRAMMABLE_TX": "seq > 0", "SYSTEM_TX": "seq = 0", "GENESIS": "seq = 0"}


def coins(store: ChainStore, wanted: Filter, window: Window, newest: int) -> Page[CoinObject]:
    """Coins by id, as the listed transactions left them."""
    where, values = list[str](), list[object]()
    if (kind := wanted.get("type")) is not None and names.short_type(kind) not in names.COIN_TYPES:
        where.append("FALSE")
    if (owner := wanted.get("owner")) is not None:
        where.append("owner = ?")
        values.append(names.address(owner))
    if (ids := wanted.get("objectIds")) is not None:
        _among("id", [names.address(one) for one in ids], where, values)
    _bound("id", window, names.address, where, values)
    rows = store.coins(where, values, newest, count=window.size + 1, backwards=window.last is not None)
    return _page(rows, window, viewed_at(newest, window), lambda coin: names.shown(coin.id))


def entries(store: ChainStore, wanted: Filter, window: Window, newest: int) -> Page[Entry]:
    """Transactions in the order in which they were carried out, each with its checkpoint."""
    newest = viewed_at(newest, window)
    where, values = ["seq <= ?"], list[object]([newest])
    mentions: list[tuple[Mention, bytes]] = []
    for name, value in wanted.items():
        if value is None:
            continue
        if name in _CHECKPOINTS:
            where.append(_CHECKPOINTS[name])
            values.append(value)
        elif name in _MENTIONS:
            mentions.append((_MENTIONS[name], names.address(value)))
        elif name == "function":
            mentions.append((Mention.FUNCTION, names.function(value)))
        elif name == "sentAddress":
            where.append("sender = ?")
            values.append(names.address(value))
        elif name == "kind":
            where.append(_KINDS.get(value, "FALSE"))
        else:
            _among("digest", [sdk.from_base58(one) for one in value], where, values)
    _bound("seq", window, _number, where, values)
    rows = store.entries(where, values, mentions, count=window.size + 1, backwards=window.last is not None)
    return _page(rows, window, newest, lambda entry: str(entry.seq))


def viewed_at(newest: int, window: Window) -> int:
    """The checkpoint a page is seen at: the newest, or the one its cursor was made at.

    As on IOTA's own service, a cursor pins that checkpoint: whoever keeps one never sees anything newer with it.
    """
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
