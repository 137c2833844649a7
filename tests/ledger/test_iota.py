"""What only a chain can show: fees, coins, strangers, nodes that hang, and networks where tokens are money."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("iota_sdk")

from tests.ledger.local_node import fresh_ledger, local_node
from tests.ledger.test_killing import kill

from wattswap.ledger import iota_ledger
from wattswap.ledger.account_adapter import CoinRef, Consumer, Verdict
from wattswap.ledger.base import ANCHORS, Anchor, DamagedError, LedgerDownError, Payment, PaymentState
from wattswap.ledger.iota import IotaClient
from wattswap.ledger.iota_adapter import IotaAdapter
from wattswap.ledger.iota_keys import FileWallets, SeededWallets
from wattswap.ledger.iota_ledger import GAS, IotaLedger, check_chain
from wattswap.ledger.iota_transactions import GasPayment, anchors_of, budget_nanos, build, carried, chunks_of, sign
from wattswap.ledger.keys import write_key_file
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import BatchState
from wattswap.ledger.submitter import Submitter
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer
from wattswap.protocol.units import NANOS_PER_IOTA

GAS_COMPUTATION, COIN_DEPOSIT = 1_000_000, 980_400
OPENING = {"alice": 1_000_000, "site": 10**12}


@pytest.fixture
def ledger(node_url: str) -> Iterator[IotaLedger]:
    """A ledger with wallets of its own."""
    with fresh_ledger(node_url, OPENING) as fresh:
        yield fresh


def payment(key: str, payee: str = "bob", nanos: int = 10, payer: str = "site") -> Payment:
    return Payment(key=key, payer=payer, payee=payee, nanos=nanos)


def anchor(ledger: IotaLedger, content: bytes) -> None:
    """Put a record on the chain."""
    ledger.submitter.owe([Anchor(site="site", sequence=0, content=content)])
    while ledger.submitter.outbox.unsettled:
        ledger.submitter.work()


def sent_by(ledger: IotaLedger, account: str) -> int:
    return len(ledger.client.sent(ledger.wallets.address(account), -1)[0])


# -- fees and coins ---------------------------------------------------------------------------------------------------


def test_no_transaction_has_a_name_that_is_no_digest(ledger: IotaLedger) -> None:
    assert ledger.client.effects("9wallet/x") is None


def test_all_fees_come_from_the_gas_wallet_and_every_other_balance_is_exact(ledger: IotaLedger) -> None:
    gas = ledger.balance(GAS)
    ledger.pay([payment("a", "bob", 10), payment("b", "carol", 20), payment("c", "bob", 5)])
    assert (ledger.balance("site"), ledger.balance("bob"), ledger.balance("carol")) == (10**12 - 35, 15, 20)
    outbox = ledger.submitter.outbox
    assert (outbox.fees_nanos, outbox.deposits_nanos) == (GAS_COMPUTATION, 2 * COIN_DEPOSIT)
    assert ledger.balance(GAS) == gas - outbox.fees_nanos - outbox.deposits_nanos


def test_a_wallet_spends_what_many_small_coins_brought_and_their_deposits_come_back(ledger: IotaLedger) -> None:
    for number in range(8):
        assert ledger.pay([payment(f"in{number}", "bob", 100)])[0].ok
    before = ledger.submitter.outbox.deposits_nanos
    assert ledger.pay([payment("out", "carol", 800, payer="bob")])[0].ok
    assert (ledger.balance("bob"), ledger.balance("carol")) == (0, 800)
    assert ledger.submitter.outbox.deposits_nanos == before + COIN_DEPOSIT * (2 - 8)


def test_a_thousand_payees_take_two_transactions(ledger: IotaLedger) -> None:
    batch = [payment(f"k{number}", f"car{number}", number + 1) for number in range(1_000)]
    assert all(answer.ok for answer in ledger.pay(batch))
    assert sent_by(ledger, "site") == 2
    assert ledger.balance("car999") == 1_000


def test_payments_and_anchors_never_share_a_coin(ledger: IotaLedger) -> None:
    ledger.pay([payment("k")])
    anchor(ledger, b"x" * 30_000)
    rows = ledger.submitter.outbox._database.rows("SELECT account, coin FROM coins JOIN batches USING (batch)")
    coins = {adapter: {coin for other, coin in rows if other == adapter} for adapter in ("site", ANCHORS)}
    assert coins["site"]
    assert coins[ANCHORS]
    assert not coins["site"] & coins[ANCHORS]


def test_a_wallet_may_pay_its_own_gas(node_url: str) -> None:
    with fresh_ledger(node_url, {"site": 10**12}) as sponsored:
        ledger = IotaLedger(sponsored.client, sponsored.wallets, Outbox(None), sponsored=False)
        assert ledger.pay([payment("k", "bob", 7)])[0].ok
        assert ledger.balance("site") == 10**12 - 7 - GAS_COMPUTATION - COIN_DEPOSIT
        ledger.submitter.outbox.close()


def test_without_gas_nothing_is_signed_and_the_error_names_the_wallet_to_fund(node_url: str) -> None:
    with fresh_ledger(node_url, {"site": 10**12}) as rich:
        adapter = IotaAdapter(rich.client, rich.wallets, "site", sponsor="pauper")
        with pytest.raises(LedgerDownError, match=rich.wallets.address("pauper")):
            adapter.read()


def test_a_transaction_that_comes_to_nothing_is_returned_as_failed_and_its_fee_is_booked(ledger: IotaLedger) -> None:
    adapter = ledger.adapter("alice")
    signed = adapter.sign([payment("k", "bob", 2_000_000)], adapter.read(), b"")
    outcome = adapter.submit(signed)
    assert (outcome.verdict, outcome.fee_nanos) == (Verdict.FAILED, GAS_COMPUTATION)
    assert "InsufficientCoinBalance" in outcome.error
    assert adapter.status(signed.digest) == outcome
    assert ledger.balance("alice") == 1_000_000


def test_the_same_bytes_again_give_the_same_outcome_and_move_nothing(ledger: IotaLedger) -> None:
    adapter = ledger.adapter("site")
    purse = adapter.read()
    signed = adapter.sign([payment("k")], purse, b"memo")
    assert adapter.sign([payment("k")], purse, b"memo") == signed
    assert adapter.status(signed.digest).verdict is Verdict.ABSENT
    assert adapter.consumer(purse.coins[0]) is None
    first = adapter.submit(signed)
    assert [adapter.submit(signed) for _ in range(3)] == [first] * 3
    assert first.verdict is Verdict.FINAL
    assert {adapter.consumer(coin) for coin in purse.coins} == {Consumer(signed.digest, is_own=True)}
    assert ledger.balance("bob") == 10


def test_another_transaction_on_the_same_coin_is_a_conflict_that_names_the_first(ledger: IotaLedger) -> None:
    adapter = ledger.adapter("site")
    purse = adapter.read()
    first, second = (adapter.sign([payment(key, nanos=n)], purse, b"") for key, n in (("a", 1), ("b", 2)))
    adapter.submit(first)
    outcome = adapter.submit(second)
    assert (outcome.verdict, outcome.others) == (Verdict.CONFLICT, (first.digest,))


# -- what stands in a transaction -------------------------------------------------------------------------------------

SENDER = "0x" + "11" * 32
COIN = CoinRef("0x" + "22" * 32, 3, "1" * 31 + "2")


def made(memo: bytes = b"memo", content: bytes = b"", expires: int = 3) -> tuple[bytes, str]:
    gas = GasPayment(owner=SENDER, coins=(COIN,), price=1_000, budget=budget_nanos(1, 1_000))
    anchors = [Anchor(site="site", sequence=7, content=content)] if content else []
    return build(SENDER, [(SENDER, 5)], (), gas, memo=memo, anchors=anchors, expires=expires)


def test_the_same_arguments_give_the_same_bytes_and_others_other_bytes() -> None:
    assert made() == made()
    assert len({made(), made(memo=b"other"), made(content=b"n"), made(expires=4)}) == 4


@pytest.mark.parametrize("size", [1, 127, 128, 11_999, 12_000, 12_001, 96_000])
def test_what_a_transaction_carries_is_read_back_byte_for_byte(size: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert carried(made(content=content)[0]) == (b"memo", [Anchor(site="site", sequence=7, content=content)])
    assert carried(made()[0]) == (b"memo", [])


def test_equal_chunks_are_carried_as_often_as_they_stand_there() -> None:
    assert carried(made(content=bytes(36_000))[0])[1][0].content == bytes(36_000)


def test_every_record_stands_whole_in_its_own_chunk_however_many_travel_together() -> None:
    """Cut every 12 kB of the batch, two of three records came back broken to whoever read them without our software."""
    records = [Anchor(site="my street", sequence=n, content=b'{"record":%d}' % n * 90) for n in range(60)]
    chunks = [chunk for record in records for chunk in chunks_of(record)]
    assert [chunk.partition(b"\n")[2] for chunk in chunks] == [record.content for record in records]
    assert chunks[3].startswith(b"0 3 my street\n")
    assert anchors_of(chunks) == records
    assert anchors_of([b"garbage", *chunks[:2], b"1 9 x\nhalf"]) == records[:2]


# -- strangers, backups, hanging nodes --------------------------------------------------------------------------------


def test_a_restored_backup_pays_nothing_twice(node_url: str, tmp_path: Path) -> None:
    path, backup = tmp_path / "outbox.sqlite", tmp_path / "backup.sqlite"
    with fresh_ledger(node_url, OPENING, path) as ledger:
        ledger.pay([payment("a")])
        ledger.submitter.owe([payment("b", nanos=20)])
        copy = sqlite3.connect(backup)
        ledger.submitter.outbox._database._connection.backup(copy)
        copy.close()
        ledger.submitter.work()
        ledger.pay([payment("c", nanos=30)])
        wallets = ledger.wallets
    with IotaLedger(IotaClient(node_url), wallets, Outbox(backup)) as ledger:
        answers = ledger.pay([payment("a"), payment("b", nanos=20), payment("c", nanos=30)])
        assert all(answer.ok for answer in answers)
        assert ledger.balance("bob") == 60
        assert "2 of its transactions were not in the outbox" in ledger.submitter.outbox.alarms[0]


def test_a_stranger_with_the_key_freezes_the_lane_and_no_other(ledger: IotaLedger) -> None:
    ledger.pay([payment("a")])
    thief = IotaAdapter(ledger.client, ledger.wallets, "site", sponsor="thief")
    ledger.fund({"thief": NANOS_PER_IOTA})
    thief.submit(thief.sign([payment("loot", "thief")], thief.read(), b""))
    again = Submitter(ledger.submitter.outbox, ledger.adapter)
    again.owe([payment("b"), payment("c", payer="alice")])
    again.work()
    assert "the key is stolen" in again.outbox.frozen("site")
    assert again.outbox.find("b").state is None  # type: ignore[union-attr]
    assert again.outbox.find("c").state is BatchState.FINAL  # type: ignore[union-attr]


def test_while_the_node_hangs_payments_are_pending_and_nobody_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iota_ledger, "PATIENCE_S", 0.1)
    with local_node(tmp_path / "chain.sqlite") as (url, process), fresh_ledger(url, OPENING) as ledger:
        ledger.pay([payment("a")])
        ledger.client._timeout_s = 0.2
        ledger.submitter.owe([payment("b")])
        os.kill(process.pid, signal.SIGSTOP)
        try:
            ledger.submitter.work()
            assert "did not answer within 0.2 s" in ledger.submitter.errors()["site"]
            with pytest.raises(LedgerDownError, match="did not answer"):
                ledger.balance("bob")
        finally:
            os.kill(process.pid, signal.SIGCONT)
        ledger.client._timeout_s = 15.0
        monkeypatch.setattr(iota_ledger, "PATIENCE_S", 15.0)
        assert ledger.pay([payment("b")])[0].state is PaymentState.PAID
        assert ledger.balance("bob") == 20


def test_a_node_that_was_killed_and_came_back_has_forgotten_nothing(tmp_path: Path) -> None:
    db, box = tmp_path / "chain.sqlite", tmp_path / "outbox.sqlite"
    with local_node(db) as (url, _), fresh_ledger(url, OPENING, box) as ledger:
        ledger.pay([payment("a")])
        wallets, chain_id = ledger.wallets, ledger.network
    with local_node(db) as (url, _), IotaLedger(IotaClient(url), wallets, Outbox(box)) as ledger:
        assert ledger.network == chain_id
        assert [answer.state for answer in ledger.pay([payment("a"), payment("b")])] == ["exists", "paid"]
        assert ledger.balance("bob") == 20
    with local_node() as (url, _), pytest.raises(InputError, match="pays on network"):
        fresh_ledger(url, {}, box)


def test_the_sdk_runs_on_a_thread_of_its_own(ledger: IotaLedger) -> None:
    names = {thread.name for thread in threading.enumerate()}
    assert "iota" in names
    assert ledger.client._thread is not threading.current_thread()


@pytest.mark.parametrize("kills", [20, pytest.param(2_000, marks=pytest.mark.long)])
def test_kills_cost_and_create_nothing_on_a_chain_either(node_url: str, tmp_path: Path, kills: int) -> None:
    report = kill(tmp_path, "--kills", str(kills), "--ledger", node_url)
    assert report["wrong"] == []
    assert report["paid"] == report["owed"] > 0


# -- attacks ----------------------------------------------------------------------------------------------------------


def test_gas_that_is_too_dear_is_not_paid(ledger: IotaLedger) -> None:
    """The node sets the price: one asked 0.10 IOTA for moving a nano."""
    adapter = IotaAdapter(ledger.client, ledger.wallets, "site", sponsor=GAS, most_gas_price=999)
    with pytest.raises(LedgerDownError, match="asks 1000 nanos for a unit of gas, and 999 is the most"):
        adapter.read()
    assert ledger.adapter("site").most_fee_nanos(1) == budget_nanos(1, 1_000)


def test_bytes_of_another_digest_are_not_handed_in(ledger: IotaLedger) -> None:
    adapter = ledger.adapter("site")
    signed = adapter.sign([payment("k")], adapter.read(), b"")
    other = adapter.sign([payment("other", nanos=99)], adapter.read(), b"")
    with pytest.raises(DamagedError, match="not those that were signed"):
        adapter.submit(msgspec.structs.replace(signed, raw=other.raw))
    assert ledger.balance("bob") == 0


def scatter(ledger: IotaLedger, payee: str, coins: int) -> None:
    """Let the site pay so many coins of 1 IOTA to one wallet, in one transaction."""
    purse, address = ledger.adapter("site").read(), ledger.wallets.address
    gas = GasPayment(owner=address(GAS), coins=purse.coins[-1:], price=1_000, budget=10**9)
    outputs = [(address(payee), NANOS_PER_IOTA)] * coins
    raw, _ = build(address("site"), outputs, purse.coins[:-1], gas, memo=b"", anchors=[], expires=purse.epoch + 1)
    signatures = [sign(raw, ledger.wallets.signer(account)) for account in ("site", GAS)]
    assert ledger.client.execute(raw, signatures).verdict == "final"


@pytest.mark.parametrize("sponsored", [True, False])
def test_a_wallet_of_many_small_coins_spends_all_that_it_holds(node_url: str, sponsored: bool) -> None:
    """250 coins were read at most, so 280 IOTA in 300 coins could not be paid, or waited for ever."""
    with fresh_ledger(node_url, {"site": 1_000 * NANOS_PER_IOTA}) as rich:
        ledger = IotaLedger(rich.client, rich.wallets, Outbox(None), sponsored=sponsored)
        scatter(rich, "alice", coins=300)
        assert ledger.adapter("alice").spendable() >= 299 * NANOS_PER_IOTA
        assert ledger.pay([payment("small", nanos=NANOS_PER_IOTA, payer="alice")])[0].ok
        assert ledger.pay([payment("large", nanos=298 * NANOS_PER_IOTA, payer="alice")])[0].ok
        assert ledger.balance("bob") == 299 * NANOS_PER_IOTA
        ledger.submitter.outbox.close()


def test_wallets_that_were_used_before_belong_to_another_run(node_url: str) -> None:
    with fresh_ledger(node_url, {}) as ledger:
        unused = IotaLedger(ledger.client, SeededWallets(10**9 + 7), Outbox(None))
        unused.require_unused()
        with pytest.raises(InputError, match="--wallets-seed: the wallets of this seed were used"):
            ledger.require_unused()
        unused.submitter.outbox.close()


def test_a_second_record_in_a_place_is_named(ledger: IotaLedger) -> None:
    """The site's own wallet can write whatever it likes after the first; only the first counts, but it is said."""
    anchor(ledger, b"first")
    adapter = ledger.adapter(ANCHORS)
    forged = Anchor(site="site", sequence=0, content=b"forged")
    adapter.submit(adapter.sign([forged], adapter.read(), b""))
    assert ledger.anchored("site") == [Anchor(site="site", sequence=0, content=b"first")]
    assert ledger.doubled("site") == {0}


