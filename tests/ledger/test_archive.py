"""MeterReading what another process writes: nothing is changed, nothing is locked, and what is damaged is said."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import ExitStack, closing
from hashlib import blake2b
from pathlib import Path

import msgspec
import pytest
from tests.ledger.fake_chain import FakeAdapter, FakeChain

from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Fault, MeterReading, Whose
from wattswap.ledger.archive import Archive
from wattswap.ledger.base import Payment
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import read_outbox
from wattswap.ledger.settlement import open_settlement
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.ledger.submitter import Submitter
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import seeded_signer

SIGNER = seeded_signer(1, "site")
WHOSE = Whose(site="s")


def reading(meter: str, at_ms: int) -> MeterReading:
    return MeterReading(meter=meter, at_ms=at_ms, import_w=1, export_w=0, import_ws=at_ms, export_ws=0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three records of two meters; the second shows nothing in the last slot."""
    path = tmp_path / "meters.sqlite"
    with open_settlement("memory", {}) as settlement, Anchorer(path, SIGNER, WHOSE, settlement) as anchorer:
        for slot, meters in enumerate((("a", "b"), ("a", "b"), ("a",)), 1):
            anchorer.add([(slot * 30_000, [reading(meter, slot * 30_000) for meter in meters])])
    return path


def test_an_archive_is_read_as_it_was_kept(file: Path) -> None:
    before = file.read_bytes()
    with Archive(file) as archive:
        assert (archive.site, archive.public_key) == ("s", SIGNER.public_key)
        assert [anchor.sequence for anchor in archive.records()] == [0, 1, 2]
        assert archive.damaged(archive.records()) == []
        assert archive.meters() == {"a", "b"}
        assert archive.readings(1) == (reading("a", 60_000), reading("b", 60_000))
        assert archive.readings(3) == ()
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("meter", "at_ms", "found"),
    [
        ("a", 90_000, (2, 0)),
        ("a", 89_999, (1, 0)),
        ("b", 90_000, (1, 1)),
        ("b", 10**9, (1, 1)),
        ("b", 30_000, (0, 1)),
        ("b", 29_999, None),
        ("c", 90_000, None),
    ],
)
def test_a_meters_last_reading_up_to_an_instant_is_found(file: Path, meter, at_ms, found) -> None:
    with Archive(file) as archive:
        assert archive.last_before(meter, at_ms) == found


def test_what_was_written_beside_a_record_must_agree_with_it(file: Path) -> None:
    with closing(sqlite3.connect(file)) as forger:
        forger.execute("update records set hash = 'no' where sequence = 0")
        forger.execute("update records set readings = cast('[]' as blob) where sequence = 2")
        forger.commit()
    with Archive(file) as archive:
        assert archive.damaged(archive.records()) == [
            Fault(0, "its hash is not the one written down when it was sealed"),
            Fault(2, "the readings kept beside it are not those it stands for"),
        ]


def test_a_file_is_read_while_its_owner_writes(tmp_path: Path) -> None:
    path, box = tmp_path / "street.sqlite", tmp_path / "outbox.sqlite"
    chain = FakeChain({"site": (10_000,)})
    with ExitStack() as files:
        owner, outbox = SqliteLedger(path, {"site": 10}), Outbox(box)
        reader, reading = SqliteLedger(path, reads_only=True), read_outbox(box)
        for file in (owner, outbox, reader, reading):
            files.enter_context(file)
        owner.pay([Payment(key="k", payer="site", payee="car", nanos=3)])
        assert (reader.balance("car"), reader.accounts()) == (3, ["car", "site"])
        assert reader.payment("k") == Payment(key="k", payer="site", payee="car", nanos=3)
        assert reader.payment("other") is None
        with pytest.raises(Exception, match="readonly"):
            reader.pay([Payment(key="l", payer="site", payee="car", nanos=1)])
        submitter = Submitter(outbox, lambda account: FakeAdapter(chain, account))
        submitter.owe([Payment(key="k", payer="site", payee="car", nanos=3)])
        while submitter.work():
            pass
        [receipt] = reading.receipts("car")
        assert (receipt.item, bool(receipt.digest)) == (Payment(key="k", payer="site", payee="car", nanos=3), True)
    chain.database.close()


def test_readings_that_were_altered_with_their_hash_are_not_those_of_the_root(file: Path) -> None:
    with Archive(file) as archive:
        columns = [[getattr(one, name) for one in archive.readings(2)] for name in MeterReading.__struct_fields__]
    forged = msgspec.json.encode([*columns[:4], [5], *columns[5:]])
    with closing(sqlite3.connect(file)) as forger:
        forger.execute(
            "update records set readings = ?, readings_hash = ? where sequence = 0",
            (zlib.compress(forged), blake2b(forged, digest_size=16).digest()),
        )
        forger.commit()
    with Archive(file) as archive:
        named = [fault.sequence for fault in archive.damaged(archive.records())]
        assert 0 in named


@pytest.mark.parametrize("kind", [Archive, read_outbox, lambda path: SqliteLedger(path, reads_only=True)])
def test_reading_makes_no_file_and_believes_no_other(tmp_path: Path, kind) -> None:
    with pytest.raises(InputError, match="no such file"):
        kind(tmp_path / "none")
    text = tmp_path / "text"
    text.write_text("no database " * 100)
    with pytest.raises(InputError, match="not a database"):
        kind(text)
    assert list(tmp_path.iterdir()) == [text]
