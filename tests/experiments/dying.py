"""Makes no runs: a worker that says who it is, and dies once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wattswap.experiments.jobs import Job, JobOutcome


def measure(jobs: Sequence[Job]) -> list[JobOutcome]:
    """Outcomes whose error names the process; that which has seed 5 dies at its first try."""
    died = Path(jobs[0].scenario)
    if any(job.seed == 5 for job in jobs) and not died.exists():
        died.touch()
        os._exit(9)
    return [JobOutcome(job, None, str(os.getpid())) for job in jobs]
