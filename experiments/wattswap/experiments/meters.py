"""A site's meter records, on its ledger and in its archive: listed, and checked against what was signed."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.experiments.ledger_places import (
    LedgerPlace,
    answering,
    opened_chain,
    require_same_chain,
    sqlite_path,
    wallets_of,
)
from wattswap.experiments.nearest import nearest
from wattswap.experiments.wallets import address_of
from wattswap.ledger.anchors import GENESIS, Fault, Record, compare, hash_of, read, said, verify
from wattswap.ledger.archive import Archive
from wattswap.ledger.base import ANCHORS
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import BatchState, OutboxReading, read_outbox
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import LOCAL_NETWORK, PUBLIC_KEY_BYTES
from wattswap.runners.payments.run_payments import MEMORY
from wattswap.runners.recording.rundir import METERS, OUTBOX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wattswap.ledger.base import Anchor

    Progress = Callable[[int], None]

_CHUNK: Final = 256
"""Records that are held at a time: a week's may not fit into a Raspberry Pi."""
_SAMPLE: Final = 99
_MOST_MISSING: Final = 1_000_000


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


@dataclass(frozen=True)
class Shelf:
    """A ledger's records of one site, fetched a stretch at a time."""

    fetch: Callable[[int, int], list[Anchor]]
    """Those from a sequence to another, both included."""
    extent: tuple[int, int]
    """How many there are, and the last one's sequence (-1 for none)."""
    doubled: frozenset[int] = frozenset()
    """Places in which a second, different record was anchored after the first."""


@dataclass(frozen=True)
class MeterSite:
    """The records of one site: on the ledger, in its archive, or both."""

    place: LedgerPlace
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
        written = self.place.records_by_site.get(self.name, self.place.records)
        last = max(written - 1, *(last for _, last in extents))
        if last > written + sum(count for count, _ in extents) + _MOST_MISSING:
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
        record = self.read(anchor)
        readings = () if record is None else record.readings
        if self.archive is not None and kept is not None and not readings:
            readings = self.archive.readings(kept.sequence)
        meters = len({reading.meter for reading in readings}) if readings or (record and not record.count) else None
        return Listed(anchor.sequence, hash_of(anchor), record, meters, where)

    def read(self, anchor: Anchor) -> Record | None:
        """What a record says; None if it is not as the site signed it."""
        try:
            return read(anchor, self.public_key, network=self.network)
        except ValueError:
            return None

    # -- verify -------------------------------------------------------------------------------------------------------

    def verified(self, progress: Progress = lambda _: None) -> Verified:
        """Check chain, signatures, sequence, times and hashes of all records, and name those that are wrong.

        What the site kept says which of two neighbours was altered; without it, the one that cannot be read.

        Raises:
            InputError: there is no ledger to check, or all that it holds is another run's.
        """
        if self.ledger is None:
            raise InputError(f"{self.place.title} settled in memory: its records are on no ledger")
        self._require_own(self.ledger)
        count = readings = 0
        outside: list[Fault] = []
        inside: list[Fault] = []
        before: Anchor | None = None
        last = self.last
        doubled = "it is duplicated: another record was anchored in its place after it"
        outside += [Fault(sequence, doubled) for sequence in sorted(self.ledger.doubled)]
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
                faults += self._damaged(self.archive, kept, faults)
                inside += sorted(faults, key=lambda fault: fault.sequence)
                outside += self._differing(kept, anchored, {fault.sequence for fault in faults})
            before = chain[-1] if chain else before
            progress(until)
        outside.sort(key=lambda fault: fault.sequence)
        return Verified(count, readings, tuple(outside), tuple(inside))

    def _require_own(self, ledger: Shelf) -> None:
        """Refuse a ledger whose first and last records are all of another run."""
        last = ledger.extent[1]
        sample = (*ledger.fetch(0, _SAMPLE), *ledger.fetch(last - _SAMPLE, last))
        runs = {record.run for anchor in sample if (record := said(anchor)) is not None}
        if self.place.run_id is not None and runs and self.place.run_id not in runs:
            raise InputError(
                f"{self.place.ledger} holds the records of run {' and '.join(sorted(run[:8] for run in runs))},"
                f" not of this run, {self.place.run_id[:8]}; name its own ledger, or no --ledger"
            )

    def _breaks(self, chain: Sequence[Anchor], before: Anchor | None, first: int, until: int) -> list[Fault]:
        """What is wrong with a stretch of one chain that follows the record ``before``."""
        end = self.last
        faults = verify(
            chain if before is None else [before, *chain],
            self.public_key,
            network=self.network,
            first=0 if before is None else before.sequence,
            previous=GENESIS if before is None else None,
            last=min(until, end),
            run=self.place.run_id,
        )
        return [fault for fault in faults if fault.sequence >= first]

    def _damaged(self, archive: Archive, kept: Sequence[Anchor], known: Sequence[Fault]) -> list[Fault]:
        named = {fault.sequence for fault in known}
        return [fault for fault in archive.damaged(kept) if fault.sequence not in named]

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
            known = None if self.outbox is None or kept is None else self.outbox.find(kept.key)
            is_waiting = known is not None and known.state is not BatchState.FINAL
            return "it is not on the ledger yet, it waits in the run's outbox" if is_waiting else "it is missing"
        try:
            record = read(anchor, self.public_key, network=self.network)
        except ValueError as error:
            return str(error)
        is_foreign = self.place.run_id is not None and record.run != self.place.run_id
        return f"it is foreign: of run {record.run[:8]}" if is_foreign else ""


