"""A site's meter records: listed, checked against what was signed, and proven to one customer without the others."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.experiments import keystore
from wattswap.experiments.nearest import nearest
from wattswap.experiments.places import (
    MEMORY,
    METERS,
    OUTBOX,
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
from wattswap.ledger.cashier import ANCHORS, anchor_item
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import OutboxReading, read_outbox
from wattswap.ledger.outbox_schema import State
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import LOCAL_NETWORK, PUBLIC_KEY_BYTES, Signer, seeded_signer
from wattswap.runners.cast import TRANSFORMER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from wattswap.ledger.base import Anchor

    Progress = Callable[[int], None]

_CHUNK: Final = 256
"""Records that are held at a time: a week's may not fit into a Raspberry Pi."""
_SAMPLE: Final = 99
_MOST_MISSING: Final = 1_000_000
_MOST_PROOF_BYTES: Final = 100_000
_SIGNERS: Final = (TRANSFORMER, SITE)
"""What a run calls the key of its site, when it derives it from its seed."""


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


class Shelf:
    """A ledger's records of one site, fetched a stretch at a time."""

    def __init__(self, fetch: Callable[[int, int], list[Anchor]], extent: tuple[int, int]) -> None:
        self.fetch, self.extent = fetch, extent
        self.count, self.last = extent


@dataclass(frozen=True)
class Site:
    """The records of one site: on the ledger, in its archive, or both."""

    place: Place
    name: str
    public_key: bytes
    is_key_known: bool
    """False if it is only what the records themselves name."""
    network: str
    ledger: Shelf | None
    """None if the run had none."""
    archive: Archive | None
    outbox: OutboxReading | None = None
    """Where the run wrote down what was to be anchored."""
    address: str = ""
    """Of the wallet that anchors, on a network."""

    @property
    def last(self) -> int:
        """The sequence of the newest record that anybody has; -1 if there is none.

        Raises:
            InputError: it is far beyond all others, which no site's is.
        """
        extents = [self.archive.extent()] if self.archive is not None else []
        extents += [self.ledger.extent] if self.ledger is not None else []
        last = max(last for _, last in extents)
        if last > sum(count for count, _ in extents) + _MOST_MISSING:
            raise InputError(f"record {last} of {self.name} cannot be: nearly all records before it are missing")
        return last

    def anchored(self, first: int, last: int) -> list[Anchor]:
        """The records from ``first`` to ``last`` as the ledger lists them."""
        return [] if self.ledger is None else self.ledger.fetch(first, last)

    def kept(self, first: int, last: int) -> list[Anchor]:
        """The same as the site kept them."""
        return [] if self.archive is None else self.archive.records(first, last)

    # -- list ---------------------------------------------------------------------------------------------------------

    def listed(self, newest: int | None = None) -> Iterator[Listed]:
        """All records that anybody has, or the ``newest`` so many, by their sequence."""
        last = self.last
        for first in range(0 if newest is None else max(0, last + 1 - newest), last + 1, _CHUNK):
            until = min(first + _CHUNK - 1, last)
            kept = {anchor.sequence: anchor for anchor in self.kept(first, until)}
            anchored = {anchor.sequence: anchor for anchor in self.anchored(first, until)}
            for number in sorted(kept.keys() | anchored.keys()):
                yield self._listed(kept.get(number), anchored.get(number))

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
        if self.ledger is None:
            raise InputError(f"{self.place.title} settled in memory: its records are on no ledger")
        count = readings = 0
        outside: list[Fault] = []
        inside: list[Fault] = []
        before: Anchor | None = None
        last = self.last
        for first in range(0, last + 1, _CHUNK):
            until = min(first + _CHUNK - 1, last)
            kept, anchored = self.kept(first, until), self.anchored(first, until)
            count += len({anchor.sequence for anchor in (*kept, *anchored)})
            readings += sum(_readings_said(anchor) for anchor in anchored)
            chain = anchored if self.archive is None else kept
            faults = self._breaks(chain, before, first, until)
            if self.archive is None:
                outside += faults
            else:
                faults += self._noted(self.archive, kept, faults)
                inside += sorted(faults, key=lambda fault: fault.sequence)
                outside += self._differing(kept, anchored, {fault.sequence for fault in faults})
            before = chain[-1] if chain else before
            progress(until)
        return Verified(count, readings, tuple(outside), tuple(inside))

    def _breaks(self, chain: Sequence[Anchor], before: Anchor | None, first: int, until: int) -> list[Fault]:
        """What is wrong with a stretch of one chain that follows the record ``before``."""
        end = self.archive.extent()[1] if self.archive is not None else self.last
        faults = verify(
            chain if before is None else [before, *chain],
            self.public_key,
            network=self.network,
            first=0 if before is None else before.sequence,
            previous=GENESIS if before is None else None,
            last=min(until, end),
        )
        return [fault for fault in faults if fault.sequence >= first]

    def _noted(self, archive: Archive, kept: Sequence[Anchor], known: Sequence[Fault]) -> list[Fault]:
        named = {fault.sequence for fault in known}
        return [fault for fault in archive.noted(kept, self.network) if fault.sequence not in named]

    def _differing(self, kept: Sequence[Anchor], anchored: Sequence[Anchor], named: set[int]) -> list[Fault]:
        """What on the ledger is not what was kept, unless it is the archive that was altered."""
        ours = {anchor.sequence: anchor for anchor in kept}
        theirs = {anchor.sequence: anchor for anchor in anchored}
        faults = []
        for fault in compare(kept, anchored):
            wrong = self._wrong(theirs.get(fault.sequence), ours.get(fault.sequence))
            if wrong or fault.sequence not in named:
                faults.append(Fault(fault.sequence, wrong or fault.text))
        return faults

    def _wrong(self, anchor: Anchor | None, kept: Anchor | None) -> str:
        """What a record on the ledger says wrong by itself; empty if nothing."""
        if anchor is None:
            known = None if self.outbox is None or kept is None else self.outbox.find(anchor_item(kept).key)
            is_waiting = known is not None and known.state is not State.FINAL
            return "it is not on the ledger yet, it waits in the run's outbox" if is_waiting else "it is missing"
        try:
            read(anchor, self.public_key, network=self.network)
        except ValueError as error:
            return str(error)
        return ""

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
        [anchor] = self.kept(sequence, sequence)
        record = self._read(anchor)
        if record is None:
            raise InputError(f"record {sequence} in the archive is not as signed: `wattswap meter verify` says why")
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
        kept = self.kept(0, 0)
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


