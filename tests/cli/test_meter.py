"""``wattswap meter``: whatever was done to a site's records on their ledger, the very record is named."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.cli.settled import SITE_NAME, SLOT_MS, memory_run, readings, settled_run
from tests.ledger.local_node import local_node
from tests.pages import DOCS, blocks

from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Detail, Whose, hash_of, seal
from wattswap.ledger.base import ANCHORS, Anchor
from wattswap.ledger.keys import read_key_file
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.runners.payments.run_payments import SITE_KEY
from wattswap.runners.recording.rundir import read_run

STREET = "sqlite:street.sqlite"
MANY = 1_000
SLOT_5 = "2018-11-25T00:02:30"


@pytest.fixture(params=["sqlite", "network"])
def ledger(request, say) -> str:
    return STREET if request.param == "sqlite" else str(request.getfixturevalue("node_url"))


@contextmanager
def forging(file: str) -> Iterator[sqlite3.Connection]:
    """What somebody with the file and SQLite can do."""
    with closing(sqlite3.connect(file)) as forger:
        forger.create_function("inflate", 1, lambda content: zlib.decompress(content).decode())
        forger.create_function("deflate", 1, lambda text: zlib.compress(text.encode()))
        yield forger
        forger.commit()


def faults(say, *words: str) -> list[tuple[int, str]]:
    """(record, where) of all that is wrong."""
    code, out, err = say("meter", "verify", *words, "--json")
    told = json.loads(out)
    assert (code, told["ok"], err) == (1 if told["faults"] else 0, not told["faults"], "")
    return [(fault["sequence"], fault["where"]) for fault in told["faults"]]


# -- list -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", Detail)
def test_records_are_listed_from_ledger_and_archive(say, tmp_path: Path, ledger, detail):
    run = str(settled_run(tmp_path / "run", ledger, detail=detail))
    told = json.loads(say("meter", "list", "--run", run, "--json")[1])
    assert told["site"] == SITE_NAME
    assert [one["sequence"] for one in told["records"]] == list(range(6))
    assert {(one["meters"], one["readings"], one["where"], one["detail"]) for one in told["records"]} == {
        (3, 3, "both", detail.value)
    }
    assert (told["records"][1]["from"], told["records"][1]["to"]) == ("2018-11-25 00:00:30", "2018-11-25 00:01:00")
    lines = say("meter", "list", "--run", run, "--last", "2")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["4", "5"]
    assert told["records"][5]["hash"] in lines[1]


def test_without_a_run_the_ledger_is_listed_alone(say, tmp_path: Path):
    settled_run(tmp_path / "run", STREET)
    lines = say("meter", "list", "--ledger", STREET)[1].splitlines()
    assert len(lines) == 6
    assert lines[0].split()[1:4] == ["+0:00:00", "to", "+0:00:30"] or "+0:00:00" in lines[0]
    assert lines[0].endswith("ledger")


# -- verify -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", Detail)
def test_records_as_they_were_signed_are_good(say, tmp_path: Path, ledger, detail):
    run = str(settled_run(tmp_path / "run", ledger, detail=detail))
    code, out, err = say("meter", "verify", "--run", run)
    assert (code, err) == (0, "")
    assert out == f"6 records of {SITE_NAME} on {ledger.removesuffix('/graphql')}, 18 readings: all as signed\n"
    told = json.loads(say("meter", "verify", "--run", run, "--json")[1])
    where = ("--address", told["address"]) if told["address"] else ()
    code, out, _ = say("meter", "verify", "--ledger", ledger, "--public-key", told["public_key"], *where)
    assert code == 0
    assert "all as signed\nNote: whether records are missing at the end" in out


@pytest.fixture(scope="module")
def thousand() -> Iterator[tuple[Path, bytes]]:
    """A run with a thousand anchored records, and its ledger's file as it was: in memory, for each is flushed."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        settled_run(folder / "run", f"sqlite:{folder / 'street.sqlite'}", slots=MANY, detail=Detail.FULL)
        yield folder, (folder / "street.sqlite").read_bytes()


@pytest.fixture
def street(say, thousand) -> tuple[str, str]:
    """The thousand records, whole: run directory and ledger file."""
    folder, whole = thousand
    (folder / "street.sqlite").write_bytes(whole)
    return str(folder / "run"), str(folder / "street.sqlite")


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_bit_in_one_of_a_thousand_names_that_record_alone(say, street, seed):
    run, file = street
    luck = random.Random(seed)
    place = luck.choice((0, 1, MANY - 1, luck.randrange(MANY)))
    with forging(file) as forger:
        [raw] = forger.execute("select content from anchors where sequence = ?", (place,)).fetchone()
        content = bytearray(raw)
        content[luck.randrange(len(content))] ^= 1 << luck.randrange(8)
        forger.execute("update anchors set content = ? where sequence = ?", (bytes(content), place))
    assert faults(say, "--run", run) == [(place, "ledger")]
    assert faults(say, "--ledger", f"sqlite:{file}") == [(place, "ledger")]
    assert f"record {place}: " in say("meter", "verify", "--run", run)[1]


