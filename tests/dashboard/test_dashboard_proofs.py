"""What agents and sites signed is checked by the page itself, in the browser's own crypto."""

from __future__ import annotations

import json
import sqlite3
import zlib
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs
from pyarrow import parquet
from tests import smalltown
from tests.dashboard.browser import MISSING, Browser
from tests.dashboard.finished_demo import show
from tests.dashboard.histories import history_of

from wattswap.experiments.api import run
from wattswap.experiments.dashboard import looked_up
from wattswap.experiments.dashboard.finished import finished_run
from wattswap.experiments.dashboard.readings import MOST_RECORDS, SignedRecords, signed_records
from wattswap.experiments.dashboard.serving import served
from wattswap.experiments.dashboard.transcript import transcript
from wattswap.protocol.codec import seal
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import message_digest
from wattswap.protocol.messages import SEALED, Award, Delivery, Mandate, Offer, Receipt, ReliefCall, Tranche

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wattswap.experiments.dashboard.transcript import Step, Transcript

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"there is no {MISSING} here; Debian's package brings it")


TICK_MS = RECORD_MS = 300_000
LAST = 1_000_000
"""A tick after the end: the slider stops at the last one."""


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed run with records on a ledger, one every five minutes."""
    folder = tmp_path_factory.mktemp("signed")
    ledger = f"sqlite:{folder / 'street.sqlite'}"
    run(smalltown.found(folder), sign=True, journal="full", ledger=ledger, out=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def address(signed: Path) -> Iterator[str]:
    with served(finished_run(signed), "127.0.0.1", 0, run_dir=signed) as url:
        yield url


def crypto(window: Browser, expression: str, module: str = "crypto") -> Any:
    """What an expression of one of the page's modules comes to."""
    script = f"const done = arguments[0]; import('./{module}.js').then(async (c) => done(await ({expression})))"
    return window.ask("POST", "/execute/async", {"script": script, "args": []})


def test_the_pages_digest_is_the_projects(window, address):
    window.open(address)
    for length in (0, 1, 127, 128, 129, 700):
        data = bytes(number % 251 for number in range(length))
        found = crypto(window, f"c.hex(c.blake2b(c.unhex('{data.hex()}')))")
        assert found == blake2b(data, digest_size=32).hexdigest()
        assert (
            crypto(window, f"c.hex(c.digest(c.unhex('{data.hex()}'), 'local'))") == message_digest(data, "local").hex()
        )


def test_the_newest_records_are_sound_and_older_ones_can_be_asked_for(window, address, signed):
    count = signed_records(signed).count
    window.open(f"{address}#readings")
    window.until("document.body.dataset.tick > 0")
    show(window, LAST)
    window.until(f"document.querySelector('tbody td')?.textContent == '{count - 1}'")
    assert window.js("return document.querySelectorAll('tbody .good').length") == MOST_RECORDS
    assert f"{count} records of smalltown" in window.js("return document.body.innerText")
    window.js("document.getElementById('older').click()")
    window.until(f"document.querySelector('tbody td').textContent == '{count - MOST_RECORDS - 1}'")
    assert window.js("return document.querySelectorAll('tbody .bad').length") == 0
    assert window.complaints() == []


def test_a_moment_shows_the_records_that_were_signed_by_then(window, address, signed):
    window.open(f"{address}#readings")
    window.until("document.body.dataset.tick > 0")
    for tick in (200, 100, 20):
        until_ms = (tick + 1) * TICK_MS
        record = json.loads(signed_records(signed, until_ms=until_ms).lines[-1])["record"]
        assert record["to_ms"] <= until_ms < record["to_ms"] + RECORD_MS
        show(window, tick)
        window.until(f"document.querySelector('tbody td')?.textContent == '{record['sequence']}'")


def test_a_run_ahead_of_its_records_says_up_to_when_they_are(window, signed):
    history = history_of(4_000)
    assert history.head is not None
    records = [json.loads(line)["record"] for line in signed_records(signed).lines]
    assert records[-1]["to_ms"] + RECORD_MS < 4_000 * history.head.tick_ms
    with served(history, "127.0.0.1", 0, run_dir=signed) as url:
        window.open(f"{url}#readings")
        period = "document.getElementById('period')?.textContent"
        window.until(f"{period}?.endsWith('until Fri 09:19, nothing is signed yet.')")
        window.js("document.getElementById('older').click()")
        window.until(f"{period}.endsWith('until {_clock(records[0]['to_ms'])}.')")


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%a %H:%M:%S}"


