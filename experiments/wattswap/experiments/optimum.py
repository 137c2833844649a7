"""What an omniscient dispatcher would reach: under no controller can waiting and feeding together cost less.

It knows every arrival, departure, need and watt of load beforehand, divides power without steps, and asks nobody's
leave. A linear program finds its schedule, in steps of five minutes, solved by HiGHS. It has three aims, one after the
other: as little energy short at departure as there can be, then as little energy above the limit, then the least cost
of waiting and feeding together: waiting at each owner's own price, feeding as runs count it, by wear and the energy
that is lost on the way in and out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_S, NANOS_PER_IOTA, PERMILLE, WS_PER_KWH, WS_PER_WH
from wattswap.runners.recording.fairness import feeding_costs
from wattswap.runners.world import World, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.runners.scenario.street import Street

    Floats = NDArray[np.float64]

_W_PER_KW: Final = 1_000
_S_PER_H: Final = 3_600
_SLACK: Final = 1e-6
"""How far a later aim may give up of an earlier one, kWh: solvers are exact to about 1e-7."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best that could be had of a street."""

    short_wh: float
    """What cars that left had less than if they had just charged, and no schedule could have spared them."""
    overload_wh: float
    """Energy above the limit, or the limit less its margin, that no such schedule could have avoided."""
    waiting_cost_iota: float
    feeding_cost_iota: float
    """Wear and lost energy of all that fed, as ``feeding_cost_nanos`` of a run."""
    fed_back_wh: float
    load_w: Floats
    """By feeder and step."""

    @property
    def cost_iota(self) -> float:
        """What the third aim makes least: waiting and feeding together."""
        return self.waiting_cost_iota + self.feeding_cost_iota


def optimum(
    street: Street,
    *,
    feed: bool = False,
    margin: bool = True,
    step_s: int = 300,
    progress: Callable[[int], object] = int,
) -> Optimum:
    """Solve each feeder of a street.

    ``feed`` lets cars feed back, as stationary batteries always may; ``margin`` keeps the load as far below the limit
    as the negotiation is to keep it, and energy above is counted from there. ``progress`` is told how many feeders are
    solved.

    Raises:
        InputError: a step is no multiple of the scenario's tick.
    """
    tick_s = street.tick_ms // MS_PER_S
    if step_s % tick_s:
        raise InputError(f"reading_s is {tick_s}; the optimum's steps of {step_s} s are no multiple of it")
    ticks_a_step, step_h = step_s // tick_s, step_s / _S_PER_H
    stays = _stays(street, ticks_a_step, feed=feed)
    solved = []
    for feeder in range(len(street.feeders)):
        base_kw, room_kw = _means(street, feeder, ticks_a_step, margin=margin)
        solved.append(_solved(stays.of(feeder), base_kw, room_kw, step_h))
        progress(len(solved))
    return Optimum(
        short_wh=sum(each.short_wh for each in solved),
        overload_wh=sum(each.overload_wh for each in solved),
        waiting_cost_iota=sum(each.waiting_cost_iota for each in solved),
        feeding_cost_iota=sum(each.feeding_cost_iota for each in solved),
        fed_back_wh=sum(each.fed_back_wh for each in solved),
        load_w=np.concatenate([each.load_w for each in solved]),
    )


class _Stays(NamedTuple):
    """One row for each step of each car's stay, car by car; n cars."""

    car: Ints
    """Its place among the cars."""
    step: Ints
    hours: Floats
    """How long of the step it was plugged in."""
    baseline_kw: Floats
    """The step's mean of what it would draw if nobody were in control."""
    first: NDArray[np.bool_]
    leaves: NDArray[np.bool_]
    """The last step of a car that leaves during the run."""
    most_kw: Floats
    """The step's mean where it charges at full power as long as it is there."""
    feed_kw: Floats
    iota_per_kwh_h: Floats
    feeding_iota_per_kwh: Floats
    drained_per_fed: Floats
    most_owed_kwh: Floats
    """How far it may be behind its baseline: feeding empties no battery below its reserve, or where it came below that,
    below what it came with."""
    feeder: Ints

    def of(self, feeder: int) -> _Stays:
        """The rows of one feeder."""
        return _Stays(*(column[self.feeder == feeder] for column in self))


