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
    from wattswap.experiments.comparison import Comparison, ComparisonError, compare
    from wattswap.experiments.loaded import LoadedRun, load

__all__ = ["Comparison", "ComparisonError", "LoadedRun", "Result", "compare", "load", "run"]

_HOMES = {
    **dict.fromkeys(("Comparison", "ComparisonError", "compare"), "comparison"),
    **dict.fromkeys(("LoadedRun", "load"), "loaded"),
    **dict.fromkeys(("Result", "run"), "api"),
}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is asked for: a command that draws nothing loads no library for it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
