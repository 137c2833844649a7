"""Lots: the energy that a car gave up under one award, and how long it has waited until it was drawn back.

A car that gives way sells waiting. From the award's tick on every watt-second it gave up earns rent until it has been
drawn back; what never is earns nothing. Charger and car each keep the lots from their own meters, by the pure functions
below: arrays with one row a lot, and one row a car. The fleet engine has them for all cars at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

NEVER: Final = 1 << 40
"""The tick at which the clock of a car has stopped that never failed to draw back."""


class Lots(NamedTuple):
    """Open lots; one row a lot, in any order."""

    car: Ints
    """Its car's row in the columns of cars."""
    price_nanos_per_kwh_h: Ints
    tick: Ints
    """That of its award."""
    cap: Ints
    """The most ticks of waiting that are paid."""
    owed_ws: Ints
    """Given up, and not yet drawn back."""
    rent: Ints
    """Watt-seconds times the ticks each has waited, of what has been drawn back."""


class CarMeters(NamedTuple):
    """What the meters of cars saw of a tick; one row a car."""

    import_w: Ints
    baseline_w: Ints
    granted_w: Ints
    """What the car was allowed to draw."""
    awarded: NDArray[np.bool_]
    """Under an award in force."""
    stopped_at: Ints
    """The tick at which its clock stopped; ``NEVER`` while it runs."""


def owed_ws(lots: Lots, cars: int) -> Ints:
    """What each of so many cars still has to draw back."""
    owed = np.zeros(cars, dtype=np.int64)
    np.add.at(owed, lots.car, lots.owed_ws)
    return owed


def rent_price(lots: Lots, stopped_at: Ints) -> Ints:
    """The dearest price at which each car's energy is waiting; 0 if none is, or once its clock has stopped."""
    price = np.zeros(len(stopped_at), dtype=np.int64)
    np.maximum.at(price, lots.car, np.where(lots.owed_ws > 0, lots.price_nanos_per_kwh_h, 0))
    return np.where(stopped_at == NEVER, price, 0)


def could_w(owed: Ints, rules: Rules) -> Ints:
    """The power at which a car that owes so much must be willing to draw back: 6 A, or less where less is left."""
    return np.minimum(rules.min_w, owed // rules.tick_s)


def after_tick(lots: Lots, given_up_ws: Ints, cars: CarMeters, tick: int, rules: Rules) -> tuple[Lots, Ints]:
    """The lots after a tick in which awards gave up so much (one row a lot), and the ticks at which clocks stopped."""
    stopped = stopped_at(cars, owed_ws(lots, len(cars.import_w)), tick, rules)
    lots = lots._replace(owed_ws=lots.owed_ws + given_up_ws)
    back_ws = np.maximum(cars.import_w - cars.baseline_w, 0) * rules.tick_s
    return (after_return(lots, back_ws, stopped, tick) if np.count_nonzero(back_ws) else lots), stopped


def stopped_at(cars: CarMeters, owed: Ints, tick: int, rules: Rules) -> Ints:
    """The ticks at which the clocks of cars that owed so much have stopped, after this one.

    A car that could have drawn back and did not stops its own clock, for good: stalling must not pay.
    """
    could = could_w(owed, rules)
    stalls = ~cars.awarded & (could > 0) & (cars.granted_w >= could) & (cars.import_w < could)
    return np.where(stalls, np.minimum(cars.stopped_at, tick), cars.stopped_at)


def after_return(lots: Lots, back_ws: Ints, stopped: Ints, tick: int, *, in_order: bool = False) -> Lots:
    """The lots once each car has drawn back so much: to the dearest lot first, then to the oldest.

    ``in_order`` says that the lots are in this order already, car by car.
    """
    returned_ws = _first_to_first(lots.car, lots.owed_ws, back_ws) if in_order else drawn_back(lots, back_ws)
    waited = waited_ticks(lots, stopped, tick)
    return lots._replace(owed_ws=lots.owed_ws - returned_ws, rent=lots.rent + returned_ws * waited)


def waited_ticks(lots: Lots, stopped_at: Ints, tick: int) -> Ints:
    """How long each lot has waited that counts, in ticks: no longer than its car's clock ran, nor than its cap."""
    return np.clip(np.minimum(tick, stopped_at[lots.car]) - lots.tick, 0, lots.cap)


def accrued(lots: Lots, stopped_at: Ints, tick: int) -> Ints:
    """The rent of each lot as if all that is owed were drawn back now."""
    return lots.rent + lots.owed_ws * waited_ticks(lots, stopped_at, tick)


def drawn_back(lots: Lots, back_ws: Ints) -> Ints:
    """What of each car's ``back_ws`` goes to each of its lots: to the dearest first, then to the oldest."""
    order = np.lexsort((lots.tick, -lots.price_nanos_per_kwh_h, lots.car))
    returned_ws = np.empty_like(lots.owed_ws)
    returned_ws[order] = _first_to_first(lots.car[order], lots.owed_ws[order], back_ws)
    return returned_ws


def _first_to_first(car: Ints, owed: Ints, back_ws: Ints) -> Ints:
    """What of each car's ``back_ws`` goes to each of its lots, whose first comes first."""
    before = np.cumsum(owed) - owed
    first = np.searchsorted(car, np.arange(len(back_ws)))
    before -= before[first[car]]
    return np.clip(back_ws[car] - before, 0, owed)


def is_over(owed: Ints, runs: NDArray[np.bool_], rules: Rules) -> NDArray[np.bool_]:
    """Which lots close: less is owed than one watt draws back in a tick, and their award has ended."""
    return ~runs & (owed < rules.tick_s)
