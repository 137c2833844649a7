"""The test of autonomy: row i of a strategy's answer may depend on row i alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents.law import refuse_unsound
from wattswap.agents.offers import TRANCHES, Call, OfferBook, Outcome, Own, StrategyError, frozen
from wattswap.agents.strategies.learning import LearningStrategy, learned, memory_columns
from wattswap.protocol.draws import Draws
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from wattswap.agents.offers import Memory, Strategy


def check_elementwise(strategy: Strategy, own: Own | None = None, seed: int = 1) -> None:
    """Ask a group of cars together and one by one, and let them learn together and one by one.

    Raises:
        StrategyError: an offer cannot be, or a car's answer depends on its neighbours; ``row`` is that car.
    """
    own = sample_cars() if own is None else own
    rows = np.arange(len(own))
    call = Call(50_000 + 1_000 * rows, from_ms=0, until_ms=300_000, feed_h=2)
    memory = np.outer(1_000.0 * rows, np.ones(memory_columns(strategy)))
    draws = Draws(seed, own.key, 0)
    together = answer(strategy, call, own, memory, draws)
    refuse_unsound(own, together.relief_w, together.ask_nanos_per_kwh_h)
    award_w, price = together.relief_w // 2, np.full(len(own), 300_000_000)
    outcome = Outcome(award_w, price, 2 * price, from_ms=0, until_ms=300_000)
    learner = strategy if isinstance(strategy, LearningStrategy) else None
    after = memory if learner is None else learned(learner, memory, own, outcome, draws)
    for row in range(len(own)):
        one, only, mine = own.take([row]), Draws(seed, own.key[[row]], 0), memory[[row]]
        alone = answer(strategy, call.take([row]), one, mine, only)
        same_relief = np.array_equal(together.relief_w[[row]], alone.relief_w)
        same_ask = np.array_equal(together.ask_nanos_per_kwh_h[[row]], alone.ask_nanos_per_kwh_h)
        if not (same_relief and same_ask):
            raise StrategyError(row, "answers differently when asked with other cars; row i must use row i alone")
        if learner and not np.array_equal(after[[row]], learned(learner, mine, one, outcome.take([row]), only)):
            raise StrategyError(row, "learns differently beside other cars; row i must use row i alone")


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


def raised(error: BaseException) -> str:
    """What an exception out of a user's file says, on one line."""
    return " ".join(f"raises {type(error).__name__}: {error}".split())


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
