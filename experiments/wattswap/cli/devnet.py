"""``wattswap devnet``: a local IOTA node."""

from __future__ import annotations

from pathlib import Path

import click

from wattswap.cli import options
from wattswap.cli.examples import examples
from wattswap.protocol.errors import InputError


@click.command(
    no_args_is_help=False,
    epilog=examples(
        "wattswap devnet",
        "wattswap devnet --port 9125 --db street.sqlite",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; others reach only this machine.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9125, show_default=True, help="0 takes a free one.")
@click.option("--db", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Keep the chain in a file.")
@click.option("--epoch-s", type=options.Number(0), default=0, help="How long an epoch lasts; for ever if left out.")
@click.option("--lag-s", type=options.Number(0), default=0, help="So long what was done is not listed yet.")
@click.option("--json", "as_json", is_flag=True, help="Say in one JSON object that it is ready.")
@click.pass_context
def devnet(
    ctx: click.Context,
    host: str,
    port: int,
    db: Path | None,
    epoch_s: float,
    lag_s: float,
    as_json: bool,
) -> None:
    """Run a local IOTA node for Wattswap: GraphQL at /graphql, faucet at /v1/gas.

    It keeps coins, gas and history as the network does, and refuses what the network refuses. It answers what Wattswap
    asks through the official SDK, and is no network: one authority, no consensus, no Move machine, no staking, no
    shared objects, no dry runs. Its tokens are worth nothing.
    Without --db the chain ends with the process. Ctrl-C stops it.
    """
    try:
        from wattswap.ledger.devnet.process import Settings, serve
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("wattswap"):
            raise
        raise InputError(f"the local node needs {error.name}: pip install 'wattswap[iota]'") from None

    settings = Settings(
        host=host,
        port=port,
        db=str(db) if db else None,
        epoch_s=epoch_s,
        lag_s=lag_s,
        as_json=as_json,
    )
    ctx.exit(serve(settings, lambda line: print(line, flush=True)))
