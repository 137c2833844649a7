"""A round told from a journal: from the call to the receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests import smalltown

from wattswap.experiments.api import Result, run
from wattswap.experiments.dashboard.transcript import Transcript, transcript
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.journal import STREET

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run("b250", day=7, settings=["reading_s=150"], journal="full", out=tmp_path_factory.mktemp("full") / "run")


def test_a_car_that_sold_said_what_the_table_has(told):
    trade = next(row for row in told.record.trades if row.kind == "reduce")
    assert told.out is not None
    steps = transcript(told.out, 0, trade.tick).steps
    station = next(row.station for row in told.record.sessions if row.session == trade.session)
    mine = [step for step in steps if f"charger/{station}" in (step.sender, step.to)]
    kinds = [step.kind for step in mine]
    order = [kinds.index(kind) for kind in ("ReliefCall", "Offer", "CappedOffer", "Award", "Delivery", "Receipt")]
    assert order == sorted(order)
    award = next(step for step in mine if step.kind == "Award")
    assert award.fields["award_w"][trade.tranche - 1] == trade.awarded_w
    assert all(step.at_ms >= trade.tick * 150_000 for step in steps)


def test_nothing_of_another_round_is_told(told):
    call = told.record.rounds[0]
    assert told.out is not None
    steps = transcript(told.out, 0, call.tick).steps
    assert {step.fields["tick"] for step in steps if step.kind == "ReliefCall"} == {call.tick}
    assert sum(step.kind == "ReliefCall" and step.sender == "transformer" for step in steps) == call.called
    assert transcript(told.out, 0, call.tick - 1) == Transcript([], None)
    assert transcript(told.out, 1, call.tick) == Transcript([], None)


def test_a_run_whose_journal_lacks_it_says_how_to_keep_it(tmp_path: Path):
    street = smalltown.found(tmp_path)
    run(street, out=tmp_path / "inputs")
    with pytest.raises(InputError, match="--journal full"):
        transcript(tmp_path / "inputs", 0, 220)
    run(street, engine="fleet", out=tmp_path / "fleet")
    with pytest.raises(InputError, match="no journal"):
        transcript(tmp_path / "fleet", 0, 220)


def test_a_journal_that_breaks_off_says_where(told, tmp_path: Path):
    assert told.out is not None
    last = told.record.rounds[-1].tick
    whole = (told.out / STREET).read_bytes()
    (tmp_path / STREET).parent.mkdir()
    (tmp_path / STREET).write_bytes(whole[: len(whole) // 2])

    torn = transcript(tmp_path, 0, last)

    assert torn.breaks_off_tick is not None
    assert torn.breaks_off_tick < last
    assert torn.steps == []
