"""The block of a run's output that says what went wrong and what that cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from wattswap.experiments.fault_costs import HEAD, TITLE, costs, mishaps

if TYPE_CHECKING:
    from rich.console import Console

    from wattswap.runners.recording.metrics import Summary


def show_failures(console: Console, figures: Summary) -> None:
    """Print it; nothing for a run on a perfect network."""
    told, rows = mishaps(figures), costs(figures)
    if not told:
        return
    console.print(f"\n{TITLE}:" if rows else "\nWhat went wrong:")
    for line in told:
        console.print(f"  {line}", markup=False)
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for number, name in enumerate(HEAD):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
