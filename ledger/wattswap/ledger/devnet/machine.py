"""The commands of a programmable transaction, carried out on coins in hand. It knows nothing of gas prices or storage.

Values follow Move's rules: a coin is never copied and never dropped, so whoever takes one must give it away or merge
it; what is plain (numbers, addresses, vectors of them) may be used often and left lying. Errors carry the network's
names, so a client reads the same here.
There is no Move machine: of all functions only ``0x1::option::some`` of a plain value is known (one way to anchor).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from wattswap.ledger.devnet import bcs
from wattswap.ledger.devnet.model import Argument, Command
from wattswap.ledger.devnet.rules import PROTOCOL, SERVICE

_OPTION: Final = f"0x{1:064x}"
_SIZES: Final = {"bool": 1, "u8": 1, "u16": 2, "u32": 4, "u64": 8, "u128": 16, "u256": 32, "address": 32}
_PLAIN: Final = re.compile(rf"(vector<){{0,{SERVICE['maxTypeArgumentDepth']}}}({'|'.join(_SIZES)})>*")
_LENGTH: Final = re.compile(rb"[\x80-\xff]{0,4}[\x00-\x7f]", re.DOTALL)


class Failure(Exception):  # noqa: N818 - the network's word: a transaction that is charged but does nothing
    """The commands fail as a whole; ``error`` is the network's name for it, with what belongs to that, as JSON."""

    def __init__(self, name: str, **about: object) -> None:
        super().__init__(name)
        self.error: object = {name: about} if about else name
        self.command: int | None = None

    def __str__(self) -> str:
        """In one line, for people."""
        shown = json.dumps(self.error, separators=(",", ":")).strip('"')
        return shown if self.command is None else f"{shown} in command {self.command}"


def _wrong(at: int, kind: str, **about: int) -> Failure:
    """What is wrong with the n-th argument of a command."""
    return Failure("CommandArgumentError", argument=at, kind={kind: about} if about else kind)


@dataclass(eq=False, slots=True)
class Piece:
    """A coin while the commands run."""

    id: bytes
    owner: bytes
    nanos: int


@dataclass(eq=False, slots=True)
class _Place:
    """Where a value lies: bytes of an input, a coin until it is taken, or None for a vector or an option."""

    value: bytes | Piece | None
    taken: bool = False


