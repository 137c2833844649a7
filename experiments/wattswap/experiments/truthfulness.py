"""A truthfulness audit: what one car gains by asking or offering other than its strategy says, by clearing rule.

    for audit in audited("c250stress", strategies=["truthful"], clearing=["next", "pay-as-bid"], day=5):
        print(audit.clearing, audit.best.name, audit.best.gain_iota, audit.best.low_iota, audit.best.high_iota)

One car deviates at a time, everybody else follows the strategy as before, and the same street without a deviation
stands beside; all of them are run side by side. Where no deviation gains, the strategy is a best answer to itself under
that rule, and a rule under which this holds of *truthful* is a truthful one (Myerson, Econometrica 47, 1979).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from math import inf, sqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast, get_args

import numpy as np

from wattswap.agents.controllers import NEGOTIATED
from wattswap.agents.offers import OfferBook
from wattswap.agents.rules import ClearingRule
from wattswap.agents.settlement import rent_nanos
from wattswap.agents.strategies.learning import LearningStrategy
from wattswap.experiments.jobs import Job, JobOutcome
from wattswap.experiments.processors import usable_processors
from wattswap.experiments.sweep import checked_jobs, outcomes
from wattswap.protocol.draws import draw
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import NANOS_PER_IOTA, PERMILLE, Purpose
from wattswap.runners.engines.side_by_side import SideBySide, can_run
from wattswap.runners.recording.fairness import feeding_costs
from wattswap.runners.recording.metrics import waiting_costs
from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.keys import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.offers import Call, Memory, Own, Strategy
    from wattswap.protocol.draws import Draws
    from wattswap.runners.scenario.street import Street

CLEARING: Final[tuple[str, ...]] = get_args(ClearingRule)
"""All rules."""
CONFIDENCE: Final = 0.95
MOST_CARS: Final = 200
_MOST_AT_ONCE: Final = 400
"""So many streets share a pass."""


class Deviation(NamedTuple):
    """What a car says in place of what its strategy says."""

    name: str
    ask_permille: int = PERMILLE
    """It asks so many thousandths."""
    keeps_permille: tuple[int, int, int] = (PERMILLE, PERMILLE, PERMILLE)
    """Of the relief to the floor, to zero and by feeding it offers so many thousandths; a full stop is no half one."""

    def of(self, book: OfferBook) -> OfferBook:
        """The offers as the car says them."""
        relief_w = book.relief_w * np.array(self.keeps_permille) // PERMILLE
        return OfferBook(book.own, relief_w, book.ask_nanos_per_kwh_h * self.ask_permille // PERMILLE)


DEVIATIONS: Final = (
    *(Deviation(f"asks x {permille / PERMILLE:g}", permille) for permille in (500, 800, 900, 1100, 1250, 1500, 2000)),
    Deviation("offers down to 6 A, no stop", keeps_permille=(PERMILLE, 0, 0)),
    Deviation("offers half of what is above 6 A", keeps_permille=(PERMILLE // 2, 0, 0)),
    Deviation("offers nothing", keeps_permille=(0, 0, 0)),
)


@dataclass(frozen=True, slots=True)
class Deviating:
    """The strategy of a car that deviates from another one."""

    strategy: Strategy
    deviation: Deviation

    def __call__(self, call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        """What the strategy says, changed."""
        return self.deviation.of(self.strategy(call, own, memory, draws))


def deviating(strategy: Strategy, deviation: Deviation) -> Strategy:
    """The strategy with this deviation; one that learns goes on to learn from what comes of it."""
    changed = Deviating(strategy, deviation)
    return replace(strategy, offers=changed) if isinstance(strategy, LearningStrategy) else changed


class Gain(NamedTuple):
    """What a deviation gains a car, in the mean of the cars that tried it."""

    name: str
    gain_iota: float
    low_iota: float
    high_iota: float
    """Of the interval of the mean that holds for all deviations of an audit together in 95 of 100 (Bonferroni)."""


@dataclass(frozen=True)
class Audit:
    """A strategy under a clearing rule: what it is worth to a car, and what each deviation from it adds."""

    strategy: str
    clearing: str
    cars: int
    """How many tried every deviation, in all seeds together."""
    utility_iota: float
    """What a car earns beyond what waiting and feeding cost it if it follows the strategy."""
    gains: tuple[Gain, ...]
    hindsight_iota: float
    """What each car would gain had it known which deviation, or none, was best for it."""

    @property
    def best(self) -> Gain:
        """The deviation that gains most in the mean; it may be a loss."""
        return max(self.gains, key=lambda gain: gain.gain_iota)


def audited(
    scenario: str,
    *,
    strategies: Sequence[str] = ("truthful",),
    clearing: Sequence[str] = CLEARING,
    cars: int = 12,
    seeds: int = 1,
    day: int | None = None,
    settings: Sequence[str] = (),
    jobs: int | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> list[Audit]:
    """Audit every strategy under every clearing rule, over so many seeds, counted up from the scenario's own.

    ``cars`` are drawn in each seed among those that sell something. ``progress`` is told how many of strategies times
    rules times seeds are over. Needs scipy, which the extra ``sim`` brings.

    Raises:
        InputError: something that was asked for cannot be, or a run failed.
    """
    if not 2 <= cars <= MOST_CARS:
        raise InputError(f"--cars {cars}: choose 2 to {MOST_CARS}; the interval needs more than one")
    for rule in clearing:
        if rule not in CLEARING:
            raise InputError(f"--clearing: there is no rule {rule!r}; {nearest(rule, CLEARING)}")
    if not clearing:
        raise InputError(f"--clearing: name at least one of {', '.join(CLEARING)}")
    street, wanted = checked_jobs(
        scenario,
        controllers=[NEGOTIATED],
        strategies=strategies,
        seeds=seeds,
        engine="fleet",
        day=day,
        settings=settings,
        vary=[f"transformer.clearing={','.join(dict.fromkeys(clearing))}"],
    )
    if len(street.feeders) > 1:
        raise InputError(f"scenario {street.name} has {len(street.feeders)} feeders; audit a street of one")
    if not can_run(street):
        raise InputError("an audit runs streets side by side, which needs vehicles.curve = flat; set it so")
    found: dict[tuple[str, str], list[Tried]] = defaultdict(list)
    measure = partial(_measured, cars=cars)
    for done, outcome in enumerate(outcomes(wanted, jobs or usable_processors(), measure=measure, most=1), 1):
        if outcome.figures is None:
            raise InputError(f"{outcome.job.strategy}, {_rule(outcome.job)}, seed {outcome.job.seed}: {outcome.error}")
        found[outcome.job.strategy, _rule(outcome.job)].append(cast("Tried", outcome.figures["tried"]))
        progress(done)
    kinds = dict.fromkeys((job.strategy, _rule(job)) for job in wanted)
    return [_audit(strategy, rule, found[strategy, rule]) for strategy, rule in kinds]


def _rule(job: Job) -> str:
    return job.varied[0].partition("=")[2]


class Tried(NamedTuple):
    """Of the cars of a seed, in IOTA."""

    utility: NDArray[np.float64]
    """Following the strategy, shape (cars,)."""
    gains: NDArray[np.float64]
    """Of every deviation, shape (cars, deviations)."""


def _measured(jobs: Sequence[Job], *, cars: int) -> list[JobOutcome]:
    (job,) = jobs
    try:
        settings = (*job.settings, *job.varied)
        street = load_street(job.scenario, settings=settings, strategy=job.strategy, seed=job.seed, day=job.day)
        return [JobOutcome(job, {"tried": tried(street, cars)})]
    except Exception as error:  # noqa: BLE001 - whoever asked for it is told
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        return [JobOutcome(job, None, text)]


def tried(street: Street, cars: int, deviations: Sequence[Deviation] = DEVIATIONS) -> Tried:
    """Let so many cars of those that sell something on a street try every deviation, each alone."""
    sessions, (honest,) = street.sessions, played(street, [()])
    sellers = np.unique(sessions.user_key[honest.sold])
    chosen = sellers[np.argsort(draw(street.scenario.seed, sellers, Purpose.MANIPULATION))][:cars]
    rows = [np.flatnonzero(sessions.user_key == car) for car in chosen]
    wanted = [(mine, deviation) for mine in rows for deviation in deviations]
    utility = np.array([honest.nanos[mine].sum() for mine in rows]) / NANOS_PER_IOTA
    after = [
        street_after.nanos[mine].sum() / NANOS_PER_IOTA
        for at in range(0, len(wanted), _MOST_AT_ONCE)
        for (mine, _), street_after in zip(
            wanted[at : at + _MOST_AT_ONCE],
            played(street, [(one,) for one in wanted[at : at + _MOST_AT_ONCE]]),
            strict=True,
        )
    ]
    return Tried(utility, np.array(after).reshape(len(rows), len(deviations)) - utility[:, np.newaxis])


class Played(NamedTuple):
    """What came of a street, a row a session."""

    nanos: NDArray[np.float64]
    """Earned, open rent included, beyond what waiting and feeding cost."""
    sold: NDArray[np.bool_]


def played(street: Street, streets: Sequence[Sequence[tuple[NDArray[np.intp], Deviation]]]) -> list[Played]:
    """What comes of copies of a street in each of which these sessions deviate so."""
    passed = SideBySide([street] * len(streets))
    fleet, assignment = passed.world.fleet, passed.assignment
    first = np.searchsorted(fleet.feeder, np.arange(len(streets) + 1))
    follows: dict[tuple[Deviation, int], list[int]] = defaultdict(list)
    for place, who in enumerate(streets):
        for rows, deviation in who:
            for row in (first[place] + rows).tolist():
                follows[deviation, int(assignment.number[row])].append(row)
    for (deviation, number), mine in follows.items():
        strategy = deviating(assignment.strategies[number], deviation)
        assignment.follow(np.array(mine), f"{assignment.names[number]}, {deviation.name}", strategy)
    passed.pass_through()
    closed, world, tick_s = passed.record.closed, passed.world, passed.rules.tick_s
    earned = passed.record.earned_nanos.astype(np.float64)
    left = closed.awards.of(np.flatnonzero(closed.is_open))
    for row, price, rent in zip(left.row.tolist(), left.lot_price.tolist(), left.rent.tolist(), strict=True):
        earned[row] += rent_nanos(price, rent, tick_s)
    costs = waiting_costs(fleet.waiting_nanos_per_kwh_h, passed.sums.owed_ws, tick_s)
    utility = earned - np.array(costs, dtype=np.float64) - feeding_costs(fleet, world.exported_ws)
    sold = passed.record.deferred_ws > 0
    sessions = len(street.sessions.session_id)
    return [Played(utility[at : at + sessions], sold[at : at + sessions]) for at in first[:-1].tolist()]


def _audit(strategy: str, rule: str, seeds: Sequence[Tried]) -> Audit:
    utility = np.concatenate([each.utility for each in seeds])
    gains = np.concatenate([each.gains for each in seeds])
    if not len(utility):
        raise InputError(f"{strategy} under {rule}: no car sells anything, so none can deviate; choose another day")
    intervals = [
        Gain(each.name, *interval(column, len(DEVIATIONS))) for each, column in zip(DEVIATIONS, gains.T, strict=True)
    ]
    hindsight = np.maximum(gains.max(axis=1), 0)
    return Audit(strategy, rule, len(utility), float(utility.mean()), tuple(intervals), float(hindsight.mean()))


def interval(values: NDArray[np.float64], together: int) -> tuple[float, float, float]:
    """The mean, and the ends of its interval (Student's) where so many are to hold together with 95 per cent."""
    from scipy import stats

    count, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1)) / sqrt(count) if count > 1 else inf
    if not error:
        return mean, mean, mean
    reach = float(stats.t.ppf(1 - (1 - CONFIDENCE) / together / 2, max(count - 1, 1))) * error
    return mean, mean - reach, mean + reach


def rows_of(audits: Sequence[Audit]) -> list[dict[str, Any]]:
    """A flat row for every strategy, rule and deviation."""
    return [
        {
            "strategy": audit.strategy,
            "clearing": audit.clearing,
            "cars": audit.cars,
            "utility_iota": audit.utility_iota,
            "deviation": gain.name,
            **{key: value for key, value in gain._asdict().items() if key != "name"},
        }
        for audit in audits
        for gain in audit.gains
    ]
