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


@scenarios.command(
    epilog=examples("wattswap scenarios new my-street.toml", "wattswap scenarios new my-city.toml --city 100 --seed 2")
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--city", "feeders", type=int, metavar="N", help="A city of N transformers, 1 to 10,000, drawn by seed.")
@click.option("--seed", type=int, help="With --city: another one draws another city; 1 by default.")
def new(file: Path, feeders: int | None, seed: int | None) -> None:
    """Write a commented scenario to start from; its three CSV files are yours to name.

    With --city it is one of N feeders that runs as it stands: each like one of the bundled streets, with homes and cars
    drawn for it from real ones.
    """
    from wattswap.runners.scenario.bundled import template_text
    from wattswap.runners.scenario.city_file import city_text

    if feeders is None and seed is not None:
        raise InputError("--seed: only with --city; in a scenario of one street it is a key of the file")
    text = template_text() if feeders is None else city_text(feeders, 1 if seed is None else seed, file.stem)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise InputError(f"{file}: there is something there already; choose another name") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); choose another place") from None
    if feeders is None:
        click.echo(f"Wrote {file}. Name your CSV files in it, then: wattswap run {file}")
    else:
        click.echo(f"Wrote {file}, {feeders:,} transformers. Then: wattswap city {file} --day 7 --out {file.stem}")
