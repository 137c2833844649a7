"""The transformer's own double-entry book: what its tokens are promised to, before any ledger hears of it.

An award is a promise, so its tokens are set aside here, synchronously, before the award is sent. The life of money:

    funding -> site                 the scenario's opening funds (and funding -> wallet/<vehicle>, per car)
    site -> reserved                ``reserve``: an award is about to be sent
    reserved -> payable/<vehicle>   ``settle``: what was delivered; the rest of the reserve goes back to the site
    payable/<vehicle> -> ...        ``bill``, at departure: rewards pay the energy first, only the net changes hands

Rewards wait in ``payable`` until the car leaves, so that one payment per session crosses the ledger, not one per round.
In a book that pays ``each`` they go into the car's wallet as soon as they are earned, and its bill is all energy.
A book that does not ``collect`` takes nothing out of a car's wallet, whose key its site does not have: what a bill
leaves open is a receivable.

Every posting moves a positive whole number of nanos from one account to another, so all balances always sum to 0.
What the signs mean:

- ``site``, ``reserved``, ``wallet/<vehicle>``, ``payable/<vehicle>`` hold tokens and are never negative.
- ``funding`` is the outside world; minus its balance is what ever came in, all of which those four hold.
- ``receivable/<vehicle>`` holds no tokens, only a claim: positive is what the car still owes the site, negative what
  the site still owes the car. ``claims`` is its counterpart. So an unpaid bill never looks like money to spend.

Every operation is named by a key and is idempotent under it: repeated with the same arguments it returns its first
result and moves nothing; with other arguments it is our own bug (``LocalProtocolError``). Each operation has its own
key space, save that ``settle`` and ``release`` end what ``reserve`` began under the same key. A call that raises has
changed nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

from wattswap.ledger.base import require
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.protocol.units import MOST_NANOS

if TYPE_CHECKING:
    from collections.abc import Iterable

SITE: Final = "site"
RESERVED: Final = "reserved"
FUNDING: Final = "funding"
CLAIMS: Final = "claims"

Operation: TypeAlias = Literal["fund", "reserve", "refuse", "settle", "bill"]
Pays: TypeAlias = Literal["departure", "each"]
"""When a reward reaches the car's wallet: netted with its bill when it departs, or as soon as it is earned."""
Leg: TypeAlias = tuple[str, str, int]
"""One posting: (account that gives, account that receives, nanos > 0)."""
Entry: TypeAlias = tuple[Operation, str, str, int, tuple[Leg, ...]]
"""One journal entry: (operation, key, account or vehicle or "", nanos asked for, its postings)."""


def wallet(vehicle: str) -> str:
    """The account with the tokens a car can spend."""
    return "wallet/" + vehicle


def payable(vehicle: str) -> str:
    """The account with the rewards a car has earned and not yet been paid."""
    return "payable/" + vehicle


def receivable(vehicle: str) -> str:
    """The account with what a car still owes the site (negative: what the site owes the car)."""
    return "receivable/" + vehicle


class NettedBill(Struct, frozen=True, kw_only=True, gc=False):
    """What a departure came to, in nanos: billed - rewards = net = paid + receivable, the last three of one sign."""

    billed_nanos: int
    """Energy at tariff; negative if the car fed back more than it drew."""
    rewards_nanos: int
    """The relief it had sold, not yet paid; never negative."""
    net_nanos: int
    """Positive: the car pays the site. Negative: the site pays the car."""
    paid_nanos: int
    """The part of the net for which there were tokens, with the sign of the net; ``abs`` of it crosses the ledger."""
    receivable_nanos: int
    """The part that stays owed, with the sign of the net."""


