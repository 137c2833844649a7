"""``wattswap keys``: key files, and what others may know of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click

from wattswap.cli.agent_keys import new_agent, revoke_agent, show_agent, show_trusted, trust_agent
from wattswap.cli.examples import examples
from wattswap.cli.groups import CommandGroup
from wattswap.cli.where import as_json

if TYPE_CHECKING:
    from wattswap.protocol.identity import Signer
    from wattswap.runners.node.roles import Role

_ROLES: Final = ("transformer", "charger", "vehicle", "household", "battery")
"""Spelled out, for help must come without loading what an agent needs; a test holds them against the real ones."""


@click.group(
    cls=CommandGroup,
    epilog=examples("wattswap keys new bob", "wattswap keys new ./keys --agent charger/7 --role charger"),
)
def keys() -> None:
    """Make key files, show their public side, and say whom an agent trusts.

    A key without a dot or a slash in its name is kept among your own, by name; any other word is the path of a file.
    An agent has a directory of keys: one for what it signs, one for its connections, and those whom it trusts.
    """


@keys.command(
    epilog=examples(
        "wattswap keys new bob",
        "wattswap keys new ./site.key",
        "wattswap keys new ./keys --agent charger/7 --role charger",
        "wattswap keys new ./more --agent charger/8 --role charger --beside ./keys",
    )
)
@click.argument("key", metavar="FILE|NAME|DIR")
@click.option("--agent", metavar="NAME", help="Make a directory of keys for the agent of this name.")
@click.option("--role", type=click.Choice(_ROLES), help="What the agent is.")
@click.option(
    "--beside",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Take the connection key of the agent of DIR, to run in one process with it.",
)
@as_json
def new(key: str, agent: str | None, role: str | None, beside: Path | None, as_json: bool) -> None:
    """Make a key that nobody had before, in a file that only you can read.

    An existing file is never overwritten. Keep a copy: whoever loses the file loses what the wallet holds.
    """
    from wattswap.experiments.key_files import new_key

    if agent is not None and role is not None:
        new_agent(Path(key), agent, cast("Role", role), beside, as_json=as_json)
        return
    if agent is not None or role is not None or beside is not None:
        raise click.UsageError("--agent NAME and --role ROLE go together: they make the keys of an agent")
    path, signer = new_key(key)
    _show([(path, signer)], as_json=as_json)


@keys.command(epilog=examples("wattswap keys show", "wattswap keys show bob --json", "wattswap keys show ./keys"))
@click.argument("key", metavar="[FILE|NAME|DIR]", required=False)
@as_json
def show(key: str | None, as_json: bool) -> None:
    """Public key and IOTA address of a key, or of all your keys; never the secret."""
    from wattswap.experiments.key_files import folder, key_path, names, read_key

    if key is not None and key_path(key).is_dir():
        show_agent(key_path(key), as_json=as_json)
        return
    found = [read_key(word) for word in (names() if key is None else [key])]
    if not found and not as_json:
        click.echo(f"There is no key in {folder()}. Make one: wattswap keys new NAME")
        return
    _show(found, as_json=as_json)


@keys.command(
    epilog=examples(
        "wattswap keys trust ./keys charger7.json",
        "wattswap keys trust ./keys charger7.json --code 7Q4M-X2PA-9RTD",
        "wattswap keys trust ./keys --revoke charger/7",
        "wattswap keys trust ./keys --json",
    )
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, readable=False))
@click.argument("file", metavar="[FILE]", type=click.Path(path_type=Path, readable=False), required=False)
@click.option("--code", metavar="CODE", help="The code that the other side shows, instead of a question.")
@click.option("--revoke", metavar="NAME", help="Trust this agent no longer.")
@as_json
def trust(folder: Path, file: Path | None, code: str | None, revoke: str | None, as_json: bool) -> None:
    """Let the agent of DIR trust another one, whose public.json is FILE; without FILE, list whom it trusts.

    Both sides do this, each with the other's file, and both show a code. It is the same on both only if nobody has
    exchanged a file on its way. A node that runs notices the change by itself.
    """
    if file is not None and revoke is not None:
        raise click.UsageError("give a FILE to trust or --revoke NAME, not both")
    if file is not None:
        trust_agent(folder, file, code)
    elif revoke is not None:
        revoke_agent(folder, revoke)
    else:
        show_trusted(folder, as_json=as_json)


def _show(found: list[tuple[Path, Signer]], *, as_json: bool) -> None:
    if as_json:
        shown = [
            {
                "file": str(path),
                "public_key": signer.public_key.hex(),
                "address": signer.address,
                "seeded": signer.seeded,
            }
            for path, signer in found
        ]
        click.echo(json.dumps({"keys": shown}, indent=2))
        return
    for path, signer in found:
        click.echo(f"file        {path}")
        click.echo(f"public key  {signer.public_key.hex()}")
        click.echo(f"address     {signer.address}")
