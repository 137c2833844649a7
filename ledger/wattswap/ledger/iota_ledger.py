"""The contract of every ledger on an IOTA network: an outbox that never pays twice, and an adapter for each wallet."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Self

from wattswap.ledger import iota_faucet
from wattswap.ledger.base import (
    ANCHORS,
    Anchor,
    Payment,
    PaymentState,
    PaymentStatus,
)
from wattswap.ledger.book import SITE
from wattswap.ledger.iota import PUBLIC_CHAINS, IotaClient
from wattswap.ledger.iota_adapter import IotaAdapter, anchors_in
from wattswap.ledger.iota_keys import Wallets
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_schema import BatchState, Known
from wattswap.ledger.submitter import Submitter
from wattswap.protocol.errors import InputError

GAS: Final = "gas"
"""The account that pays all gas and storage deposits, so that every other balance moves by exactly what is paid."""
PATIENCE_S: Final = 30.0
"""How long ``pay`` waits until the network has decided."""


class IotaLedger:
    """A ``Ledger`` on the network behind a client. It owns the outbox and the client, and closes them.

    Raises ``InputError`` if ``allow`` names chains (by id) and this is another, if it names none and this is no devnet,
    if the wallets' keys could be derived by anyone and this is no devnet, or if the outbox belongs to another network.
    """

    def __init__(
        self,
        client: IotaClient,
        wallets: Wallets,
        outbox: Outbox,
        *,
        allow: Sequence[str] = (),
        sponsored: bool = True,
    ) -> None:
        self.client, self.wallets = client, wallets
        self._sponsor = GAS if sponsored else None
        self.submitter = Submitter(outbox, self.adapter)
        try:
            self.chain_id = client.chain_id()
            self.is_devnet = check_chain(client, self.chain_id, allow, wallets)
            outbox.bind(self.chain_id)
        except BaseException:
            self.close()
            raise
        self._mutex = threading.RLock()
        self._free: dict[str, int] = {}
        """What a payer can certainly spend still: nobody else pays from a wallet, so between looks it only rises."""
        self._anchored: dict[str, dict[int, Anchor]] = {}
        self._doubled: dict[str, set[int]] = {}
        self.surplus: dict[str, int] = {}
        """What wallets held at the opening beyond what it gives them: not the run's, and never counted as such."""
        self._anchored_to = -1

    def close(self) -> None:
        """Close the outbox and the connections. Closing twice is harmless."""
        self.submitter.outbox.close()
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def adapter(self, account: str) -> IotaAdapter:
        """The way an account pays; whoever anchors pays for itself."""
        return IotaAdapter(
            self.client,
            self.wallets,
            account,
            sponsor=None if account == ANCHORS else self._sponsor,
            gives_up=self.is_devnet,
        )

    def fund(self, opening: Mapping[str, int]) -> None:
        """See that each account holds so many nanos: a devnet's faucet gives what lacks, elsewhere it is an error."""
        addresses = [self.wallets.address(account) for account in opening]
        found = self.client.coins_of(addresses)
        for (account, nanos), address, coins in zip(opening.items(), addresses, found, strict=True):
            lacking = nanos - sum(coin.nanos for coin in coins)
            self.surplus[account] = max(0, -lacking)
            if lacking > 0 and not self.is_devnet:
                raise InputError(
                    f"the wallet of {account!r} lacks {lacking} nanos of the {nanos} that the scenario gives it, and"
                    f" {self.client.url} is no local devnet, where a faucet would: send them to {address}"
                )
            iota_faucet.give(self.client.url, address, lacking)

    def require_unused(self, wallets_seed: int) -> None:
        """Raise ``InputError`` if the wallets of a seed hold anything yet: tokens and payments are another run's."""
        if not self.wallets.seeded:
            return
        first = [self.wallets.address(account) for account in (GAS, ANCHORS, SITE)]
        if any(self.client.coins_of(first)):
            raise InputError(
                f"--wallets-seed {wallets_seed}: the wallets of this seed were used on chain {self.chain_id} before,"
                " and belong to that run; take another number, or leave it out"
            )

    # -- the contract -------------------------------------------------------------------------------------------------

    def balance(self, account: str) -> int:
        """Nanos in all coins of the account's wallet."""
        try:
            address = self.wallets.address(account)
        except InputError:
            return 0
        return sum(coin.nanos for coin in self.client.coins(address))

    def pay(self, payments: Sequence[Payment]) -> list[PaymentStatus]:
        """Hand these payments in, one transaction for each payer, and wait until they are final or patience ends.

        An earlier payment of the call cannot fund a later one. ``PENDING`` ones go on by themselves when
        ``submitter.work`` is called again, or with the next ``pay``.
        """
        with self._mutex:
            answers = self._admit(payments)
            waiting = [payment.key for payment, answer in zip(payments, answers, strict=True) if answer is None]
            self._work_until(waiting)
            return [
                answer or self._paid(payment, again=again)
                for payment, answer, again in zip(payments, answers, _repeats(payments), strict=True)
            ]

    def history(self, account: str) -> list[Payment]:
        """All payments from or to the account that went through this outbox, oldest first."""
        return [receipt.payment for receipt in self.submitter.outbox.receipts(account)]

    def anchored(self, site: str, *, first: int = 0, last: int | None = None) -> list[Anchor]:
        """The site's anchors as the network lists them. Of two in one place the first one counts."""
        with self._mutex:
            self._fetch_anchors()
            chain = self._anchored.get(site, {})
        return [chain[number] for number in sorted(chain) if first <= number and (last is None or number <= last)]

    def doubled(self, site: str) -> frozenset[int]:
        """Places of a site in which another record was anchored after the first."""
        return frozenset(self._doubled.get(site, ()))

    def sites(self) -> list[str]:
        """All sites that have anchored a record with this wallet."""
        with self._mutex:
            self._fetch_anchors()
            return sorted(self._anchored)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _admit(self, payments: Sequence[Payment]) -> list[PaymentStatus | None]:
        """Write down what can be paid, all in one write; for each, the answer that is known already, or None."""
        answers: list[PaymentStatus | None] = []
        new: dict[str, Payment] = {}
        for payment in payments:
            known = Known(item=new[payment.key]) if payment.key in new else self.submitter.outbox.find(payment.key)
            if known is not None:
                answers.append(_known_answer(payment, known))
            elif (free := self._can_spend(payment, new.values())) < payment.nanos:
                error = f"{payment.payer!r} holds {free} nanos, not {payment.nanos}"
                answers.append(PaymentStatus(key=payment.key, state=PaymentState.REFUSED, error=error))
            else:
                self._free[payment.payer] = free - payment.nanos
                new[payment.key] = payment
                answers.append(None)
        self.submitter.owe(list(new.values()))
        return answers

    def _can_spend(self, payment: Payment, promised: Iterable[Payment]) -> int:
        """What the payer can spend; looked up if what is known does not suffice, or if it pays its own gas."""
        payer = payment.payer
        free = self._free.get(payer, 0) if self._sponsor else 0
        if free < payment.nanos:
            owed = self.submitter.outbox.outstanding_nanos(payer)
            free = self.balance(payer) - owed - sum(one.nanos for one in promised if one.payer == payer)
        return free

    def _work_until(self, keys: Sequence[str]) -> None:
        """Move batches along until these keys are decided, or patience ends."""
        ends = time.monotonic() + PATIENCE_S
        while any(
            self.submitter.outbox.state(key) is not BatchState.FINAL for key in set(keys) - self.submitter.held().keys()
        ):
            if not self.submitter.work():
                wait_s = self.submitter.wait_ms() / 1_000
                if time.monotonic() + wait_s > ends:
                    return
                time.sleep(wait_s)

    def _paid(self, payment: Payment, *, again: bool) -> PaymentStatus:
        if self.submitter.outbox.state(payment.key) is BatchState.FINAL:
            state = PaymentState.EXISTS if again else PaymentState.PAID
            return PaymentStatus(key=payment.key, state=state)
        held = self.submitter.held().get(payment.key)
        error = held or self.submitter.errors().get(payment.payer) or self.submitter.outbox.frozen(payment.payer)
        return PaymentStatus(key=payment.key, state=PaymentState.PENDING, error=error or "not decided yet")

    def _fetch_anchors(self) -> None:
        found, self._anchored_to = self.client.sent(self.wallets.address(ANCHORS), self._anchored_to)
        for one in found:
            for anchor in anchors_in(one.raw) if one.effects.succeeded else ():
                first = self._anchored.setdefault(anchor.site, {}).setdefault(anchor.sequence, anchor)
                if first != anchor:
                    self._doubled.setdefault(anchor.site, set()).add(anchor.sequence)


