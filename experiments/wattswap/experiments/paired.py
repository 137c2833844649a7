"""Differences between groups of a comparison, taken in pairs: the same street, seed and noise under both.

Pairs take out what the seed does to both sides. The interval is Student's for the mean of the differences, and the
p-values of all differences of a comparison are corrected together (Holm, Scandinavian Journal of Statistics 6, 1979).
Where every pair differs by the same, or by nothing, there is nothing to test, and it is not counted among those; nor is
what a rule that pays nobody pays less than the market, which is known beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, Final, NamedTuple

import numpy as np

from wattswap.agents.controllers import NEGOTIATED

CONFIDENCE: Final = 0.95
_ROUNDING: Final = 1e-12
"""Figures are floats: what differs by less than this part of them is the same."""
_OF_MARKETS: Final = frozenset({"paid_nanos", "rent_open_nanos", "sellers_losing", "sellers_gain_nanos"})


class PairedDifference(NamedTuple):
    """What a group has of a measure beyond the yardstick, a group with the same variation."""

    key: str
    """The measure, a key of ``wattswap run --json``; the figures below are in the unit that its name says."""
    controller: str
    strategy: str
    varied: str
    against: str
    """The yardstick: its controller, and its strategy where cars are asked."""
    pairs: int
    mean: float
    low: float
    high: float
    """Of the 95 % interval of the mean."""
    p: float | None
    """Two-sided, of Student's test that the mean is 0; None where all pairs differ by the same."""
    p_holm: float | None = None
    """The same, corrected for all differences that are looked at together; None where nothing was tested."""

    @property
    def is_certain(self) -> bool:
        """Whether there is a difference, by the corrected p-value."""
        return self.p_holm is not None and self.p_holm < 1 - CONFIDENCE

    @property
    def is_the_same_in_all(self) -> bool:
        """Whether every pair differs, and all by the same: then there is no chance in it to test against."""
        return self.p is None and self.mean != 0

    @property
    def is_known_beforehand(self) -> bool:
        """Whether it is what a rule that pays nobody pays less than the market, which is not tested."""
        markets = self.controller == NEGOTIATED == self.against.partition(",")[0]
        return self.key in _OF_MARKETS and not markets


def differences(
    rows: Sequence[Mapping[str, Any]], measures: Sequence[str], against: str = ""
) -> list[PairedDifference]:
    """All groups beside one with the same variation, for each of these figures, in the unit that its name says.

    ``rows`` are those of ``Comparison.rows``; runs without a partner are left out, and groups with fewer than two
    pairs. ``against`` is the yardstick, see :func:`is_meant`; else it is the first group. Needs scipy, which the extra
    ``sim`` brings.
    """
    found: list[PairedDifference] = []
    for (controller, strategy, varied), by_seed in (groups := _by_group(rows)).items():
        alike = [name for name in groups if name[2] == varied]
        first = next((name for name in alike if against and is_meant(name[0], name[1], against)), alike[0])
        if first == (controller, strategy, varied):
            continue
        seeds = [seed for seed in groups[first] if seed in by_seed]
        for key in measures if len(seeds) > 1 else ():
            both = [(by_seed[seed][key], groups[first][seed][key]) for seed in seeds]
            mine, theirs = np.array(both, dtype=np.float64).T
            beside = ", ".join(first[:2]) if first[0] == NEGOTIATED and first[1] else first[0]
            more = np.where(np.isclose(mine, theirs, rtol=_ROUNDING, atol=0), 0.0, mine - theirs)
            found.append(PairedDifference(key, controller, strategy, varied, beside, len(seeds), *student(more)))
    corrected = holm([None if each.is_known_beforehand else each.p for each in found])
    return [each._replace(p_holm=p_holm) for each, p_holm in zip(found, corrected, strict=True)]


def is_meant(controller: str, strategy: str, against: str) -> bool:
    """Whether a person who says ``against`` means this group: its controller, its strategy, or both with a slash."""
    return against in (controller, f"{controller}/{strategy}") or (controller == NEGOTIATED and against == strategy)


def _by_group(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], dict[int, Mapping[str, Any]]]:
    groups: dict[tuple[str, str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        if row["status"] == "complete":
            group = row["controller"], row["strategy"], row.get("varied", "")
            groups.setdefault(group, {})[row["seed"]] = row
    return groups


def student(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float, float | None]:
    """The mean of differences, the ends of its 95 % interval, and the p-value of their mean being 0; needs scipy.

    There is no p-value, and no width to the interval, where all differ by the same.
    """
    from scipy import stats

    count, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1)) / sqrt(count)
    if error <= _ROUNDING * abs(mean):
        return mean, mean, mean, None
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    return mean, mean - reach, mean + reach, float(2 * stats.t.sf(abs(mean) / error, count - 1))


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's corrected p-values, in the order of ``p``; None is no test, and stays None."""
    order = sorted((each, at) for at, each in enumerate(p) if each is not None)
    corrected, highest = list(p), 0.0
    for rank, (each, at) in enumerate(order):
        corrected[at] = highest = max(highest, min(1.0, (len(order) - rank) * each))
    return corrected
