"""Somebody alters an outbox with SQL: the ledger says what was paid, so nothing is paid twice, whatever it says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from tests.ledger.altered import AlteredOutbox

TOLD = "transactions were not in the outbox as they are on the ledger"


@pytest.fixture(scope="module", params=[True, False], ids=["drained", "half drained"])
def altered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AlteredOutbox:
    return AlteredOutbox(tmp_path_factory.mktemp("altered"), drained=request.param)


@pytest.fixture
def paid(tmp_path: Path) -> AlteredOutbox:
    """All is paid."""
    return AlteredOutbox(tmp_path, drained=True)


def settled_again(place: AlteredOutbox, *statements: str) -> tuple[list[str], str]:
    """What is wrong, and what is told, of a settlement after these statements."""
    with closing(sqlite3.connect(place.path)) as file, file:
        for statement in statements:
            file.execute(statement)
    return place.outcome(None)


def test_whatever_one_value_becomes_nothing_is_paid_twice_nor_silently_left_unpaid(
    altered: AlteredOutbox,
) -> None:
    """Each item owed again, and forty of all other changes: all 7,000 take minutes."""
    changes = altered.changes()
    owed_again = [change for change in changes if change[:1] + change[2:] == ("items", "batch", None)]
    for change in (*owed_again, *Random(14).sample(changes, 40)):
        assert altered.outcome(change)[0] == [], change


@pytest.mark.parametrize("key", ["reward/r1", "anchor/street/1"])
def test_one_of_several_payments_of_a_batch_that_is_owed_again_is_paid_already(paid: AlteredOutbox, key: str) -> None:
    wrong, told = settled_again(paid, f"UPDATE items SET batch = NULL WHERE key = '{key}'")
    assert (wrong, f"1 of its {TOLD}" in told) == ([], True)


def test_an_outbox_that_forgot_all_it_has_paid_learns_it_from_the_ledger(paid: AlteredOutbox) -> None:
    forget = ("UPDATE items SET batch = NULL", "DELETE FROM coins", "DELETE FROM batches")
    wrong, told = settled_again(paid, *forget)
    assert (wrong, f"2 of its {TOLD}" in told) == ([], True)


def test_what_was_never_paid_and_is_said_to_be_is_paid(tmp_path: Path) -> None:
    place = AlteredOutbox(tmp_path, drained=False)
    final = "SELECT batch FROM batches WHERE state = 'FINAL' AND account = 'site'"
    assert settled_again(place, f"UPDATE items SET batch = ({final}) WHERE batch IS NULL AND account = 'site'")[0] == []


def test_an_item_that_is_gone_is_written_down_again_from_the_book_and_said(paid: AlteredOutbox) -> None:
    wrong, told = settled_again(paid, "DELETE FROM items WHERE key = 'reward/r2'")
    assert (wrong, "missing in the outbox, and written down again from the book: 1 of its payments" in told) == (
        [],
        True,
    )


def test_the_book_says_how_much_is_owed(tmp_path: Path) -> None:
    place = AlteredOutbox(tmp_path, drained=False)
    wrong, told = settled_again(place, "UPDATE items SET nanos = nanos + 1 WHERE key = 'reward/r5'")
    assert (wrong, "the book and what is owed differ" in told) == ([], True)
