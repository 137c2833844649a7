"""What agents and sites signed is checked by the page itself, in the browser's own crypto."""

from __future__ import annotations

import json
import sqlite3
import zlib
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pytest
from tests import smalltown
from tests.dashboard.browser import MISSING, Browser
from tests.dashboard.finished_demo import show
from tests.dashboard.histories import history_of

from wattswap.experiments.api import run
from wattswap.experiments.dashboard.finished import finished_run
from wattswap.experiments.dashboard.readings import MOST_RECORDS, signed_records
from wattswap.experiments.dashboard.serving import served
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import message_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def crypto(window: Browser, expression: str) -> Any:
    """What an expression of the page's crypto module comes to."""
    script = f"const done = arguments[0]; import('./crypto.js').then(async (c) => done(await ({expression})))"
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


def test_a_record_that_was_altered_is_named_and_so_is_the_one_after_it(window, address, signed):
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
    window.open(f"{address}#readings")
    window.until("document.body.dataset.tick > 0")
    show(window, LAST)
    window.until("document.querySelectorAll('tbody .bad').length == 2")
    assert window.js("return document.querySelector('h2').textContent").startswith("2 of these")
    with archive:
        archive.execute("UPDATE records SET line = ? WHERE sequence = ?", (line, last - 1))
    archive.close()


def test_a_receipt_is_checked_and_one_of_another_author_is_not_believed(window, address):
    window.open(f"{address}#rounds")
    window.until("document.querySelectorAll('tbody a').length > 0")
    window.js("document.querySelector('tbody a').click()")
    window.until("document.getElementById('whose')")
    window.js("[...document.querySelectorAll('button')].find(one => one.textContent == 'All steps').click()")
    receipt = "[...document.querySelectorAll('.steps li')].find(one => one.innerText.includes('has paid'))?.innerText"
    assert window.until(f"{receipt}.includes('signed by transformer, checked here')")
    step = crypto(
        window,
        "fetch(`transcript/0/${location.hash.split('/')[1]}`).then((answer) => answer.json())"
        ".then((steps) => steps.find((one) => one.kind == 'Receipt').signed)",
    )
    sound = f"c.signedBy('{step['public_key']}', c.unhex('{step['payload']}'), '{step['signature']}', 'local')"
    assert crypto(window, sound) is True
    assert crypto(window, sound.replace(step["payload"], step["payload"][:-2] + "00")) is False
    assert crypto(window, sound.replace(step["public_key"], "00" * 32)) is False
    assert crypto(window, sound.replace("'local'", "'another'")) is False


def test_a_run_without_records_says_so(tmp_path):
    with pytest.raises(InputError, match="keeps no meter records; a run with --ledger"):
        signed_records(tmp_path)
