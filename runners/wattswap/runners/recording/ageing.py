"""How much of its insulation's life a transformer uses: IEC 60076-7, difference form, normal paper, ONAN distribution.

The load heats the oil, slowly, and the winding above the oil, fast; the hottest spot of the winding sets the pace at
which the paper ages: at 98 degrees an hour an hour, and twice as fast for every six degrees more. So an overload has a
price in hours of life, and short ones need not be forbidden, only worth it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FloatT = TypeVar("FloatT", float, "Floats")
Paper = Literal["normal", "upgraded"]

LONGEST_STEP_S: Final = 60
"""The standard asks for steps under half the winding's time constant; a minute is a quarter of it."""
_AT_ONCE: Final = 1 << 15
"""So many numbers are reckoned at a time."""
HOTTEST_C: Final = 180.0
"""A hotter spot counts as one of this: beyond what IEC 60076-7 covers a transformer fails rather than ages."""


@dataclass(frozen=True)
class Cooling:
    """The constants of Annex C for a class of transformers; the default is the ONAN distribution set."""

    oil_rise_k: float = 55.0
    """Of the top oil above the ambient, at rated load in the long run."""
    winding_rise_k: float = 23.0
    """Of the hot spot above the top oil, at rated load in the long run."""
    oil_minutes: float = 180.0
    winding_minutes: float = 4.0
    loss_ratio: float = 5.0
    """Losses at rated load to losses at none."""
    oil_exponent: float = 0.8
    winding_exponent: float = 1.6
    k11: float = 1.0
    k21: float = 1.0
    k22: float = 2.0


ONAN: Final = Cooling()


class Heat(NamedTuple, Generic[FloatT]):
    """The state of a transformer, in degrees Celsius and kelvins; or of many, in columns."""

    oil_c: FloatT
    rise_k: FloatT
    """Of the winding above the oil, the part that comes first."""
    sag_k: FloatT
    """What the oil's own inertia takes from that rise."""

    @property
    def hot_spot_c(self) -> FloatT:
        """The temperature of the hottest spot of the winding."""
        return self.oil_c + self.rise_k - self.sag_k


def ageing_rate(hot_spot_c: ArrayLike, paper: Paper = "normal") -> Floats:
    """Hours of life used per hour: V of IEC 60076-7 for normal paper, for upgraded paper FAA of IEEE C57.91.

    Above ``HOTTEST_C`` it is that of ``HOTTEST_C``.

    FAA = exp(15000 / 383 - 15000 / (hot spot + 273)), for a rise of 65 K: 1 at 110 degrees.
    """
    hot = np.minimum(hot_spot_c, HOTTEST_C)
    rate: Floats = np.exp2((hot - 98.0) / 6.0) if paper == "normal" else np.exp(15_000 / 383 - 15_000 / (hot + 273))
    return rate


def steady(load_factor: FloatT, ambient_c: FloatT, cooling: Cooling = ONAN) -> Heat[FloatT]:
    """Where oil and winding settle under a load that never changes; ``load_factor`` is load to rating."""
    oil_k, winding_k = (_plain(rise, 0) for rise in _final_rises(np.asarray(load_factor), cooling))
    return Heat(ambient_c + oil_k, cooling.k21 * winding_k, (cooling.k21 - 1) * winding_k)


def hot_spots(
    load_factor: Floats, tick_s: float, ambient_c: ArrayLike, start: Heat[FloatT], cooling: Cooling = ONAN
) -> Floats:
    """The hot spot at the end of each tick, in degrees Celsius, by explicit Euler steps of ``tick_s`` each.

    ``load_factor`` has a row a tick, and of many transformers a column each; ``ambient_c`` is one temperature, or is
    shaped like it.
    """
    return np.array([heat.hot_spot_c for heat in _walk(load_factor, tick_s, ambient_c, start, cooling)])


class Ageing(NamedTuple):
    """What a load made of a transformer."""

    used_h: float
    """Hours of life."""
    hot_spot_c: float
    """The hottest that its winding became."""


def ageing(
    load_w: NDArray[np.int64], rating_va: int, tick_s: int, ambient_c: ArrayLike, paper: Paper = "normal"
) -> Ageing:
    """Life used under a load given tick by tick, from the steady state of its first tick, and the hottest spot.

    A load that flows backwards heats as one that flows forwards. ``ambient_c`` is one temperature, or one a tick.
    """
    if not len(load_w):
        return Ageing(0.0, float(np.max(ambient_c, initial=0.0)))
    spots = _spots(load_w, rating_va, tick_s, ambient_c)
    return Ageing(float(_used_h(ageing_rate(spots, paper), tick_s)), float(spots.max()))


def ageing_h(load_w: NDArray[np.int64], rating_va: int, tick_s: int, ambient_c: ArrayLike) -> float:
    """Hours of life used, see :func:`ageing`."""
    return ageing(load_w, rating_va, tick_s, ambient_c).used_h


def ageings(
    load_w: NDArray[np.int64],
    rating_va: NDArray[np.int64],
    tick_s: int,
    ambient_c: Floats,
    papers: Sequence[Paper],
) -> list[Ageing]:
    """What loads made of many transformers, a column of ``load_w`` each; see :func:`ageing`.

    ``ambient_c`` has a column each too, or one for all.
    """
    if not len(load_w):
        return [Ageing(0.0, 0.0)] * len(papers)
    spots = _spots(load_w, rating_va, tick_s, ambient_c)
    rate = _rates(spots, papers)
    return [Ageing(*each) for each in zip(_used_h(rate, tick_s).tolist(), spots.max(axis=0).tolist(), strict=True)]