# -- where tokens are money -------------------------------------------------------------------------------------------


class Answering:
    """What ``check_chain`` asks of a client."""

    def __init__(self, *, says_devnet: bool = False, host: str = "graphql.example") -> None:
        self.url, self.is_on_this_machine, self._says = f"https://{host}/graphql", host == "localhost", says_devnet

    def says_devnet(self) -> bool:
        return self._says


@pytest.fixture
def own_keys(tmp_path: Path) -> FileWallets:
    write_key_file(tmp_path / "own.key", Signer(bytes(range(32))))
    return FileWallets({"site": tmp_path / "own.key"})


@pytest.mark.parametrize(
    ("chain_id", "name"), [("6364aad5", "mainnet"), ("2304aa97", "testnet"), ("01234567", "chain")]
)
def test_a_public_network_is_refused_unless_it_is_named(chain_id: str, name: str, own_keys: FileWallets) -> None:
    client: Any = Answering()
    with pytest.raises(InputError, match=f"is IOTA {name}.*allow {chain_id}"):
        check_chain(client, chain_id, (), own_keys)
    assert check_chain(client, chain_id, (chain_id,), own_keys) is False


@pytest.mark.parametrize("host", ["localhost", "graphql.example"])
@pytest.mark.parametrize("says_devnet", [True, False])
def test_a_chain_other_than_the_one_allowed_is_refused_whatever_the_node_calls_itself(
    says_devnet: bool, host: str, own_keys: FileWallets
) -> None:
    client: Any = Answering(says_devnet=says_devnet, host=host)
    for wallets in (own_keys, SeededWallets(1)):
        with pytest.raises(InputError, match=r"is IOTA chain e845e24b, not 6364aad5.*nothing was moved"):
            check_chain(client, "e845e24b", ("6364aad5",), wallets)


