"""Anchored records: whatever is altered, missing or out of place is found, by its name, every time."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from wattswap.ledger import merkle
from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import (
    GENESIS,
    Detail,
    Fault,
    MeterReading,
    Whose,
    compare,
    hash_of,
    prove,
    proves,
    read,
    seal,
    verify,
)
from wattswap.ledger.base import MOST_ANCHOR_BYTES, Anchor
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer, seeded_signer

SIGNER = seeded_signer(1, "site")
KEY = SIGNER.public_key
STRANGER = seeded_signer(2, "site")
WHOSE = Whose(site="site", run="0f" * 16, begins="2018-11-25T00:00:00+01:00")
SALT_KEY = bytes(range(32))


def reading(meter: str, at_ms: int, import_ws: int = 0) -> MeterReading:
    return MeterReading(meter=meter, at_ms=at_ms, import_w=11_000, export_w=0, import_ws=import_ws, export_ws=0)


def chain(count: int, detail: Detail = Detail.FULL, signer: Signer = SIGNER) -> list[Anchor]:
    """A site's first records: three meters, every 30 s."""
    anchors: list[Anchor] = []
    for number in range(count):
        readings = [reading(f"charger/{meter}", 30_000 * (number + 1), number * 330_000) for meter in range(3)]
        previous = hash_of(anchors[-1]) if anchors else GENESIS
        period = (30_000 * number, 30_000 * (number + 1))
        anchors.append(seal(signer, WHOSE, number, previous, period, readings, detail, SALT_KEY))
    return anchors


THOUSAND = chain(1_000)


def altered(anchor: Anchor, at: int, bit: int) -> Anchor:
    content = bytearray(anchor.content)
    content[at] ^= 1 << bit
    return Anchor(site=anchor.site, sequence=anchor.sequence, content=bytes(content))


def resigned(anchor: Anchor, **changes: object) -> Anchor:
    """The record with other figures and a good signature: what the site itself could do."""
    record = read(anchor, KEY)
    plain = {name: getattr(record, name) for name in record.__struct_fields__} | changes
    period = (plain["from_ms"], plain["to_ms"])
    return seal(SIGNER, WHOSE, plain["sequence"], plain["previous"], period, plain["readings"], Detail.FULL)


# -- a sound chain ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", Detail)
def test_a_chain_as_it_was_signed_has_no_faults(detail: Detail) -> None:
    anchors = chain(20, detail)
    assert verify(anchors, KEY, last=19) == []
    assert verify(anchors[5:], KEY, first=5, previous=hash_of(anchors[4])) == []
    assert verify(anchors[5:], KEY, first=5, previous=None) == []
    assert verify([], KEY) == []


def test_a_full_record_can_be_read_by_anyone() -> None:
    content = msgspec.json.decode(chain(2)[1].content)
    assert content["record"]["sequence"] == 1
    assert content["record"]["readings"][2] == {
        "meter": "charger/2",
        "at_ms": 60_000,
        "import_w": 11_000,
        "export_w": 0,
        "import_ws": 330_000,
        "export_ws": 0,
    }


def test_the_same_readings_make_the_same_bytes() -> None:
    assert chain(3) == chain(3)
    assert chain(3, Detail.ROOT) == chain(3, Detail.ROOT)


# -- whatever is done to it -------------------------------------------------------------------------------------------


def around(anchors: list[Anchor], place: int) -> list[Fault]:
    """What ``verify`` says of a record and its neighbours: it judges each record by itself and the one before."""
    first = max(0, place - 1)
    previous = hash_of(THOUSAND[first - 1]) if first else GENESIS
    return verify(anchors[first : place + 2], KEY, first=first, previous=previous, last=min(place + 1, 999))


def test_a_changed_bit_in_any_of_a_thousand_records_is_found_and_named() -> None:
    luck = random.Random(1)
    for place, anchor in enumerate(THOUSAND):
        forged = list(THOUSAND)
        forged[place] = altered(anchor, luck.randrange(len(anchor.content)), luck.randrange(8))
        faults = around(forged, place)
        assert place in {fault.sequence for fault in faults}
        assert {fault.sequence for fault in faults} <= {place, place + 1}


