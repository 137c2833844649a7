"""Mutants of money: reserves, payments, receipts, bills, and the messages that are repeated until they are answered."""

from __future__ import annotations

import msgspec
from tests.runners.mutants.mutant import Mutant, Patch

from wattswap.agents.award_book import AwardBook
from wattswap.agents.obligations import Obligations
from wattswap.agents.rules import Rules
from wattswap.agents.vehicle import Vehicle
from wattswap.ledger.book import Book
from wattswap.protocol.effects import Reserve, Send
from wattswap.protocol.messages import Sealed
from wattswap.runners.audit.rules import Rule

# -- reserves and payments --------------------------------------------------------------------------------------------


def nothing_is_reserved(patch: Patch) -> None:
    """Awards are sent without tokens reserved for them."""
    award = AwardBook.award
    patch.setattr(AwardBook, "award", lambda *a: [effect for effect in award(*a) if not isinstance(effect, Reserve)])


def reserved_after_it_was_sent(patch: Patch) -> None:
    """An award is sent, then its tokens are reserved."""
    award = AwardBook.award

    def late(self, record, state, now_ms):
        effects = award(self, record, state, now_ms)
        return sorted(effects, key=lambda effect: isinstance(effect, Reserve))

    patch.setattr(AwardBook, "award", late)


def funds_are_not_counted(patch: Patch) -> None:
    """The transformer promises what its site does not have."""
    award = AwardBook.award

    def generous(self, record, state, now_ms):
        self.uncommitted_nanos += record.reserved_nanos
        return award(self, record, state, now_ms)

    patch.setattr(AwardBook, "award", generous)


def paid_twice(patch: Patch) -> None:
    """A delivery that is repeated is paid again."""
    settle, paid = Book.settle, Book.settled_nanos

    def again(self, key, vehicle, nanos):
        if key in self._settled:
            self._post("settle", key, vehicle, nanos, ("site", f"payable/{vehicle}", nanos))
            return
        settle(self, key, vehicle, nanos)

    patch.setattr(Book, "settle", again)
    patch.setattr(Book, "settled_nanos", lambda self, key: paid(self, key) and None)


def rest_of_the_reserve_is_lost(patch: Patch) -> None:
    """What a reserve holds beyond the payment does not go back to the site."""
    post = Book._post
    patch.setattr(Book, "_post", lambda self, op, *entry: post(self, op, *(entry[:-1] if op == "settle" else entry)))


def billed_before_it_is_settled(patch: Patch) -> None:
    """A car's bill does not wait for its awards."""
    bill = AwardBook._bill

    def early(self, session):
        accounts, self._accounts = self._accounts, {}
        try:
            return bill(self, session)
        finally:
            self._accounts = accounts

    patch.setattr(AwardBook, "_bill", early)


# -- receipts ---------------------------------------------------------------------------------------------------------


def receipts_add_up(patch: Patch) -> None:
    """A receipt that arrives twice counts twice."""
    on_receipt = Vehicle._on_receipt

    def adding(self, receipt):
        effects = on_receipt(self, receipt)
        if not effects:
            self.earned_nanos += receipt.nanos
        return effects

    patch.setattr(Vehicle, "_on_receipt", adding)


def receipts_state_too_much(patch: Patch) -> None:
    """A receipt states a nano more than was paid."""
    paid = AwardBook.paid
    patch.setattr(
        AwardBook, "paid", lambda self, event: paid(self, msgspec.structs.replace(event, nanos=event.nanos + 1))
    )


def receipts_are_given_once(patch: Patch) -> None:
    """A car that missed its receipt is not sent another."""
    deliver = AwardBook.deliver

    def once(self, sender, witnessed, now_ms):
        return [
            effect
            for effect in deliver(self, sender, witnessed, now_ms)
            if not (isinstance(effect, Send) and isinstance(effect.message, Sealed))
        ]

    patch.setattr(AwardBook, "deliver", once)


# -- repetition -------------------------------------------------------------------------------------------------------


def deliveries_are_sent_once(patch: Patch) -> None:
    """A car does not repeat its claims: a lost claim is a lost reward."""
    claim = Vehicle._claim

    def once(self, ended, now_ms):
        effects = claim(self, ended, now_ms)
        self._owed._owed.clear()
        return effects

    patch.setattr(Vehicle, "_claim", once)


def nothing_is_repeated(patch: Patch) -> None:
    """Every message that is owed is sent once."""
    patch.setattr(Obligations, "due", lambda _self, _now_ms: [])


def repeated_without_a_pause(patch: Patch) -> None:
    """A message that is owed is sent again within the same instant, until it is answered."""
    patch.setattr(Rules, "repeat_ms", property(lambda _self: 0))


LOW_FUNDS = ("transformer.funds_iota=5",)
"""The site can pay for few awards at a time."""

MONEY = (
    Mutant(nothing_is_reserved, Rule.COVERED),
    Mutant(reserved_after_it_was_sent, Rule.COVERED),
    Mutant(funds_are_not_counted, Rule.NO_EXCEPTION, settings=LOW_FUNDS),
    Mutant(paid_twice, Rule.PAID_ONCE),
    Mutant(rest_of_the_reserve_is_lost, Rule.CONSERVED),
    Mutant(billed_before_it_is_settled, Rule.BILLED_LAST),
    Mutant(receipts_add_up, Rule.NOTHING_FORGOTTEN, seeds=(7,)),
    Mutant(receipts_state_too_much, Rule.PAID_ONCE),
    Mutant(receipts_are_given_once, Rule.ALL_SETTLED),
    Mutant(deliveries_are_sent_once, Rule.LOTS_CLOSED),
    Mutant(nothing_is_repeated, Rule.POWER_RETURNS, before=(Rule.ALL_SETTLED,)),
    Mutant(repeated_without_a_pause, Rule.BOUNDED),
)