def test_a_node_s_word_makes_no_devnet_where_private_keys_are_at_stake(own_keys: FileWallets) -> None:
    """It would then be asked for no name, and what it denies to know would be signed anew."""
    there: Any = Answering(says_devnet=True)
    with pytest.raises(InputError, match="allow e845e24b if you mean it"):
        check_chain(there, "e845e24b", (), own_keys)
    here: Any = Answering(says_devnet=True, host="localhost")
    assert check_chain(here, "e845e24b", (), own_keys), "the node of this machine"
    for client in (there, here):
        assert not check_chain(client, "e845e24b", ("e845e24b",), own_keys)
        assert check_chain(client, "e845e24b", ("e845e24b",), SeededWallets(1)), "anyone has these keys"


def test_keys_that_anyone_can_derive_are_refused_there_even_if_it_is_named() -> None:
    client: Any = Answering()
    with pytest.raises(InputError, match="anyone can derive"):
        check_chain(client, "6364aad5", ("6364aad5",), SeededWallets(1))


def test_a_mark_on_a_key_file_counts_as_a_seed(tmp_path: Path) -> None:
    write_key_file(tmp_path / "seeded.key", SeededWallets(1).signer("site"))
    write_key_file(tmp_path / "own.key", Signer(bytes(range(32))))
    assert FileWallets({"site": tmp_path / "seeded.key"}).seeded
    assert not FileWallets({"site": tmp_path / "own.key"}).seeded


def test_wallets_from_files_pay_whom_they_know(node_url: str, tmp_path: Path) -> None:
    for name in ("site", GAS):
        write_key_file(tmp_path / name, Signer(os.urandom(32)))
    bob = Signer(os.urandom(32)).address
    wallets = FileWallets({name: tmp_path / name for name in ("site", GAS)}, {"bob": bob})
    with IotaLedger(IotaClient(node_url), wallets, Outbox(None)) as ledger:
        ledger.fund({"site": 10**10, GAS: 10**10})
        assert ledger.pay([payment("a"), payment("b", bob)])[1].ok
        assert (ledger.balance("bob"), ledger.balance(bob), ledger.balance("stranger")) == (20, 20, 0)
        for call in (lambda: ledger.adapter("bob"), lambda: wallets.address("stranger")):
            with pytest.raises(InputError, match="key file"):
                call()


@pytest.mark.parametrize("url", ["", "localhost:9125", "ftp://x/graphql", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="is not the address of an IOTA node"):
        IotaClient(url)


def test_a_node_that_is_not_there_is_named() -> None:
    with IotaClient("http://127.0.0.1:9/graphql") as client, pytest.raises(LedgerDownError, match=r"127\.0\.0\.1:9"):
        client.chain_id()
