"""The commands of a programmable transaction, carried out on coins in hand. It knows nothing of gas prices or storage.

Values follow Move's rules: a coin is never copied and never dropped, so whoever takes one must give it away or merge
it; what is plain may be used often and left lying. Errors carry the network's names, so a client reads the same here.
There is no Move machine: of all functions only ``0x1::option::some`` of a plain value is known (one way to anchor).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from wattswap.ledger.devnet import bcs, pure
from wattswap.ledger.devnet.model import (
    Argument,
    Command,
    MakeVector,
    MergeCoins,
    MoveCall,
    SplitCoins,
    TransferObjects,
)
from wattswap.ledger.devnet.rules import MOST_NEW_COINS

_OPTION = f"0x{1:064x}"


class Failure(Exception):  # noqa: N818 - the network's word: a transaction that is charged but does nothing
    """The commands fail as a whole; ``error`` is the network's name for it, as JSON."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
        self.command: int | None = None

    def __str__(self) -> str:
        """In one line, for people."""
        return self.error.strip('"') + ("" if self.command is None else f" in command {self.command}")


@dataclass(eq=False, slots=True)
class Piece:
    """A coin while the commands run. One that was merged into another is gone."""

    id: bytes
    owner: bytes
    nanos: int
    gone: bool = False


@dataclass(eq=False, slots=True)
class _Hold:
    """A place that holds a coin until it is taken; what a vector or an option would be is held as None."""

    piece: Piece | None
    taken: bool = False


@dataclass(eq=False)
class Machine:
    """Carries out the commands of one transaction."""

    transaction: bytes
    """Its digest: the ids of new coins come from it."""
    gas: Piece
    inputs: list[bytes | Piece]
    created: list[Piece] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put every coin in its place."""
        self._gas = _Hold(self.gas)
        self._inputs = [one if isinstance(one, bytes) else _Hold(one) for one in self.inputs]
        self._results: list[list[_Hold]] = []

    def run(self, commands: list[Command]) -> None:
        """Carry them out in order; raises ``Failure``, after which the pieces are worth nothing."""
        for number, command in enumerate(commands):
            try:
                self._results.append(self._step(command))
            except Failure as failure:
                failure.command = number
                raise
        for number, holds in enumerate(self._results):
            for sub, hold in enumerate(holds):
                if hold.piece is not None and not hold.taken:
                    raise Failure(_named("UnusedValueWithoutDrop", result=number, subresult=sub))

    def _step(self, command: Command) -> list[_Hold]:
        match command:
            case SplitCoins():
                return self._split(command)
            case MergeCoins():
                return self._merge(command)
            case TransferObjects():
                return self._transfer(command)
            case MakeVector():
                return self._vector(command)
            case MoveCall():
                return self._call(command)

    def _split(self, command: SplitCoins) -> list[_Hold]:
        coin = self._borrow(command.coin, 0)
        amounts = [
            int.from_bytes(self._plain(amount, at, "u64"), "little") for at, amount in enumerate(command.amounts, 1)
        ]
        new = len(self.created) + len(amounts)
        if new > MOST_NEW_COINS:
            raise Failure(_named("EffectsTooLarge", current_size=str(new), max_size=str(MOST_NEW_COINS)))
        return [_Hold(self._cut(coin, amount)) for amount in amounts]

    def _cut(self, coin: Piece, nanos: int) -> Piece:
        if nanos > coin.nanos:
            raise Failure('"InsufficientCoinBalance"')
        coin.nanos -= nanos
        piece = Piece(bcs.new_id(self.transaction, len(self.created)), coin.owner, nanos)
        self.created.append(piece)
        return piece

    def _merge(self, command: MergeCoins) -> list[_Hold]:
        coin = self._borrow(command.coin, 0)
        for at, source in enumerate(command.sources, 1):
            piece = self._take(source, at)
            if piece is coin:
                raise _wrong(at, '"InvalidValueUsage"')
            coin.nanos += piece.nanos
            piece.gone = True
        return []

    def _transfer(self, command: TransferObjects) -> list[_Hold]:
        pieces = [self._take(one, at, gas=True) for at, one in enumerate(command.objects)]
        owner = self._plain(command.address, len(pieces), "address")
        for piece in pieces:
            piece.owner = owner
        return []

    def _vector(self, command: MakeVector) -> list[_Hold]:
        if command.type is None:
            raise Failure('"FeatureNotYetSupported"')
        self._plains(command.elements, command.type)
        return [_Hold(None)]

    def _call(self, command: MoveCall) -> list[_Hold]:
        if (command.package, command.module, command.function) != (_OPTION, "option", "some"):
            raise Failure('"FunctionNotFound"')
        if len(command.types) != 1:
            raise Failure('"TypeArityMismatch"')
        if len(command.arguments) != 1:
            raise Failure('"ArityMismatch"')
        self._plains(command.arguments, command.types[0])
        return [_Hold(None)]

    def _plains(self, arguments: list[Argument], kind: str) -> None:
        try:
            pure.check_type(kind)
        except pure.NotPure:
            raise Failure('"FeatureNotYetSupported"') from None
        for at, argument in enumerate(arguments):
            self._plain(argument, at, kind)

    def _plain(self, argument: Argument, at: int, kind: str) -> bytes:
        """The bytes of a plain input, which must spell a value of this type."""
        place = self._place(argument, at)
        if isinstance(place, _Hold):
            raise _wrong(at, '"TypeMismatch"')
        if not pure.fits(place, kind):
            raise _wrong(at, '"InvalidBcsBytes"')
        return place

    def _borrow(self, argument: Argument, at: int) -> Piece:
        """A coin that stays where it is, to be changed."""
        place = self._place(argument, at)
        if not isinstance(place, _Hold) or (place.piece is None and not place.taken):
            raise _wrong(at, '"TypeMismatch"')
        if place.taken or place.piece is None:
            raise _wrong(at, '"InvalidValueUsage"')
        return place.piece

    def _take(self, argument: Argument, at: int, *, gas: bool = False) -> Piece:
        """A coin that leaves its place for good; the gas coin may only be given away whole."""
        if argument == "Gas" and not gas:
            raise _wrong(at, '"InvalidGasCoinUsage"')
        piece = self._borrow(argument, at)
        place = self._place(argument, at)
        assert isinstance(place, _Hold)
        place.taken = True
        return piece

    def _place(self, argument: Argument, at: int) -> bytes | _Hold:
        if argument == "Gas":
            return self._gas
        if argument.input is not None:
            if argument.input >= len(self._inputs):
                raise _wrong(at, _named("IndexOutOfBounds", index=argument.input))
            return self._inputs[argument.input]
        result, sub = argument.nested_result or (argument.result or 0, None)
        if result >= len(self._results):
            raise _wrong(at, _named("IndexOutOfBounds", index=result))
        values = self._results[result]
        if sub is None and len(values) != 1:
            raise _wrong(at, _named("InvalidResultArity", result=result))
        if (sub or 0) >= len(values):
            raise _wrong(at, _named("SecondaryIndexOutOfBounds", result=result, subresult=sub or 0))
        return values[sub or 0]


def _wrong(at: int, kind: str) -> Failure:
    return Failure(f'{{"CommandArgumentError":{{"argument":{at},"kind":{kind}}}}}')


def _named(name: str, **about: int | str) -> str:
    return json.dumps({name: about}, separators=(",", ":"))
