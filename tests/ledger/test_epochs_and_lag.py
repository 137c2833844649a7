"""What a network does that is older than a day or busier than ours: epochs end, and listings come late."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("iota_sdk")

from tests.ledger.local_node import fresh_ledger

from wattswap.experiments.bench.devnet_child import running
from wattswap.ledger import iota
from wattswap.ledger.account_adapter import Signed, Verdict
from wattswap.ledger.base import Payment
from wattswap.ledger.iota import IotaClient
from wattswap.ledger.iota_ledger import IotaLedger
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import BatchState

OPENING = {"site": 10**12}
OWED = [Payment(key="a", payer="site", payee="bob", nanos=10)]


@pytest.fixture(autouse=True)
def _epochs_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client believes for a minute what it was told of the epoch; here none lasts so long."""
    monkeypatch.setattr(iota, "_EPOCH_KNOWN_S", 0.0)


def pay(ledger: IotaLedger) -> None:
    """Work until all that is owed is paid."""
    ends = time.monotonic() + 30
    while ledger.submitter.outbox.unsettled:
        assert time.monotonic() < ends, ledger.submitter.errors()
        ledger.submitter.hurry()
        ledger.submitter.work()


def test_a_transaction_that_its_epochs_ended_is_buried_and_paid_by_another_one() -> None:
    with running(epoch_s=0.4) as child, fresh_ledger(child.ready.url, OPENING) as ledger:
        ledger.submitter.owe(OWED)
        lost = ledger.submitter.payer("site").signed()
        assert lost is not None
        while ledger.client.epoch()[0] <= lost.signed.expires:
            time.sleep(0.1)
        pay(ledger)
        assert ledger.submitter.outbox.state_of(lost.signed.digest) is BatchState.DEAD
        assert ledger.balance("bob") == 10


def test_what_is_done_and_not_listed_is_handed_in_again_and_paid_once() -> None:
    with running(lag_s=2.0) as child, fresh_ledger(child.ready.url, OPENING) as ledger:
        wait_until_listed(ledger, "site")  # which is given tokens last
        ledger.submitter.owe(OWED)
        batch = ledger.submitter.payer("site").signed()
        assert batch is not None
        adapter = ledger.adapter("site")
        ledger.client._timeout_s = 0.3
        assert adapter.submit(batch.signed).verdict is Verdict.UNKNOWN, "nothing is final before it is listed"
        ledger.client._timeout_s = 15.0
        assert adapter.status(batch.signed.digest).verdict is Verdict.ABSENT
        pay(ledger)
        assert ledger.balance("bob") == 10
        assert len(ledger.client.sent(ledger.wallets.address("site"), -1)[0]) == 1


def test_an_outbox_restored_before_its_payment_is_listed_pays_nothing_twice(tmp_path: Path) -> None:
    """It reads coins that are spent; the refusal sends it back to the listing, which by then shows its own payment."""
    box, backup = tmp_path / "outbox.sqlite", tmp_path / "backup.sqlite"
    with running(lag_s=1.5) as child:
        with fresh_ledger(child.ready.url, OPENING, box) as ledger:
            wait_until_listed(ledger, "site")  # which is given tokens last
            wallets = ledger.wallets
            ledger.submitter.work()
            ledger.submitter.owe(OWED)
            copy(box, backup)
            batch = ledger.submitter.payer("site").signed()
            assert batch is not None
            hand_in(ledger, batch.signed)
        with IotaLedger(IotaClient(child.ready.url), wallets, Outbox(backup)) as restored:
            pay(restored)
            assert restored.submitter.outbox.find("a") is not None
            assert restored.submitter.outbox.state_of(batch.signed.digest) is BatchState.FINAL, "adopted"
            wait_until_listed(restored, "bob")
            assert restored.balance("bob") == 10


def hand_in(ledger: IotaLedger, signed: Signed) -> None:
    """Have it executed, and do not wait until it is listed."""
    import iota_sdk

    raw, signatures = msgspec.msgpack.decode(signed.raw, type=tuple[bytes, list[str]])
    client, transaction = ledger.client, iota_sdk.Transaction.from_bcs(raw)
    signed_by = [iota_sdk.UserSignature.from_base64(signature) for signature in signatures]
    client._run(client._client.execute_transaction(signed_by, transaction, None))


def wait_until_listed(ledger: IotaLedger, account: str) -> None:
    """Wait until an account's coins are listed."""
    ends = time.monotonic() + 20
    while not ledger.balance(account):
        assert time.monotonic() < ends
        time.sleep(0.1)


def copy(path: Path, to: Path) -> None:
    """A backup of an outbox that is open."""
    for beside in path.parent.glob(f"{path.name}*"):
        if not beside.name.endswith("-lock"):
            shutil.copy(beside, to.with_name(beside.name.replace(path.name, to.name)))
