"""A transformer's tokens reach a ledger by a thread of their own, each payment once, whenever the ledger is there."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from tests.ledger.local_node import local_node

from wattswap.ledger.book import SITE, Book, receivable, wallet
from wattswap.ledger.settlement import open_settlement
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.node import ledger_payments
from wattswap.runners.node.ledger_payments import LEDGER_KEY, LedgerPayments, PublicNetwork

FUNDS = 10**12
CAR = "vehicle/1"


class NodePlace:
    """What of a node outlives a crash, and its log."""

    def __init__(self, folder: Path, where: str) -> None:
        self.folder, self.where, self.store, self._said = folder, where, MemoryStore(), io.StringIO()
        self.book = Book(FUNDS, "each")
        self.network: PublicNetwork | None = None

    def payments(self) -> LedgerPayments:
        log = structlog.wrap_logger(
            structlog.WriteLogger(self._said),
            [structlog.processors.JSONRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        outbox = self.folder / "outbox.sqlite"
        return LedgerPayments(
            self.where, self.book.entries, store=self.store, outbox=outbox, log=log, network=self.network
        )

    def log(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._said.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def reward(self, number: int, nanos: int) -> None:
        """Something that a car has earned, and is paid."""
        self.book.reserve(f"0.{number}/stay", 2 * nanos)
        self.book.settle(f"0.{number}/stay", CAR, nanos)


@pytest.fixture
def place(tmp_path: Path) -> NodePlace:
    return NodePlace(tmp_path, f"sqlite:{tmp_path / 'tokens.sqlite'}")


def held(place: NodePlace) -> tuple[int, int]:
    """What the site and the car hold on the embedded ledger."""
    with SqliteLedger(place.folder / "tokens.sqlite", reads_only=True) as ledger:
        return ledger.balance(SITE), ledger.balance(wallet(CAR))


def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_reward_lies_in_its_cars_wallet_when_the_node_has_ended(place: NodePlace) -> None:
    payments = place.payments()
    place.reward(1, 700)
    payments.follow(place.book)
    place.reward(2, 30)
    payments.follow(place.book)
    payments.close()
    assert held(place) == (FUNDS - 730, 730)
    assert not place.log("ledger trouble")


def test_a_node_that_starts_again_pays_what_is_new_and_nothing_twice(place: NodePlace) -> None:
    payments = place.payments()
    place.reward(1, 700)
    payments.follow(place.book)
    payments.close()
    place.reward(2, 30)  # durable, and the node crashed before it was handed over
    for _ in range(2):
        place.payments().close()
    assert held(place) == (FUNDS - 730, 730)


def test_a_ledger_that_is_not_there_is_said_once_and_costs_the_street_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the file is missing; it is made later, and all that was earned meanwhile is paid."""
    monkeypatch.setattr(ledger_payments, "_AGAIN_S", 0.0)
    monkeypatch.setattr(ledger_payments, "_LOOK_S", 0.02)
    place = NodePlace(tmp_path / "later", f"sqlite:{tmp_path / 'later' / 'tokens.sqlite'}")
    payments = place.payments()
    for number in range(20):
        place.reward(number, 10)
        payments.follow(place.book)
    until(lambda: place.log("ledger trouble"))
    (tmp_path / "later").mkdir()
    until(lambda: place.log("paid"))
    payments.close()
    assert held(place) == (FUNDS - 200, 200)
    assert len(place.log("ledger trouble")) == 1


def test_tokens_that_are_on_one_ledger_are_not_looked_for_on_another(place: NodePlace, tmp_path: Path) -> None:
    place.payments().close()
    place.where = f"sqlite:{tmp_path / 'other.sqlite'}"
    with pytest.raises(InputError, match="the tokens of this transformer are on sqlite:"):
        place.payments()


