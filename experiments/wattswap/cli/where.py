"""The options that say which ledger or run a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_Command = TypeVar("_Command", bound="Callable[..., Any]")


def where(command: _Command) -> _Command:
    """Give a command ``--run`` and ``--ledger``."""
    ledger = click.option(
        "--ledger", metavar="WHERE", help="sqlite:FILE, or the URL of an IOTA node; by default what the run names."
    )
    run = click.option("--run", "run_dir", type=click.Path(path_type=Path), metavar="DIR", help="A run directory.")
    return run(ledger(command))


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
