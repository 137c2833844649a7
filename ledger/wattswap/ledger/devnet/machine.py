"""The commands of a programmable transaction, carried out on coins in hand. It knows nothing of gas prices or storage.

Values follow Move's rules: a coin is never copied and never dropped, so whoever takes one must give it away or merge
it. There is no Move machine. A program that breaks these rules is ``Refused`` here; a real network would charge for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wattswap.ledger.devnet import bcs
from wattswap.ledger.devnet.model import Argument, Command, Refused
from wattswap.ledger.devnet.rules import MOST_ARGUMENTS, MOST_NEW_COINS

_U64_BYTES: Final = 8
_ADDRESS_BYTES: Final = 32


class Failure(Exception):  # noqa: N818 - the network's word: a transaction that is charged but does nothing
    """The commands fail as a whole; the text is the network's name for why."""


@dataclass(eq=False, slots=True)
class Piece:
    """A coin while the commands run."""

    id: bytes
    owner: bytes
    nanos: int
    taken: bool = False
    """Whether it was given away or merged, so that no later command can use it."""


class Machine:
    """Carries out the commands of the transaction with this digest, from which the ids of new coins come.

    ``inputs`` are plain values and coins, ``gas`` is the coin that pays, with what the commands may take of it.
    """

    def __init__(self, transaction: bytes, gas: Piece, inputs: list[bytes | Piece]) -> None:
        self._transaction, self._gas, self._inputs = transaction, gas, inputs
        self._made: list[Piece] = []
        self._results: list[list[Piece]] = []
        self.pieces = {coin.id: coin for coin in (gas, *inputs) if isinstance(coin, Piece)}
        """All coins there are, by id."""

    def run(self, commands: list[Command]) -> None:
        """Carry them out in order. After ``Failure`` or ``Refused`` the pieces are worth nothing."""
        for command in commands:
            self._results.append(self._carried_out(command))
        if not all(coin.taken for coin in self._made):
            raise Refused("a coin that was split off is neither given away nor merged")

    def _carried_out(self, command: Command) -> list[Piece]:
        """What one leaves to later ones."""
        match command:
            case {"SplitCoins": {"coin": coin, "amounts": amounts}}:
                return self._split(self._coin(coin), _some(amounts))
            case {"MergeCoins": {"coin": coin, "coins_to_merge": sources}}:
                target = self._coin(coin)
                for source in map(self._taken, _some(sources)):
                    if source in (target, self._gas):
                        raise Refused("neither a coin itself nor the gas coin can be merged into a coin")
                    target.nanos += source.nanos
                    del self.pieces[source.id]
            case {"TransferObjects": {"objects": coins, "address": address}}:
                owner = self._plain(address, _ADDRESS_BYTES)
                for one in map(self._taken, _some(coins)):
                    one.owner = owner
            case {"MakeMoveVector": {"type": "vector<u8>", "elements": elements}}:
                for element in _some(elements):  # nobody takes the vector: how a record is anchored
                    self._plain(element)
            case _:
                raise Refused("this node has no Move machine: it moves coins and keeps vectors of bytes")
        return []

    def _split(self, coin: Piece, amounts: list[Argument]) -> list[Piece]:
        wanted = [int.from_bytes(self._plain(amount, _U64_BYTES), "little") for amount in amounts]
        if len(self._made) + len(wanted) > MOST_NEW_COINS:
            raise Refused(f"a transaction makes at most {MOST_NEW_COINS} coins")
        if sum(wanted) > coin.nanos:
            raise Failure("InsufficientCoinBalance")
        coin.nanos -= sum(wanted)
        numbered = enumerate(wanted, len(self._made))
        made = [Piece(bcs.new_id(self._transaction, number), coin.owner, nanos) for number, nanos in numbered]
        self._made += made
        self.pieces.update((one.id, one) for one in made)
        return made

    def _taken(self, argument: Argument) -> Piece:
        """A coin, for good: no later command can use it."""
        coin = self._coin(argument)
        coin.taken = True
        return coin

    def _coin(self, argument: Argument) -> Piece:
        """A coin, to be changed where it is."""
        found = self._value(argument)
        if isinstance(found, bytes) or found.taken:
            raise Refused("an argument is no coin, or one that an earlier command took")
        return found

    def _plain(self, argument: Argument, size: int | None = None) -> bytes:
        """A plain value, of so many bytes."""
        found = self._value(argument)
        if not isinstance(found, bytes) or size not in {None, len(found)}:
            raise Refused("an argument is no plain value of the right type")
        return found

    def _value(self, argument: Argument) -> bytes | Piece:
        """What an argument stands for."""
        found: list[bytes | Piece]
        try:
            match argument:
                case "Gas":
                    found = [self._gas]
                case {"Input": int(number)}:
                    found = [self._inputs[number]]
                case {"NestedResult": [int(command), int(place)]}:
                    found = [self._results[command][place]]
                case _:
                    found = [*self._results[argument["Result"]]]
            (only,) = found
        except (IndexError, ValueError):
            raise Refused("an argument names an input or a result that is not there") from None
        return only


def _some(arguments: list[Argument]) -> list[Argument]:
    """The same, if they are as many as a command may have."""
    if not 1 <= len(arguments) <= MOST_ARGUMENTS:
        raise Refused(f"size limit exceeded: a command has 1 to {MOST_ARGUMENTS} arguments, not {len(arguments)}")
    return arguments