class _Header(msgspec.Struct):
    network: str
    count: int


class _Written(msgspec.Struct):
    """As much of a record as can be read without believing it."""

    record: _Header
    public_key: str


@contextmanager
def open_site(
    place: LedgerPlace, *, name: str | None = None, public_key: str | None = None, address: str | None = None
) -> Iterator[MeterSite]:
    """The records of a site, on the ledger of a place and in the archive of its run, nothing of which is changed.

    Raises:
        InputError: there is no such site, or it cannot be opened or reached; the text says why.
    """
    key = None if public_key is None else key_of(public_key)
    with answering(), ExitStack() as files:
        archive = _archive(files, place, name)
        if archive is None and place.ledger == MEMORY:
            raise InputError(f"{place.run}: this run kept no meter records; a run with --ledger does")
        if key is None and place.public_key is not None:
            key = key_of(place.public_key)
        if archive is not None and key not in (None, archive.public_key):
            raise InputError(f"{place.run} is the archive of another key, {archive.public_key.hex()}")
        site = name or (archive.site if archive is not None else None)
        site, shelf, address = _shelf(files, place, site, address)
        known = key or (archive.public_key if archive is not None else None)
        sample = shelf.fetch(0, _SAMPLE) if archive is None and shelf is not None else []
        network = _most_common(archive.records(0, _SAMPLE) if archive is not None else sample, _network_said)
        named = _most_common(sample, _key_said)
        outbox = None if place.run is None else place.run / OUTBOX
        yield MeterSite(
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


def _archive(files: ExitStack, place: LedgerPlace, name: str | None) -> Archive | None:
    """The archive of the site that is meant; None if the run kept none. It is closed with ``files``."""
    paths = [] if place.run is None else sorted({*place.run.glob("meters-*.sqlite"), *place.run.glob(METERS)})
    archives = {path: files.enter_context(Archive(path)) for path in paths}
    for path, archive in archives.items():
        is_known = archive.identity in (place.archive_ids or (archive.identity,))
        if not is_known or place.run_id not in (None, archive.run):
            raise InputError(
                f"{path} is foreign: an archive of {archive.site!r}, run {archive.run[:8]}, not what this run"
                " wrote; put back the right one"
            )
    by_site = {archive.site: archive for archive in archives.values()}
    if name is None and len(by_site) > 1:
        raise InputError(f"there are several sites in {place.run}: say which with --site ({', '.join(by_site)})")
    if by_site and name is not None and name not in by_site:
        raise InputError(f"there is no site {name!r} in {place.run}; there is {' and '.join(map(repr, by_site))}")
    return by_site[name or next(iter(by_site))] if by_site else None


def key_of(text: str) -> bytes:
    """The public key that somebody typed in hexadecimal.

    Raises:
        InputError: it is none.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise InputError(f"{text!r} is no public key: it is written as 64 hexadecimal digits, see `wattswap keys show`")
    return bytes.fromhex(text)


def _shelf(
    files: ExitStack, place: LedgerPlace, name: str | None, address: str | None
) -> tuple[str, Shelf | None, str]:
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

    if address is not None:
        there = address_of(address)
    elif (wallets := wallets_of(place)) is not None:
        there = wallets.address(ANCHORS)
    else:
        raise InputError(f"say which wallet of {place.ledger} anchors: its run with --run DIR, or --address 0x...")
    with opened_chain(place.ledger, FileWallets({}, {ANCHORS: there}), Outbox(None), allow=None) as chain:
        require_same_chain(place, chain.network)
        site = _one_site(place, name, chain.sites())
        anchored, doubled = chain.anchored(site, run=place.run_id), chain.doubled(site, place.run_id)
    extent = (len(anchored), anchored[-1].sequence if anchored else -1)
    by_place = {one.sequence: one for one in anchored}

    def fetch(first: int, last: int) -> list[Anchor]:
        return [by_place[number] for number in range(first, min(last, extent[1]) + 1) if number in by_place]

    return site, Shelf(fetch, extent, doubled), there


def _one_site(place: LedgerPlace, name: str | None, sites: list[str]) -> str:
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
