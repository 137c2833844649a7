"""What life a run cost its transformer, and what it would have cost had nobody given way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.runners.recording.ageing import Ageing, ageing, ageings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.agents.physics import Ints
    from wattswap.runners.recording.time_series import TimeSeries
    from wattswap.runners.scenario.street import Street

FEW: Final = 3
"""So few runs are faster one by one: numpy's calls cost more than Python's numbers."""


class Aged(NamedTuple):
    """What a run made of its (first) transformer, and what it would have become had nobody given way."""

    used: Ageing
    baseline: Ageing


def aged_alone(street: Street, series: TimeSeries) -> Aged:
    """Of one run."""
    transformer, ambient_c = street.feeders[0].transformer, street.feeders[0].ambient_c(len(series.street.load_w))
    heated_by = transformer.rating_va, series.tick_s, ambient_c, transformer.paper
    return Aged(ageing(series.street.load_w, *heated_by), ageing(baseline_w(series), *heated_by))


def aged_together(streets: Sequence[Street], series: Sequence[TimeSeries]) -> list[Aged]:
    """Of runs that are equally long, all at once: the same to the last bit."""
    if len(streets) <= FEW:
        return list(map(aged_alone, streets, series))
    loads_w = [one.street.load_w for one in series] + [baseline_w(one) for one in series]
    transformers = [street.feeders[0].transformer for street in streets]
    ambient_c = np.stack([street.feeders[0].ambient_c(len(loads_w[0])) for street in streets], axis=1)
    found = ageings(
        np.stack(loads_w, axis=1),
        np.array([transformer.rating_va for transformer in transformers] * 2),
        series[0].tick_s,
        np.concatenate([ambient_c, ambient_c], axis=1),
        [transformer.paper for transformer in transformers] * 2,
    )
    return [Aged(*pair) for pair in zip(found[: len(streets)], found[len(streets) :], strict=True)]


def baseline_w(series: TimeSeries) -> Ints:
    """The load at each tick had nobody given way."""
    return series.street.base_w + series.street.baseline_w
