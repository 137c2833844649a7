"""An outbox whose process dies at every boundary there is; and designs that do not survive it."""

from __future__ import annotations

import random

import pytest
from tests.ledger.crashing import Boundaries, one_life
from tests.ledger.fake_chain import Faults
from tests.ledger.outbox_place import DEBTS, OWED, OutboxPlace, audit, live, settle
from tests.ledger.wrong_designs import PayFirst, Rebuild

from wattswap.ledger.outbox import Outbox
from wattswap.ledger.submitter import Submitter

# -- every crash point ------------------------------------------------------------------------------------------------


def lives(place: OutboxPlace, deaths: list[int], submitter: type[Submitter] = Submitter) -> list[str]:
    """Die at each of these boundaries, one life after the other, then live on; what the audit finds."""
    for fatal in deaths:
        if not one_life(place.outbox, place.lane, Boundaries(fatal), live, submitter):
            break
    assert not one_life(place.outbox, place.lane, Boundaries(), live, submitter)
    return audit(place)


def boundaries_of(faults: Faults | None = None) -> list[str]:
    """The names of all boundaries of one undisturbed life."""
    place, all_of_them = OutboxPlace(faults), Boundaries()
    one_life(place.outbox, place.lane, all_of_them, live)
    place.close()
    return all_of_them.names


def test_the_boundaries_cover_every_step() -> None:
    names = set(boundaries_of())
    inserts = {f"INSERT INTO {table}" for table in ("items", "batches", "coins")}
    for step in inserts | {"UPDATE items SET", "UPDATE batches SET", "COMMIT"}:
        assert {f"before {step}", f"after {step}"} <= names
    for call in ("read", "sign", "submit", "sent"):
        assert {f"before {call}", f"after {call}"} <= names


def test_a_death_at_any_boundary_costs_and_creates_nothing() -> None:
    for fatal in range(len(boundaries_of())):
        place = OutboxPlace()
        assert lives(place, [fatal]) == [], f"died at boundary {fatal}"
        place.close()


@pytest.mark.parametrize("seed", range(3))
def test_nor_does_one_while_answers_are_lost_and_transactions_late(seed: int) -> None:
    weather = {"lost": 0.2, "unheard": 0.3, "late": 0.1, "abort": 0.1}
    for fatal in range(0, len(boundaries_of(Faults(seed, **weather))), 2):
        place = OutboxPlace(Faults(seed, **weather))
        assert lives(place, [fatal + seed % 2]) == [], f"died at boundary {fatal + seed % 2}"
        place.close()


def two_deaths(chosen: list[tuple[int, int]]) -> None:
    for first, second in chosen:
        place = OutboxPlace(Faults(first, unheard=0.5))
        assert lives(place, [first, second]) == [], f"died at boundaries {first} and {second}"
        place.close()


def test_nor_do_two_deaths_the_second_perhaps_while_reconciling() -> None:
    count = len(boundaries_of())
    luck = random.Random(1)
    two_deaths([(luck.randrange(count), luck.randrange(40)) for _ in range(120)])


@pytest.mark.long
def test_nor_do_any_two_deaths() -> None:
    count = len(boundaries_of())
    two_deaths([(first, second) for first in range(count) for second in range(count)])


def restored(fatal: int | None) -> list[str]:
    """Restore a backup, die at a boundary while it is compared with the ledger, live on; the boundaries passed."""
    place, backup = OutboxPlace(), Outbox(None)
    submitter = place.submitter()
    submitter.owe(DEBTS[:1])
    settle(submitter)
    submitter.owe(DEBTS[1:2])
    place.outbox._database._connection.backup(backup._database._connection)
    live(submitter)
    place.outbox.close()
    place.outbox = backup
    boundaries = Boundaries(fatal)
    if one_life(backup, place.lane, boundaries, live):
        one_life(backup, place.lane, Boundaries(), live)
    assert {payee: place.chain.received()[payee] for payee in OWED} == OWED, f"died at boundary {fatal}"
    assert backup.unsettled == 0
    assert len([text for text in backup.alarms if "not in the outbox as" in text]) >= (fatal is None)
    place.close()
    return boundaries.names


def test_nor_does_one_while_a_restored_backup_is_compared_with_the_ledger() -> None:
    names = restored(None)
    assert "after INSERT INTO batches" in names
    for fatal in range(len(names)):
        restored(fatal)


# -- designs that are wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", [PayFirst, Rebuild])
def test_the_same_audit_catches_designs_that_are_wrong(design: type[Submitter]) -> None:
    caught, count = 0, 40
    for fatal in range(count):
        place = OutboxPlace(Faults(fatal, unheard=0.3))
        caught += bool(lives(place, [fatal], design))
        place.close()
    assert caught > count // 10, f"{caught} of {count}"
