"""What every ledger promises of records: there for ever, each in its place, none in another's."""

from __future__ import annotations

import pytest

from wattswap.ledger.base import MOST_ANCHOR_BYTES, Anchor, AnchorState, AnchorStatus, Ledger
from wattswap.protocol.errors import LocalProtocolError


def anchor(sequence: int, content: bytes = b"record", site: str = "site") -> Anchor:
    return Anchor(site=site, sequence=sequence, content=content)


def status(sequence: int, state: AnchorState) -> AnchorStatus:
    return AnchorStatus(site="site", sequence=sequence, state=state)


def test_what_was_anchored_is_found_again_in_the_order_of_its_sequence(ledger: Ledger) -> None:
    chain = [anchor(number, b"record %d" % number) for number in range(4)]
    assert ledger.anchor(chain[:3]) == [status(number, AnchorState.ANCHORED) for number in range(3)]
    assert ledger.anchor(chain[3:]) == [status(3, AnchorState.ANCHORED)]
    assert ledger.anchored("site") == chain
    assert ledger.anchored("site", first=1, last=2) == chain[1:3]
    assert ledger.anchored("site", first=4) == []


def test_a_site_nobody_heard_of_has_anchored_nothing(ledger: Ledger) -> None:
    assert ledger.anchored("nowhere") == []
    assert ledger.anchor([]) == []


def test_the_same_record_again_exists(ledger: Ledger) -> None:
    assert [answer.state for answer in ledger.anchor([anchor(0), anchor(0)])] == ["anchored", "exists"]
    assert ledger.anchor([anchor(0)]) == [status(0, AnchorState.EXISTS)]
    assert ledger.anchored("site") == [anchor(0)]


def test_another_record_never_takes_the_place_of_the_first(ledger: Ledger) -> None:
    ledger.anchor([anchor(0)])
    [answer] = ledger.anchor([anchor(0, b"forged")])
    assert (answer.state, answer.ok, bool(answer.error)) == (AnchorState.REFUSED, False, True)
    assert ledger.anchored("site") == [anchor(0)]


def test_a_large_record_comes_back_byte_for_byte(ledger: Ledger) -> None:
    large = anchor(0, bytes(range(256)) * (MOST_ANCHOR_BYTES // 256))
    assert ledger.anchor([large])[0].ok
    assert ledger.anchored("site") == [large]


@pytest.mark.parametrize(
    ("site", "sequence", "content"),
    [("", 0, b"x"), ("site", -1, b"x"), ("site", True, b"x"), ("site", 0, b""), ("site", 0, bytes(96_001))],
)
def test_what_no_ledger_could_keep_is_no_anchor(site: str, sequence: int, content: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="anchor"):
        Anchor(site=site, sequence=sequence, content=content)
