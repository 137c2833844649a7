"""A transaction and a view of the coins in, everything it comes to out. Pure: nothing is written here.

First the checks of the door: what fails them is ``Refused``, costs nothing and leaves no trace. What passes is
carried out and charged, also if its commands fail: then only the gas is taken, and every coin it named gets a new
version all the same, as on the real network.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattswap.ledger.base import require
from wattswap.ledger.devnet import bcs, sdk
from wattswap.ledger.devnet.machine import Failure, Machine, Piece
from wattswap.ledger.devnet.model import (
    CoinObject,
    Command,
    Execution,
    GasCost,
    MakeVector,
    MergeCoins,
    MoveCall,
    Reference,
    Refused,
    SplitCoins,
    Transaction,
    TransferObjects,
    View,
)
from wattswap.ledger.devnet.rules import (
    COIN_DEPOSIT,
    COMPUTATION_UNITS,
    EPOCH,
    MOST_ARGUMENTS,
    MOST_COMMANDS,
    MOST_GAS_BUDGET,
    MOST_GAS_COINS,
    MOST_GAS_PRICE,
    MOST_INPUTS,
    MOST_PURE_BYTES,
    REFERENCE_GAS_PRICE,
)


def execute(transaction: Transaction, view: View, epoch: int = EPOCH) -> Execution:
    """Check a transaction whose signatures are right, and carry it out; raises ``Refused``."""
    check_shape(transaction, epoch)
    _check_gas_terms(transaction)
    gas, inputs = fetch(transaction, view)
    total = sum(coin.nanos for coin in gas)
    if total < transaction.gas_budget:
        raise Refused(f"the gas coins hold {total} nanos, less than the budget of {transaction.gas_budget}")
    outcome = carry_out(transaction, gas, inputs, reserve=transaction.gas_budget, epoch=epoch)
    before, after = (sum(coin.nanos for coin in coins) for coins in (outcome.spent, outcome.written))
    require(before == after + outcome.gas.net, "tokens came or went")
    return outcome


def estimate(transaction: Transaction, view: View, epoch: int = EPOCH, *, checked: bool) -> Execution:
    """The same without a commitment: what would happen, and what it would cost.

    Unchecked, no budget limits it and no part of the gas coin is set aside: this is how a client finds its budget.
    Without gas coins, one is made up.
    """
    check_shape(transaction, epoch)
    gas, inputs = fetch(transaction, view)
    gas = gas or [bcs.coin(bytes(32), 1, transaction.gas_owner, MOST_GAS_BUDGET * 1_000, bytes(32))]
    if not checked:
        return carry_out(transaction, gas, inputs, reserve=None, epoch=epoch)
    _check_gas_terms(transaction, made_up=not transaction.gas)
    reserve = min(transaction.gas_budget, sum(coin.nanos for coin in gas))
    return carry_out(transaction, gas, inputs, reserve=reserve, epoch=epoch)


def check_shape(transaction: Transaction, epoch: int) -> None:
    """What can be seen without looking at the state: sizes, repetitions, the epoch."""
    if transaction.last_epoch is not None and transaction.last_epoch < epoch:
        raise Refused(f"the transaction expired with epoch {transaction.last_epoch}, and this is epoch {epoch}")
    for what, count, most in (
        ("commands", len(transaction.commands), MOST_COMMANDS - 1),
        ("inputs", len(transaction.inputs), MOST_INPUTS),
        ("gas coins", len(transaction.gas), MOST_GAS_COINS),
        (
            "bytes in one value",
            max((len(o) for o in transaction.inputs if isinstance(o, bytes)), default=0),
            MOST_PURE_BYTES,
        ),
    ):
        if count > most:
            raise Refused(f"size limit exceeded: {count} {what}, and {most} is the most")
    for command in transaction.commands:
        _check_command(command)
    named = [one.id for one in (*transaction.gas, *_owned(transaction))]
    if len(set(named)) < len(named):
        raise Refused("mutable object cannot appear more than once in one transaction")


def _check_command(command: Command) -> None:
    match command:
        case SplitCoins(amounts=named) | MergeCoins(sources=named) | TransferObjects(objects=named):
            count, least = len(named), 1
        case MakeVector():
            count, least = len(command.elements), 0 if command.type else 1
        case MoveCall():
            count, least = len(command.arguments) + len(command.types), 0
    if not least <= count <= MOST_ARGUMENTS:
        raise Refused(
            f"size limit exceeded: {count} arguments in a command, and {least} to {MOST_ARGUMENTS} are allowed"
        )


def _check_gas_terms(transaction: Transaction, *, made_up: bool = False) -> None:
    if not transaction.gas and not made_up:
        raise Refused("the transaction names no gas coin")
    price, budget = transaction.gas_price, transaction.gas_budget
    if price < REFERENCE_GAS_PRICE:
        raise Refused(f"gas price {price} is under the reference gas price of {REFERENCE_GAS_PRICE}")
    if price > MOST_GAS_PRICE:
        raise Refused(f"gas price {price} is over the highest allowed of {MOST_GAS_PRICE}")
    least = COMPUTATION_UNITS * price
    if not least <= budget <= MOST_GAS_BUDGET:
        raise Refused(
            f"gas budget {budget} is not between {least} (the least a transaction costs) and {MOST_GAS_BUDGET}"
        )


def fetch(transaction: Transaction, view: View) -> tuple[list[CoinObject], dict[bytes, CoinObject]]:
    """The coins it names, as they are now: gas in its order, inputs by id. Version, digest and owner must be right."""
    gas = [_current(one, transaction.gas_owner, view) for one in transaction.gas]
    owned = [_current(one, transaction.sender, view) for one in _owned(transaction)]
    return gas, {coin.id: coin for coin in owned}


def _owned(transaction: Transaction) -> list[Reference]:
    return [one for one in transaction.inputs if isinstance(one, Reference)]


def _current(named: Reference, owner: bytes, view: View) -> CoinObject:
    shown = f"(0x{named.id.hex()}, {named.version}, {sdk.base58(named.digest)})"
    coin = view.coin(named.id)
    if coin is None or coin.version != named.version:
        spender = view.spender(named.id, named.version)
        if spender is not None:
            raise Refused(
                f"Object {shown} is not available for consumption, already used by transaction {sdk.base58(spender)}"
            )
        now = f"its current version is {coin.version}" if coin else "there is no such object"
        raise Refused(f"Object {shown} is not available for consumption: {now}")
    if coin.digest != named.digest:
        raise Refused(f"Object {shown} has the digest {sdk.base58(coin.digest)} in this version")
    if coin.owner != owner:
        raise Refused(f"Object {shown} is owned by 0x{coin.owner.hex()}, but 0x{owner.hex()} wants to use it")
    return coin


def carry_out(
    transaction: Transaction,
    gas: Sequence[CoinObject],
    inputs: dict[bytes, CoinObject],
    *,
    reserve: int | None,
    epoch: int,
) -> Execution:
    """Run the commands and charge for them; ``reserve`` is the budget, out of the commands' reach (None: no limit)."""
    total = sum(coin.nanos for coin in gas)
    spent = [*gas, *inputs.values()]
    try:
        pieces = _run(transaction, Piece(gas[0].id, gas[0].owner, total - (reserve or 0)), inputs)
        pieces[0].nanos += reserve or 0
        error, status = "", bcs.SUCCESS
        cost = _cost(transaction, spent, pieces)
        if reserve is not None and cost.net > reserve:
            raise Failure('"InsufficientGas"')
    except Failure as failure:
        pieces = [Piece(gas[0].id, gas[0].owner, total)]
        pieces += [Piece(coin.id, coin.owner, coin.nanos) for coin in inputs.values()]
        error, status = str(failure), sdk.failure_status(failure.error, failure.command)
        cost = _cost(transaction, spent, pieces)
    pieces[0].nanos = max(0, pieces[0].nanos - cost.net)  # less than 0 only in an estimate
    version = max(coin.version for coin in spent) + 1
    written = [bcs.coin(piece.id, version, piece.owner, piece.nanos, transaction.digest) for piece in pieces]
    written.sort(key=lambda coin: coin.id)
    effects = bcs.effects(status, cost, transaction.digest, gas[0].id, spent, written, epoch)
    return Execution(transaction, cost, spent, written, effects, error)


def _run(transaction: Transaction, gas: Piece, inputs: dict[bytes, CoinObject]) -> list[Piece]:
    """The coins there are afterwards, the gas coin first."""
    owned = {coin.id: Piece(coin.id, coin.owner, coin.nanos) for coin in inputs.values()}
    values = [one if isinstance(one, bytes) else owned[one.id] for one in transaction.inputs]
    machine = Machine(transaction.digest, gas, values)
    machine.run(transaction.commands)
    return [gas, *(piece for piece in (*owned.values(), *machine.created) if not piece.gone)]


def _cost(transaction: Transaction, spent: Sequence[CoinObject], pieces: Sequence[Piece]) -> GasCost:
    computation = COMPUTATION_UNITS * max(transaction.gas_price, REFERENCE_GAS_PRICE)
    return GasCost(computation, COIN_DEPOSIT * len(pieces), COIN_DEPOSIT * len(spent))