def test_a_record_that_was_altered_is_named_and_so_is_the_one_after_it(window, signed):
    last = signed_records(signed).count - 1
    archive = sqlite3.connect(signed / "meters.sqlite")
    with archive:
        dictionary, line = archive.execute(
            "SELECT dictionary, line FROM site, records WHERE sequence = ?", (last - 1,)
        ).fetchone()
        inflate = zlib.decompressobj(zdict=dictionary) if dictionary else zlib.decompressobj()
        content = inflate.decompress(line)
        deflate = zlib.compressobj(zdict=dictionary) if dictionary else zlib.compressobj()
        altered = deflate.compress(content.replace(b'"count":9', b'"count":8')) + deflate.flush()
        archive.execute("UPDATE records SET line = ? WHERE sequence = ?", (altered, last - 1))
    with served(finished_run(signed), "127.0.0.1", 0, run_dir=signed) as url:  # one that has read nothing before
        window.open(f"{url}#readings")
        window.until("document.body.dataset.tick > 0")
        show(window, LAST)
        window.until("document.querySelectorAll('tbody .bad').length == 2")
        assert window.js("return document.querySelector('h2').textContent").startswith("2 of these")
    with archive:
        archive.execute("UPDATE records SET line = ? WHERE sequence = ?", (line, last - 1))
    archive.close()


MESSAGES = (
    Mandate(1 << 51, "S1/ü", 90_000_000, 22_000, "car-1", None),
    ReliefCall(0, 2_880, 120_000, -1, 1_700_000_000_000, 5),
    Offer(1, 7, 3, (Tranche(4_000, 250_000_000), Tranche(70_000, 1 << 40))),
    Award(0, 200, 9, 300_000, (0, 4_000, 0), (0, 123_456_789, 0), 36_000),
    Delivery(0, 200, 9, (0, 4_000_000, 0), 70_000, 300, 1 << 33),
    Receipt(0, 200, 9, 987_654_321),
)
"""One of each kind that travels sealed, with numbers of every length on the wire."""


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_the_page_reads_signed_bytes_as_agents_do(window, address, message):
    assert {type(one) for one in MESSAGES} == set(SEALED)
    window.open(address)
    found = crypto(
        window, f"c.opened((await import('./crypto.js')).unhex('{seal(message).payload.hex()}'))", "messages"
    )
    names = message.__struct_fields__
    said = json.loads(msgspec.json.encode({name: getattr(message, name) for name in names}))
    if isinstance(message, Offer):
        said["tranches"] = [dict(zip(Tranche.__struct_fields__, one, strict=True)) for one in said["tranches"]]
    assert found == {"kind": type(message).__name__, "fields": said}


def test_what_is_shown_of_a_record_is_what_was_signed(window, monkeypatch, signed):
    """Whatever a line says beside it: here it has a second record, that of the last key that JSON counts."""

    def forged(run_dir: Path, **asked: int) -> SignedRecords:
        found = signed_records(run_dir, **asked)
        record = {**json.loads(found.lines[-1])["record"], "count": 1_234}
        return structs.replace(
            found, lines=[*found.lines[:-1], f'{found.lines[-1][:-1]},"record":{json.dumps(record)}}}']
        )

    monkeypatch.setattr(looked_up, "signed_records", forged)
    with served(finished_run(signed), "127.0.0.1", 0, run_dir=signed) as url:
        window.open(f"{url}#readings")
        newest = "document.querySelector('tbody tr')?.innerText"
        shown = window.until(newest)
    assert "1234" not in shown
    assert "signed, in order" in shown


def test_bytes_that_are_no_message_are_none(window, address):
    window.open(address)
    sound = seal(MESSAGES[-1]).payload
    for payload in (
        b"",
        b"\x92\x01",
        sound[:-1],
        sound + b"\x00",
        b"\x92\x02" + sound[2:],
        b"\x92\x01\x91\x07",
        b"\xc3",
    ):
        read = (
            f"Promise.resolve({list(payload)}).then((one) => c.opened(Uint8Array.from(one)).kind).catch(() => 'none')"
        )
        assert crypto(window, read, "messages") == "none", payload.hex()


STEPS = "[...document.querySelectorAll('.steps li')].map(one => one.innerText)"


def open_newest_round(window: Browser, url: str) -> int:
    """Show all steps of a round's first seller, and its tick."""
    window.open(f"{url}#rounds")
    window.until("document.body.dataset.tick > 0")
    show(window, LAST)
    tick = int(window.until("document.querySelector('tbody a')?.hash").split("/")[1])
    window.js(f"location.hash = 'round/{tick}'")
    window.until("document.getElementById('whose')")
    window.js("[...document.querySelectorAll('button')].find(one => one.textContent == 'All steps').click()")
    return tick


