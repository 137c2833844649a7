"""The part of ``wattswap keys`` that is about agents: their key directories, and whom they trust."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.runners.node.key_directory import PublicIdentity
    from wattswap.runners.node.roles import Role


def new_agent(folder: Path, name: str, role: Role, beside: Path | None, *, as_json: bool) -> None:
    """Make an agent's key directory and show its public side."""
    from wattswap.runners.node.key_directory import PUBLIC, new_agent_keys

    keys = new_agent_keys(folder, name, role, beside=beside)
    _show(folder, keys.identity, as_json=as_json)
    if not as_json:
        click.echo(f"Give {folder / PUBLIC} to those who shall trust it: wattswap keys trust THEIR_KEYS {PUBLIC}")


def show_agent(folder: Path, *, as_json: bool) -> None:
    """Show the public side of a key directory."""
    from wattswap.runners.node.key_directory import read_agent_keys

    _show(folder, read_agent_keys(folder).identity, as_json=as_json)


def trust_agent(folder: Path, file: Path, code: str | None) -> None:
    """Trust the agent of a public file, once somebody has compared the code that both sides show.

    Raises:
        InputError: the code is another one, or nobody confirmed it.
    """
    from wattswap.runners.node.key_directory import read_agent_keys, read_identity
    from wattswap.runners.node.pairing import pairing_code, same_code
    from wattswap.runners.node.trust import TrustDirectory

    own, other = read_agent_keys(folder).identity, read_identity(file)
    if other.name == own.name:
        raise InputError(f"{file} is of {own.name}, whose keys these are: name the file of the other side")
    shown = pairing_code(own, other)
    if code is None:
        click.echo(f"{own.name} and {other.name} ({other.role}) have the code   {shown}")
        if not sys.stdin.isatty():
            raise InputError(
                "nobody is here to compare the code: run the same on the other side, and if it shows the same code,"
                " give it with --code"
            )
        if not click.confirm("Does the other side show the same?"):
            raise InputError(f"{other.name} is not trusted: the codes differ, so somebody may sit in between")
    elif not same_code(code, shown):
        raise InputError(f"{other.name} is not trusted: here the code is {shown}, not {code}")
    path = TrustDirectory(folder).add(other)
    click.echo(f"{own.name} trusts {other.name} from now on ({path})")


def revoke_agent(folder: Path, name: str) -> None:
    """Trust an agent no longer."""
    from wattswap.runners.node.key_directory import read_agent_keys
    from wattswap.runners.node.trust import TrustDirectory

    own = read_agent_keys(folder).identity
    TrustDirectory(folder).revoke(name)
    click.echo(f"{own.name} trusts {name} no longer; a node that runs cuts its connection within a few seconds")


def show_trusted(folder: Path, *, as_json: bool) -> None:
    """Show whom an agent trusts."""
    from wattswap.runners.node.key_directory import PUBLIC, read_agent_keys
    from wattswap.runners.node.trust import TrustDirectory

    own = read_agent_keys(folder).identity
    trusted = sorted(TrustDirectory(folder).read(), key=lambda agent: agent.name)
    if as_json:
        click.echo(json.dumps({"agent": own.name, "trusted": [_told(agent) for agent in trusted]}, indent=2))
        return
    for agent in trusted:
        click.echo(f"{agent.name}  {agent.role}  {agent.transport_key}")
    if not trusted:
        click.echo(f"{own.name} trusts nobody yet: wattswap keys trust {folder} FILE, the {PUBLIC} of the other side")


def _show(folder: Path, identity: PublicIdentity, *, as_json: bool) -> None:
    told = {"directory": str(folder), **_told(identity)}
    if as_json:
        click.echo(json.dumps({"agent": told}, indent=2))
        return
    for what, value in told.items():
        click.echo(f"{what.replace('_', ' '):<14}{value}")


def _told(identity: PublicIdentity) -> dict[str, str]:
    from wattswap.protocol.identity import address

    return {
        "name": identity.name,
        "role": identity.role,
        "transport_key": identity.transport_key,
        "signing_key": identity.signing_key,
        "address": address(identity.signing),
    }
