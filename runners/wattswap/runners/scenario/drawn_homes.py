"""Homes drawn from recorded ones, for a street that has no file of its own homes.

What is drawn is a home's week, a hundred meters in two winter weeks, with replacement: a bootstrap over home-weeks
(Efron, Annals of Statistics 7, 1979), as ``sessions.resample`` is one over users. Two streets of as many homes so have
peaks of their own, and differ as streets of these homes do.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.draws import agent_key, draw
from wattswap.protocol.units import MS_PER_DAY, MS_PER_HOUR, Purpose
from wattswap.runners.scenario.bundled import DATA
from wattswap.runners.scenario.profiles import Profile, Ticks
from wattswap.runners.scenario.unchanged import read_once

RECORDED_HOMES: Final = DATA / "households" / "homes_15min_w.csv"
"""Mean watts of each quarter of an hour, a column a meter; whole weeks that begin on a Monday."""
STEP_MS: Final = MS_PER_HOUR // 4
WEEK_MS: Final = 7 * MS_PER_DAY
FLICKERS_FROM_MS: Final = 4 * MS_PER_DAY
"""The first Monday of 1970: from here the flicker of drawn homes runs, so a day sees that of the week it lies in."""
_HOMES_DRAW: Final = 8
"""Tells these draws from others of sessions."""


def drawn_homes(count: int, seed: int, number: int, start: datetime, ticks: Ticks) -> Profile:
    """The load of so many homes, summed: the week from the Monday before the run on, as often as the run needs it.

    Days go by the offset of ``start``. ``number`` tells the households of one feeder apart.
    """
    digest, weeks_w = home_weeks(RECORDED_HOMES)
    places = draw(seed, agent_key(f"household-{number}"), Purpose.SESSION, np.arange(count), _HOMES_DRAW)
    drawn = (places % np.uint64(weeks_w.shape[1])).astype(np.int64)
    # numpy's product of integer matrices is the slower one
    week_w = np.einsum("ij,j->i", weeks_w, np.bincount(drawn, minlength=weeks_w.shape[1]))
    # a ramp looks at the intervals before and after its own: with these known, a day is the same in a run of more days
    monday_ms = _monday_ms(start, ticks.start_ms - ticks.tick_ms - STEP_MS)
    mean_w = np.tile(week_w, -(-(ticks.end_ms + STEP_MS - monday_ms) // WEEK_MS))
    return Profile(str(RECORDED_HOMES), digest, monday_ms, STEP_MS, mean_w)


def _monday_ms(start: datetime, at_ms: int) -> int:
    """The last midnight between Sunday and Monday at or before an instant, by the offset of ``start``."""
    offset_ms = (start.utcoffset() or timedelta()) // timedelta(milliseconds=1)
    monday_ms = FLICKERS_FROM_MS - offset_ms
    return at_ms - (at_ms - monday_ms) % WEEK_MS


@read_once
def home_weeks(path: Path) -> tuple[str, NDArray[np.int64]]:
    """The file's sha256, and the mean watts of each home in each week, shape (quarter hours of a week, homes)."""
    content = path.read_bytes()
    lines = content.decode("utf-8")
    meters = lines.partition("\n")[0].count(",")
    watts = np.loadtxt(StringIO(lines), delimiter=",", skiprows=1, usecols=range(1, meters + 1), dtype=np.int64)
    per_week = WEEK_MS // STEP_MS
    weeks = [watts[first : first + per_week] for first in range(0, len(watts), per_week)]
    return sha256(content).hexdigest(), np.concatenate(weeks, axis=1)
