"""Differences between groups of a comparison, taken in pairs: the same street, seed and noise under both.

Pairs take out what the seed does to both sides. The interval is Student's for the mean of the differences, and the
p-values of all differences of a comparison are corrected together (Holm, Scandinavian Journal of Statistics 6, 1979).
Where every pair is the same on both sides there is nothing to test, and nothing is counted among those; nor is what a
rule that pays nobody pays less than the market, which is known beforehand.
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
    """What a group has of a measure beyond the first group with the same variation."""

    key: str
    """The measure, a key of ``wattswap run --json``; the figures below are in the unit that its name says."""
    controller: str
    strategy: str
    varied: str
    against: str
    """The first group: its controller, and its strategy where cars are asked."""
    pairs: int
    mean: float
    low: float
    high: float
    """Of the 95 % interval of the mean."""
    p: float
    """Two-sided, of Student's test that the mean is 0; of the sign test where all pairs differ by the same."""
    p_holm: float = 1.0
    """The same, corrected for all differences that are looked at together."""

    @property
    def is_certain(self) -> bool:
        """Whether there is a difference, by the corrected p-value."""
        return self.p_holm < 1 - CONFIDENCE

    @property
    def is_known_beforehand(self) -> bool:
        """Whether it is what a rule that pays nobody pays less than the market, which is not tested."""
        markets = self.controller == NEGOTIATED == self.against.partition(",")[0]
        return self.key in _OF_MARKETS and not markets


def differences(rows: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> list[PairedDifference]:
    """All groups beside the first with the same variation, for each of these figures, in the unit that its name says.

    ``rows`` are those of ``Comparison.rows``; runs without a partner are left out, and groups with fewer than two
    pairs. Needs scipy, which the extra ``sim`` brings.
    """
    found: list[PairedDifference] = []
    tested: list[int] = []
    for (controller, strategy, varied), by_seed in (groups := _by_group(rows)).items():
        first = next(name for name in groups if name[2] == varied)
        if first == (controller, strategy, varied):
            continue
        seeds = [seed for seed in groups[first] if seed in by_seed]
        for key in measures if len(seeds) > 1 else ():
            both = [(by_seed[seed][key], groups[first][seed][key]) for seed in seeds]
            mine, theirs = np.array(both, dtype=np.float64).T
            against = ", ".join(first[:2]) if first[0] == NEGOTIATED and first[1] else first[0]
            more = np.where(np.isclose(mine, theirs, rtol=_ROUNDING, atol=0), 0.0, mine - theirs)
            found.append(PairedDifference(key, controller, strategy, varied, against, len(seeds), *student(more)))
            if more.any() and not found[-1].is_known_beforehand:
                tested.append(len(found) - 1)
    for at, p_holm in zip(tested, holm([found[at].p for at in tested]), strict=True):
        found[at] = found[at]._replace(p_holm=p_holm)
    return found


def _by_group(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], dict[int, Mapping[str, Any]]]:
    groups: dict[tuple[str, str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        if row["status"] == "complete":
            group = row["controller"], row["strategy"], row.get("varied", "")
            groups.setdefault(group, {})[row["seed"]] = row
    return groups


def student(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float, float]:
    """The mean of differences, the ends of its 95 % interval, and the p-value of their mean being 0; needs scipy."""
    from scipy import stats

    count, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1)) / sqrt(count)
    if error <= _ROUNDING * abs(mean):  # all pairs differ by the same, of which Student's test can say nothing
        return mean, mean, mean, 2.0 ** (1 - count) if mean else 1.0
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    return mean, mean - reach, mean + reach, float(2 * stats.t.sf(abs(mean) / error, count - 1))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's corrected p-values, in the order of ``p``."""
    order = sorted(range(len(p)), key=lambda at: p[at])
    corrected, highest = [1.0] * len(p), 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[at]))
        corrected[at] = highest
    return corrected
