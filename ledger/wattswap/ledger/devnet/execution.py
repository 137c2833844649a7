"""A transaction and the coins in, everything it comes to out. Nothing is written here.

First the checks of the door: what fails them is ``Refused``, costs nothing and leaves no trace. What passes is
carried out and charged, also if its commands fail: then only the gas is taken, and every coin it named gets a new
version all the same, as on the real network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wattswap.ledger.base import require
from wattswap.ledger.devnet import bcs, rules, sdk
from wattswap.ledger.devnet.machine import Failure, Machine, Piece
from wattswap.ledger.devnet.model import CoinObject, Command, Execution, GasCost, Reference, Refused, Transaction
from wattswap.ledger.devnet.store import ChainStore

_ARGUMENTS: Final = {
    "SplitCoins": "amounts",
    "MergeCoins": "coins_to_merge",
    "TransferObjects": "objects",
    "MakeMoveVector": "elements",
    "MoveCall": "arguments",
}
"""The commands of this node, and which part of each is counted."""


def execute(transaction: Transaction, store: ChainStore, epoch: int = rules.EPOCH) -> Execution:
    """Check a transaction whose signatures are right, and carry it out; raises ``Refused``."""
    gas, inputs = _admitted(transaction, store, epoch)
    _check_gas_terms(transaction)
    if not gas:
        raise Refused("the transaction names no gas coin")
    total = sum(coin.nanos for coin in gas)
    if total < transaction.gas_budget:
        raise Refused(f"the gas coins hold {total} nanos, less than the budget of {transaction.gas_budget}")
    outcome = carry_out(transaction, gas, inputs, reserve=transaction.gas_budget, epoch=epoch)
    before, after = (sum(coin.nanos for coin in coins) for coins in (outcome.spent, outcome.written))
    require(before == after + outcome.gas.net, "tokens came or went")
    return outcome


def estimate(transaction: Transaction, store: ChainStore, epoch: int = rules.EPOCH, *, checked: bool) -> Execution:
    """The same without a commitment: what would happen, and what it would cost.

    Unchecked, no budget limits it and no part of the gas coin is set aside: this is how a client finds its budget.
    Without gas coins, one is made up.
    """
    gas, inputs = _admitted(transaction, store, epoch)
    gas = gas or [bcs.coin(bytes(32), 1, transaction.gas_owner, rules.PROTOCOL["max_tx_gas"] * 1_000, bytes(32))]
    reserve = None
    if checked:
        _check_gas_terms(transaction)
        reserve = min(transaction.gas_budget, sum(coin.nanos for coin in gas))
    return carry_out(transaction, gas, inputs, reserve=reserve, epoch=epoch)


def _admitted(
    transaction: Transaction, store: ChainStore, epoch: int
) -> tuple[list[CoinObject], dict[bytes, CoinObject]]:
    """The coins that pay the gas, in their order, and those that it names, by id; refused unless all is right."""
    if transaction.last_epoch is not None and transaction.last_epoch < epoch:
        raise Refused(f"the transaction expired with epoch {transaction.last_epoch}, and this is epoch {epoch}")
    values = [one for one in transaction.inputs if isinstance(one, bytes)]
    named = [one for one in transaction.inputs if isinstance(one, Reference)]
    for what, count, most in (
        ("commands", len(transaction.commands), rules.PROTOCOL["max_programmable_tx_commands"] - 1),
        ("inputs", len(transaction.inputs), rules.PROTOCOL["max_input_objects"]),
        ("gas coins", len(transaction.gas), rules.PROTOCOL["max_gas_payment_objects"]),
        ("bytes in one value", max(map(len, values), default=0), rules.PROTOCOL["max_pure_argument_size"]),
    ):
        if count > most:
            raise Refused(f"size limit exceeded: {count} {what}, and {most} is the most")
    for command in transaction.commands:
        _check_command(command)
    ids = [one.id for one in (*transaction.gas, *named)]
    if len(set(ids)) < len(ids):
        raise Refused("mutable object cannot appear more than once in one transaction")
    gas = [_current(one, transaction.gas_owner, store) for one in transaction.gas]
    return gas, {one.id: _current(one, transaction.sender, store) for one in named}


def _check_command(command: Command) -> None:
    ((name, parts),) = command.items()
    if name not in _ARGUMENTS:
        raise Refused("this node has no Move machine: it cannot publish or upgrade packages")
    count = len(parts[_ARGUMENTS[name]]) + len(parts.get("type_arguments", ()))
    least = 0 if name == "MoveCall" or parts.get("type") else 1
    if not least <= count <= rules.MOST_ARGUMENTS:
        raise Refused(
            f"size limit exceeded: {count} arguments in a command, and {least} to {rules.MOST_ARGUMENTS} are allowed"
        )


def _check_gas_terms(transaction: Transaction) -> None:
    price, budget, highest = transaction.gas_price, transaction.gas_budget, rules.PROTOCOL["max_gas_price"]
    if price < rules.REFERENCE_GAS_PRICE:
        raise Refused(f"gas price {price} is under the reference gas price of {rules.REFERENCE_GAS_PRICE}")
    if price > highest:
        raise Refused(f"gas price {price} is over the highest allowed of {highest}")
    least, most = rules.COMPUTATION_UNITS * price, rules.PROTOCOL["max_tx_gas"]
    if not least <= budget <= most:
        raise Refused(f"gas budget {budget} is not between {least} (the least a transaction costs) and {most}")


def _current(named: Reference, owner: bytes, store: ChainStore) -> CoinObject:
    """The coin that is named, as it is now; version, digest and owner must be right."""
    coin = store.coin(named.id)
    if coin and (coin.version, coin.digest, coin.owner) == (named.version, named.digest, owner):
        return coin
    if coin and coin.version == named.version:
        if coin.digest == named.digest:
            why = f"is owned by 0x{coin.owner.hex()}, but 0x{owner.hex()} wants to use it"
        else:
            why = f"has the digest {sdk.base58(coin.digest)} in this version"
    elif spender := store.spender(named.id, named.version):
        why = f"is not available for consumption, already used by transaction {sdk.base58(spender)}"
    else:
        now = f"its current version is {coin.version}" if coin else "there is no such object"
        why = f"is not available for consumption: {now}"
    raise Refused(f"Object (0x{named.id.hex()}, {named.version}, {sdk.base58(named.digest)}) {why}")


def carry_out(
    transaction: Transaction,
    gas: Sequence[CoinObject],
    inputs: dict[bytes, CoinObject],
    *,
    reserve: int | None,
    epoch: int,
) -> Execution:
    """Run the commands and charge for them; ``reserve`` is the budget, out of the commands' reach (None: no limit)."""
    total, spent = sum(coin.nanos for coin in gas), [*gas, *inputs.values()]
    computation = rules.COMPUTATION_UNITS * max(transaction.gas_price, rules.REFERENCE_GAS_PRICE)
    owned = {coin.id: Piece(coin.id, coin.owner, coin.nanos) for coin in inputs.values()}
    payer = Piece(gas[0].id, gas[0].owner, total - (reserve or 0))
    values = [one if isinstance(one, bytes) else owned[one.id] for one in transaction.inputs]
    machine, error, status = Machine(transaction.digest, payer, values), "", bcs.SUCCESS

    def cost(pieces: list[Piece]) -> GasCost:
        return GasCost(computation, rules.COIN_DEPOSIT * len(pieces), rules.COIN_DEPOSIT * len(spent))

    try:
        machine.run(transaction.commands)
        pieces = machine.pieces
        pieces[0].nanos += reserve or 0
        if reserve is not None and cost(pieces).net > reserve:
            raise Failure("InsufficientGas")
    except Failure as failure:
        error, status = str(failure), sdk.failure_status(failure.error, failure.command)
        pieces = [Piece(gas[0].id, gas[0].owner, total)]
        pieces += [Piece(coin.id, coin.owner, coin.nanos) for coin in inputs.values()]
    gas_cost = cost(pieces)
    pieces[0].nanos = max(0, pieces[0].nanos - gas_cost.net)  # less than 0 only in an estimate
    version = max(coin.version for coin in spent) + 1
    written = [bcs.coin(piece.id, version, piece.owner, piece.nanos, transaction.digest) for piece in pieces]
    written.sort(key=lambda coin: coin.id)
    effects = bcs.effects(status, gas_cost, transaction.digest, gas[0].id, spent, written, epoch)
    return Execution(gas_cost, spent, written, effects, error)