@pytest.mark.parametrize(
    ("there", "forged"),
    [
        ('"import_w":3000', '"import_w":2000'),
        ('"meter":"c0"', '"meter":"c9"'),
        ('"previous":"', '"previous":"0'),
        ('"sequence":500', '"sequence":501'),
        ('"signature":"', '"signature":"00'),
    ],
)
def test_a_forged_record_is_named_with_what_is_wrong(say, street, there, forged):
    run, file = street
    with forging(file) as forger:
        swap = "update anchors set content = deflate(replace(inflate(content), ?, ?)) where sequence = 500"
        forger.execute(swap, (there, forged))
    for where in (("--run", run), ("--ledger", f"sqlite:{file}")):
        code, out, _ = say("meter", "verify", *where)
        assert code == 1
        assert out.splitlines()[0] == "record 500: its signature is not the site's"


def test_missing_and_exchanged_records_are_named(say, street):
    run, file = street
    with forging(file) as forger:
        forger.execute("delete from anchors where sequence in (300, 301, 999)")
        here, there = (
            forger.execute("select content from anchors where sequence = ?", (place,)).fetchone()[0]
            for place in (100, 700)
        )
        forger.execute("update anchors set content = ? where sequence = 100", (there,))
        forger.execute("update anchors set content = ? where sequence = 700", (here,))
    wrong = [100, 300, 301, 700]
    assert faults(say, "--run", run) == [(place, "ledger") for place in [*wrong, 999]]
    assert faults(say, "--ledger", f"sqlite:{file}") == [(place, "ledger") for place in wrong]
    out = say("meter", "verify", "--run", run)[1].splitlines()
    assert out[1] == "records 300 to 301, each: it is missing"
    assert out[0].startswith("record 100: it is record 700 of")
    assert out[3:] == ["record 999: it is missing"]


def test_an_altered_archive_is_named_as_such(say, street, thousand):
    run, _ = street
    meters = thousand[0] / "run" / "meters.sqlite"
    whole = meters.read_bytes()
    try:
        with forging(str(meters)) as forger:
            forger.execute("update records set readings = cast('[]' as blob) where sequence = 7")
            forger.execute("update records set hash = replace(hash, 'a', 'b') where sequence = 8")
            forger.execute("update records set line = substr(line, 2) where sequence = 9")
            forger.execute("delete from records where sequence = 10")
        assert faults(say, "--run", run) == [(place, "archive") for place in (7, 8, 9, 10)]
    finally:
        meters.write_bytes(whole)


def test_a_record_that_waits_in_the_runs_outbox_is_said_to(say, tmp_path: Path, node_url: str):
    run = settled_run(tmp_path / "run", node_url)
    block = read_run(run).settlement
    assert block is not None
    with Outbox(run / "outbox.sqlite", run=block["run_id"]) as outbox:
        signer = read_key_file(run / SITE_KEY, network=block["identities"]["ledger"])
        whose = Whose(site=SITE_NAME, run=block["run_id"], begins="2018-11-25T00:00:00+01:00")
        with Anchorer(run / "meters.sqlite", signer, whose, Stalled(outbox)) as anchorer:
            anchorer.add([(7 * SLOT_MS, readings(7))])
    code, out, _ = say("meter", "verify", "--run", str(run))
    assert (code, out) == (1, "record 6: it is not on the ledger yet, it waits in the run's outbox\n")


