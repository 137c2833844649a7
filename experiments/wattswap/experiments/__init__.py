"""What is asked of a street: runs and comparisons, figures, tables, pictures and reports.

>>> from wattswap.experiments import run
>>> result = run("demo", engine="fleet")
>>> result.summary["sessions_short"]
0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattswap.experiments.api import Result, run
    from wattswap.experiments.comparison import Comparison, compare

__all__ = ["Comparison", "Result", "compare", "run"]

_HOMES = {"Comparison": "comparison", "Result": "api", "compare": "comparison", "run": "api"}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is asked for: a command that draws nothing loads no library for it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
