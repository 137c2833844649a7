"""The journal of a run: what stands in it, that it changes nothing, and what is said of one that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import msgpack
import msgspec
import pytest
from tests.streets import random_street

from wattswap.protocol.errors import InputError
from wattswap.protocol.events import Event
from wattswap.runners.engines.launch import faults_of
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.observer import Observer, Sensed
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.network.fault_schedule import FaultOptions
from wattswap.runners.recording.journal import Contents, Header, Journal, Reader
from wattswap.runners.scenario import Street

CRASHES = FaultOptions(loss_ppm=20_000, crashes_per_day=300, outage_s=120)


def header(contents: Contents = "inputs") -> Header:
    return Header(
        wattswap="0.2.0",
        scenario="small",
        scenario_sha256="00",
        seed=1,
        controller="negotiated",
        engine="messages",
        strategy="need",
        sign=False,
        contents=contents,
    )


def street() -> Street:
    return random_street(131, chargers=8, ticks=80)


def run(path: Path, contents: Contents = "inputs", faults: FaultOptions | None = None) -> SimulatedRun:
    """A run with its journal at ``path``."""
    journal = Journal(path, header(contents))
    done = simulated_run(street(), observers=[journal], faults=faults)
    done.run()
    journal.close()
    return done


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal of a whole run."""
    path = tmp_path_factory.mktemp("journal") / "street.msgpack"
    run(path)
    return path.read_bytes()


@pytest.fixture
def journal(tmp_path: Path, written: bytes) -> Path:
    path = tmp_path / "copy.msgpack"
    path.write_bytes(written)
    return path


class Overheard(Observer):
    """Hears what a journal hears."""

    def __init__(self) -> None:
        self.by_tick: list[list[Sensed]] = [[]]
        self.recoveries: list[tuple[str, list[Event]]] = []

    def sensed(self, sensed: Sequence[Sensed]) -> None:
        self.by_tick[-1].extend(sensed)

    def recovered(self, agent: str, events: Sequence[Event]) -> None:
        self.recoveries.append((agent, list(events)))

    def tick_handled(self, tick: int, events_hash: bytes) -> None:
        self.by_tick.append([])


@pytest.mark.parametrize("faults", [None, CRASHES], ids=["calm", "faults"])
def test_a_journal_changes_nothing(tmp_path: Path, faults: FaultOptions | None):
    plain = simulated_run(street(), faults=faults).run()
    for contents in ("inputs", "full"):
        record = run(tmp_path / contents, contents, faults).record
        assert (record.events_hash, record.trace_hash()) == (plain.events_hash, plain.trace_hash())


def test_it_is_a_stream_that_any_reader_of_messagepack_can_read(journal: Path):
    with journal.open("rb") as stream:
        first, *lines, end = msgpack.Unpacker(stream)
    assert (first["format"], first["format_version"]) == ("wattswap journal", 3)
    assert first["scenario"] == "small"
    assert [line[:2] for line in lines] == [["tick", tick] for tick in range(street().ticks + 1)]
    assert all(len(line[5]) == len(line[7]) == 8 for line in lines)
    assert end[:2] == ["end", len(lines)]


@pytest.mark.parametrize("faults", [None, CRASHES], ids=["calm", "faults"])
def test_what_is_read_is_what_the_world_told_and_whom(tmp_path: Path, faults: FaultOptions | None):
    path, overheard = tmp_path / "street.msgpack", Overheard()
    run(path, faults=faults)
    simulated_run(street(), observers=[overheard], faults=faults).run()
    lines = list(Reader(path).lines())
    assert [line.told for line in lines] == overheard.by_tick[:-1]
    assert [each for line in lines for each in line.recovered] == overheard.recoveries
    assert bool(overheard.recoveries) == (faults is not None)


def test_with_everything_in_it_the_hashes_follow_from_the_events(tmp_path: Path):
    done = run(tmp_path / "full", "full")
    digest = blake2b(digest_size=32)
    for line in Reader(tmp_path / "full").lines():
        for event in line.events:
            digest.update(bytes(event))
        assert line.hash == digest.digest()[:8]
    assert digest.hexdigest() == done.record.events_hash


def test_faults_of_a_scenario_are_none_by_default():
    assert not faults_of(street()).any


# -- ends that are torn, middles that are damaged ---------------------------------------------------------------------


def ticks_of(path: Path) -> tuple[int, bool]:
    """How many lines can be read, and whether the end is torn."""
    reader = Reader(path)
    return len(list(reader.lines())), reader.torn


def test_a_whole_journal_is_not_torn(journal: Path):
    assert ticks_of(journal) == (street().ticks + 1, False)


def test_wherever_the_last_record_is_torn_the_others_are_read(journal: Path, written: bytes):
    whole = street().ticks + 1
    last = msgspec.msgpack.encode(list(Reader(journal).lines())[-1])
    written = written[: written.index(last) + len(last)]
    for missing in range(1, len(last), 3):
        journal.write_bytes(written[:-missing])
        assert ticks_of(journal) == (whole - 1, True)
    journal.write_bytes(written[: -len(last)])
    assert ticks_of(journal) == (whole - 1, False)


def test_zeros_that_a_power_cut_leaves_are_a_torn_end(journal: Path, written: bytes):
    journal.write_bytes(written + b"\0" * 4096)
    assert ticks_of(journal) == (street().ticks + 1, True)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as why:
        ticks_of(path)
    assert "\n" not in str(why.value)
    return str(why.value)


def test_a_journal_that_lacks_something_in_the_middle_is_refused(journal: Path, written: bytes):
    middle = written.index(b"\x98\xa4tick\x14")
    for missing in (1, 7, 100):
        journal.write_bytes(written[:middle] + written[middle + missing :])
        assert "damaged after tick 19, at byte" in refused(journal)
    journal.write_bytes(written[: middle - 5] + written[middle:])
    assert "damaged after tick 19, at byte" in refused(journal), "the checksum of tick 19 took in what was not its own"


def test_a_tick_twice_is_refused(journal: Path, written: bytes):
    first, second = (written.index(b"\x98\xa4tick" + bytes([tick])) for tick in (20, 21))
    journal.write_bytes(written[:second] + written[first:])
    assert "tick 20 where 21 is due" in refused(journal)


def test_whatever_byte_is_wrong_it_is_read_or_refused(journal: Path, written: bytes):
    for place in range(0, len(written), 331):
        changed = bytearray(written)
        changed[place] ^= 1 + place % 255
        journal.write_bytes(changed)
        with suppress(InputError):
            ticks_of(journal)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no journal of wattswap"),
        (b"\x8b\xa6for", "no journal of wattswap"),
        (b"PAR1 and so on", "no journal of wattswap"),
        (b"\xc1", "no journal of wattswap"),
        (msgpack.packb(["tick", 0]), "no journal of wattswap"),
        (msgpack.packb({"format": "wattswap journal", "format_version": 2, "wattswap": "9.1"}), "use wattswap 9.1"),
        (msgpack.packb({"format": "wattswap journal", "format_version": 3}), "header is damaged"),
    ],
)
def test_what_has_another_header_is_refused(tmp_path: Path, content: bytes, what: str):
    path = tmp_path / "street.msgpack"
    path.write_bytes(content)
    assert what in refused(path)
