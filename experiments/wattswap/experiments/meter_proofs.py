"""The proof of one customer's reading: made by a site from what it kept, checked against its ledger by anyone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.experiments.nearest import nearest
from wattswap.experiments.run_clock import counts_from_1970
from wattswap.ledger.anchors import Proof, prove, proves, read
from wattswap.ledger.keys import read_key_file
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.runners.payments.run_payments import SITE_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.experiments.meters import MeterSite

_MOST_PROOF_BYTES: Final = 100_000


class ProofFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a customer is handed: the proof of one reading, and where the record lies that it is checked against."""

    schema: int = 1
    ledger: str
    address: str
    """Of the wallet that anchors, on a network; else empty."""
    site: str
    network: str
    public_key: str
    proof: Proof


def proof_of(site: MeterSite, meter: str, at: str) -> ProofFile:
    """The proof of a meter's last reading at or before an instant.

    Raises:
        InputError: there is no such meter, instant or reading, or its record shows all readings in the open.
    """
    if site.archive is None:
        raise InputError("a proof is made from what the site kept: name its run directory with --run")
    found = site.archive.last_before(meter, _ms_of(site, at))
    if found is None:
        raise _no_reading(site, meter, at)
    sequence, place = found
    [anchor] = site.kept(sequence, sequence)
    record = site.read(anchor)
    if record is None:
        raise InputError(f"record {sequence} in the archive is not as signed: `wattswap meter verify` says why")
    if not record.root:
        raise InputError(
            f"record {sequence} holds its readings in the open: whoever has the ledger can read them, no proof is"
            " needed (a run with ledger.anchor=root keeps them private)"
        )
    proof = prove(site.archive.salt_key(sequence), sequence, site.archive.readings(sequence), place)
    file = ProofFile(
        ledger=site.place.ledger,
        address=site.address,
        site=site.name,
        network=site.network,
        public_key=site.public_key.hex(),
        proof=proof,
    )
    if not proves(proof, anchor, site.public_key, network=site.network):
        raise InputError(f"the readings that were kept of record {sequence} are not those it stands for")
    return file


def receipt_of(site: MeterSite, meter: str, begins: str, ends: str) -> tuple[str, bytes]:
    """A receipt of a stay for verifiers of OCMF, from the meter's last readings at or before two instants.

    With the public key to check it with. Both records are compared with what was signed before.

    Raises:
        InputError: there is no such reading, the archive was altered, or the site's key is not here.
    """
    place = site.place
    if site.archive is None or place.run is None or place.clock is None:
        raise InputError("a receipt is made from what the site kept: name its run directory with --run")
    try:
        from wattswap.ledger.iota_ocmf import public_key_of, receipt
    except ModuleNotFoundError as error:
        raise InputError(f"a receipt in OCMF needs {error.name}: pip install 'wattswap[iota]'") from None
    signer = read_key_file(place.run / SITE_KEY, network=site.network)
    shown, last = [], 0
    for at in (begins, ends):
        at_ms = _ms_of(site, at)
        found = site.archive.last_before(meter, at_ms)
        if found is None:
            raise _no_reading(site, meter, at)
        last, index = found
        if at_ms > site.archive.newest_ms():
            end = f"{place.clock.at(site.archive.newest_ms()):%Y-%m-%dT%H:%M:%S}"
            raise InputError(f"{at} is later than {end}, where the meter records end: name that or an earlier instant")
        passed = site.kept(last, site.archive.record_at(at_ms))  # a later reading may lie in one that was altered
        if any(site.read(anchor) is None for anchor in passed) or site.archive.damaged(passed):
            raise InputError("records in the archive are not as signed: `wattswap meter verify` says which")
        reading = site.archive.readings(last)[index]
        shown.append((place.clock.at(reading.at_ms), reading))
    try:
        return receipt(signer, site.name, last, shown[0], shown[1]), public_key_of(signer)
    except LocalProtocolError:
        raise InputError(
            f"{meter} showed the same reading at {begins} and {ends}, or the second is the earlier one: say --from when"
            " the stay began and --to when it ended"
        ) from None


def checked(file: ProofFile, site: MeterSite) -> str:
    """Why a customer's proof does not hold against the record on the ledger; empty if it holds."""
    sequence = file.proof.sequence
    found = site.anchored(sequence, sequence) if 0 <= sequence <= site.last else []
    if not found:
        return f"record {sequence}: it is missing"
    [anchor] = found
    try:
        read(anchor, site.public_key, network=site.network)
    except ValueError as error:
        return f"record {sequence}: {error}"
    if not proves(file.proof, anchor, site.public_key, network=site.network):
        return f"record {sequence}: it does not hold this reading"
    return ""


def read_proof(path: Path) -> ProofFile:
    """The proof in a file.

    Raises:
        InputError: there is none.
    """
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_PROOF_BYTES), type=ProofFile)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is no proof of a reading: {error}") from None


def write_proof(path: Path, file: ProofFile) -> None:
    """Write a proof to a new file.

    Raises:
        InputError: there is something already, or it cannot be written.
    """
    write_new(path, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")


def write_new(path: Path, content: bytes) -> None:
    """Write what a customer is handed to a new file.

    Raises:
        InputError: there is something already, or it cannot be written.
    """
    try:
        with path.open("xb") as out:
            out.write(content)
    except FileExistsError:
        raise InputError(f"{path} exists already: choose another name") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _ms_of(site: MeterSite, at: str) -> int:
    if re.fullmatch(r"[0-9]{1,15}", at):
        return int(at)
    if site.place.clock is None:
        raise InputError(f"{at!r} needs a run's clock: name its directory with --run, or give milliseconds")
    kept = site.kept(0, 0)
    record = site.read(kept[0]) if kept else None
    return site.place.clock.ms_of(at, since_1970=record is not None and counts_from_1970(record.from_ms))


def _no_reading(site: MeterSite, meter: str, at: str) -> InputError:
    assert site.archive is not None
    known = site.archive.meters()
    if not known:
        return InputError(f"{site.name} has metered nothing")
    if meter not in known:
        return InputError(f"there is no meter {meter!r} at {site.name}; the nearest is {nearest(meter, known)!r}")
    return InputError(f"{meter} showed nothing at or before {at}: it was not there yet")
