"""A site's meter records: listed, checked against what was signed, and proven to one customer without the others."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wattswap.experiments import keystore
from wattswap.experiments.nearest import nearest
from wattswap.experiments.places import (
    MEMORY,
    METERS,
    Place,
    answering,
    opened_chain,
    require_same_chain,
    seeded_wallets,
    sqlite_path,
)
from wattswap.experiments.runclock import counts_from_1970
from wattswap.experiments.wallets import address_of
from wattswap.ledger.anchors import GENESIS, Fault, Proof, Record, compare, hash_of, prove, proves, read, verify
from wattswap.ledger.archive import Archive
from wattswap.ledger.book import SITE
from wattswap.ledger.cashier import ANCHORS
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import LOCAL_NETWORK, PUBLIC_KEY_BYTES, Signer, seeded_signer
from wattswap.runners.cast import TRANSFORMER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from wattswap.ledger.base import Anchor

    Progress = Callable[[int], None]

_CHUNK: Final = 64
"""Records that are checked between two looks at the progress."""
_MOST_PROOF_BYTES: Final = 100_000
_SIGNERS: Final = (TRANSFORMER, SITE)
"""What a run calls the key of its site, when it derives it from its seed."""
_SHORT: Final = 16


@dataclass(frozen=True)
class Listed:
    """One record as it is listed."""

    sequence: int
    hash: str
    record: Record | None
    """None if it cannot be read any more."""
    meters: int | None
    """How many different meters stand in it, where that can be known."""
    where: str
    """``both``, ``archive``, ``ledger``, or ``differs``."""


@dataclass(frozen=True)
class Verified:
    """What came of checking a site's records."""

    records: int
    readings: int
    ledger: tuple[Fault, ...]
    """What is wrong with those on the ledger."""
    archive: tuple[Fault, ...]
    """What is wrong with those that the site kept."""

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.ledger and not self.archive


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


