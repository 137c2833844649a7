"""Options that several commands share."""

from __future__ import annotations

import click

day = click.option("--day", type=int, help="One day of the scenario, counted from 1.")
settings = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key of the scenario. Repeatable."
)
