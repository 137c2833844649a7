"""``python -m wattswap.ledger.devnet SETTINGS``: a node from settings in JSON, as benchmarks and tests start it."""

from __future__ import annotations

import sys

import msgspec

from wattswap.ledger.devnet.process import Settings, serve
from wattswap.protocol.errors import InputError


def main() -> int:
    """Serve; the exit code."""
    try:
        return serve(msgspec.json.decode(sys.argv[1], type=Settings), lambda line: print(line, flush=True))  # noqa: T201
    except InputError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's way to complain
        return 2


sys.exit(main())
