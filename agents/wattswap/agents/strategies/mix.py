"""Mixes of strategies: ``need:0.8+prosumer:0.2``. A person keeps a strategy from session to session."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.agents.strategies.bundled import BUNDLED
from wattswap.protocol.draws import draw, uniform
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from wattswap.agents.offers import Strategy
    from wattswap.agents.physics import Ints

_COMMA: Final = re.compile(r"\d+,\d+")
_PERCENT: Final = re.compile(r"\d+(\.\d+)? ?%")


class Share(NamedTuple):
    """One strategy of a mix and how many of the cars follow it, relative to the other shares."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Mix:
    """Strategies and the cumulated shares, up to 1, of the cars that follow them."""

    names: tuple[str, ...]
    strategies: tuple[Strategy, ...]
    cumulated: NDArray[np.float64]

    def assign(self, seed: int, assignment: NDArray[np.uint64]) -> Ints:
        """The number of the strategy each person follows; the same in every run with this seed."""
        place = uniform(draw(seed, assignment, Purpose.STRATEGY))
        return np.searchsorted(self.cumulated[:-1], place, side="right")


def parse_mix(
    text: str,
    from_file: Callable[[str], Strategy] | None = None,
    installed: Callable[[], Mapping[str, Callable[[], Strategy]]] | None = None,
) -> Mix:
    """Read a mix; names that hold ``.py:`` are loaded by ``from_file``.

    ``installed`` names what packages provide, each with what loads it; it is asked only about a name that is not
    bundled, so no package can take a bundled one's place.

    Raises:
        InputError: an unknown strategy (the nearest is named) or a share that is not positive.
    """
    shares = [_share(part.strip(), text) for part in text.split("+")]
    strategies = tuple(_strategy(share.name, from_file, installed) for share in shares)
    weights = np.array([share.share for share in shares])
    return Mix(tuple(share.name for share in shares), strategies, np.cumsum(weights) / weights.sum())


def _share(part: str, text: str) -> Share:
    name, _, number = (piece.strip() for piece in part.rpartition(":"))
    if _COMMA.fullmatch(number):
        raise InputError(f"strategy {text!r}: write a point before decimals, {name}:{number.replace(',', '.')}")
    if _PERCENT.fullmatch(number):
        raise InputError(f"strategy {text!r}: a share is a plain number, write {name}:{float(number[:-1]) / 100:g}")
    try:
        share = float(number)
    except ValueError:
        name, share = part, 1.0
    if name.endswith(".py"):  # a function may be called nan or inf
        name, share = part, 1.0
    if not name:
        raise InputError(f"strategy {text!r}: a name is missing; write for example need:0.8+prosumer:0.2")
    if not 0 < share < float("inf"):
        raise InputError(f"strategy {text!r}: the share of {name} must be a positive number like 0.8, not {number}")
    return Share(name, share)


def _strategy(
    name: str,
    from_file: Callable[[str], Strategy] | None,
    installed: Callable[[], Mapping[str, Callable[[], Strategy]]] | None,
) -> Strategy:
    if name in BUNDLED:
        return BUNDLED[name]
    if ".py" in name and from_file is not None:
        return from_file(name)
    packaged = {} if installed is None else installed()
    if name in packaged:
        return packaged[name]()
    nearest = get_close_matches(name, [*BUNDLED, *packaged], n=1, cutoff=0.0)[0]
    others = f"; installed: {', '.join(packaged)}" if packaged else ""
    raise InputError(
        f"unknown strategy {name!r}; the nearest is {nearest!r}"
        f" (bundled: {', '.join(BUNDLED)}{others}; or FILE.py:FUNCTION)"
    )