def test_a_changed_bit_anywhere_in_a_record_is_found() -> None:
    anchor = THOUSAND[500]
    for at in range(len(anchor.content)):
        with pytest.raises(ValueError, match=r"it is|its signature"):
            read(altered(anchor, at, at % 8), KEY)


def test_a_signature_of_another_is_found_on_any_of_a_thousand_records() -> None:
    forged = list(THOUSAND)
    for place, theirs in enumerate(chain(1_000, signer=STRANGER)):
        forged[place] = theirs
        assert place in {fault.sequence for fault in around(forged, place)}
        forged[place] = THOUSAND[place]


def test_any_missing_record_of_a_thousand_is_named() -> None:
    for place in range(0, 1_000, 7):
        short = THOUSAND[:place] + THOUSAND[place + 1 :]
        first = max(0, place - 1)
        previous = hash_of(THOUSAND[first - 1]) if first else GENESIS
        found = verify(short[first : place + 2], KEY, first=first, previous=previous, last=min(place + 1, 999))
        assert found == [Fault(place, "it is missing")]
    assert verify(THOUSAND[:-3], KEY, last=999) == [Fault(number, "it is missing") for number in (997, 998, 999)]


def test_a_number_beyond_all_reason_is_one_fault_and_fills_no_memory() -> None:
    odd = msgspec.structs.replace(THOUSAND[1], sequence=4 * 10**18)
    missing, odd_one = verify([THOUSAND[0], odd], KEY)[:2]
    assert missing == Fault(1, f"it is missing, and so are all up to {4 * 10**18 - 1}")
    assert odd_one.sequence == 4 * 10**18


def test_two_records_that_changed_places_are_found_whichever_they_are() -> None:
    luck = random.Random(2)
    for _ in range(5):
        first, second = sorted(luck.sample(range(1_000), 2))
        swapped = list(THOUSAND)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        faults = verify(swapped, KEY, last=999)
        assert {first, second} & {fault.sequence for fault in faults}
        renumbered = list(THOUSAND)
        for here, there in ((first, second), (second, first)):
            renumbered[here] = Anchor(site="site", sequence=here, content=THOUSAND[there].content)
        assert {first, second} <= {fault.sequence for fault in verify(renumbered, KEY, last=999)}


def test_a_record_put_in_twice_is_found() -> None:
    assert [fault.sequence for fault in verify([*THOUSAND[:5], THOUSAND[4]], KEY)] == [4]


def test_even_the_site_cannot_change_a_record_once_others_follow() -> None:
    forged = THOUSAND[:5]
    forged[2] = resigned(THOUSAND[2], readings=())
    assert verify(forged, KEY) == [Fault(3, "it does not follow the record before")]
    assert compare(THOUSAND[:5], forged) == [Fault(2, "what was kept and what is on the ledger differ")]


def test_a_gap_in_time_is_found_though_all_is_signed() -> None:
    gap = resigned(THOUSAND[1], from_ms=31_000)
    assert "begins at 31000 ms" in str(verify([THOUSAND[0], gap], KEY)[0])
    early = resigned(THOUSAND[0], to_ms=29_000)
    assert "younger than its record" in verify([early], KEY)[0].text


def test_a_record_of_another_site_or_network_is_none_of_this_one() -> None:
    elsewhere = seal(SIGNER, Whose(site="other"), 0, GENESIS, (0, 1), [], Detail.FULL)
    misplaced = Anchor(site="site", sequence=0, content=elsewhere.content)
    with pytest.raises(ValueError, match="record 0 of 'other'"):
        read(misplaced, KEY)
    with pytest.raises(ValueError, match="signature"):
        read(THOUSAND[0], KEY, network="2304aa97")


def test_what_was_kept_and_what_is_anchored_are_compared_both_ways() -> None:
    assert compare(THOUSAND[:5], THOUSAND[:5]) == []
    assert compare(THOUSAND[:5], THOUSAND[:4]) == [Fault(4, "it is not on the ledger")]
    assert compare(THOUSAND[:4], THOUSAND[:5]) == [Fault(4, "it is on the ledger, but was not kept")]


# -- a site at work ---------------------------------------------------------------------------------------------------


