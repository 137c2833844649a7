"""``wattswap scenarios``: what streets there are, what stands in one, and a file to start one's own from."""

from __future__ import annotations

from pathlib import Path

import click

from wattswap.cli.examples import examples
from wattswap.cli.groups import CommandGroup
from wattswap.protocol.errors import InputError


@click.group(cls=CommandGroup, epilog=examples("wattswap scenarios list"))
def scenarios() -> None:
    """Bundled streets, and a template for your own."""


@scenarios.command("list", epilog=examples("wattswap scenarios list"))
def list_() -> None:
    """The bundled scenarios, each with its first line."""
    from wattswap.runners.scenario.bundled import bundled_names, bundled_text

    names = bundled_names()
    width = max(len(name) for name in names)
    for name in names:
        first = bundled_text(name).partition("\n")[0]
        click.echo(f"{name:{width}}  {first.lstrip('# ')}")


@scenarios.command(epilog=examples("wattswap scenarios show demo > mine.toml"))
@click.argument("name")
def show(name: str) -> None:
    """Print a bundled scenario, or any scenario file, if it is in order."""
    from wattswap.runners.scenario.bundled import bundled_names, bundled_text
    from wattswap.runners.scenario.read import load_scenario

    load_scenario(name)
    text = bundled_text(name) if name in bundled_names() else Path(name).expanduser().read_text(encoding="utf-8-sig")
    click.echo(text, nl=False)


@scenarios.command(epilog=examples("wattswap scenarios new my-street.toml"))
@click.argument("file", type=click.Path(path_type=Path))
def new(file: Path) -> None:
    """Write a commented scenario to start from; its three CSV files are yours to name."""
    from wattswap.runners.scenario.bundled import template_text

    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(template_text())
    except FileExistsError:
        raise InputError(f"{file}: there is something there already; choose another name") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); choose another place") from None
    click.echo(f"Wrote {file}. Name your CSV files in it, then: wattswap run {file}")
