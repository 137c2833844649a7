"""The test of autonomy: row i of a strategy's answer may depend on row i alone, whoever was asked before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.law import refuse_unsound
from wattswap.agents.offers import TRANCHES, Call, OfferBook, Outcome, Own, StrategyError, frozen
from wattswap.agents.strategies.learning import LearningStrategy, learned, memory_columns
from wattswap.agents.strategies.raised import raised
from wattswap.protocol.draws import Draws
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.offers import Memory, Strategy

    Rows = NDArray[np.intp]


NEIGHBOURS: Final = "differently beside other cars; row i must use row i alone"
_ASKED_AGAIN: Final = "differently when asked again; what a car remembers goes through its memory alone"


def check_elementwise(strategy: Strategy, own: Own | None = None, seed: int = 1) -> None:
    """Ask the same cars together, again, in other orders and groups, and one by one; let them learn alike.

    Raises:
        StrategyError: an offer cannot be, or a car's answer depends on its neighbours or on what was asked before;
            ``row`` is that car.
    """
    trial = _Trial(strategy, sample_cars() if own is None else own, seed)
    rows = np.arange(len(trial.own))
    trial.compare(rows, _ASKED_AGAIN)
    for group in (rows[::-1], rows[::2], rows[1::2], np.concatenate((rows, rows)), *rows[::-1, np.newaxis]):
        if len(group):
            trial.compare(group, NEIGHBOURS)
    trial.compare(rows, _ASKED_AGAIN)


def compare(book: OfferBook, other: OfferBook, rows: Rows, problem: str = NEIGHBOURS) -> None:
    """Refuse that these rows of a book are others when they are asked in another way.

    Raises:
        StrategyError: a car answers differently.
    """
    relief, ask = book.relief_w[rows] != other.relief_w, book.ask_nanos_per_kwh_h[rows] != other.ask_nanos_per_kwh_h
    differs = (relief | ask).any(axis=1)
    if differs.any():
        raise StrategyError(int(rows[differs][0]), f"answers {problem}")


class _Trial:
    """What a group of cars answers and learns when it is asked together, to be compared with any other way to ask."""

    def __init__(self, strategy: Strategy, own: Own, seed: int) -> None:
        self.own = own
        rows, columns = np.arange(len(own)), memory_columns(strategy)
        self._strategy, self._seed = strategy, seed
        self._call = Call(50_000 + 1_000 * rows, from_ms=0, until_ms=300_000, feed_h=2)
        self._memory = np.outer(1_000.0 * rows, np.ones(columns))
        self._book = self._answer(rows)
        refuse_unsound(own, self._book.relief_w, self._book.ask_nanos_per_kwh_h)
        price = np.full(len(own), 300_000_000)
        self._outcome = Outcome(self._book.relief_w // 2, price, 2 * price, from_ms=0, until_ms=300_000)
        self._learned = self._learn(rows)

    def compare(self, rows: Rows, problem: str) -> None:
        """Ask these rows, and let them learn; what each says and learns must be what it said and learned at first."""
        compare(self._book, self._answer(rows), rows, problem)
        differs = (self._learn(rows) != self._learned[rows]).any(axis=1)
        if differs.any():
            raise StrategyError(int(rows[differs][0]), f"learns {problem}")

    def _answer(self, rows: Rows) -> OfferBook:
        own, draws = self.own.take(rows), Draws(self._seed, self.own.key[rows], 0)
        return answer(self._strategy, self._call.take(rows), own, self._memory[rows], draws)

    def _learn(self, rows: Rows) -> Memory:
        if not isinstance(self._strategy, LearningStrategy):
            return self._memory[rows]
        own, draws = self.own.take(rows), Draws(self._seed, self.own.key[rows], 0)
        return learned(self._strategy, self._memory[rows], own, self._outcome.take(rows), draws)


def answer(strategy: Strategy, call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Call a strategy, with what it cannot change, and refuse what is not an offer book for these cars."""
    handed = own.read_only()
    try:
        book = strategy(call, handed, frozen(memory), draws)
    except StrategyError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:
        raise StrategyError(0, raised(error)) from error
    if not isinstance(book, OfferBook):
        raise StrategyError(0, f"returns {type(book).__name__}, not an OfferBook")
    if book.own is not handed:
        raise StrategyError(0, "answers for other cars than those it is asked for")
    for name, column in (("relief_w", book.relief_w), ("ask_nanos_per_kwh_h", book.ask_nanos_per_kwh_h)):
        if not isinstance(column, np.ndarray):
            raise StrategyError(0, f"returns {name} as {type(column).__name__}, not as an array")
        if column.shape != (len(own), TRANCHES):
            raise StrategyError(0, f"returns {name} of shape {column.shape} for {len(own)} car(s)")
        if column.dtype != np.int64:
            raise StrategyError(0, f"returns {name} of type {column.dtype}, not int64")
    return replace(book, own=own)  # judged by what the cars know, whatever became of what was handed out


def refused(strategy: str, error: StrategyError, session: str, call: Call) -> InputError:
    """The one line a user reads when a strategy misbehaves: it names the car and the call."""
    asked = f"call for {call.need_w[error.row]} W at {call.from_ms // 1000} s"
    return InputError(f"strategy {strategy!r} {error.problem} (car {session!r}, {asked})")


def sample_cars(cars: int = 8) -> Own:
    """A few cars of every kind: idle, charging, in a hurry, with a full and with an empty battery."""

    def spread(low: int, high: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.linspace(low, high, cars).astype(np.int64)

    wanted_w = np.minimum(spread(0, 22_000), 11_000)
    return Own(
        key=np.arange(1, cars + 1, dtype=np.uint64),
        wanted_w=wanted_w,
        baseline_w=wanted_w,
        firm_w=wanted_w,
        floor_w=np.minimum(wanted_w, 4_140),
        max_w=np.full(cars, 11_000),
        feed_w=np.full(cars, 11_000),
        remaining_ws=spread(0, 72_000_000),
        owed_ws=spread(0, 7_200_000),
        stored_ws=spread(180_000_000, 36_000_000),
        capacity_ws=np.full(cars, 216_000_000),
        reserve_ws=np.full(cars, 64_800_000),
        laxity_ms=spread(-600_000, 36_000_000),
        round_trip_permille=np.full(cars, 880),
        wear_nanos_per_kwh=np.full(cars, 500_000_000),
        tariff_nanos_per_kwh=np.full(cars, 3_000_000_000),
        waiting_nanos_per_kwh_h=spread(0, 500_000_000),
    )
