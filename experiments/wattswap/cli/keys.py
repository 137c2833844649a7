"""``wattswap keys``: key files, and what others may know of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from wattswap.cli.examples import examples
from wattswap.cli.where import as_json

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.protocol.identity import Signer


@click.group(epilog=examples("wattswap keys new bob"))
def keys() -> None:
    """Make key files and show their public side.

    A key without a dot or a slash in its name is kept among your own, by name; any other word is the path of a file.
    """


@keys.command(epilog=examples("wattswap keys new bob", "wattswap keys new ./site.key"))
@click.argument("key", metavar="FILE|NAME")
@as_json
def new(key: str, as_json: bool) -> None:
    """Make a key that nobody had before, in a file that only you can read.

    An existing file is never overwritten. Keep a copy: whoever loses the file loses what the wallet holds.
    """
    from wattswap.experiments.keystore import new_key

    path, signer = new_key(key)
    _show([(path, signer)], as_json=as_json)


@keys.command(epilog=examples("wattswap keys show", "wattswap keys show bob --json"))
@click.argument("key", metavar="[FILE|NAME]", required=False)
@as_json
def show(key: str | None, as_json: bool) -> None:
    """Public key and IOTA address of a key, or of all your keys; never the secret."""
    from wattswap.experiments.keystore import folder, names, read_key

    found = [read_key(word) for word in (names() if key is None else [key])]
    if not found and not as_json:
        click.echo(f"There is no key in {folder()}. Make one: wattswap keys new NAME")
        return
    _show(found, as_json=as_json)


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
