"""Play every manipulation on a street, the honest run of the same seed beside it, and say what it earned."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.agents.settlement import rent_nanos
from wattswap.experiments.games.manipulations import MANIPULATIONS, Manipulation
from wattswap.experiments.games.played_street import PlayedStreet
from wattswap.experiments.games.played_world import PlayedWorld
from wattswap.protocol.draws import draw, uniform
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import NANOS_PER_IOTA, Purpose
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.recording.metrics import WS_S_PER_KWH_H
from wattswap.runners.recording.record import SHORT_WS
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.runners.recording.record import TradeRow
    from wattswap.runners.scenario.street import Street

HONEST: Final = "truthful"
"""What everyone answers who does not manipulate."""
_DAY_S: Final = 24 * 3_600


@dataclass(frozen=True)
class PlayedRun:
    """What a run came to; one row a session, those that a manipulation invented behind the true ones."""

    earned_nanos: Ints
    """Rent that is open at the run's end included, for what can still be drawn back."""
    cost_nanos: Ints
    """What the waiting that is true cost, by each owner's own c."""
    short: NDArray[np.bool_]
    """Left with more than 0.1 kWh of its real need missing."""
    paid_nanos: int
    """To everyone, batteries included."""
    peaks: Ints
    """The tick of each day at which the transformer called for most relief."""

    def utility_iota(self, rows: NDArray[np.bool_], cars: int) -> float:
        """What these sessions earned beyond what waiting cost them, for each of so many cars."""
        return int((self.earned_nanos - self.cost_nanos)[rows].sum()) / max(cars, 1) / NANOS_PER_IOTA


class GameOutcome(NamedTuple):
    """One manipulation under one seed, beside the same cars' honest run."""

    game: str
    does: str
    share: float
    seed: int
    cars: int
    """How many manipulated."""
    honest_iota: float
    """Utility of such a car had it been honest: what it earns beyond what waiting costs it."""
    utility_iota: float
    """Its utility when it plays."""
    others_gain_iota: float
    """How much better or worse each other car fares than in the honest run."""
    payments_ratio: float
    """What the site pays everyone, over what it pays in the honest run."""
    invented_paid_iota: float
    """Paid to cars that are not there."""
    short: int
    """Manipulating cars' sessions that left short of their real need."""
    others_short: int
    """Those of the other cars; nobody is when all are honest."""

    @property
    def gain_iota(self) -> float:
        """What playing is worth to a car."""
        return self.utility_iota - self.honest_iota


def play_games(
    scenario: str,
    *,
    seeds: int,
    share: float | None = None,
    day: int | None = None,
    settings: Sequence[str] = (),
    games: Sequence[Manipulation] = MANIPULATIONS,
    progress: Callable[[int], None] = lambda _done: None,
) -> list[GameOutcome]:
    """Every game under every seed, counted up from the scenario's own, in the fleet engine.

    ``share`` is that of the cars that play, each game's own if None. ``progress`` hears how many runs are over, of
    ``seeds`` times one more than there are games.

    Raises:
        InputError: the scenario cannot be played.
    """
    if seeds < 1:
        raise InputError(f"--seeds {seeds}: at least one run of each is needed")
    if share is not None and not 0 < share <= 1:
        raise InputError(f"--share {share}: a share of the cars is above 0 and at most 1, for example 0.1")
    first = load_street(scenario, settings=list(settings), day=day, strategy=HONEST).scenario.seed
    outcomes, done = [], 0
    for seed in range(first, first + seeds):
        street = load_street(scenario, settings=list(settings), day=day, strategy=HONEST, seed=seed)
        honest = run_played(PlayedStreet.honest(street, _plays(street, 0.0)))
        progress(done := done + 1)
        for game in games:
            outcomes.append(play(game, street, honest, game.share if share is None else share))
            progress(done := done + 1)
    return outcomes


