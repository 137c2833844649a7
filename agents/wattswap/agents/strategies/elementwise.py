"""The test of autonomy: row i of a strategy's answer may depend on row i alone, whoever was asked before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from wattswap.agents.law import refuse_unsound
from wattswap.agents.offers import TRANCHES, Call, OfferBook, Outcome, Own, StrategyError, frozen
from wattswap.agents.strategies.learning import LearningStrategy, learned, memory_columns
from wattswap.agents.strategies.raised import COLUMNS, raised
from wattswap.protocol.draws import Draws
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import PRICE_TICK_NANOS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.offers import Memory, Strategy

    Rows = NDArray[np.intp]
    Numbers = NDArray[Any]


NEIGHBOURS: Final = f"differently beside other cars; {COLUMNS}, and row i must use row i alone"
_ASKED_AGAIN: Final = "differently when asked again; what a car remembers goes through its memory alone"
_LOADED_AGAIN: Final = (
    "differently when loaded again and asked alone; what a car remembers goes through its memory, luck through draws"
)
_ROUNDED: Final = "; if by rounding alone, multiply with np.einsum or compute in float64"

_SAME: Final = 1e-9
"""Of a number, how much may differ. numpy's ``@`` adds up one row in another order than many: in float64 the sums then
differ by less, in float32 by so much that an ask is soon a price step away."""
_ALMOST: Final = 1e-4
"""What differs by less is likely to be rounding."""


def check_elementwise(strategy: Strategy, own: Own | None = None, seed: int = 1, again: Strategy | None = None) -> None:
    """Ask the same cars together, again, in other orders and groups, and one by one; let them learn alike.

    ``again`` is the same strategy loaded a second time. It is asked one by one alone, so that no note it may keep can
    hold what it was told of neighbours.

    Raises:
        StrategyError: an offer cannot be, or a car's answer depends on its neighbours or on what was asked before;
            ``row`` is that car.
    """
    cars = sample_cars() if own is None else own
    rows = np.arange(len(cars))
    alone = rows[::-1, np.newaxis]
    for number in range(len(_ROUNDS)):
        trial = _Trial(strategy, cars, seed, number)
        trial.compare(strategy, rows, _ASKED_AGAIN)
        for group in (rows[::-1], rows[::2], rows[1::2], np.concatenate((rows, rows)), *alone):
            if len(group):
                trial.compare(strategy, group, NEIGHBOURS)
        trial.compare(strategy, rows, _ASKED_AGAIN)
        if again is not None:
            for car in alone:
                trial.compare(again, car, _LOADED_AGAIN)


def compare(book: OfferBook, other: OfferBook, rows: Rows, problem: str = NEIGHBOURS) -> None:
    """Refuse that these rows of a book are others when they are asked in another way.

    Relief must be the same. Asks of a price step or more may differ by a nano, and by what float64 rounds.

    Raises:
        StrategyError: a car answers differently.
    """
    ask, other_ask = book.ask_nanos_per_kwh_h[rows], other.ask_nanos_per_kwh_h
    same_nanos = np.where(ask < PRICE_TICK_NANOS, 0, np.maximum(1, _SAME * ask))
    relief_gap_w = np.abs(book.relief_w[rows] - other.relief_w)
    _refuse_gap(relief_gap_w, np.zeros_like(relief_gap_w), np.zeros_like(relief_gap_w), rows, f"answers {problem}")
    _refuse_gap(np.abs(ask - other_ask), same_nanos, _ALMOST * ask, rows, f"answers {problem}")


def compare_memory(memory: Memory, other: Memory, rows: Rows, problem: str = NEIGHBOURS) -> None:
    """Refuse that these rows of a memory are others when they learn in another way, but for what float64 rounds.

    Raises:
        StrategyError: a car learns differently.
    """
    mine = memory[rows]
    largest = np.abs(mine).max(axis=1, keepdims=True, initial=0)
    _refuse_gap(np.abs(mine - other), _SAME * largest, _ALMOST * largest, rows, f"learns {problem}")


def _refuse_gap(gap: Numbers, same: Numbers, almost: Numbers, rows: Rows, problem: str) -> None:
    """Refuse the first row with a gap beyond what counts as the same; one that may be rounding is told the cure."""
    differs = (gap > same).any(axis=1)
    if differs.any():
        cure = _ROUNDED if (gap <= almost).all() else ""
        raise StrategyError(int(rows[differs][0]), problem + cure)


class _Round(NamedTuple):
    """A round that a strategy is tried in: when, what was bought, at which price, and what cars remember."""

    from_ms: int
    bought_permille: int
    price_nanos_per_kwh_h: int
    memory: float
    """Of the second car; the first remembers nothing, the third twice as much, and so on."""


_ROUNDS: Final = (
    _Round(0, 500, 300_000_000, memory=1_000),
    _Round(61_200_000, 0, 0, memory=1_000),
    _Round(460_800_000, 1_000, 50_000_000, memory=0.01),
)
"""The run's first, one without a deal, and one late in the week."""


class _Trial:
    """What a group of cars answers and learns when it is asked together, to be compared with any other way to ask."""

    def __init__(self, strategy: Strategy, own: Own, seed: int, number: int) -> None:
        rows, columns = np.arange(len(own)), memory_columns(strategy)
        tried = _ROUNDS[number]
        until_ms = tried.from_ms + 300_000
        self._own, self._seed, self._number = own, seed, number
        self._call = Call(50_000 + 1_000 * rows, tried.from_ms, until_ms, feed_h=2)
        self._memory = np.outer(tried.memory * rows, np.ones(columns))
        self._book = self._answer(strategy, rows)
        refuse_unsound(own, self._book.relief_w, self._book.ask_nanos_per_kwh_h)
        price, reserve = np.full(len(own), tried.price_nanos_per_kwh_h), np.full(len(own), 600_000_000)
        award_w = self._book.relief_w * tried.bought_permille // 1_000
        self._outcome = Outcome(award_w, price, reserve, tried.from_ms, until_ms)
        self._learned = self._learn(strategy, rows)

    def compare(self, strategy: Strategy, rows: Rows, problem: str) -> None:
        """Ask these rows, and let them learn; what each says and learns must be what it said and learned at first."""
        compare(self._book, self._answer(strategy, rows), rows, problem)
        compare_memory(self._learned, self._learn(strategy, rows), rows, problem)

    def _answer(self, strategy: Strategy, rows: Rows) -> OfferBook:
        own, draws = self._own.take(rows), Draws(self._seed, self._own.key[rows], self._number)
        return answer(strategy, self._call.take(rows), own, self._memory[rows], draws)

    def _learn(self, strategy: Strategy, rows: Rows) -> Memory:
        if not isinstance(strategy, LearningStrategy):
            return self._memory[rows]
        own, draws = self._own.take(rows), Draws(self._seed, self._own.key[rows], self._number)
        return learned(strategy, self._memory[rows], own, self._outcome.take(rows), draws)


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
