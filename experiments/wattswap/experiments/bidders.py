"""Vehicles that bid, as a PettingZoo ``ParallelEnv`` for reinforcement learning; needs the extra ``rl``.

    env = VehicleBidders("demo")
    observations, infos = env.reset(seed=1)
    while env.agents:
        actions = {car: env.action_space(car).sample() for car in env.agents}
        observations, rewards, terminations, truncations, infos = env.step(actions)

An agent is a session of the street. A step goes from one call of the transformer to the next: each called car says what
it asks, the market clears, and the street goes on. An episode is the scenario, or a day of it. It is the fleet engine
that runs, with the same law as any other run: who always acts as a strategy would earns what that strategy earns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

try:
    from gymnasium.spaces import Box
    from pettingzoo import ParallelEnv
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"{missing.name} is missing: the bidders need it (pip install 'wattswap[rl]')", name=missing.name
    ) from None

from wattswap.agents.offers import MOST, Call, OfferBook, Own
from wattswap.agents.settlement import rent_nanos
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_HOUR, NANOS_PER_IOTA, WS_PER_KWH
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.recording.fairness import feeding_costs
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.offers import Memory
    from wattswap.protocol.draws import Draws

    Values: TypeAlias = NDArray[np.float32]

OBSERVED: Final = (
    *("called", "need_kw", "firm_kw", "floor_kw", "feed_kw", "remaining_kwh", "owed_kwh", "stored_kwh"),
    *("laxity_h", "waiting_iota_per_kwh_h", "last_price_iota_per_kwh_h", "hour"),
)
"""What a car sees, in this order: whether it is called now, and if so the need it is called for and its own state as a
strategy sees it; at all times the highest price of the round before and the hour of the day."""
ASKS: Final = ("reduce_iota_per_kwh_h", "feed_iota_per_kwh_h")
"""What a car does: for how much it stops charging, and feeds back. Above the reserve price it keeps charging."""


class _RunIsOverError(Exception):
    """Nobody waits for the rest of this run."""


class VehicleBidders(ParallelEnv):  # type: ignore[misc]  # mypy skips PettingZoo
    """The cars of a street with one transformer; ``scenario``, ``day`` and ``settings`` are those of ``run``.

    ``cars`` names the sessions that bid; all others follow the scenario's strategies. Every session bids if it is None.

    A session is an agent from ``reset`` until it departs (terminated) or the episode ends (truncated). Its rewards, in
    IOTA, are what it is paid less what waiting costs its owner, wear and losses of feeding; rent that is open at the
    end is counted then. By strategy they add up to its ``gain_iota``, a mean, times its ``called``. Without a seed,
    each episode has the next one.

    Raises:
        InputError: the scenario cannot be run, has several feeders, or no such session.
    """

    metadata: dict[str, Any] = {"name": "wattswap_vehicle_bidders_v0", "render_modes": []}  # noqa: RUF012 - PettingZoo's

    def __init__(
        self,
        scenario: str | Path = "demo",
        *,
        day: int | None = None,
        settings: Sequence[str] = (),
        cars: Sequence[str] | None = None,
    ) -> None:
        self._options = {"day": day, "settings": list(settings)}
        self._scenario, self._cars = str(scenario), cars
        street = load_street(self._scenario, day=day, settings=list(settings))
        if len(street.feeders) > 1:
            raise InputError(f"scenario {street.name} has {len(street.feeders)} feeders; bidders need a street of one")
        known = street.sessions.session_id
        if unknown := sorted({*(cars or ())} - {*known}):
            raise InputError(
                f"scenario {street.name} has no session {unknown[0]!r}; there are {known[0]} to {known[-1]}"
            )
        self._next_seed = street.scenario.seed
        self.possible_agents = list(known if cars is None else cars)
        self.agents: list[str] = []
        most = np.float32(2 * street.scenario.market.reserve_nanos_per_kwh_h / NANOS_PER_IOTA)
        far = np.full(len(OBSERVED), np.inf, dtype=np.float32)
        self.observation_spaces = {car: Box(-far, far, dtype=np.float32) for car in self.possible_agents}
        self.action_spaces = {car: Box(0, most, (len(ASKS),), np.float32) for car in self.possible_agents}
        self._episode: _Episode | None = None

    def observation_space(self, agent: str) -> Box:
        """A number for each of ``OBSERVED``."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Box:
        """A number for each of ``ASKS``, from 0 to twice the reserve price."""
        return self.action_spaces[agent]

    @property
    def run(self) -> FleetRun:
        """The run of this episode; its record is complete when no agent is left.

        Raises:
            InputError: there is no episode yet.
        """
        return self._begun().run

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - PettingZoo's
    ) -> tuple[dict[str, Values], dict[str, dict[str, Any]]]:
        """Begin an episode and go on to its first call.

        Raises:
            InputError: the seed is none that a scenario may have; the episode before it goes on.
        """
        number = self._next_seed if seed is None else _whole(seed)
        street = load_street(self._scenario, seed=number, **self._options)  # type: ignore[arg-type]
        self.close()
        self._next_seed = number + 1
        self._episode = _Episode(FleetRun(street), self.possible_agents)
        self._episode.go_on({})
        self.agents = list(self.possible_agents)
        return self._episode.observations(self.agents), {car: {} for car in self.agents}

    def step(
        self, actions: Mapping[str, Values]
    ) -> tuple[dict[str, Values], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Answer the call, and go on to the next; who is called and does not act keeps charging.

        Raises:
            InputError: an action is not two numbers, and the call is open as before; or there is no episode yet.
        """
        episode, asked = self._begun(), self.agents
        episode.go_on({car: _asks(car, action) for car, action in actions.items() if car in asked})
        rewards = episode.rewards(asked)
        gone = {car: episode.has_left(car) for car in asked}
        ended = {car: episode.is_over and not gone[car] for car in asked}
        self.agents = [car for car in asked if not (gone[car] or ended[car])]
        return episode.observations(asked), rewards, gone, ended, {car: {} for car in asked}

    def close(self) -> None:
        """End a run that is not over."""
        if self._episode is not None:
            self._episode.close()

    def _begun(self) -> _Episode:
        if self._episode is None:
            raise InputError("the bidders have no episode yet: call reset() first")
        return self._episode


def _whole(seed: object) -> int:
    try:
        return index(seed)  # type: ignore[arg-type]  # which says whether it is one
    except TypeError:
        raise InputError(f"reset(seed={seed!r}): a seed is a whole number") from None


def _asks(car: str, action: Values) -> tuple[int, int]:
    """Nanos per kWh and hour; to feed costs no less than to stop, as the law has it.

    What is beyond all that a strategy may ask, infinity too, is above any reserve price, and so is the most it may ask.
    """
    try:
        asks = np.asarray(action, dtype=np.float64)
    except (TypeError, ValueError):
        asks = np.array(np.nan)
    if asks.shape != (len(ASKS),) or not (asks >= 0).all():
        raise InputError(f"the action of {car} is {action!r}; it must be two prices, {' and '.join(ASKS)}")
    reduce, feed = (round(ask) for ask in np.minimum(asks * NANOS_PER_IOTA, MOST).tolist())
    return reduce, max(reduce, feed)


class _Episode:
    """A run that waits at each call for what its bidders ask.

    The engine asks a strategy from within its loop, an environment is told from outside: so the run has a thread of
    its own, which stands still whenever the environment does not.
    """

    def __init__(self, run: FleetRun, cars: Sequence[str]) -> None:
        self.run, self.is_over = run, False
        row_of = {session: row for row, session in enumerate(run.street.sessions.session_id)}
        self._row = {car: row_of[car] for car in cars}
        rows = np.array([*self._row.values()], dtype=np.int64)
        run.assignment.follow(rows, "bidder", self._offers)
        self._car_of = dict(zip(run.world.fleet.key[rows].tolist(), cars, strict=True))
        self._waited_ws_ticks = np.zeros(len(run.world.fleet), dtype=np.int64)
        self._value_nanos = np.zeros(len(run.world.fleet))
        self._seen: dict[str, list[float]] = {}
        self._calls: SimpleQueue[tuple[Call, Own] | BaseException | None] = SimpleQueue()
        self._answers: SimpleQueue[Mapping[str, tuple[int, int]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="wattswap-bidders", daemon=True)

    def go_on(self, asks: Mapping[str, tuple[int, int]]) -> None:
        """Answer the call that is open, and come to the next one or to the end."""
        if self.is_over:
            return
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._answers.put(asks)
        said = self._calls.get()
        if isinstance(said, BaseException):
            self.is_over = True
            raise said
        self.is_over = said is None
        self._seen = {} if said is None else self._what_called_cars_see(*said)

    def close(self) -> None:
        """Let the thread end."""
        if self._thread.ident is not None and not self.is_over:
            self._answers.put(None)
            self._thread.join()
            self.is_over = True

    def has_left(self, car: str) -> bool:
        """Whether a car has departed by now."""
        return int(self.run.world.fleet.departure_tick[self._row[car]]) <= self.run.tick

    def rewards(self, cars: Sequence[str]) -> dict[str, float]:
        """What each car has gained since it was last asked for, in IOTA."""
        before, self._value_nanos = self._value_nanos, self._value_now_nanos()
        gained = (self._value_nanos - before) / NANOS_PER_IOTA
        return {car: float(gained[self._row[car]]) for car in cars}

    def observations(self, cars: Sequence[str]) -> dict[str, Values]:
        """What each car sees now."""
        run, rounds = self.run, self.run.records[0].rounds
        price = rounds[-1].price_nanos_per_kwh_h / NANOS_PER_IOTA if rounds else 0.0
        hour = run.rules.local_ms(run.tick * run.rules.tick_ms) / MS_PER_HOUR
        nothing = [0.0] * (len(OBSERVED) - 2)
        return {car: np.array([*self._seen.get(car, nothing), price, hour], dtype=np.float32) for car in cars}

    def _what_called_cars_see(self, call: Call, own: Own) -> dict[str, list[float]]:
        kw = (call.need_w, own.firm_w, own.floor_w, own.feed_w)
        kwh = (own.remaining_ws, own.owed_ws, own.stored_ws)
        columns = (
            np.ones(len(own)),
            *(column / 1_000 for column in kw),
            *(column / WS_PER_KWH for column in kwh),
            own.laxity_ms / MS_PER_HOUR,
            own.waiting_nanos_per_kwh_h / NANOS_PER_IOTA,
        )
        return dict(zip((self._car_of[key] for key in own.key.tolist()), np.stack(columns, 1).tolist(), strict=True))

    def _offers(self, call: Call, own: Own, _memory: Memory, _draws: Draws) -> OfferBook:
        """The strategy of all bidders: what the environment is told."""
        self._calls.put((call, own))
        asks = self._answers.get()
        if asks is None:
            raise _RunIsOverError
        cars = [self._car_of[key] for key in own.key.tolist()]
        reduce, feed = np.array([asks.get(car, (0, 0)) for car in cars], dtype=np.int64).T
        acts = np.array([car in asks for car in cars])
        book = OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=reduce, where=acts)
        return book.feed(own.feed_w, ask_nanos_per_kwh_h=feed, where=acts)

    def _run(self) -> None:
        run = self.run
        ticks = run.records[0].ticks
        try:
            while run.tick < run.street.ticks:
                run.step()
                for tick in ticks:
                    self._waited_ws_ticks[tick.rows] += tick.owed_ws
                ticks.clear()  # a week of columns would fill the memory, and nobody reads them
            run.finish()
        except BaseException as error:  # noqa: BLE001 - it is raised where the environment waits
            self._calls.put(error)
        else:
            self._calls.put(None)

    def _value_now_nanos(self) -> NDArray[np.float64]:
        """What each row was paid so far, at the end with open rent, less what its owner's waiting and wear cost."""
        run, fleet, tick_s = self.run, self.run.world.fleet, self.run.rules.tick_s
        paid = np.array([run.earned_nanos(row) for row in range(len(fleet))], dtype=np.float64)
        if self.is_over:
            for trade in run.record.trades:
                if trade.status == "open" and (row := self._row.get(trade.session)) is not None:
                    paid[row] += rent_nanos(trade.price_nanos_per_kwh_h, trade.rent, tick_s)
        waiting = self._waited_ws_ticks * (tick_s / 3_600) * fleet.waiting_nanos_per_kwh_h
        value: NDArray[np.float64] = paid - waiting / WS_PER_KWH - feeding_costs(fleet, run.world.exported_ws)
        return value
