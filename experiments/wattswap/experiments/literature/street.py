"""The virtual transformers as a scenario: ten recorded cars each, no homes, and a limit drawn anew for every day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.protocol.draws import draw, uniform
from wattswap.protocol.units import Purpose
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.runners.scenario import Street

CARS_EACH: Final = 10
RECORDED_CARS: Final = 200
"""As many as the bundled week has, a charger each."""
MOST_TRANSFORMERS: Final = RECORDED_CARS // CARS_EACH
WEEK_DAYS: Final = 7
LEAST_LIMIT_W: Final = 10_000
MOST_LIMIT_W: Final = 40_000
"""A day's limit is anything from the one to the other, evenly: two cars at 6 A, or four at full power, at most."""
_START: Final = datetime.fromisoformat("2018-11-19T00:00:00+01:00")
_LIMIT_DRAW: Final = 10
"""Tells this draw from others of sessions."""
_HEAD: Final = """\
# Virtual transformers of ten cars each, without homes. Each day has a limit of its own, drawn from the seed.
schema = 1
name = "literature"
start = {start}
days = {days}
seed = {seed}
reading_s = 60

[transformer]
rating_va = 63_000

[base]

[sessions]
csv = "bundled:sessions/A400_sessions.csv"

[vehicles]
strategy = "{strategy}"
feed_w = 0
disclose = "departure"                # karma goes by it; the others do without
"""


def limits_w(transformers: int, days: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The limit of each transformer on each day, whole kilowatts, shape (transformers, days)."""
    numbers = np.arange(transformers, dtype=np.uint64)
    of_days = [uniform(draw(seed, numbers, Purpose.SESSION, day, _LIMIT_DRAW)) for day in range(days)]
    kw = (LEAST_LIMIT_W + (MOST_LIMIT_W - LEAST_LIMIT_W) * np.stack(of_days, axis=1)) // 1_000
    return kw.astype(np.int64) * 1_000


def scenario_toml(transformers: int, days: int, seed: int, strategy: str) -> str:
    """The scenario of so many transformers over the first days of the bundled week, or all of it."""
    parts = [_HEAD.format(start=_START.isoformat(), days=days, seed=seed, strategy=strategy)]
    share = CARS_EACH / RECORDED_CARS
    parts += [
        f'[[feeder]]\nname = "t{number + 1:02}"\n[feeder.sessions]\nshare = {share}\n' for number in range(transformers)
    ]
    for number, of_days in enumerate(limits_w(transformers, days, seed).tolist()):
        for day, limit_w in enumerate(of_days):
            first = _START + timedelta(days=day)
            until = first + timedelta(days=1)
            parts.append(
                f'[[event]]\nfeeder = "t{number + 1:02}"\nfrom = {first.isoformat()}\nto = {until.isoformat()}\n'
                f"limit_w = {limit_w}\n"
            )
    return "\n".join(parts)


def virtual_street(folder: Path, transformers: int, days: int, seed: int, strategy: str) -> Street:
    """Write the scenario into a folder, and load it."""
    path = folder / f"literature-{seed}.toml"
    path.write_text(scenario_toml(transformers, days, seed, strategy), encoding="utf-8")
    return load_street(str(path))
