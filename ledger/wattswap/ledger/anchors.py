"""What a site anchors: a signed record of all its meters, each naming the hash of the one before.

The content of an anchor is one line of JSON that anyone can read and check,

    {"record":{...},"public_key":"<hex>","signature":"<hex>"}

with the signature over the record's bytes as they stand there; docs/records.md says which byte lies where. Records are
numbered from 0 without a gap and each begins where the one before ended. Each names its run and the run's date. In a
``full`` record the readings themselves stand in the open; a ``root`` record holds only the root of a Merkle tree over
them, salted from a random key of the record, and a customer gets a ``Proof`` of their own reading that shows nobody
else's.

``verify`` names every record that was altered, is missing, foreign, or stands in another's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum, unique
from hashlib import blake2b, shake_256
from typing import Final

import msgspec
from msgspec import Struct

from wattswap.ledger import merkle
from wattswap.ledger.base import Anchor
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.identity import LOCAL_NETWORK, PUBLIC_KEY_BYTES, Signer
from wattswap.protocol.identity import verify as signed_by
from wattswap.protocol.units import MOST_MS, MOST_WS

GENESIS: Final = "00" * merkle.HASH_BYTES
"""What the first record names as the hash of the one before."""

SALT_KEY_BYTES: Final = 32

_DOMAIN: Final = b"wattswap/anchor\n"
SCHEMA: Final = 2
_MOST_MISSING: Final = 100_000
"""So many missing records in a row are named one by one: a month of a record every 30 s."""


@unique
class Detail(StrEnum):
    """How much of its readings a site puts on the ledger."""

    FULL = "full"
    ROOT = "root"


class MeterReading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one meter showed."""

    meter: str
    at_ms: int
    """Since the run's start, or since 1970 on a Pi; the same for all records of a site."""
    import_w: int
    export_w: int
    import_ws: int
    """The register: all that it ever counted."""
    export_ws: int


class Whose(Struct, frozen=True, kw_only=True):
    """What all records of a site have in common."""

    site: str
    run: str = ""
    """The random id of the run; empty for a site that meters for ever."""
    begins: str = ""
    """The instant from which ``at_ms`` is counted, in ISO 8601; empty if that is 1970."""


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is signed: all meters of a site over [from_ms, to_ms]."""

    schema: int
    network: str
    site: str
    run: str
    begins: str
    sequence: int
    previous: str
    """The hash of the record before, as ``hash_of`` gives it; ``GENESIS`` for the first."""
    from_ms: int
    to_ms: int
    count: int
    """How many readings it stands for."""
    root: str = ""
    """Only in a ``root`` record: hex."""
    readings: tuple[MeterReading, ...] = ()
    """Only in a ``full`` record."""


class _Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of an anchor."""

    record: msgspec.Raw
    public_key: str
    signature: str


class Fault(Struct, frozen=True):
    """What is wrong, and with which record."""

    sequence: int
    text: str

    def __str__(self) -> str:
        """As a person is told."""
        return f"record {self.sequence}: {self.text}"


