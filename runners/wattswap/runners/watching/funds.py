"""A site's account as whoever watches is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wattswap.ledger.book import RESERVED, payable

if TYPE_CHECKING:
    from wattswap.ledger.book import Book

_PAYABLE = payable("")


class Funds(NamedTuple):
    """In nanos; see ``ACCOUNT_COLUMNS``."""

    free: int
    reserved: int
    earned: int

    @classmethod
    def of(cls, book: Book, before: Funds | None = None) -> Funds:
        """What a book holds now. What cars earned changes together with what is free or reserved, or not at all."""
        free, reserved = book.site_uncommitted_nanos, book.balance(RESERVED)
        if before is not None and (free, reserved) == before[:2]:
            return before
        earned = sum(nanos for account, nanos in book.balances().items() if account.startswith(_PAYABLE))
        return cls(free, reserved, earned)
