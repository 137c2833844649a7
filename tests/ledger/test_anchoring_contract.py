"""What every ledger promises of records: there for ever, each in its place, none in another's."""

from __future__ import annotations

import pytest

from wattswap.ledger.base import MOST_ANCHOR_BYTES, Anchor
from wattswap.ledger.ledger import Ledger
from wattswap.protocol.errors import LocalProtocolError


def anchor(sequence: int, content: bytes = b"record", site: str = "site") -> Anchor:
    return Anchor(site=site, sequence=sequence, content=content)


def test_what_was_anchored_is_found_again_in_the_order_of_its_sequence(settlement: Ledger) -> None:
    chain = [anchor(number, b"record %d" % number) for number in range(4)]
    settlement.keep(chain[:3])
    settlement.keep(chain[3:])
    assert settlement.drain().anchors == 4
    assert all(map(settlement.is_anchored, chain))
    assert settlement.anchored("site") == chain
    assert settlement.anchored("site", first=1, last=2) == chain[1:3]
    assert settlement.anchored("site", first=4) == []


def test_a_site_nobody_heard_of_has_anchored_nothing(settlement: Ledger) -> None:
    settlement.keep([])
    assert settlement.drain().ok
    assert settlement.anchored("nowhere") == []


def test_the_same_record_again_changes_nothing(settlement: Ledger) -> None:
    settlement.keep([anchor(0), anchor(0)])
    settlement.keep([anchor(0)])
    assert (settlement.drain().ok, settlement.settled().anchors) == (True, 1)
    assert settlement.anchored("site") == [anchor(0)]


def test_another_record_never_takes_the_place_of_the_first_and_stops_none_beside_it(settlement: Ledger) -> None:
    settlement.keep([anchor(0)])
    settlement.keep([anchor(0, b"forged"), anchor(1)])
    settled = settlement.drain()
    assert [text.partition(":")[0] for text in settled.refused] == ["anchor/site/0"]
    assert settlement.anchored("site") == [anchor(0), anchor(1)]


def test_a_large_record_comes_back_byte_for_byte(settlement: Ledger) -> None:
    large = anchor(0, bytes(range(256)) * (MOST_ANCHOR_BYTES // 256))
    settlement.keep([large])
    assert settlement.drain().ok
    assert settlement.anchored("site") == [large]


@pytest.mark.parametrize(
    ("site", "sequence", "content"),
    [("", 0, b"x"), ("site", -1, b"x"), ("site", True, b"x"), ("site", 0, b""), ("site", 0, bytes(96_001))],
)
def test_what_no_ledger_could_keep_is_no_anchor(site: str, sequence: int, content: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="anchor"):
        Anchor(site=site, sequence=sequence, content=content)