class Proof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a customer keeps of a ``root`` record: their own reading and the way from it to the anchored root."""

    sequence: int
    reading: MeterReading
    salt: str
    index: int
    path: tuple[str, ...]


# -- writing ----------------------------------------------------------------------------------------------------------


def seal(
    signer: Signer,
    whose: Whose,
    sequence: int,
    previous: str,
    period_ms: tuple[int, int],
    readings: Sequence[MeterReading],
    detail: Detail,
    salt_key: bytes = b"",
) -> Anchor:
    """Sign a record of these readings; a ``root`` record needs a random ``salt_key``.

    The same arguments always give the same bytes.
    """
    record = Record(
        schema=SCHEMA,
        network=signer.network,
        site=whose.site,
        run=whose.run,
        begins=whose.begins,
        sequence=sequence,
        previous=previous,
        from_ms=period_ms[0],
        to_ms=period_ms[1],
        count=len(readings),
        root=root_of(salt_key, readings) if detail is Detail.ROOT else "",
        readings=tuple(readings) if detail is Detail.FULL else (),
    )
    raw = msgspec.json.encode(record)
    signature = signer.sign(_DOMAIN + raw)
    line = _Line(record=msgspec.Raw(raw), public_key=signer.public_key.hex(), signature=signature.hex())
    return Anchor(site=whose.site, sequence=sequence, content=msgspec.json.encode(line))


def hash_of(anchor: Anchor) -> str:
    """What the next record names: blake2b-256 over the whole line, signature and all."""
    return blake2b(anchor.content, digest_size=merkle.HASH_BYTES).hexdigest()


def root_of(salt_key: bytes, readings: Sequence[MeterReading]) -> str:
    """What a ``root`` record says of exactly these readings."""
    return merkle.root(_leaves(salt_key, readings)).hex()


def prove(salt_key: bytes, sequence: int, readings: Sequence[MeterReading], index: int) -> Proof:
    """The proof of one reading in a ``root`` record over exactly these readings."""
    leaves = _leaves(salt_key, readings)
    return Proof(
        sequence=sequence,
        reading=readings[index],
        salt=_salts(salt_key, len(readings))[index].hex(),
        index=index,
        path=tuple(sibling.hex() for sibling in merkle.path(leaves, index)),
    )


# -- reading ----------------------------------------------------------------------------------------------------------


def read(anchor: Anchor, public_key: bytes, *, network: str = LOCAL_NETWORK) -> Record:
    """The record in an anchor. Raises ``ValueError``, in one line, if a single bit is not as its site signed it."""
    try:
        line = msgspec.json.decode(anchor.content, type=_Line)
        record = msgspec.json.decode(line.record, type=Record)
        signature = bytes.fromhex(line.signature)
    except ValueError as error:
        raise ValueError(f"it is no record any more: {error}") from None
    if len(public_key) != PUBLIC_KEY_BYTES or line.public_key != public_key.hex():
        raise ValueError("it is signed by another key than the site's")
    if not signed_by(public_key, _DOMAIN + bytes(line.record), signature, network=network):
        raise ValueError("its signature is not the site's")
    plain = msgspec.structs.replace(line, signature=signature.hex())  # hex may be written in two ways
    if msgspec.json.encode(plain) != anchor.content or msgspec.json.encode(record) != bytes(line.record):
        raise ValueError("it is not written as its site writes")
    if record.schema != SCHEMA:
        raise ValueError(f"it is written in schema {record.schema}, and this program reads {SCHEMA}")
    if (record.site, record.sequence, record.network) != (anchor.site, anchor.sequence, network):
        raise ValueError(f"it is record {record.sequence} of {record.site!r} on {record.network!r}, not this one")
    return record


def said(anchor: Anchor) -> Record | None:
    """What an anchor says, whoever signed it; None if it is no record any more."""
    try:
        return msgspec.json.decode(msgspec.json.decode(anchor.content, type=_Line).record, type=Record)
    except ValueError:
        return None


def verify(
    anchors: Sequence[Anchor],
    public_key: bytes,
    *,
    network: str = LOCAL_NETWORK,
    first: int = 0,
    previous: str | None = GENESIS,
    last: int | None = None,
    run: str | None = None,
) -> list[Fault]:
    """What is wrong with a site's records ``first`` to ``last`` as a ledger lists them; nothing, if all is as signed.

    ``previous`` is the hash of the record before ``first`` (None: not known). Without ``last``, records missing at the
    end cannot be noticed. With ``run``, records of any other run are foreign.
    """
    faults: list[Fault] = []
    expected, ends_ms = first, None
    for anchor in anchors:
        if anchor.sequence < expected:
            faults.append(Fault(anchor.sequence, "it stands in another's place, or twice"))
            continue
        if anchor.sequence > expected:
            faults += _missing(expected, anchor.sequence - 1)
            previous, ends_ms = None, None
        try:
            record = read(anchor, public_key, network=network)
            faults += [Fault(anchor.sequence, text) for text in _breaks(record, previous, ends_ms)]
            if run is not None and record.run != run:
                faults.append(Fault(anchor.sequence, f"it is foreign: of run {record.run[:8]}, not of {run[:8]}"))
            previous, ends_ms = hash_of(anchor), record.to_ms
        except ValueError as error:
            faults.append(Fault(anchor.sequence, str(error)))
            previous, ends_ms = None, None  # what the next one should name is lost with it
        expected = anchor.sequence + 1
    if last is not None:
        faults += _missing(expected, last)
    return faults


def compare(kept: Sequence[Anchor], anchored: Sequence[Anchor]) -> list[Fault]:
    """Where the records that a site kept differ from those on the ledger."""
    ours = {anchor.sequence: anchor for anchor in kept}
    theirs = {anchor.sequence: anchor for anchor in anchored}
    differing = sorted(place for place in ours.keys() | theirs.keys() if ours.get(place) != theirs.get(place))
    lacking = dict.fromkeys(ours.keys() - theirs.keys(), "it is not on the ledger")
    lacking |= dict.fromkeys(theirs.keys() - ours.keys(), "it is on the ledger, but was not kept")
    return [Fault(place, lacking.get(place, "what was kept and what is on the ledger differ")) for place in differing]


def proves(proof: Proof, anchor: Anchor, public_key: bytes, *, network: str = LOCAL_NETWORK) -> bool:
    """Whether the proof's reading is in the anchored record. Never raises, whatever the proof."""
    try:
        record = read(anchor, public_key, network=network)
        salt, siblings = bytes.fromhex(proof.salt), [bytes.fromhex(sibling) for sibling in proof.path]
        root = bytes.fromhex(record.root)
    except ValueError:
        return False
    if proof.sequence != record.sequence or len(salt) != merkle.SALT_BYTES or not root:
        return False
    leaf = merkle.leaf(salt, msgspec.json.encode(proof.reading))
    return merkle.reaches(leaf, proof.index, record.count, siblings, root)