def play(game: Manipulation, street: Street, honest: PlayedRun, share: float) -> GameOutcome:
    """One game on a street, beside its honest run."""
    truth = PlayedStreet.honest(street, _plays(street, share))
    played = game.play(truth, honest.peaks)
    run = run_played(played)
    cars, others = _owners(truth, truth.plays), _owners(truth, ~truth.plays)
    invented = played.plays & (played.real_ws == 0) & (played.street.sessions.energy_ws > 0)
    return GameOutcome(
        game=game.name,
        does=game.does,
        share=share,
        seed=street.scenario.seed,
        cars=cars,
        honest_iota=honest.utility_iota(truth.plays, cars),
        utility_iota=run.utility_iota(played.plays, cars),
        others_gain_iota=run.utility_iota(~played.plays, others) - honest.utility_iota(~truth.plays, others),
        payments_ratio=run.paid_nanos / honest.paid_nanos if honest.paid_nanos else 1.0,
        invented_paid_iota=int(run.earned_nanos[invented].sum()) / NANOS_PER_IOTA,
        short=int((run.short & played.plays).sum()),
        others_short=int((run.short & ~played.plays).sum()),
    )


def run_played(played: PlayedStreet) -> PlayedRun:
    """Run a street some of whose cars manipulate."""
    street, world = played.street, PlayedWorld(played)
    run = FleetRun(street, world=world)
    if played.asks is not None:
        run.assignment.follow(np.flatnonzero(played.asking), "manipulates", played.asks)
    while run.tick < street.ticks:
        run.step()
        run.record.ticks.clear()  # a week of columns would fill the memory, and nobody reads them
    record, sessions = run.finish(), len(played.plays)
    earned, departure_tick = _earned(record.trades, world, run.rules.tick_s), street.sessions.departure_tick
    costs = zip(world.waited_ws.tolist(), played.waiting_nanos_per_kwh_h.tolist(), strict=False)
    cost_nanos = [ws * run.rules.tick_s * price // WS_S_PER_KWH_H for ws, price in costs]
    split = np.isin(np.arange(sessions), played.continues)
    left_short = (departure_tick <= street.ticks) & (world.really_missing_ws[:sessions] > SHORT_WS) & ~split
    return PlayedRun(
        earned_nanos=np.array([earned[session] for session in street.sessions.session_id], dtype=np.int64),
        cost_nanos=np.array(cost_nanos, dtype=np.int64),
        short=left_short,
        paid_nanos=earned.total(),
        peaks=_peaks([(note.tick, note.need_w) for note in record.rounds], _DAY_S // run.rules.tick_s),
    )


def _earned(trades: Iterable[TradeRow], world: PlayedWorld, tick_s: int) -> Counter[str]:
    """What each session was paid, and of the rent still open at the run's end what can still be drawn back."""
    owed_ws = np.maximum(world.remaining_ws - world.baseline_ws, 1)
    returns_ws = dict(zip(world.fleet.session_id, np.minimum(world.really_missing_ws, owed_ws).tolist(), strict=True))
    owed = dict(zip(world.fleet.session_id, owed_ws.tolist(), strict=True))
    earned: Counter[str] = Counter()
    for row in trades:
        earned[row.session] += row.nanos
        if row.status == "open":
            nanos = rent_nanos(row.price_nanos_per_kwh_h, row.rent, tick_s)
            earned[row.session] += nanos * returns_ws[row.session] // owed[row.session]
    return earned


def _peaks(needs: Iterable[tuple[int, int]], day_ticks: int) -> Ints:
    """Of (tick, need), the tick of each day's greatest need."""
    greatest: dict[int, tuple[int, int]] = {}
    for tick, need_w in needs:
        day = tick // day_ticks
        greatest[day] = max(greatest.get(day, (0, 0)), (need_w, tick))
    return np.array([tick for _, tick in greatest.values()], dtype=np.int64)


def _plays(street: Street, share: float) -> NDArray[np.bool_]:
    """The sessions of the people who manipulate, drawn by seed and person."""
    place = uniform(draw(street.scenario.seed, street.sessions.user_key, Purpose.MANIPULATION))
    plays: NDArray[np.bool_] = place < share
    return plays


def _owners(played: PlayedStreet, rows: NDArray[np.bool_]) -> int:
    return len(np.unique(played.street.sessions.user_key[rows]))