def _stays(street: Street, ticks_a_step: int, *, feed: bool) -> _Stays:
    """Let the street charge with nobody in control, and note each car's stay."""
    world = World(street)
    fleet, tick_s = world.fleet, street.tick_ms // MS_PER_S
    steps, n = -(-street.ticks // ticks_a_step), len(world.fleet)
    step_h = ticks_a_step * tick_s / _S_PER_H
    drawn_ws = np.zeros((steps, n), dtype=np.int64)
    plugged_s = np.zeros((steps, n), dtype=np.int64)
    stored_ws = np.zeros((steps, n), dtype=np.int64)
    for tick in range(street.ticks):
        world.leave(tick)
        world.arrive(tick)
        charging, rows, now = world.charging(tick), world.plugged, tick // ticks_a_step
        drawn_w, _ = world.move(charging, charging.wanted_w, np.zeros_like(charging.wanted_w))
        drawn_ws[now, rows] += drawn_w * tick_s
        plugged_s[now, rows] += tick_s
        stored_ws[now, rows] = world.stored_ws[rows]
    car, step = np.nonzero(plugged_s.T)
    hours = plugged_s[step, car] / _S_PER_H
    last = np.append(car[1:] != car[:-1], True)[: len(car)]
    return _Stays(
        car=car,
        step=step,
        hours=hours,
        baseline_kw=drawn_ws[step, car] / (step_h * WS_PER_KWH),
        first=np.insert(car[1:] != car[:-1], 0, True)[: len(car)],
        leaves=last & (fleet.departure_tick[car] <= street.ticks),
        most_kw=fleet.max_w[car] / _W_PER_KW * hours / step_h,
        feed_kw=np.where(fleet.is_session & (not feed), 0, fleet.feed_w)[car] / _W_PER_KW * hours / step_h,
        iota_per_kwh_h=fleet.waiting_nanos_per_kwh_h[car] / NANOS_PER_IOTA,
        feeding_iota_per_kwh=feeding_costs(fleet, np.full(n, WS_PER_KWH))[car] / NANOS_PER_IOTA,
        drained_per_fed=PERMILLE / fleet.round_trip_permille[car],
        most_owed_kwh=(stored_ws[step, car] - np.minimum(fleet.reserve_ws, fleet.stored_ws)[car]) / WS_PER_KWH,
        feeder=fleet.feeder[car],
    )


class _Columns(NamedTuple):
    """Where the variables stand in the program; m rows of stays, T steps."""

    drawn: slice
    """kW, m."""
    owed: slice
    """kWh behind the baseline at each step's end, m."""
    fed: slice
    """kW, m."""
    above: slice
    """kW above the limit, T."""
    width: int


def _solved(stays: _Stays, base_kw: Floats, room_kw: Floats, step_h: float) -> Optimum:
    """The three aims of one feeder, one after the other."""
    m, steps = len(stays.car), len(base_kw)
    at = _Columns(slice(0, m), slice(m, 2 * m), slice(2 * m, 3 * m), slice(3 * m, 3 * m + steps), 3 * m + steps)

    aims = np.zeros((3, at.width))
    short, overload, cost = aims
    short[at.owed][stays.leaves] = 1
    overload[at.above] = step_h
    # the mean of what is owed at both ends of a step, for the hours of the step
    price = stays.iota_per_kwh_h * stays.hours / 2
    waiting = price.copy()
    waiting[:-1] += np.where(stays.first[1:], 0, price[1:])
    cost[at.owed] = waiting
    cost[at.fed] = stays.feeding_iota_per_kwh * step_h

    upper = np.concatenate(
        [
            stays.most_kw,
            stays.most_owed_kwh,
            stays.feed_kw,
            np.full(steps, np.inf),
        ]
    )
    baseline_kwh = stays.baseline_kw * step_h
    constraints = [
        LinearConstraint(_balance(stays, at, step_h), baseline_kwh, baseline_kwh),
        LinearConstraint(_within_limit(stays, at, steps), -np.inf, room_kw),
    ]
    least, x = [], np.zeros(at.width)
    for aim in aims:
        found = milp(aim, bounds=Bounds(0, upper), constraints=constraints)
        assert found.success, found.message
        x = found.x
        least.append(max(float(aim @ x), 0.0))
        constraints.append(LinearConstraint(aim[np.newaxis], -np.inf, least[-1] + _SLACK))
    load_kw = base_kw + np.bincount(stays.step, x[at.drawn] - x[at.fed], minlength=steps)
    return Optimum(
        short_wh=least[0] * WS_PER_KWH / WS_PER_WH,
        overload_wh=least[1] * WS_PER_KWH / WS_PER_WH,
        waiting_cost_iota=float(waiting @ x[at.owed]),
        feeding_cost_iota=float(cost[at.fed] @ x[at.fed]),
        fed_back_wh=float(x[at.fed].sum()) * step_h * _W_PER_KW,
        load_w=load_kw[np.newaxis] * _W_PER_KW,
    )


def _means(street: Street, feeder: int, ticks_a_step: int, *, margin: bool) -> tuple[Floats, Floats]:
    """The mean base load of each step and the mean room under the limit, kW."""
    margin_w = rules_of(street.scenario, street.feeders[feeder].transformer).margin_w if margin else 0
    base_w, most_w = street.base_w[feeder, 1:], street.limit_w[feeder] - margin_w
    firsts = np.arange(0, street.ticks, ticks_a_step)
    ticks = np.diff(np.append(firsts, street.ticks))
    base_kw = np.add.reduceat(base_w, firsts) / ticks / _W_PER_KW
    return base_kw, np.add.reduceat(most_w, firsts) / ticks / _W_PER_KW - base_kw


def _balance(stays: _Stays, at: _Columns, step_h: float) -> csr_array:
    """Owed at a step's end = owed before + baseline - drawn + what feeding drained: one row a row of stays."""
    rows = np.arange(len(stays.car))
    later = rows[~stays.first]
    return _sparse(
        (
            (rows, at.owed.start + rows, np.ones(len(rows))),
            (later, at.owed.start + later - 1, -np.ones(len(later))),
            (rows, at.drawn.start + rows, np.full(len(rows), step_h)),
            (rows, at.fed.start + rows, -step_h * stays.drained_per_fed),
        ),
        (len(rows), at.width),
    )


def _within_limit(stays: _Stays, at: _Columns, steps: int) -> csr_array:
    """Drawn - fed - above <= room: one row a step."""
    rows, every = np.arange(len(stays.car)), np.arange(steps)
    return _sparse(
        (
            (stays.step, at.drawn.start + rows, np.ones(len(rows))),
            (stays.step, at.fed.start + rows, -np.ones(len(rows))),
            (every, at.above.start + every, -np.ones(steps)),
        ),
        (steps, at.width),
    )


def _sparse(parts: tuple[tuple[Ints, Ints, Floats], ...], shape: tuple[int, int]) -> csr_array:
    """A matrix from (rows, columns, values)."""
    rows, columns, values = (np.concatenate(each) for each in zip(*parts, strict=True))
    return csr_array(coo_array((values, (rows, columns)), shape=shape))
