"""A transaction and the coins in, everything it comes to out. Nothing is written here.

First the checks of the door: what fails them is ``Refused``, costs nothing and leaves no trace. What passes is
carried out and charged, also if its commands fail: then only the gas is taken, and every coin it named gets a new
version all the same, as on the real network.
"""

from __future__ import annotations

from wattswap.ledger.base import require
from wattswap.ledger.devnet import bcs, rules, sdk
from wattswap.ledger.devnet.machine import Failure, Machine, Piece
from wattswap.ledger.devnet.model import CoinObject, Execution, GasCost, Reference, Refused, Transaction
from wattswap.ledger.devnet.store import ChainStore


def execute(transaction: Transaction, store: ChainStore, epoch: int = rules.EPOCH) -> Execution:
    """Check a transaction whose signatures are right, and carry it out; raises ``Refused``."""
    _check_terms(transaction, epoch)
    named = [one for one in transaction.inputs if isinstance(one, Reference)]
    if len({one.id for one in (*transaction.gas, *named)}) < len(transaction.gas) + len(named):
        raise Refused("mutable object cannot appear more than once in one transaction")
    gas = [_current(one, transaction.gas_owner, store) for one in transaction.gas]
    inputs = {one.id: _current(one, transaction.sender, store) for one in named}
    total = sum(coin.nanos for coin in gas)
    if total < transaction.gas_budget:
        raise Refused(f"the gas coins hold {total} nanos, less than the budget of {transaction.gas_budget}")
    outcome = carry_out(transaction, gas, inputs, epoch)
    before, after = (sum(coin.nanos for coin in coins) for coins in (outcome.spent, outcome.written))
    require(before == after + outcome.gas.net, "tokens came or went")
    return outcome


def _check_terms(transaction: Transaction, epoch: int) -> None:
    """How long it is valid, how much it names, and what it may cost."""
    price, budget = transaction.gas_price, transaction.gas_budget
    if transaction.last_epoch is not None and transaction.last_epoch < epoch:
        raise Refused(f"the transaction expired with epoch {transaction.last_epoch}, and this is epoch {epoch}")
    values = [len(one) for one in transaction.inputs if isinstance(one, bytes)]
    for what, least, count, most in (
        ("commands", 0, len(transaction.commands), rules.MOST_COMMANDS),
        ("inputs", 0, len(transaction.inputs), rules.MOST_INPUTS),
        ("gas coins", 1, len(transaction.gas), rules.MOST_GAS_COINS),
        ("bytes in one value", 0, max(values, default=0), rules.MOST_VALUE_BYTES),
        ("nanos for a unit of gas", rules.REFERENCE_GAS_PRICE, price, rules.MOST_GAS_PRICE),
        ("nanos of gas budget", rules.COMPUTATION_UNITS * price, budget, rules.MOST_BUDGET),
    ):
        if not least <= count <= most:
            raise Refused(f"size limit exceeded: {count} {what}, and {least} to {most} are allowed")


def _current(named: Reference, owner: bytes, store: ChainStore) -> CoinObject:
    """The coin that is named, as it is now; version, digest and owner must be right."""
    coin = store.coin(named.id)
    if coin and (coin.version, coin.digest, coin.owner) == (named.version, named.digest, owner):
        return coin
    if spender := store.spender(named.id, named.version):
        why = f"is not available for consumption, already used by transaction {sdk.base58(spender)}"
    elif coin and coin.version == named.version:
        why = f"has the digest {sdk.base58(coin.digest)} and belongs to 0x{coin.owner.hex()}"
    else:
        now = f"its current version is {coin.version}" if coin else "there is no such object"
        why = f"is not available for consumption: {now}"
    raise Refused(f"Object (0x{named.id.hex()}, {named.version}, {sdk.base58(named.digest)}) {why}")


def carry_out(
    transaction: Transaction, gas: list[CoinObject], inputs: dict[bytes, CoinObject], epoch: int
) -> Execution:
    """Run the commands and charge for them. The budget is set aside: no command reaches it."""
    budget, total, spent = transaction.gas_budget, sum(coin.nanos for coin in gas), [*gas, *inputs.values()]
    owned = {coin.id: Piece(coin.id, coin.owner, coin.nanos) for coin in inputs.values()}
    payer = Piece(gas[0].id, gas[0].owner, total - budget)
    values = [one if isinstance(one, bytes) else owned[one.id] for one in transaction.inputs]
    machine, status = Machine(transaction.digest, payer, values), bcs.SUCCESS

    def cost(coins: int) -> GasCost:
        computation = rules.COMPUTATION_UNITS * transaction.gas_price
        return GasCost(computation, rules.COIN_DEPOSIT * coins, rules.COIN_DEPOSIT * len(spent))

    try:
        machine.run(transaction.commands)
        payer.nanos += budget
        pieces = list(machine.pieces.values())
        if cost(len(pieces)).net > budget:
            raise Failure("InsufficientGas")
    except Failure as failure:
        status = sdk.failure_status(str(failure))
        payer = Piece(gas[0].id, gas[0].owner, total)
        pieces = [payer, *(Piece(coin.id, coin.owner, coin.nanos) for coin in inputs.values())]
    charged = cost(len(pieces))
    payer.nanos -= charged.net
    version = max(coin.version for coin in spent) + 1
    written = [bcs.coin(piece.id, version, piece.owner, piece.nanos, transaction.digest) for piece in pieces]
    written.sort(key=lambda coin: coin.id)
    effects = bcs.effects(status, charged, transaction.digest, gas[0].id, spent, written, epoch)
    return Execution(charged, spent, written, effects)
