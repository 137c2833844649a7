"""What only the ledger in memory can show: that it holds its own books."""

from __future__ import annotations

import pytest

from wattswap.ledger.base import Payment
from wattswap.ledger.memory import MemoryLedger
from wattswap.protocol.errors import LocalProtocolError


def test_its_opening_funds_are_a_copy() -> None:
    opening = {"alice": 10}
    ledger = MemoryLedger(opening)
    opening["alice"] = 99
    assert ledger.balance("alice") == 10


@pytest.mark.parametrize("nanos", [-1, 1.5, True, 1 << 63])
def test_nobody_opens_with_what_is_no_amount(nanos: int) -> None:
    with pytest.raises(LocalProtocolError, match="alice"):
        MemoryLedger({"alice": nanos})


def test_an_earlier_payment_of_a_call_can_fund_a_later_one() -> None:
    ledger = MemoryLedger({"alice": 10})
    chain = [Payment(key=f"{a}{b}", payer=a, payee=b, nanos=10) for a, b in (("alice", "bob"), ("bob", "carol"))]
    assert [status.state for status in ledger.pay(chain)] == ["paid", "paid"]
    assert ledger.balance("carol") == 10
    ledger.check()


def test_its_check_notices_tokens_out_of_nowhere() -> None:
    ledger = MemoryLedger({"alice": 10})
    ledger.check()
    ledger._balances["alice"] += 1
    with pytest.raises(AssertionError, match="made or lost"):
        ledger.check()
