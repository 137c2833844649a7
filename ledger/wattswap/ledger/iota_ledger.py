"""The ledger on an IOTA network: an outbox that never pays twice, an adapter for each wallet, a thread that pays."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wattswap.ledger import iota_faucet
from wattswap.ledger.account_adapter import Verdict, open_manifest
from wattswap.ledger.amounts import iota_of
from wattswap.ledger.anchors import said
from wattswap.ledger.base import ANCHORS, Anchor, Payment, PaymentState, PaymentStatus
from wattswap.ledger.book import SITE, Book, Entry
from wattswap.ledger.iota import PUBLIC_CHAINS, IotaClient
from wattswap.ledger.iota_adapter import IotaAdapter
from wattswap.ledger.iota_keys import Wallets
from wattswap.ledger.iota_transactions import carried, transfers
from wattswap.ledger.ledger import DRAIN_S, REST, Ledger, Progress, Settled
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.submitter import Submitter
from wattswap.protocol.errors import InputError, LocalProtocolError

GAS: Final = "gas"
"""The account that pays all gas and storage deposits, so that every other balance moves by exactly what is paid."""
PATIENCE_S: Final = 30.0
"""How long ``pay`` waits until the network has decided."""
_MOST_REST_S: Final = 10.0
_MOST_TOLD: Final = 5
"""So many wallets are named in one line."""
_FORGOTTEN: Final = (
    "{} payments or records of this run lie on the ledger, and nothing of them stands in its outbox: it is an older"
    " copy; put back the newest"
)
_SHARED: Final = (
    "its wallets were used by other runs, too ({} transactions): this run's own payments were compared with its book."
    " If you know of no other run, somebody has a copy of the keys"
)


class IotaLedger(Ledger):
    """A ledger on the network behind a client. It owns the outbox and the client, and closes them.

    What is posted or kept is in the outbox when the call returns. A thread, which the first such call starts, moves it
    along. It rests after it worked, until somebody drains: whoever posts has more urgent things to do. It waits for a
    signal, never by looking again and again. What it fails with is raised by the next call.

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
        self.outbox: Outbox = outbox
        self._sponsor = GAS if sponsored else None
        self.submitter = Submitter(outbox, self.adapter)
        self._thread: threading.Thread | None = None
        self._signal = threading.Condition()
        self._stopping = self._draining = self._news = False
        self._failure: BaseException | None = None
        self._refused: dict[str, str] = {}
        self._mutex = threading.RLock()
        self._free: dict[str, int] = {}
        """What a payer can certainly spend still: nobody else pays from a wallet, so between looks it only rises."""
        self._anchored: dict[str, list[Anchor]] = {}
        """All that its wallet has anchored, by site."""
        self._anchored_to = -1
        try:
            self.network = client.chain_id()
            self.is_ours = check_chain(client, self.network, allow, wallets)
            outbox.bind(self.network)
            outbox.require_addresses(wallets.address)
            for account in outbox.accounts:  # one without a key is told before anything moves
                self.submitter.payer(account)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the thread, and close outbox and connections; what was written down is paid when it is opened again."""
        with self._signal:
            self._stopping = True
            self._signal.notify_all()
        if self._thread is not None:
            self._thread.join()
        self.outbox.close()
        self.client.close()

    def adapter(self, account: str) -> IotaAdapter:
        """The way an account pays; whoever anchors pays for itself."""
        sponsor = None if account == ANCHORS else self._sponsor
        return IotaAdapter(self.client, self.wallets, account, sponsor=sponsor, is_whole=self.is_ours)

    def fund(self, opening: Mapping[str, int]) -> None:
        """See that each account holds so many nanos: a devnet's faucet gives what lacks, elsewhere it is an error."""
        addresses = [self.wallets.address(account) for account in opening]
        holds = [sum(coin.nanos for coin in coins) for coins in self.client.coins_of(addresses)]
        wanted = zip(opening.items(), addresses, holds, strict=True)
        lacking = {account: (address, nanos - has) for (account, nanos), address, has in wanted if nanos > has}
        if lacking and not self.is_ours:
            raise InputError(self._lacking(lacking))
        for address, nanos in lacking.values():
            iota_faucet.give(self.client.url, address, nanos)

    def _lacking(self, lacking: Mapping[str, tuple[str, int]]) -> str:
        """Which wallets lack how much, in one line."""
        lines = [f"{iota_of(nanos)} to {address} ({account})" for account, (address, nanos) in lacking.items()]
        more = f" and to {len(lines) - _MOST_TOLD} more" if len(lines) > _MOST_TOLD else ""
        how = "without --allow its faucet gives them" if self.client.says_devnet() else "nothing has begun"
        return (
            f"the scenario gives wallets more than they hold on {self.client.url}, by"
            f" {iota_of(sum(nanos for _, nanos in lacking.values()))} IOTA in {len(lines)} of them ({how}); send"
            f" {', '.join(lines[:_MOST_TOLD])}{more}"
        )

    def require_unused(self) -> None:
        """Raise ``InputError`` if seeded wallets hold anything yet: tokens and payments are another run's."""
        first = [self.wallets.address(account) for account in (GAS, ANCHORS, SITE)] if self.wallets.seeded else []
        if any(self.client.coins_of(first)):
            raise InputError(
                f"--wallets-seed: the wallets of this seed were used on chain {self.network} before, and belong to that"
                " run; take another number, or leave it out"
            )

    # -- wallets ------------------------------------------------------------------------------------------------------

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
            for place, payment in enumerate(payments):
                if answers[place] is None:
                    answers[place] = self._paid(payment, again=payment in payments[:place])
            return [answer for answer in answers if answer is not None]

    def history(self, account: str) -> list[Payment]:
        """All payments from or to the account that went through this outbox, oldest first."""
        return [one.item for one in self.outbox.receipts(account) if isinstance(one.item, Payment)]

    def paid_keys(self) -> set[str]:
        """The keys of all payments that are final."""
        return self.outbox.paid_keys()

    def anchored(self, site: str, *, run: str | None = None, first: int = 0, last: int | None = None) -> list[Anchor]:
        """The site's anchors as the network lists them. Of two in one place the first one counts.

        With a ``run`` what says that it is another's is left out: several runs may anchor with one wallet.
        """
        chain = self._chain(site, run)[0]
        return [chain[number] for number in sorted(chain) if first <= number and (last is None or number <= last)]

    def doubled(self, site: str, run: str | None = None) -> frozenset[int]:
        """Places of a site in which another record was anchored after the first."""
        return frozenset(self._chain(site, run)[1])

    def _chain(self, site: str, run: str | None) -> tuple[dict[int, Anchor], set[int]]:
        """The first record in each place, and the places with others."""
        with self._mutex:
            self._fetch_anchors()
            found = list(self._anchored.get(site, ()))
        chain: dict[int, Anchor] = {}
        doubled = set()
        for anchor in found:
            record = said(anchor) if run is not None else None
            if (record is None or record.run == run) and chain.setdefault(anchor.sequence, anchor) != anchor:
                doubled.add(anchor.sequence)
        return chain, doubled

    def sites(self) -> list[str]:
        """All sites that have anchored a record with this wallet."""
        with self._mutex:
            self._fetch_anchors()
            return sorted(self._anchored)

    # -- a run's book and records -------------------------------------------------------------------------------------

    def post(self, book: Book, feeder: str = "") -> None:
        """Write entries down with what they owe, in one write."""
        self._raise()
        if self.submitter.post(book, feeder) or self._thread is None:
            self._tell()

    def entries(self, feeder: str = "") -> list[Entry]:
        """The entries of a feeder's book, as far as they were written down."""
        return self.outbox.entries(feeder)

    def keep(self, anchors: Sequence[Anchor]) -> None:
        """Write these into the outbox."""
        self._raise()
        try:
            self.submitter.owe(anchors)
        except LocalProtocolError as error:
            if len(anchors) == 1:
                self._refused[anchors[0].key] = str(error)
                return
            for anchor in anchors:
                self.keep([anchor])
        self._tell()

    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether exactly this record is final."""
        known = self.outbox.find(anchor.key)
        return known is not None and known.is_final and known.item == anchor

    def drain(self, timeout_s: float = DRAIN_S, progress: Progress = lambda _left: None) -> Settled:
        """Make everything due, and wait until it is decided, or nothing more was decided for so long."""
        self.submitter.hurry()
        with self._signal:
            self._draining = True
            self._tell()
            left, ends = self._left(), time.monotonic() + timeout_s
            progress(left)
            while left > self._stalled() and self._failure is None and time.monotonic() < ends:
                self._signal.wait(max(0.0, ends - time.monotonic()))
                before, left = left, self._left()
                if left < before:
                    ends = time.monotonic() + timeout_s
                    progress(left)
            self._draining = False
        self._raise()
        return self.settled()

    def settled(self) -> Settled:
        """Where it stands now."""
        payments, anchors = self.outbox.final
        stuck, others, forgotten = self.outbox.stuck, self.submitter.others(), self.submitter.forgotten()
        refused = dict.fromkeys(stuck, "the ledger refused it again and again") | self._refused
        return Settled(
            pending=self.outbox.unsettled - len(stuck),
            payments=payments,
            anchors=anchors,
            fees_nanos=self.outbox.fees_nanos,
            deposits_nanos=self.outbox.deposits_nanos,
            refused=_lines(refused),
            alarms=(*self.outbox.alarms, *([_FORGOTTEN.format(forgotten)] if forgotten else [])),
            waiting=_lines({**self.submitter.errors(), **self.submitter.held()}),
            notes=(_SHARED.format(others),) if others else (),
        )

    def identities(self) -> dict[str, str]:
        """The chain's id, that of the outbox's file, and what stands for the addresses of all wallets."""
        return {"ledger": self.network, "outbox": self.outbox.identity, "wallets": self.outbox.wallets}

    def held(self, opening: Mapping[str, int]) -> dict[str, int]:
        """What accounts hold of their opening after this outbox's transactions, as these lie on the ledger.

        What else their wallets hold or have paid is not this run's.
        """
        addresses = {account: self.wallets.address(account) for account in opening}
        names, held = {address: account for account, address in addresses.items()}, Counter(opening)
        for account, address in addresses.items():
            secret = self.submitter.payer(account).adapter.secret
            for one in self.client.sent(address, -1)[0]:
                manifest = open_manifest(carried(one.raw)[0], secret)
                is_own = manifest is not None and manifest.outbox == self.outbox.mark
                for payee, nanos in transfers(one.raw) if is_own and one.outcome.verdict is Verdict.FINAL else ():
                    held[account] -= nanos
                    held[names.get(payee, payee)] += nanos
        return held

    # -- its thread ---------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """There is something to do."""
        with self._signal:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger")
                self._thread.start()
            self._news = True
            self._signal.notify_all()

    def _run(self) -> None:
        try:
            rest_s = 0.0
            while self._wait(rest_s):
                began_s = time.monotonic()
                while self.submitter.work(lambda: self._stopping) and self._draining:
                    self._notify()
                rest_s = min(REST * (time.monotonic() - began_s), _MOST_REST_S)
                self._notify()
        except BaseException as error:  # noqa: BLE001 - it ends the thread, and is raised where somebody listens
            self._failure = error
            self._notify()

    def _notify(self) -> None:
        with self._signal:
            self._signal.notify_all()

    def _wait(self, rest_s: float) -> bool:
        """Rest, then wait until there is something to do, or an account may try again; False when it is to stop."""
        with self._signal:
            if not self._draining:
                self._signal.wait_for(lambda: self._stopping or self._draining, rest_s)
            while not (self._stopping or self._news):
                retry_ms = self.submitter.wait_ms() if self._left() > self._stalled() else None
                if retry_ms == 0 or not self._signal.wait(None if retry_ms is None else retry_ms / 1_000):
                    break
            self._news = False
            return not self._stopping

    def _left(self) -> int:
        return self.outbox.unsettled + len(self.submitter.unchecked())

    def _stalled(self) -> int:
        """What waits for a person."""
        return self.outbox.stalled + len(self.submitter.held())

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    # -- how it pays at once ------------------------------------------------------------------------------------------

    def _admit(self, payments: Sequence[Payment]) -> list[PaymentStatus | None]:
        """Write down what can be paid, all in one write; for each, the answer that is known already, or None."""
        answers: list[PaymentStatus | None] = []
        new: dict[str, Payment] = {}
        for payment in payments:
            known = self.outbox.find(payment.key)
            item = new.get(payment.key) if known is None else known.item
            answer = None
            if item == payment:
                if known is not None and known.is_final:
                    answer = self._paid(payment, again=True)
            elif item is not None:
                answer = payment.answered(PaymentState.REFUSED, f"the key already stands for {item}")
            elif (free := self._can_spend(payment, new.values())) < payment.nanos:
                error = f"{payment.payer!r} holds {free} nanos, not {payment.nanos}"
                answer = payment.answered(PaymentState.REFUSED, error)
            else:
                self._free[payment.payer] = free - payment.nanos
                new[payment.key] = payment
            answers.append(answer)
        self.submitter.owe(list(new.values()))
        return answers

    def _can_spend(self, payment: Payment, promised: Iterable[Payment]) -> int:
        """What the payer can spend; looked up if what is known does not suffice, or if it pays its own gas."""
        payer = payment.payer
        free = self._free.get(payer, 0) if self._sponsor else 0
        if free < payment.nanos:
            owed = self.outbox.outstanding_nanos(payer)
            free = self.balance(payer) - owed - sum(one.nanos for one in promised if one.payer == payer)
        return free

    def _work_until(self, keys: Sequence[str]) -> None:
        """Move batches along until these keys are decided, or patience ends."""
        ends, find = time.monotonic() + PATIENCE_S, self.outbox.find
        while not all((known := find(key)) and known.is_final for key in set(keys) - self.submitter.held().keys()):
            if not self.submitter.work():
                wait_s = self.submitter.wait_ms() / 1_000
                if time.monotonic() + wait_s > ends:
                    return
                time.sleep(wait_s)

    def _paid(self, payment: Payment, *, again: bool) -> PaymentStatus:
        known = self.outbox.find(payment.key)
        if known is not None and known.is_final:
            state = PaymentState.EXISTS if again or known.adopted else PaymentState.PAID
            return payment.answered(state, digest=known.digest, at_ms=None if known.adopted else known.at_ms)
        held, errors = self.submitter.held(), self.submitter.errors()
        frozen = self.outbox.frozen(payment.payer)
        stopped = f"the wallet is stopped: {frozen}; once you have looked, add --thaw" if frozen else ""
        error = held.get(payment.key) or stopped or errors.get(payment.payer)
        return payment.answered(PaymentState.PENDING, error or "not decided yet")

    def _fetch_anchors(self) -> None:
        found, self._anchored_to = self.client.sent(self.wallets.address(ANCHORS), self._anchored_to)
        for one in found:
            for anchor in carried(one.raw)[1] if one.outcome.verdict is Verdict.FINAL else ():
                self._anchored.setdefault(anchor.site, []).append(anchor)


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


def _lines(texts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}: {text}" for name, text in texts.items())