class Stalled(SqliteLedger):
    """Where an anchorer's records are written down while nobody hands them in."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__(None)
        self._outbox = outbox

    def keep(self, anchors: Sequence[Anchor]) -> None:
        self._outbox.owe(anchors, lambda _account, _key: b"", 0)

    def is_anchored(self, anchor: Anchor) -> bool:
        return anchor in self.anchored(anchor.site)

    def anchored(self, site: str, *, run: str | None = None, first: int = 0, last: int | None = None) -> list[Anchor]:
        del site, run, first, last
        return []


# -- attacks ----------------------------------------------------------------------------------------------------------


def test_a_chain_that_was_cut_at_both_ends_is_not_all_as_signed(say, tmp_path: Path):
    """Ledger and archive cut alike agree with each other: what the run says it wrote tells."""
    run = str(settled_run(tmp_path / "run", STREET))
    for file, table in (("street.sqlite", "anchors"), (f"{run}/meters.sqlite", "records")):
        with forging(file) as forger:
            forger.execute(f"delete from {table} where sequence in (0, 5)")
    assert {(0, "archive"), (5, "archive")} <= set(faults(say, "--run", run))
    assert "record 5: it is missing (in the archive)" in say("meter", "verify", "--run", run)[1]
    assert [place for place, _ in faults(say, "--ledger", STREET)] == [0]


def test_another_sites_archive_is_foreign_and_not_so_many_missing_records(say, tmp_path: Path):
    run, other = (settled_run(tmp_path / name, f"sqlite:{name}.sqlite") for name in ("run", "other"))
    shutil.copy(other / "meters.sqlite", run / "meters.sqlite")
    code, out, err = say("meter", "verify", "--run", str(run))
    assert (code, out, err.count("\n"), "is foreign: an archive of" in err) == (2, "", 1, True), err


def test_a_runs_records_are_checked_by_its_own_key_also_where_its_archive_is_gone(say, tmp_path: Path):
    run = settled_run(tmp_path / "run", STREET)
    (run / "meters.sqlite").rename(tmp_path / "away.sqlite")
    code, out, _ = say("meter", "verify", "--run", str(run))
    assert (code, f"{run / 'meters.sqlite'} is gone" in out, "Note" in out) == (1, True, False), out
    about = json.loads((run / "run.json").read_text())
    about["settlement"]["public_key"] = "ab" * 32
    (run / "run.json").write_text(json.dumps(about))
    assert [place for place, _ in faults(say, "--run", str(run))] == list(range(6))
    (tmp_path / "away.sqlite").rename(run / "meters.sqlite")
    code, out, err = say("meter", "verify", "--run", str(run))
    assert (code, out, "is the archive of another key" in err) == (2, "", True), err


def test_records_of_another_run_under_the_same_key_are_foreign(say, tmp_path: Path):
    run = settled_run(tmp_path / "run", STREET)
    block = read_run(run).settlement
    assert block is not None
    signer, previous = read_key_file(run / SITE_KEY), "00" * 32
    with forging("street.sqlite") as forger:
        for slot in range(5):
            period = (slot * SLOT_MS, (slot + 1) * SLOT_MS)
            forged = seal(signer, Whose(site=SITE_NAME, run="ab" * 16), slot, previous, period, (), Detail.FULL)
            previous = hash_of(forged)
            forger.execute(
                "update anchors set content = deflate(?) where sequence = ?", (forged.content.decode(), slot)
            )
    out = say("meter", "verify", "--run", str(run))[1].splitlines()
    assert out == ["records 0 to 4, each: it is foreign: of run abababab"]


def test_another_runs_ledger_is_named_in_one_line(say, tmp_path: Path):
    run, other = (settled_run(tmp_path / name, f"sqlite:{name}.sqlite") for name in ("run", "other"))
    named = [str((read_run(one).settlement or {})["run_id"])[:8] for one in (other, run)]
    code, out, err = say("meter", "verify", "--run", str(run), "--ledger", "sqlite:other.sqlite")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"holds the records of run {named[0]}, not of this run, {named[1]}" in err


def test_garbage_in_taken_places_from_the_sites_own_wallet_is_named(say, tmp_path: Path, node_url: str):
    run = settled_run(tmp_path / "run", node_url)
    block = read_run(run).settlement
    assert block is not None
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.iota_adapter import IotaAdapter
    from wattswap.ledger.iota_keys import SeededWallets

    with IotaClient(node_url) as client:
        adapter = IotaAdapter(client, SeededWallets(block["wallets_seed"]), ANCHORS)
        garbage = Anchor(site=SITE_NAME, sequence=3, content=b"garbage")
        adapter.submit(adapter.sign([garbage], adapter.read(), b""))
    code, out, _ = say("meter", "verify", "--run", str(run))
    assert (code, out) == (1, "record 3: it is duplicated: another record was anchored in its place after it\n")


def test_a_record_far_beyond_all_others_stops_nobody(say, tmp_path: Path):
    run = str(settled_run(tmp_path / "run", STREET))
    with forging("street.sqlite") as forger:
        forger.execute("update anchors set sequence = 4000000000000000000 where sequence = 5")
    for words in (("verify",), ("list",)):
        code, out, err = say("meter", *words, "--run", run)
        assert (code, out, "record 4000000000000000000" in err) == (2, "", True)


def test_another_key_than_the_sites_is_found_in_every_record(say, tmp_path: Path):
    settled_run(tmp_path / "run", STREET)
    assert [place for place, _ in faults(say, "--ledger", STREET, "--public-key", "ab" * 32)] == list(range(6))


# -- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("verify",), "say where"),
        (("verify", "--run", "nowhere"), "no such run directory"),
        (("verify", "--run", "memory"), "kept no meter records"),
        (("list", "--ledger", "sqlite:none"), "there is no such file"),
        (("list", "--ledger", STREET, "--site", "dema"), "the nearest is 'demo'"),
        (("list", "--run", "run", "--site", "dema"), "there is 'demo'"),
        (("verify", "--ledger", STREET, "--public-key", "12"), "no public key"),
        (("verify", "--run", "run", "--public-key", "ab" * 32), "the archive of another key"),
        (("verify", "--proof", "none.json"), "No such file"),
        (("verify", "--proof", "run/run.json"), "no proof of a reading"),
        (("verify", "--ledger", "http://127.0.0.1:9/graphql"), "--address"),
        (("verify", "--ledger", "http://127.0.0.1:9/graphql", "--address", "0x" + "ab" * 32), "127.0.0.1:9"),
    ],
)
def test_bad_input_is_one_line(say, tmp_path: Path, words, what):
    settled_run(tmp_path / "run", STREET)
    memory_run(tmp_path / "memory")
    code, out, err = say("meter", *words)
    assert (code, out, err.count("\n"), what in err) == (2, "", 1, True), err


def test_a_node_of_another_chain_is_no_missing_record(say, node_url, tmp_path: Path):
    with local_node() as (url, _):
        run = str(settled_run(tmp_path / "run", url))
    code, out, err = say("meter", "verify", "--run", run, "--ledger", node_url)
    assert (code, out, "settled on chain" in err) == (2, "", True)


# -- without our software ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_records_on_a_network_are_read_with_curl_as_the_page_shows(say, node_url, tmp_path: Path):
    """The line on the page, with this node and this site instead of those it names."""
    run = str(settled_run(tmp_path / "run", node_url, detail=Detail.FULL))
    told = json.loads(say("meter", "list", "--run", run, "--json")[1])
    [shown] = [block.text for block in blocks(DOCS / "wallets.md") if block.kind == "bash"]
    script = re.sub(r"NODE=\S+", f"NODE={node_url}", re.sub(r"SITE=\S+", f"SITE={told['address']}", shown))
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    lines = done.stdout.splitlines()
    assert lines
    last = json.loads(lines[-1])
    assert last["record"]["sequence"] == 5
    assert [one["meter"] for one in last["record"]["readings"]] == ["c0", "c1", "c2"]
    assert blake2b(lines[-1], digest_size=32).hexdigest() == told["records"][5]["hash"]


def test_the_checker_on_the_page_needs_none_of_our_software_and_finds_what_is_wrong(say, tmp_path: Path):
    """At most 40 lines of plain Python with hashlib and PyNaCl; whoever reads the page can write it again."""
    [checker] = [block for block in blocks(DOCS / "records.md") if block.file == "check.py"]
    assert sum(bool(line) for line in checker.text.splitlines()) <= 40, "blank lines between its parts not counted"
    assert "wattswap." not in checker.text
    (tmp_path / "check.py").write_text(checker.text)
    run = settled_run(tmp_path / "run", STREET)
    say("meter", "proof", "c1", "--at", SLOT_5, "--run", str(run), "--out", "mine.json")
    key = read_key_file(run / SITE_KEY).public_key.hex()

    def check(*words: str, by: str = key) -> int:
        command = [sys.executable, "-I", "check.py", "street.sqlite", by, *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert len(done.stderr.splitlines()) <= (done.returncode != 0), done.stderr
        return done.returncode

    assert check("mine.json") == 0
    text = (tmp_path / "mine.json").read_text()
    for there, forged in (("450000", "450001"), ('"index": 1', '"index": 0'), ('"sequence": 4', '"sequence": 3')):
        assert there in text
        (tmp_path / "forged.json").write_text(text.replace(there, forged))
        assert check("forged.json") != 0
    whole = (tmp_path / "street.sqlite").read_bytes()
    for harm in (
        "update anchors set content = deflate(replace(inflate(content), ':3,', ':4,')) where sequence = 2",
        "delete from anchors where sequence = 2",
        "delete from anchors where sequence = 0",
        "update anchors set content = (select content from anchors where sequence = 1) where sequence = 2",
        "update anchors set content = x'00' where sequence = 5",
        "delete from anchors",
    ):
        with forging("street.sqlite") as forger:
            forger.execute(harm)
        assert check() != 0, harm
        (tmp_path / "street.sqlite").write_bytes(whole)
    assert check(by="ab" * 32) == 1
    with forging("street.sqlite") as forger:  # of a second site that shares the ledger and the key
        forger.execute("update anchors set site = 'another' where sequence = 5")
    assert check() == 1, "its first record is not its sixth"
    (tmp_path / "street.sqlite").write_bytes(whole)
    assert check() == 0
