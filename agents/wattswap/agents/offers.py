"""What a car knows and what it may answer: the arguments and the result of every strategy."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from wattswap.agents.physics import Ints
    from wattswap.protocol.draws import Draws

TO_FLOOR: Final = 0
TO_ZERO: Final = 1
FEED: Final = 2
TRANCHES: Final = 3
"""An offer's tranches, in the order in which they are taken. Their number in tables and on the wire is one higher."""


MOST: Final = 10**18
"""No number of a strategy is larger. As a price it is 10^9 IOTA per kWh and hour."""
BEYOND: Final = f"beyond {MOST:.0e}"


ArrayT = TypeVar("ArrayT", bound="NDArray[Any]")
Rows: TypeAlias = "NDArray[np.intp] | list[int] | slice"


class StrategyError(ValueError):
    """A strategy returned what no car may say. ``row`` is the car's row among those asked."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Call:
    """The transformer's bid, as a strategy sees it: so much relief, for so long. What it pays at most stays sealed.

    Columns have one row per car that is called: all cars of a feeder hear the same, a group may be of many feeders.
    """

    need_w: Ints
    """The relief the transformer looks for."""
    from_ms: int
    until_ms: int
    """Relief is delivered from ... until, in ms since the run's start; the same on all feeders."""
    feed_h: int
    """Fed energy is paid as if each kWh waited for so many hours."""

    def take(self, rows: Rows) -> Call:
        """The calls of these rows alone."""
        return Call(self.need_w[rows], self.from_ms, self.until_ms, self.feed_h)


@dataclass(frozen=True, slots=True)
class Own:
    """What a car knows of itself: int64 columns of one row per car; times in ms, energies in watt-seconds.

    This is the whole information model of a strategy: row i answers for car i from row i alone.
    """

    key: NDArray[np.uint64]
    """The car's key for random draws."""
    wanted_w: Ints
    """What it would draw now if it could."""
    baseline_w: Ints
    """What it would draw now had it never given way."""
    firm_w: Ints
    """What it may draw now unasked."""
    floor_w: Ints
    """The least it can be reduced to without stopping: 6 A, or its firm power where that is less."""
    max_w: Ints
    """Its full power."""
    feed_w: Ints
    """The most it can feed back; 0 where it cannot."""
    remaining_ws: Ints
    """What is still missing to its need."""
    owed_ws: Ints
    """What it gave up under awards and has not drawn back yet."""
    stored_ws: Ints
    """What its battery holds."""
    capacity_ws: Ints
    """What its battery can hold."""
    reserve_ws: Ints
    """What its owner never wants to go below."""
    laxity_ms: Ints
    """How long it could wait and still be full in time at full power; negative when that is too late."""
    round_trip_permille: Ints
    """What comes back of a unit of energy stored and fed."""
    wear_nanos_per_kwh: Ints
    """What feeding wears off the battery."""
    tariff_nanos_per_kwh: Ints
    """What energy costs it."""
    waiting_nanos_per_kwh_h: Ints
    """What it costs its owner when a kWh comes an hour later; 0 for a stationary battery."""

    def __len__(self) -> int:
        return len(self.firm_w)

    def take(self, rows: Rows) -> Own:
        """These rows alone."""
        return Own(*(getattr(self, name)[rows] for name in _OWN))

    def read_only(self) -> Own:
        """Copies of the columns that nobody can change, nor make changeable again."""
        if not self.key.size:
            return self
        in_one = b"".join([getattr(self, name).tobytes() for name in _OWN])  # every column has 64 bits a car
        columns = np.frombuffer(in_one, dtype=np.int64).reshape(len(_OWN), -1)
        return Own(columns[0].view(np.uint64), *columns[1:])


_OWN: Final = tuple(column.name for column in fields(Own))


