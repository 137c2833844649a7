"""The experiment: every arm with every seed, on the same cars under the same limits, and the table of what came of it.

    found = literature(seeds=2)
    found.mean("negotiated").violated_days

After the field experiment of Bailey, Brown, Myers, Shaffer and Wolak, Unintended consequences of time-of-use rates: EV
charging and distribution network constraints, 2024: ten cars at a time behind a virtual transformer, whose limit was
drawn anew for each day. There a tariff raised the violations of the limits, and managed charging lowered them.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.experiments.interrupts import begin_worker, interrupt_masked
from wattswap.experiments.literature.arms import ARMS, ArmOutcome, Design, run_arm
from wattswap.experiments.literature.street import MOST_TRANSFORMERS, WEEK_DAYS
from wattswap.experiments.nearest import nearest
from wattswap.experiments.processors import usable_processors
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure

MOST_SEEDS: Final = 1_000


@dataclass(frozen=True)
class Literature:
    """What each arm came to with each seed."""

    design: Design
    outcomes: Mapping[str, Sequence[ArmOutcome]]
    """By arm, in the order of the seeds."""

    def mean(self, arm: str) -> ArmOutcome:
        """The mean of each figure of an arm over the seeds."""
        columns = {
            field.name: [getattr(each, field.name) for each in self.outcomes[arm]] for field in fields(ArmOutcome)
        }
        return ArmOutcome(**{name: float(np.mean(values)) for name, values in columns.items()})

    def plot(self) -> Figure:
        """Violated transformer-days and peaks by arm; needs matplotlib (extra ``plots``)."""
        from wattswap.experiments.plots.literature_arms import literature_arms

        return literature_arms(self.design, self.outcomes)


def literature(
    arms: Sequence[str] = tuple(ARMS),
    *,
    seeds: int = 2,
    transformers: int = 10,
    days: int = WEEK_DAYS,
    override_pct: float = 1.0,
    no_pause_pct: float = 5.0,
    jobs: int | None = None,
    progress: Callable[[int], object] = int,
) -> Literature:
    """Run the experiment; ``progress`` is told how many runs are done.

    Raises:
        InputError: an arm is unknown (the nearest is named), or a number is out of its range.
    """
    for arm in arms:
        if arm not in ARMS:
            raise InputError(
                f"--arms: there is no arm {arm!r}; the nearest is {nearest(arm, ARMS)!r}: {', '.join(ARMS)}"
            )
    for what, number, most in (
        ("--seeds", seeds, MOST_SEEDS),
        ("--transformers", transformers, MOST_TRANSFORMERS),
        ("--days", days, WEEK_DAYS),
    ):
        if not 1 <= number <= most:
            raise InputError(f"{what} {number}: choose 1 to {most:_}")
    for what, pct in (("--override", override_pct), ("--no-pause", no_pause_pct)):
        if not 0 <= pct <= 100:
            raise InputError(f"{what} {pct:g}: choose 0 to 100 per cent")
    design = Design(transformers, days, override_pct, no_pause_pct)
    wanted = [(arm, seed) for arm in dict.fromkeys(arms) for seed in range(1, seeds + 1)]
    done: dict[tuple[str, int], ArmOutcome] = {}
    processes = min(jobs or usable_processors(), len(wanted))
    if processes <= 1:
        for arm, seed in wanted:
            done[arm, seed] = run_arm(arm, seed, design)
            progress(len(done))
    else:
        with ProcessPoolExecutor(processes, get_context("spawn"), begin_worker) as pool:
            with interrupt_masked():
                running = {pool.submit(run_arm, arm, seed, design): (arm, seed) for arm, seed in wanted}
            try:
                for future in as_completed(running):
                    done[running[future]] = future.result()
                    progress(len(done))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return Literature(design, {arm: [done[arm, seed] for seed in range(1, seeds + 1)] for arm in dict.fromkeys(arms)})
