"""Options that several commands share."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Command = TypeVar("_Command", bound="Callable[..., Any]")


def names(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:  # noqa: ARG001 - click's
    """The names in a list with commas; the callback of an option."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


class Number(click.FloatRange):
    """A number within a range; ``nan`` lies within every range for click, and ``inf`` in those without an end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse what is no number to reckon with."""
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is no number to reckon with.", param, ctx)
        return number


day = click.option("--day", type=int, help="One day of the scenario, counted from 1.")
settings = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key of the scenario. Repeatable."
)

at = click.option(
    "--at",
    "sayings",
    nargs=3,
    multiple=True,
    metavar="TIME car=NAME WISH",
    help="What a driver says, as 19:10 car=C014 veto (or stop, sell, full-by=07:00, at-least=60km). Repeatable.",
)


def tell_sayings(sayings: Sequence[tuple[str, str, str]]) -> None:
    """Say on stderr what drivers will be heard to say, once ``--at`` has been read."""
    for instant, car, wish in sayings:
        click.echo(f"Note: {instant}, the driver of {car.removeprefix('car=')} says {wish}", err=True)


def page(command: _Command) -> _Command:
    """Give a command ``--host`` and ``--port`` of the page it serves, and ``--text`` and ``--kiosk`` for elsewhere."""
    host = click.option(
        "--host", default="127.0.0.1", show_default=True, help="Where the page is served; others reach it only if told."
    )
    port = click.option(
        "--port", type=click.IntRange(0, 65_535), default=8100, show_default=True, help="Of the page; 0: a free one."
    )
    text = click.option(
        "--text",
        is_flag=True,
        help="Show it in this terminal, not in a browser; a file gets a line for each tick.",
    )
    kiosk = click.option("--kiosk", is_flag=True, help="Open it on this machine's own screen, all over it.")
    return host(port(text(kiosk(command))))