@dataclass(frozen=True)
class Site:
    """The records of one site: on the ledger, in its archive, or both."""

    place: Place
    name: str
    public_key: bytes
    is_key_known: bool
    """False if it is only what the records themselves name."""
    network: str
    anchored: list[Anchor] | None
    """As the ledger lists them; None if the run had none."""
    archive: Archive | None
    address: str = ""
    """Of the wallet that anchors, on a network."""

    def kept(self) -> list[Anchor]:
        """As the site kept them."""
        return [] if self.archive is None else self.archive.records()

    # -- list ---------------------------------------------------------------------------------------------------------

    def listed(self, last: int | None = None) -> list[Listed]:
        """All records that anybody has, or the ``last`` so many, by their sequence."""
        kept = {anchor.sequence: anchor for anchor in self.kept()}
        anchored = {anchor.sequence: anchor for anchor in self.anchored or ()}
        sequences = sorted(kept.keys() | anchored.keys())
        return [
            self._listed(kept.get(number), anchored.get(number))
            for number in (sequences if last is None else sequences[-last:])
        ]

    def _listed(self, kept: Anchor | None, anchored: Anchor | None) -> Listed:
        anchor = anchored or kept
        assert anchor is not None
        where = "ledger" if kept is None else "archive" if anchored is None else "both"
        if kept is not None and anchored is not None and kept != anchored:
            where = "differs"
        record = self._read(anchor)
        readings = () if record is None else record.readings
        if self.archive is not None and kept is not None and not readings:
            readings = self.archive.readings(kept.sequence)
        meters = len({reading.meter for reading in readings}) if readings or (record and not record.count) else None
        return Listed(anchor.sequence, hash_of(anchor), record, meters, where)

    def _read(self, anchor: Anchor) -> Record | None:
        try:
            return read(anchor, self.public_key, network=self.network)
        except ValueError:
            return None

    # -- verify -------------------------------------------------------------------------------------------------------

    def verified(self, progress: Progress = lambda _: None) -> Verified:
        """Check chain, signatures, sequence, times and hashes of all records, and name those that are wrong.

        What the site kept says which of two neighbours was altered; without it, the one that cannot be read.

        Raises:
            InputError: there is no ledger to check.
        """
        if self.anchored is None:
            raise InputError(f"{self.place.title} settled in memory: its records are on no ledger")
        if self.archive is None:
            return self._judged([], list(self._faults(self.anchored, None, progress)), [])
        kept = self.kept()
        last = kept[-1].sequence if kept else None
        inside = list(self._faults(kept, last, progress))
        named = {fault.sequence for fault in inside}
        inside += [fault for fault in self.archive.noted(kept, self.network) if fault.sequence not in named]
        outside = []
        for fault in compare(kept, self.anchored):
            theirs = next((anchor for anchor in self.anchored if anchor.sequence == fault.sequence), None)
            wrong = self._wrong(theirs)
            if wrong or fault.sequence not in named:
                outside.append(Fault(fault.sequence, wrong or fault.text))
        return self._judged(kept, outside, inside)

    def _wrong(self, anchor: Anchor | None) -> str:
        """What a record on the ledger says wrong by itself; empty if nothing."""
        if anchor is None:
            return "it is missing"
        try:
            read(anchor, self.public_key, network=self.network)
        except ValueError as error:
            return str(error)
        return ""

    def _judged(self, kept: list[Anchor], ledger: list[Fault], archive: list[Fault]) -> Verified:
        anchored = self.anchored or []
        records = [record for anchor in anchored if (record := self._read_quickly(anchor)) is not None]
        count = len({anchor.sequence for anchor in (*kept, *anchored)})
        return Verified(
            count, sum(record.count for record in records), tuple(ledger), tuple(sorted(archive, key=_place))
        )

    @staticmethod
    def _read_quickly(anchor: Anchor) -> Record | None:
        """What an anchor says of itself; its signature is checked elsewhere."""
        try:
            return msgspec.json.decode(anchor.content, type=_Written).record
        except ValueError:
            return None

    def _faults(self, anchors: Sequence[Anchor], last: int | None, progress: Progress) -> Iterator[Fault]:
        """As ``anchors.verify`` finds them, a stretch at a time; each begins with the last record of the one before."""
        if not anchors:
            yield from verify((), self.public_key, network=self.network, last=last)
        for begin in range(0, len(anchors), _CHUNK):
            stretch = anchors[max(0, begin - 1) : begin + _CHUNK]
            is_end = begin + _CHUNK >= len(anchors)
            faults = verify(
                stretch,
                self.public_key,
                network=self.network,
                first=stretch[0].sequence if begin else 0,
                previous=None if begin else GENESIS,
                last=last if is_end else None,
            )
            told = anchors[begin - 1].sequence if begin else -1
            yield from (fault for fault in faults if fault.sequence > told)
            progress(min(begin + _CHUNK, len(anchors)) - 1)

    # -- proofs -------------------------------------------------------------------------------------------------------

    def proof(self, meter: str, at: str, key: str | None) -> ProofFile:
        """The proof of a meter's last reading at or before an instant.

        Raises:
            InputError: there is no such meter, instant or reading, or its record shows all readings in the open.
        """
        if self.archive is None:
            raise InputError("a proof is made from what the site kept: name its run directory with --run")
        found = self.archive.last_before(meter, self._ms_of(at))
        if found is None:
            raise self._no_reading(meter, at)
        sequence, place = found
        anchor = next(one for one in self.kept() if one.sequence == sequence)
        record = read(anchor, self.public_key, network=self.network)
        if not record.root:
            raise InputError(
                f"record {sequence} holds its readings in the open: whoever has the ledger can read them, no proof is"
                " needed (a run with ledger.anchor=root keeps them private)"
            )
        proof = prove(self._signer(key), sequence, self.archive.readings(sequence), place)
        file = ProofFile(
            ledger=self.place.ledger,
            address=self.address,
            site=self.name,
            network=self.network,
            public_key=self.public_key.hex(),
            proof=proof,
        )
        if not proves(proof, anchor, self.public_key, network=self.network):
            raise InputError(f"the readings that were kept of record {sequence} are not those it stands for")
        return file

    def _ms_of(self, at: str) -> int:
        if re.fullmatch(r"[0-9]{1,15}", at):
            return int(at)
        if self.place.clock is None:
            raise InputError(f"{at!r} needs a run's clock: name its directory with --run, or give milliseconds")
        kept = self.kept()
        record = self._read(kept[0]) if kept else None
        return self.place.clock.ms_of(at, since_1970=record is not None and counts_from_1970(record.from_ms))

    def _no_reading(self, meter: str, at: str) -> InputError:
        assert self.archive is not None
        known = self.archive.meters()
        if not known:
            return InputError(f"{self.name} has metered nothing")
        if meter not in known:
            return InputError(f"there is no meter {meter!r} at {self.name}; the nearest is {nearest(meter, known)!r}")
        return InputError(f"{meter} showed nothing at or before {at}: it was not there yet")

    def _signer(self, key: str | None) -> Signer:
        """The site's key: from a file, or derived as the run did."""
        if key is not None:
            _, signer = keystore.read_key(key)
            signer = Signer(signer.secret_seed(), network=self.network, seeded=signer.seeded)
            if signer.public_key != self.public_key:
                raise InputError(f"the key {key} is not the one that signed the records of {self.name}")
            return signer
        seeds = {seed for seed in (self.place.seed, self.place.wallets_seed) if seed is not None}
        for seed in seeds:
            for name in (self.name, *_SIGNERS):
                signer = seeded_signer(seed, name, network=self.network)
                if signer.public_key == self.public_key:
                    return signer
        raise InputError(f"only {self.name} can prove its readings: give its key with --key")