def _rates(spots: Floats, papers: Sequence[Paper]) -> Floats:
    """Hours of life used per hour, a column for the paper of each transformer."""
    kinds = set(papers)
    if len(kinds) == 1:
        return ageing_rate(spots, *kinds)
    rate = np.empty_like(spots)
    for paper in kinds:
        mine = np.array([each == paper for each in papers])
        rate[:, mine] = ageing_rate(spots[:, mine], paper)
    return rate


def _spots(load_w: NDArray[np.int64], rating_va: ArrayLike, tick_s: int, ambient_c: ArrayLike) -> Floats:
    """The hot spot at the end of each step that the ticks are cut into."""
    factor: Floats = np.divide(load_w, rating_va)
    np.abs(factor, out=factor)
    steps = ceil(tick_s / LONGEST_STEP_S)
    ambient = np.broadcast_to(np.asarray(ambient_c, dtype=np.float64), factor.shape)
    start: Heat[Any] = steady(_plain(factor[0], 0), _plain(ambient[0], 0))
    if steps > 1:
        factor, ambient = np.repeat(factor, steps, axis=0), np.repeat(ambient, steps, axis=0)
    return hot_spots(factor, tick_s / steps, ambient, start)


def _used_h(rate: Floats, tick_s: int) -> Floats:
    """Hours of life used at the pace of each step; the sum of each column is added up as that of one alone."""
    steps = ceil(tick_s / LONGEST_STEP_S)
    used: Floats = np.ascontiguousarray(rate.T).sum(axis=-1) * tick_s / steps / 3600
    return used


class AgeingClock:
    """A transformer's heat and the life it has used, reckoned tick by tick as :func:`ageing_h` does at once."""

    def __init__(self, rating_va: int, tick_s: int, ambient_c: Floats, paper: Paper = "normal") -> None:
        """``ambient_c`` has one temperature a tick; beyond it the last one holds."""
        self._rating_va, self._ambient_by_tick, self._paper = rating_va, ambient_c, paper
        self._tick = 0
        self._steps = ceil(tick_s / LONGEST_STEP_S)
        self._step_s = tick_s / self._steps
        self._heat: Heat[float] | None = None
        self.used_h = 0.0
        """Hours of life."""

    @property
    def hot_spot_c(self) -> float:
        """Of the winding, at the end of the last tick."""
        return self._ambient_c if self._heat is None else self._heat.hot_spot_c

    @property
    def _ambient_c(self) -> float:
        return float(self._ambient_by_tick[min(self._tick, len(self._ambient_by_tick) - 1)])

    def add(self, load_w: int) -> None:
        """Let a tick pass under this load."""
        factor = abs(load_w) / self._rating_va
        start = self._heat or steady(factor, self._ambient_c)
        for heat in _walk(np.full(self._steps, factor), self._step_s, self._ambient_c, start, ONAN):
            self._heat = heat
            self.used_h += float(ageing_rate(heat.hot_spot_c, self._paper)) * self._step_s / 3600
        self._tick += 1


def _final_rises(load_factor: Floats, cooling: Cooling) -> tuple[Floats, Floats]:
    """What oil (above ambient) and winding (above oil) would rise by in the long run, in kelvins."""
    losses = (1 + load_factor**2 * cooling.loss_ratio) / (1 + cooling.loss_ratio)
    return cooling.oil_rise_k * losses**cooling.oil_exponent, (
        cooling.winding_rise_k * load_factor**cooling.winding_exponent
    )


def _walk(
    load_factor: Floats, tick_s: float, ambient_c: ArrayLike, start: Heat[FloatT], cooling: Cooling
) -> Iterator[Heat[FloatT]]:
    oil_pace = tick_s / 60 / (cooling.k11 * cooling.oil_minutes)
    rise_pace = tick_s / 60 / (cooling.k22 * cooling.winding_minutes)
    sag_pace = tick_s / 60 * cooling.k22 / cooling.oil_minutes
    oil_c, rise_k, sag_k = start
    for oil_end_c, rise_end_k, sag_end_k in _ends(load_factor, ambient_c, cooling):
        oil_c = oil_c + oil_pace * (oil_end_c - oil_c)
        rise_k = rise_k + rise_pace * (rise_end_k - rise_k)
        if cooling.k21 != 1:
            sag_k = sag_k + sag_pace * (sag_end_k - sag_k)
        yield Heat(oil_c, rise_k, sag_k)


def _ends(load_factor: Floats, ambient_c: ArrayLike, cooling: Cooling) -> Iterator[tuple[Any, Any, Any]]:
    """Where the parts of :class:`Heat` would settle under each tick's load, as many ticks at a time as caches hold."""
    ambient = np.broadcast_to(np.asarray(ambient_c, dtype=np.float64), load_factor.shape)
    many = max(_AT_ONCE * len(load_factor) // max(load_factor.size, 1), 1)
    for first in range(0, len(load_factor), many):
        oil_k, winding_k = _final_rises(load_factor[first : first + many], cooling)
        ends = (ambient[first : first + many] + oil_k, cooling.k21 * winding_k, (cooling.k21 - 1) * winding_k)
        yield from zip(*(_plain(column, 1) for column in ends), strict=True)


def _plain(column: Floats, axes: int) -> Any:
    """Python's own floats, which are faster one by one, where these are the numbers of a single transformer."""
    return column.tolist() if np.ndim(column) == axes else column
