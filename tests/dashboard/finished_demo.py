"""A finished demo: its tables, and the moment that the page shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyarrow import parquet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dashboard.browser import Browser


def rows(out: Path, name: str) -> list[dict[str, Any]]:
    """A table of a run directory."""
    table: list[dict[str, Any]] = parquet.read_table(out / f"{name}.parquet").to_pylist()
    return table


def show(window: Browser, tick: int) -> None:
    """Move the page's slider to a tick."""
    window.js(f"const s = document.getElementById('moment'); s.value = {tick}; s.dispatchEvent(new Event('input'))")