class _Written(msgspec.Struct):
    record: Record
    public_key: str


@contextmanager
def open_site(
    place: Place, *, name: str | None = None, public_key: str | None = None, address: str | None = None
) -> Iterator[Site]:
    """The records of a site, on the ledger of a place and in the archive of its run, nothing of which is changed.

    Raises:
        InputError: there is no such site, or it cannot be opened or reached; the text says why.
    """
    key = None if public_key is None else key_of(public_key)
    with answering(), ExitStack() as files:
        archive = None
        if place.run is not None and (place.run / METERS).exists():
            archive = files.enter_context(Archive(place.run / METERS))
        elif place.ledger == MEMORY:
            raise InputError(f"{place.run}: this run kept no meter records; a run with --ledger does")
        if archive is not None and name not in (None, archive.site):
            raise InputError(f"there is no site {name!r} in {place.run}; there is {archive.site!r}")
        if archive is not None and key not in (None, archive.public_key):
            raise InputError(f"{place.run} is the archive of another key, {archive.public_key.hex()}")
        site = name or (archive.site if archive is not None else None)
        site, anchored, address = _fetched(place, site, address)
        known = key or (archive.public_key if archive is not None else None)
        network = _most_common(
            archive.records() if archive is not None else anchored or (), lambda one: one.record.network
        )
        named = _most_common(anchored or (), lambda one: one.public_key)
        yield Site(
            place=place,
            name=site,
            public_key=known or key_of(named or "00" * PUBLIC_KEY_BYTES),
            is_key_known=known is not None,
            network=network or LOCAL_NETWORK,
            anchored=anchored,
            archive=archive,
            address=address,
        )


def checked(file: ProofFile, site: Site) -> str:
    """Why a customer's proof does not hold against the record on the ledger; empty if it holds."""
    sequence = file.proof.sequence
    anchor = next((one for one in site.anchored or () if one.sequence == sequence), None)
    if anchor is None:
        return f"record {sequence}: it is missing"
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
    try:
        with path.open("xb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
    except FileExistsError:
        raise InputError(f"{path} exists already: choose another name") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def key_of(text: str) -> bytes:
    """The public key that somebody typed in hexadecimal.

    Raises:
        InputError: it is none.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise InputError(f"{text!r} is no public key: it is written as 64 hexadecimal digits, see `wattswap keys show`")
    return bytes.fromhex(text)


def _fetched(place: Place, name: str | None, address: str | None) -> tuple[str, list[Anchor] | None, str]:
    """Which site, its records on the ledger, and whose wallet anchored them."""
    if place.ledger == MEMORY:
        assert name is not None
        return name, None, ""
    path = sqlite_path(place.ledger)
    if path is not None:
        with SqliteLedger(path, reads_only=True) as ledger:
            site = _one_site(place, name, ledger.sites())
            return site, ledger.anchored(site), ""
    from wattswap.ledger.iota_keys import FileWallets

    wallets = seeded_wallets(place)
    if address is None and wallets is None:
        raise InputError(f"say which wallet of {place.ledger} anchors: its run with --run DIR, or --address 0x...")
    there = address_of(address) if address is not None else wallets.address(ANCHORS) if wallets is not None else ""
    with opened_chain(place.ledger, FileWallets({}, {ANCHORS: there}), Outbox(None), allow=None) as chain:
        require_same_chain(place, chain.chain_id)
        site = _one_site(place, name, chain.sites())
        return site, chain.anchored(site), there


def _one_site(place: Place, name: str | None, sites: list[str]) -> str:
    if name is not None and (name in sites or place.run is not None):
        return name  # a run's site may have lost all its records there: that is for ``verify`` to say
    if not sites:
        raise InputError(f"nobody has anchored a record on {place.title}")
    if name is not None:
        raise InputError(f"there is no site {name!r} on {place.title}; the nearest is {nearest(name, sites)!r}")
    if len(sites) > 1:
        raise InputError(f"there are several sites on {place.title}: say which with --site ({', '.join(sites)})")
    return sites[0]


def _most_common(anchors: Sequence[Anchor], what: Callable[[Any], str]) -> str | None:
    """What most records say of themselves, so that one that was altered does not speak for all."""
    said: Counter[str] = Counter()
    for anchor in anchors[:1_000]:
        try:
            said[what(msgspec.json.decode(anchor.content, type=_Written))] += 1
        except ValueError:
            continue
    return said.most_common(1)[0][0] if said else None


def _place(fault: Fault) -> int:
    return fault.sequence
