"""The lane of one IOTA wallet: its coins in, one transaction out, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from wattswap.ledger.account_adapter import CoinRef, Item, Outcome, Purse, Sighting, Signed, Verdict
from wattswap.ledger.base import Anchor, LedgerDownError
from wattswap.ledger.iota import Coin, Effects, IotaClient, RefusedError
from wattswap.ledger.iota_keys import Wallets
from wattswap.ledger.iota_transactions import (
    MOST_COINS,
    MOST_PAYEES,
    GasPayment,
    budget_nanos,
    build,
    carried,
    sign,
)
from wattswap.protocol.errors import LocalProtocolError

_EPOCHS: Final = 2
"""How long a transaction stays valid after the epoch it was signed in."""
_SELF_PAID_ITEMS: Final = 64
"""A wallet that pays its own gas sets aside what so many payees can cost."""
_CONFLICT: Final = re.compile(r"not available for consumption|already used|DoubleUsed|reserved for another|equivocated")
_DIGEST: Final = re.compile(r"\b[1-9A-HJ-NP-Za-km-z]{42,45}\b")
_SECRET: Final = b"wattswap/outbox\n"


class IotaAdapter:
    """An ``AccountAdapter`` of one wallet. With a sponsor, that wallet pays all gas and deposits, this one needs none.

    ``witnesses`` are further nodes: only what none of them knows is ever given up (on a devnet one node is enough).
    """

    most_bytes = 100_000

    def __init__(
        self,
        client: IotaClient,
        wallets: Wallets,
        account: str,
        *,
        sponsor: str | None = None,
        witnesses: Sequence[IotaClient] = (),
        one_node_is_enough: bool = False,
    ) -> None:
        self._client, self._wallets = client, wallets
        self._account, self._address = account, wallets.address(account)
        self._sponsor = None if sponsor in (None, account) else sponsor
        self._nodes = (client, *witnesses)
        self._one_node_is_enough = one_node_is_enough
        self._price = 0
        self.secret = blake2b(wallets.signer(account).sign(_SECRET), digest_size=32).digest()
        self.most_items = MOST_PAYEES if self._sponsor else _SELF_PAID_ITEMS

    # -- out ----------------------------------------------------------------------------------------------------------

    def read(self) -> Purse:
        """The wallet's coins, then the sponsor's."""
        epoch, self._price = self._client.epoch()
        coins, gas = self._coins()
        nanos = sum(coin.nanos for coin in coins)
        most_gas = budget_nanos(self.most_items, self._price)
        has = sum(coin.nanos for coin in gas)
        if has < most_gas:
            payer = self._sponsor or self._account
            raise LedgerDownError(
                f"the wallet of {payer!r} holds {has} nanos, and gas may take {most_gas}:"
                f" send tokens to {self._wallets.address(payer)}"
            )
        if not self._sponsor:
            nanos -= most_gas
        own = [coin.ref for coin in coins]
        gas_refs = [coin.ref for coin in gas] if self._sponsor else []
        return Purse(coins=(*own, *gas_refs), nanos=nanos, epoch=epoch)

    def _coins(self) -> tuple[list[Coin], list[Coin]]:
        """The wallet's coins, and those that pay the gas: of a sponsor's the largest alone, the others stay safe."""
        if not self._sponsor:
            coins = self._client.coins(self._address)[:MOST_COINS]
            return coins, coins
        own, sponsors = self._client.coins_of([self._address, self._wallets.address(self._sponsor)])
        return own[:MOST_COINS], sponsors[:1]

    def sign(self, items: list[Item], purse: Purse, memo: bytes) -> Signed:
        """Pay each payee once, whatever the number of items, and carry the anchors along."""
        outputs: dict[str, int] = {}
        for item in items:
            if not item.content:
                address = self._wallets.address(item.payee)
                outputs[address] = outputs.get(address, 0) + item.nanos
        own, gas = self._shares(purse, pays=bool(outputs))
        payer = self._sponsor or self._account
        raw, digest = build(
            self._address,
            list(outputs.items()),
            own,
            GasPayment(
                owner=self._wallets.address(payer),
                coins=gas,
                price=self._price,
                budget=budget_nanos(len(outputs), self._price),
            ),
            memo=memo,
            notes=_notes(items),
            expires=purse.epoch + _EPOCHS,
        )
        signers = [self._account, payer] if self._sponsor else [self._account]
        signatures = [sign(raw, self._wallets.signer(account)) for account in signers]
        stored = msgspec.msgpack.encode((raw, signatures))
        return Signed(raw=stored, digest=digest, coins=(*own, *gas), expires=purse.epoch + _EPOCHS)

    def _shares(self, purse: Purse, *, pays: bool) -> tuple[tuple[CoinRef, ...], tuple[CoinRef, ...]]:
        """The purse's coins: those that are spent as inputs, and those that pay the gas."""
        if not self._sponsor:
            return (), purse.coins
        own, gas = purse.coins[:-1], purse.coins[-1:]
        return (own if pays else ()), gas

    def submit(self, signed: Signed) -> Outcome:
        """Hand the bytes in and wait until they are final."""
        raw, signatures = msgspec.msgpack.decode(signed.raw, type=tuple[bytes, list[str]])
        try:
            return _outcome(self._client.execute(raw, signatures))
        except LedgerDownError as error:
            return Outcome(verdict=Verdict.UNKNOWN, error=str(error))
        except RefusedError as error:
            return self._refused(signed, str(error))

    def _refused(self, signed: Signed, error: str) -> Outcome:
        """A refusal proves nothing by itself, save that another transaction holds a coin."""
        if _CONFLICT.search(error) is None:
            return Outcome(verdict=Verdict.UNKNOWN, error=error)
        own = {signed.digest, *(coin.digest for coin in signed.coins)}
        others = tuple(digest for digest in _DIGEST.findall(error) if digest not in own)
        return Outcome(verdict=Verdict.CONFLICT, error=error, others=others)

    # -- in -----------------------------------------------------------------------------------------------------------

    def status(self, digest: str) -> Outcome:
        """What became of a transaction."""
        try:
            effects = self._client.effects(digest)
        except LedgerDownError as error:
            return Outcome(verdict=Verdict.UNKNOWN, error=str(error))
        return Outcome(verdict=Verdict.ABSENT) if effects is None else _outcome(effects)

    def consumer(self, coin: CoinRef) -> str | None:
        """The transaction that consumed this version."""
        if self._client.coin_version(coin.coin) == coin.version:
            return None
        return self._client.consumer(coin)

    def dead(self, signed: Signed) -> bool:
        """Expired, unknown to every node, and all its coins where they lay."""
        if len(self._nodes) < 2 and not self._one_node_is_enough:
            return False
        return all(
            node.epoch()[0] > signed.expires
            and node.effects(signed.digest) is None
            and all(node.coin_version(coin.coin) == coin.version for coin in signed.coins)
            for node in self._nodes
        )

    def sent(self, cursor: str) -> tuple[list[Sighting], str]:
        """The wallet's own transactions since the cursor."""
        since = "" if cursor == _NOTHING else cursor
        found, after = self._client.sent(self._address, since)
        sightings = [
            Sighting(digest=one.digest, outcome=_outcome(one.effects), memo=carried(one.raw)[0]) for one in found
        ]
        return sightings, after or _NOTHING


_NOTHING: Final = "none yet"
"""The cursor of a wallet that has sent nothing."""


def _outcome(effects: Effects) -> Outcome:
    return Outcome(
        verdict=Verdict.FINAL if effects.succeeded else Verdict.FAILED,
        fee_nanos=effects.fee_nanos,
        deposit_nanos=effects.deposit_nanos,
        error=effects.error,
    )


def _notes(items: Sequence[Item]) -> bytes:
    """The anchors among the items, as they are carried."""
    notes = [(item.payee, item.sequence, item.content) for item in items if item.content]
    return msgspec.msgpack.encode(notes) if notes else b""


def anchors_in(raw: bytes) -> list[Anchor]:
    """The anchors that a transaction carries; none in one that is not ours."""
    try:
        notes = msgspec.msgpack.decode(carried(raw)[1], type=list[tuple[str, int, bytes]])
        return [Anchor(site=site, sequence=sequence, content=content) for site, sequence, content in notes]
    except (msgspec.MsgspecError, LocalProtocolError):
        return []