# -- how --------------------------------------------------------------------------------------------------------------


def _missing(first: int, last: int) -> list[Fault]:
    """A fault a record; one for all of them where a number is so odd that they would fill the memory."""
    if last - first >= _MOST_MISSING:
        return [Fault(first, f"it is missing, and so are all up to {last}")]
    return [Fault(sequence, "it is missing") for sequence in range(first, last + 1)]


def _breaks(record: Record, previous: str | None, ends_ms: int | None) -> list[str]:
    """What a record that is signed well says wrong about its place or about itself."""
    texts = []
    if previous is not None and record.previous != previous:
        texts.append("it does not follow the record before")
    if ends_ms is not None and record.from_ms != ends_ms:
        texts.append(f"it begins at {record.from_ms} ms, and the record before ended at {ends_ms} ms")
    if not 0 <= record.from_ms <= record.to_ms <= MOST_MS:
        texts.append("it ends before it begins")
    if not record.root and len(record.readings) != record.count:
        texts.append(f"it holds {len(record.readings)} readings and says {record.count}")
    if any(not _is_sound(reading, record) for reading in record.readings):
        texts.append("a reading is younger than its record, or no meter shows such figures")
    return texts


def _is_sound(reading: MeterReading, record: Record) -> bool:
    in_time = 0 <= reading.at_ms <= record.to_ms  # one that came late may be older than its record
    return in_time and all(0 <= register <= MOST_WS for register in (reading.import_ws, reading.export_ws))


def _leaves(salt_key: bytes, readings: Sequence[MeterReading]) -> list[bytes]:
    salts = _salts(salt_key, len(readings))
    return [merkle.leaf(salt, msgspec.json.encode(one)) for salt, one in zip(salts, readings, strict=True)]


def _salts(salt_key: bytes, count: int) -> list[bytes]:
    """So many salts out of a record's random key; whoever knows one of them knows no other."""
    if len(salt_key) != SALT_KEY_BYTES:
        raise LocalProtocolError(f"a root record needs a random key of {SALT_KEY_BYTES} bytes")
    size = merkle.SALT_BYTES
    stream = shake_256(_DOMAIN + salt_key).digest(size * count)
    return [stream[at : at + size] for at in range(0, size * count, size)]