class RecordShelf(SqliteLedger):
    """Where an anchorer's records go; while ``busy`` nothing gets through."""

    def __init__(self) -> None:
        super().__init__(None)
        self.waiting: list[Anchor] = []
        self.there: list[Anchor] = []
        self.busy = False

    def keep(self, anchors: Sequence[Anchor]) -> None:
        self.waiting += [anchor for anchor in anchors if anchor not in self.waiting + self.there]
        self.pass_on()

    def anchored(self, site: str, *, run: str | None = None, first: int = 0, last: int | None = None) -> list[Anchor]:
        del run, last
        return [anchor for anchor in self.there if (anchor.site, anchor.sequence >= first) == (site, True)]

    def is_anchored(self, anchor: Anchor) -> bool:
        self.pass_on()
        return anchor in self.there

    def pass_on(self) -> None:
        if not self.busy:
            self.there, self.waiting = self.there + self.waiting, []


def test_each_slot_becomes_a_record_whatever_is_still_on_its_way() -> None:
    shelf = RecordShelf()
    with Anchorer(None, SIGNER, WHOSE, shelf, begins_ms=5_000) as anchorer:
        anchorer.add([(30_000, [reading("m", 10_000), reading("m", 30_000)]), (60_000, [])])
        shelf.busy = True
        anchorer.add([(90_000, [reading("m", 90_000)])])
        anchorer.add([(100_000, [reading("m", 100_000)])])
        shelf.busy = False
        assert anchorer.made == 4
        assert all(map(shelf.is_anchored, anchorer.records()))
    records = [read(anchor, KEY) for anchor in shelf.there]
    assert [(record.from_ms, record.to_ms, record.count) for record in records] == [
        (5_000, 30_000, 2),
        (30_000, 60_000, 0),
        (60_000, 90_000, 1),
        (90_000, 100_000, 1),
    ]
    assert verify(shelf.there, KEY, last=3) == []


@pytest.mark.parametrize("detail", Detail)
def test_more_readings_than_a_record_holds_become_several(detail: Detail) -> None:
    shelf = RecordShelf()
    with Anchorer(None, SIGNER, WHOSE, shelf, detail=detail) as anchorer:
        anchorer.add([(30_000, [reading(f"charger/{number}", 30_000) for number in range(2_000)])])
    assert len(shelf.there) > 1
    assert verify(shelf.there, KEY) == []
    assert max(len(anchor.content) for anchor in shelf.there) <= MOST_ANCHOR_BYTES
    assert sum(read(anchor, KEY).count for anchor in shelf.there) == 2_000


def test_a_restart_goes_on_with_the_chain_and_hands_over_what_is_not_anchored(tmp_path: Path) -> None:
    path, shelf, later = tmp_path / "meters.sqlite", RecordShelf(), RecordShelf()
    shelf.busy = True
    with Anchorer(path, SIGNER, WHOSE, shelf) as anchorer:
        anchorer.add([(30_000, [reading("m", 30_000)])])
    assert shelf.there == []
    with Anchorer(path, SIGNER, WHOSE, later) as anchorer:
        anchorer.add([(60_000, [reading("m", 60_000)])])
        assert anchorer.records() == later.there
    assert verify(later.there, KEY, last=1) == []
    with pytest.raises(InputError, match="records of 'site'"):
        Anchorer(path, STRANGER, WHOSE, RecordShelf())


def test_a_restored_archive_raises_an_alarm_and_forks_no_chain(tmp_path: Path) -> None:
    """Compared by content: the same sequence under another record is a fork, and so is a ledger that knows more."""
    path, backup, shelf = tmp_path / "meters.sqlite", tmp_path / "backup.sqlite", RecordShelf()
    with Anchorer(path, SIGNER, WHOSE, shelf) as anchorer:
        anchorer.add([(30_000, [reading("m", 30_000)])])
    shutil.copy(path, backup)
    with Anchorer(path, SIGNER, WHOSE, shelf) as anchorer:
        assert anchorer.alarm == ""
        anchorer.add([(60_000, [reading("m", 60_000, 5)])])
    there = list(shelf.there)
    with Anchorer(backup, SIGNER, WHOSE, shelf) as anchorer:
        assert "record 1 of site on the ledger is not in its archive" in anchorer.alarm
        anchorer.add([(60_000, [reading("m", 60_000, 7)])])
        assert anchorer.made == 1
    with Anchorer(None, SIGNER, WHOSE, shelf) as lost:
        assert "record 0 of site on the ledger is not in its archive" in lost.alarm
    assert shelf.there == there