def netted(billed: int, rewards: int, purse: int, site: int) -> NettedBill:
    """What a bill comes to against so many rewards, with so much in the car's purse and at the site.

    Rewards are covered by their reserve; a negative bill is not, so there the site may be the one in debt.
    """
    net = billed - rewards
    paid = min(net, purse) if net >= 0 else -(rewards - max(billed, 0) + min(max(-billed, 0), site))
    return NettedBill(
        billed_nanos=billed, rewards_nanos=rewards, net_nanos=net, paid_nanos=paid, receivable_nanos=net - paid
    )


class Book:
    """One site's accounts. All amounts are plain ints in nanos; a numpy integer is refused, for it would overflow."""

    def __init__(self, site_nanos: int, pays: Pays = "departure", *, collects: bool = True) -> None:
        self.pays, self.collects = pays, collects
        self._balances: dict[str, int] = {SITE: 0, RESERVED: 0, FUNDING: 0, CLAIMS: 0}
        self._funds: dict[str, tuple[str, int]] = {}
        self._asked: dict[str, tuple[int, bool]] = {}
        self._held: dict[str, int] = {}
        self._settled: dict[str, tuple[str, int]] = {}
        self._bills: dict[str, tuple[str, NettedBill]] = {}
        self._entries: list[Entry] = []
        self.fund("opening", SITE, site_nanos)

    @classmethod
    def restore(cls, entries: Iterable[Entry]) -> Book:
        """The book that wrote these ``entries``, down to what it refuses.

        What it ``pays`` at is read from the first reward; before there is one, it is at departure. That it does not
        ``collect`` is read from the first bill that leaves tokens in a wallet.

        Raises:
            InputError: no book ever wrote them; the text names the first that cannot be.
        """
        book: Book | None = None
        for number, entry in enumerate(entries):
            operation, key, _, nanos, _ = entry
            try:
                if book is None:
                    book = cls(nanos)
                else:
                    book.follow(entry)
            except LocalProtocolError as error:
                raise InputError(f"entry {number} of the book cannot be: {error}") from None
            if book.entries_since(number) != [entry]:
                raise InputError(f"entry {number} of the book cannot be: {operation} {key!r} does not follow")
        if book is None:
            raise InputError("the book holds no entry, not even its opening funds")
        return book

    # -- what it knows ------------------------------------------------------------------------------------------------

    @property
    def site_uncommitted_nanos(self) -> int:
        """What the site may still promise: its tokens without the reserves of awards under way and rewards earned."""
        return self._balances[SITE]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The journal so far, oldest first: a copy, for whoever writes it down."""
        return tuple(self._entries)

    def entries_since(self, count: int) -> list[Entry]:
        """The journal without its first ``count`` entries, so a writer can go on where it stopped."""
        return self._entries[count:]

    def balance(self, account: str) -> int:
        """Nanos in an account; 0 for one that was never used."""
        return self._balances.get(account, 0)

    def balances(self) -> dict[str, int]:
        """Nanos by account, for all accounts ever used: a copy."""
        return dict(self._balances)

    def held(self, key: str) -> int:
        """Nanos that the reserve under this key still holds; 0 once settled, released or refused, or if unknown."""
        return self._held.get(key, 0)

    def settled_nanos(self, key: str) -> int | None:
        """What the reserve under this key came to; None while it is open or unknown."""
        outcome = self._settled.get(key)
        return None if outcome is None else outcome[1]

    # -- what it does -------------------------------------------------------------------------------------------------

    def fund(self, key: str, account: str, nanos: int) -> None:
        """Bring tokens in from outside, to the site or to a car's wallet."""
        _require_amount(nanos)
        if (first := self._funds.get(key)) is not None:
            _require_same("fund", key, first, (account, nanos))
            return
        if account != SITE and not account.startswith("wallet/"):
            raise LocalProtocolError(f"fund {key!r}: only the site and wallets are funded, not {account!r}")
        if nanos - self._balances[FUNDING] > MOST_NANOS:
            raise LocalProtocolError(f"fund {key!r}: more than {MOST_NANOS} nanos in one book")
        self._funds[key] = (account, nanos)
        self._balances.setdefault(account, 0)
        self._post("fund", key, account, nanos, (FUNDING, account, nanos))

    def reserve(self, key: str, nanos: int) -> bool:
        """Set the site's tokens aside for an award; False if its uncommitted tokens do not cover it.

        A refusal is remembered like a success: who asks again under the same key gets the same answer.
        """
        _require_amount(nanos)
        if (first := self._asked.get(key)) is not None:
            _require_same("reserve", key, first[0], nanos)
            return first[1]
        covered = nanos <= self._balances[SITE]
        self._asked[key] = (nanos, covered)
        if not covered:
            self._post("refuse", key, "", nanos)
            return False
        self._held[key] = nanos
        self._post("reserve", key, "", nanos, (SITE, RESERVED, nanos))
        return True

    def set_aside(self, key: str, nanos: int) -> None:
        """``reserve`` for who has counted the tokens: if they do not cover it, that is our own bug."""
        if not self.reserve(key, nanos):
            raise LocalProtocolError(f"reserve {key!r}: {nanos} nanos, which the site does not have")

    def settle(self, key: str, vehicle: str, nanos: int) -> None:
        """End a reserve: ``nanos`` of it become the car's reward, the remainder is the site's again.

        Nothing delivered is nobody's: ``settle(key, vehicle, 0)`` is ``release(key)``, whatever the vehicle.
        """
        _require_amount(nanos)
        outcome = (vehicle if nanos else "", nanos)
        if (first := self._settled.get(key)) is not None:
            _require_same("settle", key, first, outcome)
            return
        held = self._held.get(key)
        if held is None:
            raise LocalProtocolError(f"settle {key!r}: nothing is reserved under this key")
        if nanos > held:
            raise LocalProtocolError(f"settle {key!r}: {nanos} nanos, but only {held} are reserved")
        del self._held[key]
        self._settled[key] = outcome
        back = (RESERVED, SITE, held - nanos)
        earned = payable(vehicle) if self.pays == "departure" else wallet(vehicle)
        self._post("settle", key, *outcome, (RESERVED, earned, nanos), back)

    def release(self, key: str) -> None:
        """End a reserve that nothing was delivered for: all of it is the site's again."""
        self.settle(key, "", 0)

    def bill(self, key: str, vehicle: str, nanos: int) -> NettedBill:
        """Close a session: net its energy bill against its rewards and pay the difference one way.

        ``nanos`` is the energy at tariff, negative if the car fed back more than it drew. A reward that is settled
        after this waits in ``payable`` for the next bill; ``bill(another_key, vehicle, 0)`` pays it out.
        """
        _require_amount(nanos, least=-MOST_NANOS)
        if (first := self._bills.get(key)) is not None:
            _require_same("bill", key, (first[0], first[1].billed_nanos), (vehicle, nanos))
            return first[1]
        bill, legs = self._netted(vehicle, nanos)
        self._bills[key] = (vehicle, bill)
        self._post("bill", key, vehicle, nanos, *legs)
        return bill

    def follow(self, entry: Entry) -> None:
        """Do once more what another book did, and pay as it paid."""
        operation, key, subject, nanos, legs = entry
        if operation == "settle" and nanos:
            self.pays = "each" if (RESERVED, wallet(subject), nanos) in legs else "departure"
        if operation == "bill" and self.balance(purse := wallet(subject)):
            moved = {(source, target) for source, target, _ in legs}
            if (CLAIMS, receivable(subject)) in moved:
                self.collects = (purse, SITE) in moved
        match operation:
            case "fund":
                self.fund(key, subject, nanos)
            case "reserve" | "refuse":
                self.reserve(key, nanos)
            case "settle":
                self.settle(key, subject, nanos)
            case "bill":
                self.bill(key, subject, nanos)

    def check(self) -> None:
        """Raise ``DamagedError`` unless all holds that must after every operation. O(accounts), for audits."""
        tokens = 0
        owed = 0
        for account, nanos in self._balances.items():
            if account.startswith("receivable/"):
                owed += nanos
            elif account not in (FUNDING, CLAIMS):
                require(nanos >= 0, f"{account} is negative: {nanos}")
                tokens += nanos
        require(tokens == -self._balances[FUNDING], "tokens were made or lost")
        require(owed == -self._balances[CLAIMS], "a claim has no counterpart")
        require(self._balances[RESERVED] == sum(self._held.values()), "the reserves do not add up")
        require(self._held.keys().isdisjoint(self._settled), "a settled award still holds a reserve")
        covered = {key for key, (_, ok) in self._asked.items() if ok}
        require(covered == self._held.keys() | self._settled.keys(), "an award is neither open nor settled")
        require(all(nanos <= self._asked[key][0] for key, (_, nanos) in self._settled.items()), "paid above reserve")

    def audit(self) -> None:
        """``check``, that every reward is paid or still owed (S17), and that the journal explains all. O(entries)."""
        self.check()
        rewards: Counter[str] = Counter()
        for vehicle, nanos in self._settled.values() if self.pays == "departure" else ():
            rewards[vehicle] += nanos
        for vehicle, bill in self._bills.values():
            rewards[vehicle] -= bill.rewards_nanos
        unpaid = {payable(vehicle): nanos for vehicle, nanos in rewards.items() if nanos}
        still = {account: n for account, n in self._balances.items() if n and account.startswith("payable/")}
        require(unpaid == still, "a reward is neither paid nor owed")
        replayed = dict.fromkeys(self._balances, 0)
        for *_, legs in self._entries:
            for source, target, nanos in legs:
                require(nanos > 0, "a posting moves a positive amount")
                replayed[source] -= nanos
                replayed[target] += nanos
        require(replayed == self._balances, "the journal does not explain the balances")

    # -- how --------------------------------------------------------------------------------------------------------

    def _netted(self, vehicle: str, billed: int) -> tuple[NettedBill, tuple[Leg, ...]]:
        """What a bill comes to, and its postings (some of 0 nanos)."""
        purse, earned = wallet(vehicle), payable(vehicle)
        bill = netted(billed, self.balance(earned), self.balance(purse) if self.collects else 0, self._balances[SITE])
        rewards, net, paid = bill.rewards_nanos, bill.net_nanos, bill.paid_nanos
        if net >= 0:
            return bill, ((earned, SITE, rewards), (purse, SITE, paid), (CLAIMS, receivable(vehicle), net - paid))
        from_rewards = rewards - max(billed, 0)
        return bill, (
            (earned, SITE, rewards - from_rewards),
            (earned, purse, from_rewards),
            (SITE, purse, -paid - from_rewards),
            (receivable(vehicle), CLAIMS, paid - net),
        )

    def _post(self, operation: Operation, key: str, subject: str, nanos: int, *legs: Leg) -> None:
        """Move the legs, leaving out those of 0 nanos, and write the one entry of this operation."""
        balances = self._balances
        kept = tuple([leg for leg in legs if leg[2]])
        for source, target, amount in kept:
            balances[source] = balances.get(source, 0) - amount
            balances[target] = balances.get(target, 0) + amount
        self._entries.append((operation, key, subject, nanos, kept))


def _require_amount(nanos: int, least: int = 0) -> None:
    """Raise unless an amount is a plain int, at most the most that any amount may be."""
    if type(nanos) is not int or not least <= nanos <= MOST_NANOS:
        raise LocalProtocolError(f"not an amount of money, a plain int up to {MOST_NANOS} nanos: {nanos!r}")


def _require_same(operation: Operation, key: str, first: object, again: object) -> None:
    """Raise if a key comes back with other arguments than it first had."""
    if first != again:
        raise LocalProtocolError(f"{operation} {key!r} came first as {first!r}, now as {again!r}")