class _Header(msgspec.Struct):
    network: str
    count: int


class _Written(msgspec.Struct):
    """As much of a record as can be read without believing it."""

    record: _Header
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
        site, shelf, address = _shelf(files, place, site, address)
        known = key or (archive.public_key if archive is not None else None)
        sample = shelf.fetch(0, _SAMPLE) if archive is None and shelf is not None else []
        network = _most_common(archive.records(0, _SAMPLE) if archive is not None else sample, _network_said)
        named = _most_common(sample, _key_said)
        outbox = None if place.run is None else place.run / OUTBOX
        yield Site(
            place=place,
            name=site,
            public_key=known or key_of(named or "00" * PUBLIC_KEY_BYTES),
            is_key_known=known is not None,
            network=network or LOCAL_NETWORK,
            ledger=shelf,
            archive=archive,
            outbox=files.enter_context(read_outbox(outbox)) if outbox is not None and outbox.is_file() else None,
            address=address,
        )


def checked(file: ProofFile, site: Site) -> str:
    """Why a customer's proof does not hold against the record on the ledger; empty if it holds."""
    sequence = file.proof.sequence
    found = site.anchored(sequence, sequence)
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


def _shelf(files: ExitStack, place: Place, name: str | None, address: str | None) -> tuple[str, Shelf | None, str]:
    """Which site, its records on the ledger, and whose wallet anchored them; the ledger is closed with ``files``."""
    if place.ledger == MEMORY:
        assert name is not None
        return name, None, ""
    path = sqlite_path(place.ledger)
    if path is not None:
        ledger = files.enter_context(SqliteLedger(path, reads_only=True))
        site = _one_site(place, name, ledger.sites())
        return site, Shelf(lambda first, last: ledger.anchored(site, first=first, last=last), ledger.extent(site)), ""
    from wattswap.ledger.iota_keys import FileWallets

    wallets = seeded_wallets(place)
    if address is None and wallets is None:
        raise InputError(f"say which wallet of {place.ledger} anchors: its run with --run DIR, or --address 0x...")
    there = address_of(address) if address is not None else wallets.address(ANCHORS) if wallets is not None else ""
    with opened_chain(place.ledger, FileWallets({}, {ANCHORS: there}), Outbox(None), allow=None) as chain:
        require_same_chain(place, chain.chain_id)
        site = _one_site(place, name, chain.sites())
        anchored = chain.anchored(site)
    extent = (len(anchored), anchored[-1].sequence if anchored else -1)
    return site, Shelf(lambda first, last: [one for one in anchored if first <= one.sequence <= last], extent), there


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


def _most_common(anchors: Sequence[Anchor], what: Callable[[_Written], str]) -> str | None:
    """What most records say of themselves, so that one that was altered does not speak for all."""
    said: Counter[str] = Counter()
    for anchor in anchors:
        try:
            said[what(msgspec.json.decode(anchor.content, type=_Written))] += 1
        except ValueError:
            continue
    return said.most_common(1)[0][0] if said else None


def _network_said(one: _Written) -> str:
    return one.record.network


def _key_said(one: _Written) -> str:
    return one.public_key


def _readings_said(anchor: Anchor) -> int:
    """How many readings a record says it stands for; its signature is checked elsewhere."""
    try:
        return msgspec.json.decode(anchor.content, type=_Written).record.count
    except ValueError:
        return 0