class Machine:
    """Carries out the commands of the transaction with this digest, from which the ids of new coins come.

    ``inputs`` are plain values and coins, ``gas`` is the coin that pays, with what the commands may take of it.
    """

    def __init__(self, transaction: bytes, gas: Piece, inputs: list[bytes | Piece]) -> None:
        self._transaction, self._created = transaction, 0
        self._gas, self._inputs = _Place(gas), [_Place(one) for one in inputs]
        self._results: list[list[_Place]] = []
        self.pieces = [gas, *(one for one in inputs if isinstance(one, Piece))]
        """All coins there are, that of the gas first."""

    def run(self, commands: list[Command]) -> None:
        """Carry them out in order; raises ``Failure``, after which the pieces are worth nothing."""
        for number, command in enumerate(commands):
            try:
                self._results.append(self._step(command))
            except Failure as failure:
                failure.command = number
                raise
        for number, values in enumerate(self._results):
            for sub, place in enumerate(values):
                if isinstance(place.value, Piece) and not place.taken:
                    raise Failure("UnusedValueWithoutDrop", result=number, subresult=sub)

    def _step(self, command: Command) -> list[_Place]:
        """Carry out one; what it leaves to later ones."""
        match command:
            case {"SplitCoins": {"coin": coin, "amounts": amounts}}:
                return self._split(coin, amounts)
            case {"MergeCoins": {"coin": coin, "coins_to_merge": sources}}:
                return self._merge(coin, sources)
            case {"TransferObjects": {"objects": objects, "address": address}}:
                pieces = [self._borrow(one, at, take=True) for at, one in enumerate(objects)]
                owner = self._plain(address, len(pieces), "address")
                for piece in pieces:
                    piece.owner = owner
                return []
            case {"MakeMoveVector": {"type": str(kind), "elements": elements}}:
                return self._plain_result(elements, kind)
            case {"MoveCall": call}:
                if (call["package"], call["module"], call["function"]) != (_OPTION, "option", "some"):
                    raise Failure("FunctionNotFound")
                for part, error in (("type_arguments", "TypeArityMismatch"), ("arguments", "ArityMismatch")):
                    if len(call[part]) != 1:
                        raise Failure(error)
                return self._plain_result(call["arguments"], call["type_arguments"][0])
        raise Failure("FeatureNotYetSupported")

    def _split(self, source: Argument, amounts: list[Argument]) -> list[_Place]:
        coin = self._borrow(source, 0)
        wanted = [int.from_bytes(self._plain(amount, at, "u64"), "little") for at, amount in enumerate(amounts, 1)]
        new, most = self._created + len(wanted), PROTOCOL["max_num_new_move_object_ids"]
        if new > most:
            raise Failure("EffectsTooLarge", current_size=str(new), max_size=str(most))
        if sum(wanted) > coin.nanos:
            raise Failure("InsufficientCoinBalance")
        coin.nanos -= sum(wanted)
        ids = (bcs.new_id(self._transaction, number) for number in range(self._created, new))
        made = [Piece(coin_id, coin.owner, nanos) for coin_id, nanos in zip(ids, wanted, strict=True)]
        self._created = new
        self.pieces += made
        return [_Place(one) for one in made]

    def _merge(self, target: Argument, sources: list[Argument]) -> list[_Place]:
        coin = self._borrow(target, 0)
        for at, source in enumerate(sources, 1):
            if source == "Gas":  # it may only be given away whole
                raise _wrong(at, "InvalidGasCoinUsage")
            piece = self._borrow(source, at, take=True)
            if piece is coin:
                raise _wrong(at, "InvalidValueUsage")
            coin.nanos += piece.nanos
            self.pieces.remove(piece)
        return []

    def _plain_result(self, arguments: list[Argument], kind: str) -> list[_Place]:
        """A vector or an option of plain values: how a record is anchored."""
        if not is_plain(kind):
            raise Failure("FeatureNotYetSupported")
        for at, argument in enumerate(arguments):
            self._plain(argument, at, kind)
        return [_Place(None)]

    def _plain(self, argument: Argument, at: int, kind: str) -> bytes:
        """The bytes of a plain input, which must spell a value of this type."""
        value = self._place(argument, at).value
        if not isinstance(value, bytes):
            raise _wrong(at, "TypeMismatch")
        if not fits(value, kind):
            raise _wrong(at, "InvalidBcsBytes")
        return value

    def _borrow(self, argument: Argument, at: int, *, take: bool = False) -> Piece:
        """A coin, to be changed where it is, or taken away for good."""
        place = self._place(argument, at)
        if not isinstance(place.value, Piece):
            raise _wrong(at, "TypeMismatch")
        if place.taken:
            raise _wrong(at, "InvalidValueUsage")
        place.taken = take
        return place.value

    def _place(self, argument: Argument, at: int) -> _Place:
        match argument:
            case "Gas":
                return self._gas
            case {"Input": int(number)}:
                if number >= len(self._inputs):
                    raise _wrong(at, "IndexOutOfBounds", index=number)
                return self._inputs[number]
            case {"NestedResult": [int(result), int(sub)]}:
                nested = True
            case _:
                result, sub, nested = int(argument["Result"]), 0, False
        if result >= len(self._results):
            raise _wrong(at, "IndexOutOfBounds", index=result)
        places = self._results[result]
        if not nested and len(places) != 1:
            raise _wrong(at, "InvalidResultArity", result=result)
        if sub >= len(places):
            raise _wrong(at, "SecondaryIndexOutOfBounds", result=result, subresult=sub)
        return places[sub]


def is_plain(kind: str) -> bool:
    """Whether the type is a number, bool, address, or a vector of those."""
    return _PLAIN.fullmatch(kind) is not None and kind.count("<") == kind.count(">")


def fits(value: bytes, kind: str) -> bool:
    """Whether the bytes are exactly one value of this plain type, in its canonical form."""
    return _end(value, 0, kind) == len(value)


def _end(data: bytes, start: int, kind: str) -> int:
    """Where the value that begins here ends; beyond the data if there is none."""
    beyond = len(data) + 1
    if kind == "bool":
        return start + 1 if data[start : start + 1] in {b"\x00", b"\x01"} else beyond
    if kind in _SIZES:
        return start + _SIZES[kind]
    written = _LENGTH.match(data, start)
    if written is None:
        return beyond
    count = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(written[0]))
    if count >= 1 << 32 or (len(written[0]) > 1 and data[written.end() - 1] == 0):  # too large, or not the shortest
        return beyond
    inner, start = kind[7:-1], written.end()
    if inner in _SIZES and inner != "bool":
        return start + count * _SIZES[inner]
    for _ in range(count):
        start = _end(data, start, inner)
        if start > len(data):
            break
    return start
