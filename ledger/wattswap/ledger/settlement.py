"""Opens a ledger by the words that a person names it with, and says in one line why it cannot be used."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wattswap.ledger.base import ANCHORS, LedgerDownError
from wattswap.ledger.book import wallet
from wattswap.ledger.ledger import Ledger
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import NANOS_PER_IOTA

if TYPE_CHECKING:
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.iota_keys import Wallets

_GAS_NANOS: Final = 1_000 * NANOS_PER_IOTA
"""What a devnet's faucet gives to the wallets that pay gas and that anchor."""


def new_wallets_seed() -> int:
    """A random seed for the wallets of a run; any program that reads JSON reads such a number exactly."""
    return secrets.randbits(53)


def open_settlement(
    where: str,
    opening: Mapping[str, int] | None,
    *,
    wallets_seed: int = 0,
    wallets: Wallets | None = None,
    allow: Sequence[str] = (),
    outbox: Path | None = None,
    run: str = "",
) -> Ledger:
    """A ledger on ``memory``, ``sqlite:FILE`` or the IOTA node behind a URL, in which ``opening`` holds.

    On a devnet the wallets are derived from ``wallets_seed``, which no other run on that chain may have used. On any
    other chain ``wallets`` holds their keys, and ``allow`` names the chain. The outbox of a chain is in the file
    ``outbox``, or in memory: then a crash forgets it. Without ``opening`` everyone holds what they held.

    Raises:
        InputError: there is no such ledger, it is another run's, or it must not be paid on.
    """
    if where == "memory" or where.removeprefix("sqlite:") not in ("", where):
        return SqliteLedger(None if where == "memory" else Path(where.removeprefix("sqlite:")), opening, run=run)
    if not where.startswith(("http://", "https://")):
        raise InputError(f"{where!r} is no ledger: say memory, sqlite:FILE, or the URL of an IOTA node")
    with ExitStack() as undo:
        client = undo.enter_context(open_node(where))
        from wattswap.ledger.iota_keys import SeededWallets
        from wattswap.ledger.iota_ledger import GAS, IotaLedger
        from wattswap.ledger.outbox import Outbox

        box = undo.enter_context(Outbox(outbox, run=run))
        ledger = undo.enter_context(IotaLedger(client, wallets or SeededWallets(wallets_seed), box, allow=allow))
        try:
            box.watch((GAS, ANCHORS, *(account for account in opening or () if not account.startswith(wallet("")))))
            if opening is not None:
                ledger.require_unused()
                holds = {GAS: _GAS_NANOS, ANCHORS: _GAS_NANOS, **opening}
                ledger.fund(holds)
                box.bind_addresses({account: ledger.wallets.address(account) for account in holds})
        except LedgerDownError as error:
            raise InputError(str(error)) from None
        undo.pop_all()
        return ledger


def open_node(url: str) -> IotaClient:
    """A connection to the node behind a URL.

    Raises:
        InputError: this is no node's address, or the software that talks to one is not installed.
    """
    try:
        from wattswap.ledger.iota import IotaClient
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("wattswap"):
            raise
        raise InputError(f"a ledger at {url} needs {error.name}: pip install 'wattswap[iota]'") from None
    return IotaClient(url)
