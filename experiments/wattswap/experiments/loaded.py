"""A run directory from Python, as if the run had just ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattswap.experiments import tables
from wattswap.experiments.api import UNCONTROLLED, known_table
from wattswap.experiments.frames import readable
from wattswap.experiments.result_text import line, small_table
from wattswap.experiments.run_tables import RunTables

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def load(run_dir: str | Path) -> LoadedRun:
    """A run directory as :func:`run` would return it: figures, tables, picture.

    Raises:
        InputError: there is no run directory, or a file of it is torn.
    """
    return LoadedRun(Path(run_dir), RunTables.read(Path(run_dir)))


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A run that lies in a directory."""

    out: Path
    tables: RunTables

    def __repr__(self) -> str:
        """One line: what was run, and what came of it."""
        return line("LoadedRun", self.summary)

    def _repr_html_(self) -> str:
        """A small table, as notebooks show it."""
        return small_table(self.summary)

    def __getattr__(self, name: str) -> pd.DataFrame:
        """A table (one of ``TABLES``) in integers, as it lies there."""
        if name not in tables.TABLES:
            raise AttributeError(name)
        found: pd.DataFrame = getattr(self.tables, name)
        return found

    @property
    def summary(self) -> Mapping[str, Any]:
        """The figures, as in ``run.json``."""
        return self.tables.summary

    @property
    def uncontrolled(self) -> Mapping[str, Any] | None:
        """The figures of the same street with nobody in control, where they were reckoned."""
        return self.summary.get(UNCONTROLLED)

    def frame(self, name: str) -> pd.DataFrame:
        """As :meth:`Result.frame`."""
        return readable(getattr(self.tables, known_table(name)), self.tables.start.tzinfo)

    def plot(self) -> Any:
        """The run as a picture (a matplotlib figure)."""
        from wattswap.experiments.plots.picture import plot_run

        return plot_run(self.tables)
