"""Listings in pages: which rows a filter means, and the cursors that lead from page to page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from wattswap.ledger.devnet import names, sdk
from wattswap.ledger.devnet.model import CoinObject, Refused
from wattswap.ledger.devnet.rules import SERVICE
from wattswap.ledger.devnet.store import ChainStore, Condition, Row

_Seq = Annotated[int, Meta(ge=0, lt=2**53)]
_Cursor = tuple[_Seq, _Seq | bytes]
"""The checkpoint it was made at, and the key of its row."""
_CURSOR: Final[msgspec.json.Decoder[_Cursor]] = msgspec.json.Decoder(_Cursor)
_COINS: Final = {
    names.full_type(f"0x2{rest}") for rest in ("", "::coin", "::coin::Coin", "::coin::Coin<0x2::iota::IOTA>")
}
"""Types that mean coins of IOTA."""
_CONDITIONS: Final = {
    "owner": "owner = ?",
    "afterCheckpoint": "seq > ?",
    "atCheckpoint": "seq = ?",
    "beforeCheckpoint": "seq < ?",
    "sentAddress": "sender = ?",
    "recvAddress": "seq IN (SELECT made FROM coins WHERE owner = ? AND made >= 0)",
    "inputObject": "seq IN (SELECT spent FROM coins WHERE id = ?)",
    "changedObject": "seq IN (SELECT made FROM coins WHERE id = ? UNION SELECT spent FROM coins WHERE id = ?)",
    "wrappedOrDeletedObject": "seq = (SELECT MAX(spent) FROM coins WHERE id = ? HAVING COUNT(*) = COUNT(spent))",
    "function": "seq IN (SELECT seq FROM calls WHERE function = ?)",
    "kind": "? IN (IIF(seq, 'PROGRAMMABLE_TX', 'GENESIS'), IIF(seq, '', 'SYSTEM_TX'))",
    "type": "?",
    "objectIds": "id IN",
    "transactionIds": "digest IN",
}
"""What each part of a filter, under the schema's name, asks of a row."""
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "function": names.function,
    "transactionIds": lambda digests: [sdk.from_base58(one) for one in digests],
    "type": lambda kind: names.full_type(kind) in _COINS,
}


def listing(
    store: ChainStore,
    kind: type[Row],
    wanted: Mapping[str, Any],
    newest: int,
    shown: Callable[[Row], Any],
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> dict[str, Any]:
    """The first coins (by id) or transactions after a cursor, or the last before one: the schema's connection.

    As on IOTA's own service, a cursor pins the checkpoint it was made at: whoever keeps one never sees anything newer
    with it.
    """
    if first is not None and last is not None:
        raise Refused("a page has first or last, not both")
    size = next((one for one in (first, last) if one is not None), SERVICE["defaultPageSize"])
    if not 0 <= size <= SERVICE["maxPageSize"]:
        raise Refused(f"a page has 0 to {SERVICE['maxPageSize']} entries, not {size}")
    bounds: list[tuple[str, _Cursor]] = [
        (sign, _read(cursor)) for sign, cursor in ((">", after), ("<", before)) if cursor is not None
    ]
    newest = min([newest, *(checkpoint for _, (checkpoint, _) in bounds)])
    key, seen = ("id", store.at(newest)) if kind is CoinObject else ("seq", ("seq <= ?", newest))
    conditions = [seen, *(_condition(name, value) for name, value in wanted.items() if value is not None)]
    conditions += [(f"{key} {sign} ?", place) for sign, (_, place) in bounds]
    order = key if last is None else f"{key} DESC"
    rows = store.find(kind, *conditions, order=order, count=size + 1)
    more, rows = len(rows) > size, rows[:size]  # the one too many says whether there is another page
    if last is not None:
        rows.reverse()
    ends = [b64encode(msgspec.json.encode((newest, getattr(row, key)))).decode() for row in rows[:1] + rows[-1:]]
    info = {
        "hasPreviousPage": after is not None if last is None else more,
        "hasNextPage": more if last is None else before is not None,
        "startCursor": ends[0] if ends else None,
        "endCursor": ends[-1] if ends else None,
    }
    return {"pageInfo": info, "nodes": [shown(row) for row in rows]}


def _read(cursor: str) -> _Cursor:
    try:
        return _CURSOR.decode(names.from_base64(cursor))
    except (msgspec.MsgspecError, UnicodeDecodeError, Refused):
        raise Refused("a cursor is what an earlier answer gave") from None


def _condition(name: str, value: Any) -> Condition:
    asks, value = _CONDITIONS[name], _READ.get(name, lambda given: given)(value)
    if not isinstance(value, list):
        return asks, *[value] * asks.count("?")
    if len(value) > SERVICE["maxPageSize"]:
        raise Refused(f"a filter names at most {SERVICE['maxPageSize']} of them")
    return f"{asks} ({', '.join('?' * len(value))})", *value