def test_on_a_public_network_it_pays_from_keys_in_files_to_addresses_and_takes_nothing_from_a_car(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own node, whose chain is named as that of a public one: no faucet fills a wallet, no seed makes a key."""
    pytest.importorskip("iota_sdk")
    from wattswap.ledger import iota_faucet
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.keys import write_key_file

    site, car = Signer(bytes(range(32))), Signer(bytes(range(1, 33)))
    for number, (name, signer) in enumerate((("site", site), ("gas", None), ("anchors", None))):
        signers = signer or Signer(bytes([number]) * 32)
        write_key_file(tmp_path / f"{name}.key", signers)
    with local_node() as (url, _):
        client = IotaClient(url)
        chain = client.chain_id()
        place = NodePlace(tmp_path, url)
        place.book = Book(FUNDS, "departure", collects=False)
        monkeypatch.setattr(ledger_payments, "_AGAIN_S", 0.0)
        place.network = PublicNetwork(chain, tmp_path, {CAR: car.address})
        payments = place.payments()
        until(lambda: place.log("ledger trouble"))
        assert f"to {place.network.wallets().address('gas')} (gas)" in place.log("ledger trouble")[0]["why"]
        for name in ("site", "gas", "anchors"):
            iota_faucet.give(url, place.network.wallets().address(name), FUNDS)
        until(lambda: place.log("ledger open"))
        for number in (1, 2):
            place.reward(number, 1_000_000)
            place.book.bill(f"stay/{number}", CAR, 300_000 if number == 1 else 1_600_000)
            payments.follow(place.book)
        payments.close()
        assert sum(coin.nanos for coin in client.coins(car.address)) == 700_000, (
            "the second stay cost more than it earned"
        )
        assert place.book.balance(receivable(CAR)) == 600_000
        client.close()
    assert Book.restore(place.book.entries).balance(receivable(CAR)) == 600_000


def test_a_car_without_an_address_holds_back_its_own_pay_alone_until_it_has_one(tmp_path: Path) -> None:
    """It was trusted while the node ran. Others are paid at once, the log names it, and it is paid after a restart."""
    pytest.importorskip("iota_sdk")
    from wattswap.ledger import iota_faucet
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.keys import write_key_file

    first, later = Signer(bytes(range(32))), Signer(bytes(range(1, 33)))
    names = ("site", "gas", "anchors")
    for number, name in enumerate(names):
        write_key_file(tmp_path / f"{name}.key", Signer(bytes([number + 50]) * 32))
    with local_node() as (url, _), IotaClient(url) as client:
        place = NodePlace(tmp_path, url)
        place.book = Book(FUNDS, "departure", collects=False)

        def holds(car: Signer) -> int:
            return sum(coin.nanos for coin in client.coins(car.address))

        def pays(car: str, number: int) -> None:
            place.book.reserve(f"0.{number}/stay", 2_000_000)
            place.book.settle(f"0.{number}/stay", car, 1_000_000)
            place.book.bill(f"stay/{number}", car, 0)
            payments.follow(place.book)

        place.network = PublicNetwork(client.chain_id(), tmp_path, {CAR: first.address})
        for name in names:
            iota_faucet.give(url, place.network.wallets().address(name), FUNDS)
        payments = place.payments()
        pays("vehicle/2", 0)
        until(lambda: place.log("ledger trouble"))
        pays(CAR, 1)
        until(lambda: holds(first) == 1_000_000)
        pays(CAR, 2)
        until(lambda: holds(first) == 2_000_000)
        payments.close()
        trouble = "bill/stay/0: held back, nobody knows where the tokens of 'wallet/vehicle/2' lie"
        assert [trouble in line["why"] for line in place.log("ledger trouble")] == [True]
        assert not place.log("ledger stopped")
        place.network = PublicNetwork(client.chain_id(), tmp_path, {CAR: first.address, "vehicle/2": later.address})
        place.payments().close()
        assert (holds(first), holds(later)) == (2_000_000, 1_000_000)


def test_rewards_cross_a_chain_and_a_restart_goes_on_with_the_same_wallets(tmp_path: Path) -> None:
    pytest.importorskip("iota_sdk")
    with local_node() as (url, _):
        place = NodePlace(tmp_path, url)
        for number in (1, 2):
            payments = place.payments()
            until(lambda: len(place.log("ledger open")) == number)  # noqa: B023 - it is over within the turn
            place.reward(number, 1_000_000)
            payments.follow(place.book)
            payments.close()
        assert not [key for line in place.log("ledger open") for key in line if "seed" in key], "logs are passed on"
        seed = msgspec.msgpack.decode(place.store.remembered()[LEDGER_KEY])["wallets_seed"]
        with open_settlement(url, None, wallets_seed=seed) as there:
            assert there.balance(wallet(CAR)) == 2_000_000
            assert there.balance(SITE) == FUNDS - 2_000_000
