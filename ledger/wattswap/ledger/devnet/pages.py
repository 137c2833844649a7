"""Listings in pages: which rows a filter means, and the cursors that lead from page to page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from wattswap.ledger.devnet import sdk
from wattswap.ledger.devnet.model import CoinObject, Refused
from wattswap.ledger.devnet.rules import MOST_PAGE
from wattswap.ledger.devnet.store import ChainStore, Condition, Row

_Seq = Annotated[int, Meta(ge=0, lt=2**53)]
_Cursor = tuple[_Seq, _Seq | bytes]
"""The checkpoint it was made at, and the key of its row."""
_CURSOR: Final[msgspec.json.Decoder[_Cursor]] = msgspec.json.Decoder(_Cursor)
DEFAULT_PAGE: Final = 20
_COINS: Final = "0x2::coin::Coin<0x2::iota::IOTA>"
_CONDITIONS: Final = {
    "owner": "owner = ?",
    "afterCheckpoint": "seq > ?",
    "sentAddress": "sender = ?",
    "inputObject": "seq IN (SELECT spent FROM coins WHERE id = ?)",
}
"""What each part of a filter, under the schema's name, asks of a row."""


def listing(
    store: ChainStore,
    kind: type[Row],
    newest: int,
    shown: Callable[[Row], Any],
    *,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the schema's name
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> dict[str, Any]:
    """The first coins (by id) or transactions after a cursor, or the last before one: the schema's connection.

    As on IOTA's own service, a cursor pins the checkpoint it was made at: whoever keeps one never sees anything newer
    with it.
    """
    backward = last is not None
    cursor, unfit = (before, (first, after)) if backward else (after, (before,))
    if any(one is not None for one in unfit):
        raise Refused("a page has first and after, or last and before, not both")
    size = next((one for one in (first, last) if one is not None), DEFAULT_PAGE)
    if not 0 <= size <= MOST_PAGE:
        raise Refused(f"a page has 0 to {MOST_PAGE} entries, not {size}")
    wanted = {name: value for name, value in (filter or {}).items() if value is not None}
    if wanted.pop("type", _COINS) != _COINS:
        raise Refused(f"all objects of this node are {_COINS}: ask for these")
    if unknown := wanted.keys() - _CONDITIONS:
        raise Refused(f"this node does not filter by {', '.join(sorted(unknown))}")
    key = "id" if kind is CoinObject else "seq"
    conditions: list[Condition] = [(_CONDITIONS[name], value) for name, value in wanted.items()]
    if cursor is not None:
        pinned, place = _read(cursor)
        newest = min(newest, pinned)
        conditions.append((f"{key} {'<' if backward else '>'} ?", place))
    conditions.append(store.at(newest) if kind is CoinObject else ("seq <= ?", newest))
    rows = store.find(kind, *conditions, order=f"{key} DESC" if backward else key, count=size + 1)
    more, rows = len(rows) > size, rows[:size]  # the one too many says whether there is another page
    if backward:
        rows.reverse()
    ends = [b64encode(msgspec.json.encode((newest, getattr(row, key)))).decode() for row in rows[:1] + rows[-1:]]
    info = {
        "hasPreviousPage": more if backward else cursor is not None,
        "hasNextPage": cursor is not None if backward else more,
        "startCursor": ends[0] if ends else None,
        "endCursor": ends[-1] if ends else None,
    }
    return {"pageInfo": info, "nodes": [shown(row) for row in rows]}


def _read(cursor: str) -> _Cursor:
    try:
        return _CURSOR.decode(sdk.from_base64(cursor))
    except (msgspec.MsgspecError, UnicodeDecodeError, Refused):
        raise Refused("a cursor is what an earlier answer gave") from None
