"""Every backend under one contract: what is added to ``BACKENDS`` must pass all of ``test_ledger_contract.py``."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.ledger.local_node import fresh_ledger, local_node

from wattswap.ledger.base import ANCHORS, Payment
from wattswap.ledger.keys import write_key_file
from wattswap.ledger.ledger import Ledger
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.identity import Signer

if TYPE_CHECKING:
    from wattswap.ledger.iota import IotaClient

OPENING: Mapping[str, int] = {"alice": 1_000, "bob": 500, "site": 10**15}
"""Who holds what when a test begins. ``carol`` is known to nobody."""

BACKENDS = ("sqlite", "sqlite in memory", "iota", pytest.param("node", marks=pytest.mark.node))


@pytest.fixture(scope="session")
def node_url() -> Iterator[str]:
    """A local IOTA node for all tests that need one; each takes wallets of its own."""
    pytest.importorskip("iota_sdk")
    with local_node() as (url, _):
        yield url


@pytest.fixture(params=BACKENDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A fresh ledger in which ``OPENING`` holds."""
    fresh: Ledger
    match request.param:
        case "sqlite":
            fresh = SqliteLedger(tmp_path / "ledger.sqlite", OPENING)
        case "sqlite in memory":
            fresh = SqliteLedger(None, OPENING)
        case "node":
            fresh = genuine_ledger(request, tmp_path)
        case _:
            fresh = fresh_ledger(request.getfixturevalue("node_url"), OPENING)
    yield fresh
    fresh.close()


@pytest.fixture
def settlement(ledger: Ledger) -> Ledger:
    """The same ledger, as a run uses it."""
    return ledger


def genuine_ledger(request: pytest.FixtureRequest, folder: Path) -> Ledger:
    """The same on the node of ``--node``, with wallets that nobody had before, filled by the faucet of that network."""
    url, faucet = request.config.getoption("--node"), request.config.getoption("--node-faucet")
    if not url:
        pytest.skip("--node URL names no node: the contract on a genuine network was not tried")
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.iota_keys import FileWallets
    from wattswap.ledger.iota_ledger import GAS, IotaLedger

    names = (*OPENING, "carol", "bank", GAS, ANCHORS)
    for name in names:
        write_key_file(folder / name, Signer(os.urandom(32)))
    client, wallets = IotaClient(url), FileWallets({name: folder / name for name in names})
    for name in ("bank", GAS, ANCHORS):
        ask_faucet(faucet, client, wallets.address(name))
    allow = (client.chain_id(),)
    bank = IotaLedger(client, wallets, Outbox(None), allow=allow)  # an outbox of its own: it is in nobody's history
    opening = {**OPENING, "site": min(OPENING["site"], bank.balance("bank") // 2)}
    paid = bank.pay([Payment(key=f"open/{name}", payer="bank", payee=name, nanos=n) for name, n in opening.items()])
    assert all(status.ok for status in paid), paid
    bank.submitter.outbox.close()
    return IotaLedger(client, wallets, Outbox(None), allow=allow)


def ask_faucet(url: str, client: IotaClient, address: str) -> None:
    """Wait until the network's own faucet has sent something: what it says of that differs from network to network."""
    import iota_sdk

    asyncio.run(iota_sdk.FaucetClient(url).request(iota_sdk.Address.from_hex(address)))
    until = time.monotonic() + 60
    while not client.coins(address):
        assert time.monotonic() < until, f"the faucet at {url} sent nothing to {address} within a minute"
        time.sleep(0.2)
