"""``wattswap doctor``: is this machine fit to be a node."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from wattswap.cli.examples import examples
from wattswap.cli.where import as_json

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@click.command(
    epilog=examples("wattswap doctor", "wattswap doctor --keys ./keys --port 9700", "wattswap doctor --json")
)
@click.option("--keys", type=click.Path(path_type=Path), metavar="DIR", help="An agent's key directory.")
@click.option("--host", default="0.0.0.0", show_default=True, help="The address it will listen at.")  # noqa: S104 - a node serves its network
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The port it will listen on.")
@click.option(
    "--state", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Where its store will lie."
)
@as_json
@click.pass_context
def doctor(ctx: click.Context, keys: Path | None, host: str, port: int, state: Path, as_json: bool) -> None:
    """Look at system, libraries, keys, port, clock, multicast and disk, and say what to do about what is wrong.

    The exit code is 1 if anything would keep a node from running.
    """
    from wattswap.runners.node.doctor import examine

    findings = list(examine(keys=keys, host=host, port=port, state=state))
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.state]}  {finding.name:<13} {finding.text}")
            if finding.advice:
                click.echo(f"{'':<20}{finding.advice}")
    ctx.exit(int(any(finding.state == "fail" for finding in findings)))
