"""The adapter of one IOTA wallet: its coins in, one transaction out, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from wattswap.ledger.account_adapter import BatchOutcome, CoinRef, Consumer, Owed, Purse, Sighting, Signed, Verdict
from wattswap.ledger.base import Anchor, DamagedError, LedgerDownError, Payment
from wattswap.ledger.iota import Coin, IotaClient, RefusedError
from wattswap.ledger.iota_keys import Wallets
from wattswap.ledger.iota_transactions import (
    MOST_COINS,
    MOST_GAS_PRICE,
    MOST_PAYEES,
    GasPayment,
    budget_nanos,
    build,
    carried,
    digest_of,
    sign,
)
from wattswap.protocol.errors import InputError

_DUST: Final = 50
"""So many of the smallest coins are put together with each payment of a wallet that has too many."""
_EPOCHS: Final = 2
"""How long a transaction stays valid after the epoch it was signed in."""
_SELF_PAID_ITEMS: Final = 64
"""A wallet that pays its own gas sets aside what so many payees can cost."""
_CONFLICT: Final = re.compile(r"not available for consumption|already used|DoubleUsed|reserved for another|equivocated")
_DIGEST: Final = re.compile(r"\b[1-9A-HJ-NP-Za-km-z]{42,45}\b")
_SECRET: Final = b"wattswap/outbox\n"


class IotaAdapter:
    """An ``AccountAdapter`` of one wallet. With a sponsor, that wallet pays all gas and deposits, this one needs none.

    ``is_whole``: what the node does not know never happened. On a devnet that is so, for there one node is the network,
    and an expired transaction is given up; elsewhere one node may be behind, and a person has to look.
    """

    most_bytes = 100_000

    def __init__(
        self,
        client: IotaClient,
        wallets: Wallets,
        account: str,
        *,
        sponsor: str | None = None,
        is_whole: bool = False,
        most_gas_price: int = MOST_GAS_PRICE,
    ) -> None:
        self._client, self._wallets = client, wallets
        self._account, self._address = account, wallets.address(account)
        self._payer = sponsor or account
        """Whose coins pay the gas."""
        self._sponsored = self._payer != account
        self.is_whole = is_whole
        self._price, self._most_gas_price = 0, most_gas_price
        self.secret = blake2b(wallets.signer(account).sign(_SECRET), digest_size=32).digest()
        self.most_items = MOST_PAYEES if self._sponsored else _SELF_PAID_ITEMS

    # -- out ----------------------------------------------------------------------------------------------------------

    def read(self) -> Purse:
        """The wallet's coins, then the sponsor's."""
        epoch = self._read_price()
        coins, gas = self._coins()
        spent, has = _chosen(coins), sum(coin.nanos for coin in gas)
        most_gas = budget_nanos(self.most_items, self._price)
        if has < most_gas:
            raise LedgerDownError(
                f"the wallet of {self._payer!r} holds {has} nanos, and gas may take {most_gas}:"
                f" send tokens to {self._wallets.address(self._payer)}"
            )
        taken = (*spent, *(gas if self._sponsored else ()))
        nanos = sum(coin.nanos for coin in spent) - (0 if self._sponsored else most_gas)
        return Purse(
            coins=tuple(coin.ref for coin in taken),
            causes=frozenset(coin.cause for coin in taken),
            nanos=nanos,
            more=len(coins) > MOST_COINS,
            epoch=epoch,
        )

    def spendable(self) -> int:
        """All that the wallet can pay, perhaps after some transactions that put its coins together."""
        self._read_price()
        own_gas = 0 if self._sponsored else budget_nanos(self.most_items, self._price)
        return sum(coin.nanos for coin in self._coins()[0]) - own_gas

    def most_fee_nanos(self, payees: int) -> int:
        """What a transaction may cost at most, fee and deposits together."""
        self._read_price()
        return budget_nanos(payees, self._price)

    def _read_price(self) -> int:
        """Read price and epoch, and return the latter. Raises ``LedgerDownError`` if gas is dearer than is allowed."""
        epoch, self._price = self._client.epoch()
        if self._price > self._most_gas_price:
            raise LedgerDownError(
                f"{self._client.url} asks {self._price} nanos for a unit of gas, and {self._most_gas_price} is the most"
                " that is paid: look whether this is the right node"
            )
        return epoch

    def _coins(self) -> tuple[list[Coin], list[Coin]]:
        """All coins of the wallet, and those that pay the gas: of a sponsor's the largest alone; the others rest."""
        if not self._sponsored:
            coins = self._client.coins(self._address)
            return coins, coins
        own, sponsors = self._client.coins_of([self._address, self._wallets.address(self._payer)])
        return own, sponsors[:1]

    def obstacle(self, item: Owed) -> str:
        """That nobody knows where the payee's tokens lie; a record goes to nobody."""
        try:
            if isinstance(item, Payment):
                self._wallets.address(item.payee)
        except InputError as error:
            return str(error)
        return ""

    def sign(self, items: Sequence[Owed], purse: Purse, memo: bytes) -> Signed:
        """Pay each payee once, whatever the number of items, and carry the anchors along."""
        outputs: dict[str, int] = {}
        for item in items:
            if isinstance(item, Payment):
                address = self._wallets.address(item.payee)
                outputs[address] = outputs.get(address, 0) + item.nanos
        own, gas = ((), purse.coins) if not self._sponsored else (purse.coins[:-1], purse.coins[-1:])
        own = own if outputs or not items else ()  # anchors alone spend no coin but for gas
        budget = budget_nanos(len(outputs), self._price)
        raw, digest = build(
            self._address,
            list(outputs.items()),
            own,
            GasPayment(owner=self._wallets.address(self._payer), coins=gas, price=self._price, budget=budget),
            memo=memo,
            anchors=[item for item in items if isinstance(item, Anchor)],
            expires=purse.epoch + _EPOCHS,
        )
        signers = dict.fromkeys((self._account, self._payer))
        signatures = [sign(raw, self._wallets.signer(account)) for account in signers]
        stored = msgspec.msgpack.encode((raw, signatures))
        return Signed(raw=stored, digest=digest, coins=(*own, *gas), expires=purse.epoch + _EPOCHS)

    def memo(self, signed: Signed) -> bytes:
        """The manifest in its bytes."""
        return carried(_stored(signed)[0])[0]

    def submit(self, signed: Signed) -> BatchOutcome:
        """Hand the bytes in and wait until they are final. Bytes of another digest are never handed in."""
        raw, signatures = _stored(signed)
        try:
            return self._client.execute(raw, signatures)
        except LedgerDownError as error:
            return BatchOutcome(verdict=Verdict.UNKNOWN, error=str(error))
        except RefusedError as error:
            return self._refused(signed, str(error))

    def _refused(self, signed: Signed, error: str) -> BatchOutcome:
        """A refusal proves nothing by itself, save that another transaction holds a coin."""
        if _CONFLICT.search(error) is None:
            return BatchOutcome(verdict=Verdict.UNKNOWN, error=error)
        own = {signed.digest, *(coin.digest for coin in signed.coins)}
        others = tuple(digest for digest in _DIGEST.findall(error) if digest not in own)
        return BatchOutcome(verdict=Verdict.CONFLICT, error=error, others=others)

    # -- in -----------------------------------------------------------------------------------------------------------

    def status(self, digest: str) -> BatchOutcome:
        """What became of a transaction."""
        try:
            return self._client.effects(digest) or BatchOutcome(verdict=Verdict.ABSENT)
        except LedgerDownError as error:
            return BatchOutcome(verdict=Verdict.UNKNOWN, error=str(error))

    def consumer(self, coin: CoinRef) -> Consumer | None:
        """The transaction that consumed this version."""
        if self._client.coin_version(coin.coin) == coin.version:
            return None
        digest, sender = self._client.consumer(coin)
        return Consumer(digest, is_own=sender in ("", self._address))

    def dead(self, signed: Signed) -> bool:
        """Expired, unknown to the node, and all its coins where they lay."""
        return (
            self.is_whole
            and self._client.epoch()[0] > signed.expires
            and self._client.effects(signed.digest) is None
            and all(self._client.coin_version(coin.coin) == coin.version for coin in signed.coins)
        )

    def sent(self, after: int) -> tuple[list[Sighting], int]:
        """The wallet's own transactions in checkpoints after this one."""
        found, newest = self._client.sent(self._address, after)
        return [Sighting(digest=one.digest, outcome=one.outcome, memo=carried(one.raw)[0]) for one in found], newest


def _stored(signed: Signed) -> tuple[bytes, list[str]]:
    """The bytes that were signed and their signatures; ``DamagedError`` if they are others."""
    raw, signatures = msgspec.msgpack.decode(signed.raw, type=tuple[bytes, list[str]])
    if digest_of(raw) != signed.digest:
        raise DamagedError(f"the stored bytes of transaction {signed.digest} are not those that were signed")
    return raw, signatures


def _chosen(coins: Sequence[Coin]) -> Sequence[Coin]:
    """The coins of one transaction: if there are too many, the largest with some of the smallest, which end in it."""
    if len(coins) <= MOST_COINS:
        return coins
    return [*coins[: MOST_COINS - _DUST], *coins[-_DUST:]]