def check_chain(client: IotaClient, chain_id: str, allow: Sequence[str], wallets: Wallets) -> bool:
    """Whether the network is a devnet, whose tokens are worth nothing; ``InputError`` if it must not be paid on.

    That it is one is the node's word alone, which costs nothing where anyone can derive the keys. Where they are
    private it is taken from a node on this machine only, and not at all once a person has named a chain.
    """
    name = PUBLIC_CHAINS.get(chain_id, f"chain {chain_id}")
    if allow and chain_id not in allow:
        raise InputError(f"{client.url} is IOTA {name}, not {' or '.join(allow)}, which is allowed: nothing was moved")
    is_believed = not wallets.private or (client.is_on_this_machine and not allow)
    is_devnet = is_believed and client.says_devnet()
    if not is_devnet and not allow:
        raise InputError(f"{client.url} is IOTA {name}, whose tokens may be money: allow {chain_id} if you mean it")
    if wallets.seeded and not is_devnet:
        raise InputError(f"anyone can derive keys from a seed, and {client.url} is IOTA {name}: use key files")
    return is_devnet


def _repeats(payments: Sequence[Payment]) -> list[bool]:
    """For each, whether it stood there before."""
    seen: set[Payment] = set()
    repeats = []
    for payment in payments:
        repeats.append(payment in seen)
        seen.add(payment)
    return repeats


def _known_answer(payment: Payment, known: Known) -> PaymentStatus | None:
    """What is said of a key that the outbox knows; None if it is the same payment and still on its way."""
    item = known.item
    if not isinstance(item, Payment):
        return PaymentStatus(key=payment.key, state=PaymentState.REFUSED, error="the key is that of a meter record")
    if item != payment:
        error = f"the key already pays {item.nanos} nanos from {item.payer!r} to {item.payee!r}"
        return PaymentStatus(key=payment.key, state=PaymentState.REFUSED, error=error)
    return PaymentStatus(key=payment.key, state=PaymentState.EXISTS) if known.state is BatchState.FINAL else None