@dataclass(frozen=True, slots=True)
class OfferBook:
    """The answers of a group of cars: for each car the relief of each tranche in watts, and what it asks for it.

    Built from ``OfferBook.keep(own)`` by saying what else the cars would do; a row that says nothing keeps charging.
    """

    own: Own
    relief_w: Ints
    """Shape (cars, 3): down to the floor, from there to zero, feeding back."""
    ask_nanos_per_kwh_h: Ints
    """Shape (cars, 3)."""

    @classmethod
    def keep(cls, own: Own) -> Self:
        """Everyone keeps charging."""
        shape = (len(own), TRANCHES)
        return cls(own, np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64))

    def reduce(self, to_w: ArrayLike, ask_nanos_per_kwh_h: ArrayLike, where: ArrayLike = True) -> Self:
        """Accept less power: down to ``to_w``, which is at least the floor, or 0 for a full stop."""
        own, relief, ask = self.own, self.relief_w.copy(), self.ask_nanos_per_kwh_h.copy()
        to = _column(to_w, own, "to_w")
        price = _column(ask_nanos_per_kwh_h, own, "ask_nanos_per_kwh_h")
        chosen, stops = _chosen(where, own), to == 0
        refuse(chosen & (to < 0), "reduces to a negative power")
        refuse(chosen & ~stops & (to < own.floor_w), "reduces to a power between 0 and the floor of 6 A")
        to_floor_w = np.maximum(own.firm_w - np.maximum(to, own.floor_w), 0) * (chosen & (relief[:, TO_FLOOR] == 0))
        to_zero_w = (own.firm_w - np.maximum(to_floor_w, relief[:, TO_FLOOR])) * (chosen & stops)
        for tranche, power_w in ((TO_FLOOR, to_floor_w), (TO_ZERO, to_zero_w)):
            sells = power_w > 0
            np.copyto(relief[:, tranche], power_w, where=sells)
            np.copyto(ask[:, tranche], price, where=sells)
        return type(self)(own, relief, ask)

    def feed(self, feed_w: ArrayLike, ask_nanos_per_kwh_h: ArrayLike, where: ArrayLike = True) -> Self:
        """Feed ``feed_w`` back to the street, once the car's own charging is reduced to nothing."""
        own, relief, ask = self.own, self.relief_w.copy(), self.ask_nanos_per_kwh_h.copy()
        power = _column(feed_w, own, "feed_w")
        price = _column(ask_nanos_per_kwh_h, own, "ask_nanos_per_kwh_h")
        chosen = _chosen(where, own)
        refuse(chosen & (power < 0), "feeds a negative power")
        refuse(chosen & (power > own.feed_w), "feeds more than the car can")
        np.copyto(relief[:, FEED], power, where=chosen)
        np.copyto(ask[:, FEED], price, where=chosen)
        return type(self)(own, relief, ask)

    def only(self, where: ArrayLike) -> Self:
        """The same offers of some cars; the others keep charging."""
        chosen = np.broadcast_to(_chosen(where, self.own), len(self.own))[:, np.newaxis]
        return type(self)(self.own, self.relief_w * chosen, self.ask_nanos_per_kwh_h)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a round for the cars that were called, one row a car; from the second on all of it is public."""

    award_w: Ints
    """Bought from the car, shape (cars, 3)."""
    price_nanos_per_kwh_h: Ints
    """The highest price that was paid; 0 if nothing was bought."""
    reserve_nanos_per_kwh_h: Ints
    """No ask above it was looked at."""
    from_ms: int
    until_ms: int

    def read_only(self) -> Outcome:
        """Copies of the columns that nobody can change, nor make changeable again."""
        award_w, price = frozen(self.award_w), frozen(self.price_nanos_per_kwh_h)
        return Outcome(award_w, price, frozen(self.reserve_nanos_per_kwh_h), self.from_ms, self.until_ms)

    def take(self, rows: Rows) -> Outcome:
        """The outcome for these rows alone."""
        columns = self.award_w[rows], self.price_nanos_per_kwh_h[rows], self.reserve_nanos_per_kwh_h[rows]
        return Outcome(*columns, self.from_ms, self.until_ms)


Memory: TypeAlias = "NDArray[np.float64]"
"""What cars remember from round to round, shape (cars, columns); no column for a strategy that learns nothing."""

Strategy: TypeAlias = "Callable[[Call, Own, Memory, Draws], OfferBook]"
"""How a car answers a call; elementwise, so that each car decides alone."""


def _chosen(where: ArrayLike, own: Own) -> NDArray[np.bool_] | np.bool_:
    """Whether each car is meant."""
    if where is True:
        return np.True_
    return np.broadcast_to(np.asarray(where, dtype=bool), len(own))


def frozen(column: ArrayT) -> ArrayT:
    """A copy that stays as it is: its memory is a ``bytes`` object, which nothing can make writable."""
    if not column.size:
        return column
    return cast("ArrayT", np.frombuffer(column.tobytes(), dtype=column.dtype).reshape(column.shape))


def _column(values: ArrayLike, own: Own, name: str) -> Ints:
    """``values`` as int64, one for all cars or one each; fractions of a watt or a nano are cut off."""
    column = np.asarray(values)
    if column.shape not in ((), (1,), (len(own),)):
        raise StrategyError(0, f"returns {name} of shape {column.shape} for {len(own)} car(s)")
    if column.dtype.kind == "f":
        refuse(~np.isfinite(column), f"returns {name} that is not a finite number")
    elif column.dtype.kind not in "iu":
        raise StrategyError(0, f"returns {name} of type {column.dtype}, not numbers")
    refuse(np.abs(column) > MOST, f"returns {name} {BEYOND}")
    return column.astype(np.int64, copy=False)


def by_car(combine: np.ufunc, tranches: NDArray[Any]) -> Ints:
    """The tranches of each car combined, as by ``combine.reduce`` over the last axis, in a third of the time."""
    combined: Ints = combine(combine(tranches[..., TO_FLOOR], tranches[..., TO_ZERO]), tranches[..., FEED])
    return combined


def refuse(wrong: NDArray[np.bool_], problem: str) -> None:
    """Raise for the first car of which something is wrong; one row a car, or one value for all."""
    if np.count_nonzero(wrong):
        raise StrategyError(int(np.argwhere(np.atleast_1d(wrong))[0][0]), problem)