def test_a_record_of_another_run_is_foreign() -> None:
    assert verify(THOUSAND[:2], KEY, run=WHOSE.run) == []
    faults = verify(THOUSAND[:2], KEY, run="ab" * 16)
    assert [str(fault) for fault in faults] == [
        f"record {number}: it is foreign: of run 0f0f0f0f, not of abababab" for number in (0, 1)
    ]
    assert read(THOUSAND[0], KEY).begins == "2018-11-25T00:00:00+01:00"


def test_roots_are_not_opened_by_guessing() -> None:
    """The readings of a house are few: without a random salt, trying them all finds the one."""
    shelves = RecordShelf(), RecordShelf()
    for shelf in shelves:
        with Anchorer(None, SIGNER, WHOSE, shelf) as anchorer:
            anchorer.add([(30_000, [reading("m", 30_000, 330)])])
    roots = {read(shelf.there[0], KEY).root for shelf in shelves}
    assert len(roots) == 2
    guessed = {merkle.leaf(bytes(16), msgspec.json.encode(reading("m", 30_000, ws))).hex() for ws in range(400)}
    assert not roots & guessed


def test_an_archive_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "meters.sqlite"
    Anchorer(path, SIGNER, WHOSE, RecordShelf()).close()
    with pytest.raises(InputError, match="meter archive of run 0f0f0f0f, not of run abababab"):
        Anchorer(path, SIGNER, msgspec.structs.replace(WHOSE, run="ab" * 16), RecordShelf())


# -- what a customer holds --------------------------------------------------------------------------------------------


def test_a_customer_proves_their_own_reading_and_learns_no_other() -> None:
    shelf = RecordShelf()
    with Anchorer(None, SIGNER, WHOSE, shelf, detail=Detail.ROOT) as anchorer:
        anchorer.add([(30_000, [reading(f"charger/{number}", 30_000, number) for number in range(7)])])
        proof = prove(anchorer.salt_key(0), 0, anchorer.readings(0), 5)
    [anchor] = shelf.there
    assert b"charger" not in anchor.content
    assert proof.reading == reading("charger/5", 30_000, 5)
    assert b"charger/4" not in msgspec.json.encode(proof)
    assert proves(proof, anchor, KEY)
    for forged in (
        msgspec.structs.replace(proof, reading=reading("charger/5", 30_000, 6)),
        msgspec.structs.replace(proof, reading=reading("charger/4", 30_000, 4)),
        msgspec.structs.replace(proof, index=4),
        msgspec.structs.replace(proof, index=-1),
        msgspec.structs.replace(proof, salt="00" * 16),
        msgspec.structs.replace(proof, salt="no hex"),
        msgspec.structs.replace(proof, path=proof.path[1:]),
        msgspec.structs.replace(proof, sequence=1),
    ):
        assert not proves(forged, anchor, KEY)
    assert not proves(proof, altered(anchor, 40, 1), KEY)
    assert not proves(proof, THOUSAND[0], KEY)
    assert not proves(proof, anchor, STRANGER.public_key)


def test_many_slots_are_sealed_at_once_as_one_by_one():
    def readings(slot: int, meters: int) -> list[MeterReading]:
        return [
            MeterReading(meter=f"m{meter}", at_ms=slot, import_w=1, export_w=0, import_ws=slot, export_ws=0)
            for meter in range(meters)
        ]

    slots = [(1, readings(1, 3)), (2, readings(2, 2_000)), (3, []), (4, readings(4, 3))]
    shelves = RecordShelf(), RecordShelf()
    with (
        Anchorer(None, SIGNER, WHOSE, shelves[0], detail=Detail.FULL) as one,
        Anchorer(None, SIGNER, WHOSE, shelves[1], detail=Detail.FULL) as all_,
    ):
        for now_ms, each in slots:
            one.add([(now_ms, each)])
        all_.add(slots)
        assert one.records() == all_.records() == shelves[0].there == shelves[1].there
        assert all_.made == len(shelves[1].there) > len(slots)
        assert [all_.readings(number) for number in range(all_.made)] == [
            one.readings(number) for number in range(one.made)
        ]
