"""Which car follows which strategy, and the answers of a group of cars, each asked by its own."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents import law
from wattswap.agents.offers import StrategyError
from wattswap.agents.strategies import check_elementwise, parse_mix
from wattswap.agents.strategies.elementwise import answer, raised, refused
from wattswap.protocol.draws import Draws
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.metadata import EntryPoint

    from wattswap.agents.offers import Call, Own, Strategy
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.runners.world import Fleet

GROUP: Final = "wattswap.strategies"
"""The entry-point group under which an installed package provides strategies."""


class StrategyAssignment:
    """The strategies of all rows of a street: a person keeps a character from session to session."""

    def __init__(self, fleet: Fleet, seed: int, rules: Rules, folder: Path) -> None:
        self._seed, self._rules, self._session_id = seed, rules, fleet.session_id
        self.strategies: list[Strategy] = []
        self.names: list[str] = []
        self.number = np.zeros(len(fleet), dtype=np.int64)
        for text in dict.fromkeys(fleet.strategy):
            rows = np.array([row for row, mine in enumerate(fleet.strategy) if mine == text], dtype=np.int64)
            mix = parse_mix(text, lambda name: strategy_from_file(name, folder), installed_strategies)
            self.number[rows] = len(self.strategies) + mix.assign(seed, fleet.user_key[rows])
            self.strategies.extend(mix.strategies)
            self.names.extend(mix.names)

    def admitted(self, call: Call, own: Own, rows: Ints) -> tuple[Ints, Ints]:
        """What these cars answer and the law admits: relief in watts and asks, shape (cars, 3) each.

        Raises:
            InputError: a strategy answered what no car may say; the text names the car and the call.
        """
        relief_w = np.zeros((len(rows), 3), dtype=np.int64)
        ask = np.zeros_like(relief_w)
        numbers = self.number[rows]
        for number in np.unique(numbers):
            mine = np.flatnonzero(numbers == number)
            relief_w[mine], ask[mine] = self._ask(int(number), call.take(mine), own.take(mine), rows[mine])
        return relief_w, ask

    def _ask(self, number: int, call: Call, own: Own, rows: Ints) -> tuple[Ints, Ints]:
        draws = Draws(self._seed, own.key, call.from_ms // self._rules.window_ms)
        try:
            return law.admitted(answer(self.strategies[number], call, own, draws), call, self._rules)
        except StrategyError as error:
            raise refused(self.names[number], error, self._session_id[rows[error.row]], call) from error


def strategy_from_file(name: str, folder: Path) -> Strategy:
    """Load ``FILE.py:FUNCTION``, the file relative to the working directory or else to ``folder``.

    Raises:
        InputError: no such file or function, or the strategy looks at its neighbours.
    """
    file_name, _, function = name.partition(".py:")
    path = next((p for p in (Path(f"{file_name}.py"), folder / f"{file_name}.py") if p.is_file()), None)
    if path is None or not function:
        raise InputError(f"strategy {name!r}: no such file; write FILE.py:FUNCTION")
    strategy = getattr(_module(path), function, None)
    if not callable(strategy):
        raise InputError(f"strategy {name!r}: {path} has no function {function!r}")
    return _tried(name, strategy)


def installed_strategies() -> Mapping[str, Callable[[], Strategy]]:
    """What installed packages provide, by name, each with what loads and tries it. Nothing is imported before that."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        found.setdefault(point.name, {})[point.value] = point
    return {name: partial(_from_package, list(points.values())) for name, points in found.items()}


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


def _tried(name: str, strategy: Strategy) -> Strategy:
    """The strategy, once it has answered for a few sample cars, together and one by one."""
    try:
        check_elementwise(strategy)
    except StrategyError as error:
        raise InputError(f"strategy {name!r} {error.problem} (tried on sample car {error.row})") from error
    return strategy


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
