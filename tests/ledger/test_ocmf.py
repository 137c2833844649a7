"""A receipt that the field's verifiers take: OpenSSL checks it, which knows nothing of us."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("iota_sdk")

from wattswap.ledger.anchors import MeterReading
from wattswap.ledger.iota_ocmf import public_key_of, receipt
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.identity import Signer

PLUGGED = datetime.fromisoformat("2018-11-25T18:00:00+01:00")
GONE = PLUGGED + timedelta(hours=2, milliseconds=7)


def shown(import_ws: int, export_ws: int = 0, meter: str = "charger/C021") -> MeterReading:
    return MeterReading(meter=meter, at_ms=1, import_w=0, export_w=0, import_ws=import_ws, export_ws=export_ws)


def is_signed(text: str, public_key: bytes, folder: Path) -> bool:
    """What ``openssl`` says."""
    _, payload, signature = text.split("|")
    for name, content in (
        ("key", public_key),
        ("signature", bytes.fromhex(json.loads(signature)["SD"])),
        ("payload", payload.encode()),
    ):
        (folder / name).write_bytes(content)
    words = "openssl dgst -sha256 -verify key -keyform DER -signature signature payload"
    return subprocess.run(words.split(), cwd=folder, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("number", range(8))
def test_every_receipt_passes_openssl_and_none_that_was_altered(number: int, tmp_path: Path):
    """Eight keys and readings: numbers of a signature are shorter, or have their highest bit set, by chance."""
    signer = Signer(bytes([number]) * 32)
    text = receipt(signer, "demo", number, (PLUGGED, shown(number)), (GONE, shown(10**7 + number)))
    key = public_key_of(signer)
    assert is_signed(text, key, tmp_path)
    assert not is_signed(text.replace("2.777", "2.776"), key, tmp_path)
    assert not is_signed(text, public_key_of(Signer(b"x" * 32)), tmp_path)


def test_it_says_what_was_drawn_and_fed_back_and_when():
    text = receipt(Signer(b"s" * 32), "demo", 5, (PLUGGED, shown(3_600_000)), (GONE, shown(39_599_999, 1_800_000)))
    head, payload, _ = text.split("|")
    said = json.loads(payload, parse_float=str)
    assert (head, said["PG"], said["MS"], said["GS"]) == ("OCMF", "T5", "charger/C021", "demo")
    assert [(one["TX"], one["RI"], one["RV"], one["RU"], one["TM"]) for one in said["RD"]] == [
        ("B", "1-0:1.8.0", "1.000", "kWh", "2018-11-25T18:00:00,000+0100 I"),
        ("B", "1-0:2.8.0", "0.000", "kWh", "2018-11-25T18:00:00,000+0100 I"),
        ("E", "1-0:1.8.0", "10.999", "kWh", "2018-11-25T20:00:00,007+0100 I"),
        ("E", "1-0:2.8.0", "0.500", "kWh", "2018-11-25T20:00:00,007+0100 I"),
    ]


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ((PLUGGED, shown(1)), (PLUGGED, shown(1))),
        ((PLUGGED, shown(2)), (GONE, shown(1))),
        ((PLUGGED, shown(1)), (GONE, shown(2, meter="charger/C022"))),
    ],
)
def test_what_is_no_stay_is_no_receipt(begins: tuple[datetime, MeterReading], ends: tuple[datetime, MeterReading]):
    with pytest.raises(LocalProtocolError, match="no stay is between"):
        receipt(Signer(b"s" * 32), "demo", 1, begins, ends)
