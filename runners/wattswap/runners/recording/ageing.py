"""How much of its insulation's life a transformer uses: IEC 60076-7, difference form, normal paper, ONAN distribution.

The load heats the oil, slowly, and the winding above the oil, fast; the hottest spot of the winding sets the pace at
which the paper ages: at 98 degrees an hour an hour, and twice as fast for every six degrees more. So an overload has a
price in hours of life, and short ones need not be forbidden, only worth it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Paper = Literal["normal", "upgraded"]

LONGEST_STEP_S: Final = 60
"""The standard asks for steps under half the winding's time constant; a minute is a quarter of it."""
HOTTEST_C: Final = 1_000.0
"""Ageing is reckoned no further than this, where copper is about to melt and numbers to overflow."""


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


class Heat(NamedTuple):
    """The state of a transformer, in degrees Celsius and kelvins."""

    oil_c: float
    rise_k: float
    """Of the winding above the oil, the part that comes first."""
    sag_k: float
    """What the oil's own inertia takes from that rise."""

    @property
    def hot_spot_c(self) -> float:
        """The temperature of the hottest spot of the winding."""
        return self.oil_c + self.rise_k - self.sag_k


def ageing_rate(hot_spot_c: ArrayLike, paper: Paper = "normal") -> Floats:
    """Hours of life used per hour: V of IEC 60076-7 for normal paper, for upgraded paper FAA of IEEE C57.91.

    FAA = exp(15000 / 383 - 15000 / (hot spot + 273)), for a rise of 65 K: 1 at 110 degrees.
    """
    hot = np.minimum(hot_spot_c, HOTTEST_C)
    rate: Floats = np.exp2((hot - 98.0) / 6.0) if paper == "normal" else np.exp(15_000 / 383 - 15_000 / (hot + 273))
    return rate


def steady(load_factor: float, ambient_c: float, cooling: Cooling = ONAN) -> Heat:
    """Where oil and winding settle under a load that never changes; ``load_factor`` is load to rating."""
    oil_k, winding_k = _final_rises(np.array([load_factor]), cooling)
    rise_k, sag_k = cooling.k21 * winding_k[0], (cooling.k21 - 1) * winding_k[0]
    return Heat(ambient_c + float(oil_k[0]), float(rise_k), float(sag_k))


def hot_spots(load_factor: Floats, tick_s: float, ambient_c: ArrayLike, start: Heat, cooling: Cooling = ONAN) -> Floats:
    """The hot spot at the end of each tick, in degrees Celsius, by explicit Euler steps of ``tick_s`` each.

    ``ambient_c`` is one temperature, or one of each tick.
    """
    walk = _walk(load_factor, tick_s, ambient_c, start, cooling)
    return np.fromiter((heat.hot_spot_c for heat in walk), dtype=np.float64, count=len(load_factor))


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
    ambient = np.broadcast_to(np.asarray(ambient_c, dtype=np.float64), len(load_w))
    if not len(load_w):
        return Ageing(0.0, float(np.max(ambient_c, initial=0.0)))
    factor = np.abs(load_w) / rating_va
    steps = ceil(tick_s / LONGEST_STEP_S)
    start = steady(float(factor[0]), float(ambient[0]))
    spots = hot_spots(np.repeat(factor, steps), tick_s / steps, np.repeat(ambient, steps), start)
    return Ageing(float(ageing_rate(spots, paper).sum()) * tick_s / steps / 3600, float(spots.max()))


def ageing_h(load_w: NDArray[np.int64], rating_va: int, tick_s: int, ambient_c: ArrayLike) -> float:
    """Hours of life used, see :func:`ageing`."""
    return ageing(load_w, rating_va, tick_s, ambient_c).used_h


class AgeingClock:
    """A transformer's heat and the life it has used, reckoned tick by tick as :func:`ageing_h` does at once."""

    def __init__(self, rating_va: int, tick_s: int, ambient_c: Floats, paper: Paper = "normal") -> None:
        """``ambient_c`` has one temperature a tick; beyond it the last one holds."""
        self._rating_va, self._ambient_by_tick, self._paper = rating_va, ambient_c, paper
        self._tick = 0
        self._steps = ceil(tick_s / LONGEST_STEP_S)
        self._step_s = tick_s / self._steps
        self._heat: Heat | None = None
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


def _walk(load_factor: Floats, tick_s: float, ambient_c: ArrayLike, start: Heat, cooling: Cooling) -> Iterator[Heat]:
    oil_pace = tick_s / 60 / (cooling.k11 * cooling.oil_minutes)
    rise_pace = tick_s / 60 / (cooling.k22 * cooling.winding_minutes)
    sag_pace = tick_s / 60 * cooling.k22 / cooling.oil_minutes
    oil_c, rise_k, sag_k = start
    oil_finals, winding_finals = _final_rises(load_factor, cooling)
    ambients = np.broadcast_to(np.asarray(ambient_c, dtype=np.float64), len(load_factor)).tolist()
    for final_oil_k, winding_k, ambient in zip(oil_finals.tolist(), winding_finals.tolist(), ambients, strict=True):
        oil_c += oil_pace * (ambient + final_oil_k - oil_c)
        rise_k += rise_pace * (cooling.k21 * winding_k - rise_k)
        sag_k += sag_pace * ((cooling.k21 - 1) * winding_k - sag_k)
        yield Heat(oil_c, rise_k, sag_k)
