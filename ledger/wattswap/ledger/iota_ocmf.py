"""Receipts in the Open Charge Metering Format, for the field's own verifiers (Transparenzsoftware, Chargy).

    OCMF|{payload}|{signature}

Source: SAFE e.V., *Open Charge Metering Format* 1.x. Its verifiers know ECDSA only, not the Ed25519 of our records, so
a site has a second key over secp256r1, which follows from its first: whoever keeps ``site.key`` needs no other file.
The SDK of IOTA makes the signatures, as it has that curve.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from hashlib import blake2b
from typing import Any, Final

import iota_sdk
import msgspec

from wattswap.ledger.anchors import MeterReading
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.identity import Signer

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of secp256r1 (NIST P-256): a private key is a number from 1 to one less."""
_WS_IN_KWH: Final = 3_600_000
_REGISTERS: Final = (("1-0:1.8.0", "import_ws"), ("1-0:2.8.0", "export_ws"))
"""The OBIS codes of energy drawn and fed back, all tariffs together, and our registers of these."""

Shown = tuple[datetime, MeterReading]
"""What a meter showed, and when, with an offset."""


def public_key_of(signer: Signer) -> bytes:
    """The site's second public key as verifiers take it: DER of a SubjectPublicKeyInfo, 91 bytes."""
    return bytes(_key(signer).verifying_key().to_der())


def receipt(signer: Signer, site: str, page: int, begins: Shown, ends: Shown) -> str:
    """A signed line: what one meter showed at the beginning and at the end of a stay.

    ``page`` tells the receipts of a meter apart and grows from one to the next.

    Raises ``LocalProtocolError`` unless both are of one meter, in this order, and no register ran backwards.
    """
    first, last = begins[1], ends[1]
    runs_on = all(getattr(first, register) <= getattr(last, register) for _, register in _REGISTERS)
    if first.meter != last.meter or begins[0] >= ends[0] or not runs_on:
        raise LocalProtocolError(f"no stay is between these readings of {first.meter!r} and {last.meter!r}")
    registers = [one for one in _REGISTERS if one[1] == "import_ws" or getattr(last, one[1])]
    payload = {
        "FV": "1.0",
        "GI": "Wattswap",
        "GS": site,
        "PG": f"T{page}",
        "MS": first.meter,
        "IS": False,
        "IT": "NONE",
        "RD": [
            {
                "TM": f"{at:%Y-%m-%dT%H:%M:%S},{at.microsecond // 1_000:03}{at:%z} I",
                "TX": reason,
                "RV": _kwh(getattr(reading, register)),
                "RI": code,
                "RU": "kWh",
                "ST": "G",
            }
            for reason, (at, reading) in (("B", begins), ("E", ends))
            for code, register in registers
        ],
    }
    text = msgspec.json.Encoder(decimal_format="number").encode(payload)
    signature = {"SA": "ECDSA-secp256r1-SHA256", "SD": _der(_key(signer).try_sign(text).to_bytes()).hex()}
    return f"OCMF|{text.decode()}|{msgspec.json.encode(signature).decode()}"


def _kwh(register_ws: int) -> Decimal:
    """A register in kWh, with the three decimals that a display has; what is beyond them is not shown yet."""
    return (Decimal(register_ws) / _WS_IN_KWH).quantize(Decimal("0.001"), ROUND_DOWN)


def _key(signer: Signer) -> Any:
    wide = blake2b(signer.secret_seed(), digest_size=64, person=b"wattswap/ocmf").digest()
    scalar = 1 + int.from_bytes(wide, "big") % (_ORDER - 1)
    return iota_sdk.Secp256r1PrivateKey(scalar.to_bytes(32, "big"))


def _der(signature: bytes) -> bytes:
    """The two numbers of a signature as an ASN.1 sequence."""
    body = b"".join(_integer(signature[at : at + 32]) for at in (0, 32))
    return bytes([0x30, len(body)]) + body


def _integer(number: bytes) -> bytes:
    number = number.lstrip(b"\0")
    number = b"\0" + number if number[0] & 0x80 else number  # the highest bit would be a sign
    return bytes([0x02, len(number)]) + number
