"""Which car follows which strategy, and the answers of a group of cars, each asked by its own."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from copy import copy
from functools import partial
from importlib.metadata import entry_points
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents import law, physics
from wattswap.agents.offers import TRANCHES, OfferBook, Own, StrategyError
from wattswap.agents.strategies import BUNDLED, FEEDERS, check_elementwise, parse_mix
from wattswap.agents.strategies.elementwise import answer, compare, compare_memory, refused
from wattswap.agents.strategies.learning import LearningStrategy, learned, memory_columns
from wattswap.agents.strategies.raised import raised
from wattswap.protocol.draws import Draws, keys_under
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from importlib.metadata import EntryPoint

    from numpy.typing import NDArray

    from wattswap.agents.offers import Call, Memory, Outcome, Strategy
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.runners.world import Fleet

GROUP: Final = "wattswap.strategies"
"""The entry-point group under which an installed package provides strategies."""


_MOST_TRIED: Final = 64
"""A strategy is tried on so many cars of a street, spread over its sessions."""


class StrategyAssignment:
    """The strategies of all rows of a street: a person keeps a strategy from session to session."""

    def __init__(self, fleet: Fleet, seed: int, rules: Rules, folder: Path) -> None:
        self._seed, self._rules, self._session_id, self._key = seed, rules, fleet.session_id, fleet.key
        self.strategies: list[Strategy] = []
        self.names: list[str] = []
        self.number = np.zeros(len(fleet), dtype=np.int64)
        for text in dict.fromkeys(fleet.strategy):
            rows = np.array([row for row, mine in enumerate(fleet.strategy) if mine == text], dtype=np.int64)
            mix = parse_mix(text, lambda name: strategy_from_file(name, folder), installed_strategies)
            self.number[rows] = len(self.strategies) + mix.assign(seed, fleet.user_key[rows])
            self.strategies.extend(mix.strategies)
            self.names.extend(mix.names)
        self._users = _users(self.names)
        for number in self._users:
            name, mine = self.names[number], np.flatnonzero(self.number == number)
            if len(mine):
                spread = mine[:: -(-len(mine) // _MOST_TRIED)]
                _tried_on_street(name, self.strategies[number], fleet, spread, rules, seed)
        self._learns = any(isinstance(strategy, LearningStrategy) for strategy in self.strategies)
        self._memories: dict[str, Memory] = {}
        """By a strategy's name, the memory of all rows."""

    @classmethod
    def joined(cls, parts: Sequence[StrategyAssignment]) -> StrategyAssignment:
        """The assignment of several streets' rows, one street after the other; each row draws under its own seed.

        What a user wrote is kept apart by street, as it was loaded for each: whatever it keeps in its module, no
        street hears of another's.
        """
        joined = copy(parts[0])
        joined._seed, joined._session_id, joined._memories = 0, tuple(chain(*(part._session_id for part in parts))), {}  # noqa: SLF001
        joined._key = np.concatenate([keys_under(part._seed, part._key) for part in parts])  # noqa: SLF001
        kept = [[(name, None if name in BUNDLED else place) for name in part.names] for place, part in enumerate(parts)]
        strategies = dict(
            chain(*(zip(mine, part.strategies, strict=True) for mine, part in zip(kept, parts, strict=True)))
        )
        number_of = {each: number for number, each in enumerate(strategies)}
        joined.names, joined.strategies = [name for name, _ in strategies], list(strategies.values())
        joined._users = _users(joined.names)  # noqa: SLF001
        places = [np.array([number_of[each] for each in mine], dtype=np.int64) for mine in kept]
        joined.number = np.concatenate([place[part.number] for place, part in zip(places, parts, strict=True)])
        joined._learns = any(part._learns for part in parts)  # noqa: SLF001
        return joined

    @property
    def learns(self) -> bool:
        """Whether any car learns from rounds."""
        return self._learns

    def may_feed(self) -> NDArray[np.bool_]:
        """By row: whether its strategy may ever offer to feed; nobody knows what a user's does."""
        feeds = [name in FEEDERS or BUNDLED.get(name) is not each for name, each in self._named_strategies()]
        return np.array(feeds, dtype=bool)[self.number]

    def _named_strategies(self) -> Iterator[tuple[str, Strategy]]:
        return zip(self.names, self.strategies, strict=True)

    def follow(self, rows: Ints, name: str, strategy: Strategy) -> None:
        """Let these rows follow this strategy, whatever they were drawn to follow; before the first call.

        It is the program's own, such as a player of a game or a learner outside, and is asked each thing once.
        """
        self.number[rows] = len(self.strategies)
        self.strategies.append(strategy)
        self.names.append(name)
        self._learns = self._learns or isinstance(strategy, LearningStrategy)

    def admitted(self, call: Call, own: Own, rows: Ints, may_stand: law.Admitted = law.admitted) -> tuple[Ints, Ints]:
        """What these cars answer and the law admits: relief in watts and asks, shape (cars, 3) each.

        ``may_stand`` finds what that is, as :func:`.law.admitted` does.

        Raises:
            InputError: a strategy answered what no car may say; the text names the car and the call.
        """
        order = self._order(rows)
        rows, call, own = rows[order], call.take(order), own.take(order)
        (relief_w, ask), are_sound = np.empty((2, len(rows), TRANCHES), dtype=np.int64), True
        for number, mine in self._groups(rows):
            asked, who = call.take(mine), own.take(mine)
            with self._named(rows[mine], asked):
                book = self._answer(number, rows[mine], asked, who)
                if number in self._users:
                    one = self._one(call, len(who))
                    compare(book, self._answer(number, rows[mine][one], asked.take(one), who.take(one)), one)
            relief_w[mine], ask[mine] = book.relief_w, book.ask_nanos_per_kwh_h
            are_sound = are_sound and self._is_bundled(number)
        with self._named(rows, call):
            relief_w, ask = may_stand(OfferBook(own, relief_w, ask), call, self._rules, are_sound=are_sound)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return relief_w.take(back, axis=0), ask.take(back, axis=0)

    def _answer(self, number: int, rows: Ints, call: Call, own: Own) -> OfferBook:
        strategy, memory = self.strategies[number], self._memory(number)[rows]
        draws = self._draws(rows, call.from_ms)
        if self._is_bundled(number):
            return strategy(call, own, memory, draws)
        return answer(strategy, call, own, memory, draws)

    def _is_bundled(self, number: int) -> bool:
        """Whether a strategy is one of ours, which answer what is sound and change nothing that they are handed."""
        return BUNDLED.get(self.names[number]) is self.strategies[number]

    def learn(self, call: Call, own: Own, outcome: Outcome, rows: Ints) -> None:
        """Let these cars learn from a round they were called to.

        Raises:
            InputError: a strategy learned what it cannot remember.
        """
        if not self._learns:
            return
        order = self._order(rows)
        rows, call, own, outcome = rows[order], call.take(order), own.take(order), outcome.take(order)
        for number, mine in self._groups(rows):
            strategy, who = self.strategies[number], own.take(mine)
            if isinstance(strategy, LearningStrategy):
                learn = partial(self._learned, strategy, number, call.from_ms)
                theirs, learns_from = rows[mine], outcome.take(mine)
                with self._named(theirs, call.take(mine)):
                    after = learn(theirs, who, learns_from)
                    if number in self._users:
                        one = self._one(call, len(who))
                        compare_memory(after, learn(theirs[one], who.take(one), learns_from.take(one)), one)
                    self._memory(number)[theirs] = after

    def _learned(
        self, strategy: LearningStrategy, number: int, from_ms: int, rows: Ints, own: Own, outcome: Outcome
    ) -> Memory:
        return learned(strategy, self._memory(number)[rows], own, outcome, self._draws(rows, from_ms))

    def _one(self, call: Call, cars: int) -> Ints:
        """The place, among so many, of the car that is asked alone too; each call has another."""
        return np.array([call.from_ms // self._rules.window_ms % cars])

    def _order(self, rows: Ints) -> NDArray[np.intp]:
        """The places of these rows, those of a strategy together."""
        return np.argsort(self.number[rows], kind="stable")

    def _groups(self, rows: Ints) -> Iterator[tuple[int, slice]]:
        """The numbers of the strategies of rows in that order, each with where those stand that follow it."""
        first = 0
        for number, upto in enumerate(np.cumsum(np.bincount(self.number[rows])).tolist()):
            if upto > first:
                yield number, slice(first, upto)
            first = upto

    def _memory(self, number: int) -> Memory:
        """What all rows remember that may follow a strategy; nothing where it learns nothing."""
        name = self.names[number]
        if name not in self._memories:
            self._memories[name] = np.zeros((len(self.number), memory_columns(self.strategies[number])))
        return self._memories[name]

    def _draws(self, rows: Ints, from_ms: int) -> Draws:
        return Draws(self._seed, self._key[rows], from_ms // self._rules.window_ms)

    @contextmanager
    def _named(self, rows: Ints, call: Call) -> Iterator[None]:
        """Name strategy, car and call to whoever reads what a strategy did wrong."""
        try:
            yield
        except StrategyError as error:
            row = rows[error.row]
            raise refused(self.names[self.number[row]], error, self._session_id[row], call) from error


def strategy_from_file(name: str, folder: Path) -> Strategy:
    """Load ``FILE.py:FUNCTION``, the file relative to the working directory or else to ``folder``.

    Raises:
        InputError: no such file or function, or the strategy looks at its neighbours.
    """
    file_name, _, function = name.partition(".py:")
    path = next((p for p in (Path(f"{file_name}.py"), folder / f"{file_name}.py") if p.is_file()), None)
    if path is None or not function:
        raise InputError(f"strategy {name!r}: no such file; write FILE.py:FUNCTION")
    again, strategy = (getattr(_module(path), function, None) for _ in range(2))
    if not callable(strategy):
        raise InputError(f"strategy {name!r}: {path} has no function {function!r}")
    return _tried(name, strategy, again)


_GIVEN: Final[dict[str, Strategy]] = {}
"""Strategies that were given as functions in this process, by the name under which a mix calls them."""


def given_strategy(strategy: Strategy) -> str:
    """Make a function a strategy of this process, and say under which name mixes know it.

    Raises:
        InputError: the function looks at its neighbours.
    """
    name = getattr(strategy, "__name__", type(strategy).__name__).strip("<>")
    number = next(number for number in count(1) if _GIVEN.get(f"given-{name}-{number}", strategy) is strategy)
    return _remember(f"given-{name}-{number}", strategy)


def _remember(name: str, strategy: Strategy) -> str:
    if name not in _GIVEN:
        _GIVEN[name] = _tried(name, strategy)
    return name


def installed_strategies() -> Mapping[str, Callable[[], Strategy]]:
    """What installed packages provide, by name, each with what loads and tries it. Nothing is imported before that."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        found.setdefault(point.name, {})[point.value] = point
    packaged = {name: partial(_from_package, list(points.values())) for name, points in found.items()}
    return {**packaged, **{name: partial(_GIVEN.__getitem__, name) for name in _GIVEN}}


def _from_package(points: list[EntryPoint]) -> Strategy:
    point, *others = points
    if others:
        packages = " and ".join(_package(each) for each in points)
        raise InputError(f"strategy {point.name!r} is provided by {packages}; uninstall all but one of them")
    try:
        strategy = point.load()
    except (Exception, SystemExit) as error:
        raise InputError(f"strategy {point.name!r} of {_package(point)} {raised(error)}") from error
    if not callable(strategy):
        raise InputError(f"strategy {point.name!r} of {_package(point)}: {point.value} is no function")
    return _tried(point.name, strategy)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _tried(name: str, strategy: Strategy, again: Strategy | None = None) -> Strategy:
    """The strategy, once it has answered for a few sample cars, together and one by one.

    A file is loaded ``again`` for that, as what it keeps in its module could hide what it was told of neighbours.
    """
    try:
        check_elementwise(strategy, again=again)
    except StrategyError as error:
        raise InputError(f"strategy {name!r} {error.problem} (tried on sample car {error.row})") from error
    return strategy


def _users(names: Sequence[str]) -> set[int]:
    """The numbers of the strategies that a user wrote."""
    return {number for number, name in enumerate(names) if name not in BUNDLED}


def _tried_on_street(name: str, strategy: Strategy, fleet: Fleet, rows: Ints, rules: Rules, seed: int) -> None:
    """Try a strategy on these cars of the street as they arrive, together and one by one.

    Raises:
        InputError: a car's answer depends on its neighbours, or on what was asked before.
    """
    try:
        check_elementwise(strategy, _at_arrival(fleet, rows, rules), seed)
    except StrategyError as error:
        session = fleet.session_id[rows[error.row]]
        raise InputError(f"strategy {name!r} {error.problem} (tried on car {session!r} at its arrival)") from error


def _at_arrival(fleet: Fleet, rows: Ints, rules: Rules) -> Own:
    """What cars know of themselves when they plug in."""
    need_ws, max_w = fleet.need_ws[rows], fleet.max_w[rows]
    wanted_w = physics.wanted_w(need_ws, max_w, rules.tick_s)
    arrival_ms = np.maximum(fleet.arrival_tick[rows], 0) * rules.tick_ms
    return Own(
        key=fleet.key[rows],
        wanted_w=wanted_w,
        baseline_w=wanted_w,
        firm_w=wanted_w,
        floor_w=np.minimum(wanted_w, rules.min_w),
        max_w=max_w,
        feed_w=fleet.feed_w[rows],
        remaining_ws=need_ws,
        owed_ws=np.zeros_like(need_ws),
        stored_ws=fleet.stored_ws[rows],
        capacity_ws=fleet.capacity_ws[rows],
        reserve_ws=fleet.reserve_ws[rows],
        laxity_ms=fleet.departure_ms[rows] - physics.charging_ms(need_ws, max_w) - arrival_ms,
        round_trip_permille=fleet.round_trip_permille[rows],
        wear_nanos_per_kwh=fleet.wear_nanos_per_kwh[rows],
        tariff_nanos_per_kwh=fleet.tariff_nanos_per_kwh[rows],
        waiting_nanos_per_kwh_h=fleet.waiting_nanos_per_kwh_h[rows],
    )


def _module(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"wattswap_strategy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"strategy file {path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"strategy file {path} {raised(error)}") from error
    return module