def test_what_a_charger_relays_is_checked_as_its_car_signed_it(window, monkeypatch, signed):
    """Whatever the server says of it: that offers are of 777 kW, and that counts are of others."""

    def forged(run_dir: Path, feeder: int, tick: int) -> Transcript:
        def step_as_told(step: Step) -> Step:
            if step.kind == "CappedOffer":
                return structs.replace(step, fields={**step.fields, "offer": {"tranches": [{"relief_w": 777_000}]}})
            if step.kind == "WitnessedDelivery":
                return structs.replace(
                    step,
                    inside={**step.inside, "charger": step.inside["vehicle"]}
                    | {"vehicle": structs.replace(step.inside["vehicle"], signature=step.inside["charger"].signature)},
                )
            return step

        told = transcript(run_dir, feeder, tick)
        return structs.replace(told, steps=[step_as_told(step) for step in told.steps])

    monkeypatch.setattr(looked_up, "transcript", forged)
    with served(finished_run(signed), "127.0.0.1", 0, run_dir=signed) as url:
        tick = open_newest_round(window, url)
        offer = window.until(
            f"{STEPS}.find(text => text.includes('passes the offer on') && text.includes('checked here'))"
        )
        count = window.until(
            f"{STEPS}.find(text => text.includes('beside its own') && text.includes('WRONG signature'))"
        )
    relayed = next(step for step in transcript(signed, 0, tick).steps if step.kind == "CappedOffer")
    assert "vehicle/" in relayed.inside["offer"].author
    assert "inside: the car's offer" in offer
    assert "777" not in offer
    assert count.count("checked here") == count.count("WRONG signature") == 1


def test_what_is_shown_of_a_signed_message_is_what_was_signed(window, monkeypatch, signed):
    """Whatever the server says beside it: here, that every receipt is an award and of a thousand tokens."""

    def forged(run_dir: Path, feeder: int, tick: int) -> Transcript:
        told = transcript(run_dir, feeder, tick)
        steps = [
            structs.replace(step, kind="Award", fields={**step.fields, "nanos": 1_000 * 10**9})
            if step.kind == "Receipt"
            else step
            for step in told.steps
        ]
        return structs.replace(told, steps=steps)

    monkeypatch.setattr(looked_up, "transcript", forged)
    with served(finished_run(signed), "127.0.0.1", 0, run_dir=signed) as url:
        tick = open_newest_round(window, url)
        receipt = window.until(f"{STEPS}.find(text => text.includes('has paid') && text.includes('checked here'))")
    signs = next(step for step in transcript(signed, 0, tick).steps if step.kind == "Receipt")
    assert signs.signed is not None
    assert f"signed with the key {signs.signed.public_key[:16]}…, checked here" in receipt
    assert "amount: 0." in receipt
    assert "1,000" not in receipt


def test_a_signature_of_another_key_of_other_bytes_or_for_another_network_is_not_believed(window, address, signed):
    window.open(address)
    call = next(row for row in parquet.read_table(signed / "rounds.parquet").to_pylist() if row["awarded_w"])
    step = next(one.signed for one in transcript(signed, 0, call["tick"]).steps if one.kind == "Receipt")
    assert step is not None
    sound = f"c.signedBy('{step.public_key}', c.unhex('{step.payload}'), '{step.signature}', 'local')"
    assert crypto(window, sound) is True
    assert crypto(window, sound.replace(step.payload, step.payload[:-2] + "00")) is False
    assert crypto(window, sound.replace(step.public_key, "00" * 32)) is False
    assert crypto(window, sound.replace("'local'", "'another'")) is False


def test_a_round_is_told_until_the_moment_that_is_shown(window, address, signed):
    tick = next(row["tick"] for row in parquet.read_table(signed / "rounds.parquet").to_pylist() if row["awarded_w"])
    window.open(f"{address}#round/{tick}")
    window.until("document.getElementById('whose')")
    show(window, tick)
    window.js("[...document.querySelectorAll('button')].find(one => one.textContent == 'All steps').click()")
    steps = "document.querySelector('.steps').innerText"
    window.until(f"{steps}.includes('calls for relief') && !{steps}.includes('has paid')")
    show(window, LAST)
    window.until(f"{steps}.includes('has paid')")
    assert "IOTA per kWh and hour" in window.js(f"return {steps}")
    show(window, tick)
    window.until(f"!{steps}.includes('has paid')")


def test_a_run_without_records_says_so(tmp_path):
    with pytest.raises(InputError, match="keeps no meter records; a run with --ledger"):
        signed_records(tmp_path)
