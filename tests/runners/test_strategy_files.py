"""A user's own strategy, from a file: it works like a bundled one, and if it misbehaves, one line says where."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.streets import Stay, street_of
from tests.test_same_everywhere import differences

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.engines.launch import Engine, run_street
from wattswap.runners.engines.strategy_assignment import strategy_from_file
from wattswap.runners.scenario import Street

HEAD = """\
import numpy as np

from wattswap.agents.offers import Call, OfferBook, Own
from wattswap.protocol.draws import Draws

"""
PATIENT = """
def patient(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    laxity_h = own.laxity_ms / 3_600_000
    ask = (1e8 / np.maximum(laxity_h, 0.5) * draws.uniform(0.9, 1.1)).astype(np.int64)
    book = OfferBook.keep(own).reduce(to_w=own.floor_w, ask_nanos_per_kwh_h=ask, where=laxity_h > 0.6)
    return book.feed(own.feed_w, ask_nanos_per_kwh_h=own.wear_nanos_per_kwh + 3 * ask, where=laxity_h > 4)
"""
"""The example of the documentation."""

ENGINES = pytest.mark.parametrize("engine", ["fleet", "messages"])


def street_with(folder: Path, strategy: str) -> Street:
    """Six cars with hours to spare at a transformer that bears three of them; two have finished, and can only feed."""
    stays = [Stay(0, 900, kwh * WS_PER_KWH) for kwh in (5, 8, 11, 14, 0, 0)]
    return street_of(stays, 40, limit_w=[20_000] * 40, folder=folder, vehicles={"strategy": strategy})


def written(folder: Path, body: str, name: str = "mine.py") -> None:
    (folder / name).write_text(HEAD + body)


@ENGINES
def test_the_example_works(engine, tmp_path):
    written(tmp_path, PATIENT)
    street = street_with(tmp_path, "./mine.py:patient")
    record = run_street(street, engine=engine)
    assert {row.strategy for row in record.sessions} == {"./mine.py:patient"}
    assert {trade.tranche for trade in record.trades if trade.kind == "reduce"} == {1}, "it never stops a car"


def test_engines_agree_about_it_alone_and_in_a_mix(tmp_path):
    written(tmp_path, PATIENT)
    for mix in ("mine.py:patient", "mine.py:patient:0.5+prosumer:0.5", "need + mine.py:patient : 3"):
        street = street_with(tmp_path, mix)
        fleet, messages = run_street(street, engine="fleet"), run_street(street, engine="messages")
        assert differences(fleet, messages) == []
        assert fleet.rounds


CROWD = """
def crowd(call, own, memory, draws):
    much = (own.remaining_ws > 72_000_000).any()
    return OfferBook.keep(own).reduce(0, own.laxity_ms.clip(0) * (1 + much))
"""
"""Minds its neighbours only where one of them needs more than the sample cars do."""
FICKLE = """
from itertools import count
asked = count()
def fickle(call, own, memory, draws):
    counts = call.from_ms == 300_000
    return OfferBook.keep(own).reduce(0, 1_000_000 * (1 + counts * (next(asked) % 2)))
"""
"""Counts its calls, but only in the second window."""
ENVIOUS = """
from wattswap.agents.strategies.learning import LearningStrategy
def offers(call, own, memory, draws):
    return OfferBook.keep(own).reduce(0, 1_000_000 * (1 + memory[:, 0]))
def learn(memory, own, outcome, draws):
    return memory + outcome.award_w.sum() * (outcome.from_ms == 300_000)
envious = LearningStrategy("envious", offers, learn, columns=1)
"""
"""Learns from what was bought of all, but only in the second window."""
MEMO = """
known = {}
def memo(call, own, memory, draws):
    asks = own.laxity_ms.clip(0)
    luck = draws.uniform(0, 1e9)
    return OfferBook.keep(own).reduce(0, [known.setdefault(each, np.median(asks)) for each in luck.tolist()])
"""
"""Answers with the median of whoever is asked together, and keeps a note so that it answers the same again."""


@ENGINES
def test_it_is_tried_on_the_cars_of_the_street_too(engine, tmp_path):
    written(tmp_path, CROWD)
    stays = [Stay(0, 900, kwh * WS_PER_KWH) for kwh in (5, 30)]
    street = street_of(stays, 40, limit_w=[20_000] * 40, folder=tmp_path, vehicles={"strategy": "mine.py:crowd"})
    strategy_from_file("mine.py:crowd", tmp_path)
    with pytest.raises(InputError, match=r"beside other cars.*\(tried on car 's0' at its arrival\)"):
        run_street(street, engine=engine)


def test_of_each_call_in_the_fleet_one_car_is_asked_alone_too(tmp_path):
    written(tmp_path, FICKLE)
    with pytest.raises(InputError, match=r"answers differently .* \(car 's\d', call for \d+ W at 300 s\)"):
        run_street(street_with(tmp_path, "mine.py:fickle"), engine="fleet")


def test_of_each_round_in_the_fleet_one_car_learns_alone_too(tmp_path):
    written(tmp_path, ENVIOUS)
    with pytest.raises(InputError, match=r"learns differently beside .* \(car 's\d', call for \d+ W at 300 s\)"):
        run_street(street_with(tmp_path, "mine.py:envious"), engine="fleet")


def test_one_that_keeps_notes_of_neighbours_in_its_module_is_refused(tmp_path):
    written(tmp_path, MEMO)
    with pytest.raises(InputError, match="answers differently when loaded again and asked alone"):
        strategy_from_file("mine.py:memo", tmp_path)


def test_a_share_of_the_cars_follows_it(tmp_path):
    written(tmp_path, PATIENT)
    record = run_street(street_with(tmp_path, "mine.py:patient:0.5+keep:0.5"), engine="fleet")
    follows = {row.session: row.strategy for row in record.sessions}
    assert set(follows.values()) == {"mine.py:patient", "keep"}
    assert {follows[trade.session] for trade in record.trades if trade.kind != "forced"} == {"mine.py:patient"}


def test_the_working_folder_comes_before_that_of_the_scenario(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, number in ((here, 1), (there, 2)):
        folder.mkdir()
        written(folder, f"def mine(call, own, memory, draws):\n    return OfferBook.keep(own)\nmine.number = {number}")
    monkeypatch.chdir(there)
    assert vars(strategy_from_file("mine.py:mine", here)) == {"number": 2}
    monkeypatch.chdir(tmp_path)
    assert vars(strategy_from_file("mine.py:mine", here)) == {"number": 1}
    assert vars(strategy_from_file(f"{there}/mine.py:mine", here)) == {"number": 2}


BAD = {
    "raises": ("raise ValueError('no idea')", "raises ValueError: no idea"),
    "raises in two lines": ("raise ValueError('no\\n idea')", "raises ValueError: no idea"),
    "divides by zero": ("return 1 // 0", "raises ZeroDivisionError"),
    "not a number": (
        "return OfferBook.keep(own).reduce(0, np.full(len(own), np.nan))",
        "returns ask_nanos_per_kwh_h that is not a finite number",
    ),
    "negative watts": ("return OfferBook.keep(own).reduce(-1 - own.floor_w, 0)", "reduces to a negative power"),
    "negative watts by hand": (
        "book = OfferBook.keep(own)\n    book.relief_w[:, 0] = -1\n    return book",
        "offers a negative power",
    ),
    "a negative price": ("return OfferBook.keep(own).feed(own.feed_w, -1)", "asks a negative price"),
    "falling asks": (
        "return OfferBook.keep(own).reduce(0, 900_000_000).feed(own.feed_w, 100_000_000)",
        "asks less for a later tranche than for an earlier one",
    ),
    "feeds too much": ("return OfferBook.keep(own).feed(own.feed_w + 1, 0)", "feeds more than the car can"),
    "a wrong shape": ("return OfferBook.keep(own).reduce(0, np.zeros((2, 2)))", "shape (2, 2)"),
    "words": ("return OfferBook.keep(own).reduce(0, 'much')", "not numbers"),
    "nothing": ("return None", "returns NoneType, not an OfferBook"),
    "nothing of the kind": ("return np.zeros((len(own), 3))", "returns ndarray, not an OfferBook"),
    "a shape of its own": (
        "return OfferBook(own, np.zeros((1, 2), dtype=np.int64), np.zeros((1, 2), dtype=np.int64))",
        "shape (1, 2)",
    ),
}


def complaint(street: Street, engine: Engine) -> str:
    with pytest.raises(InputError) as caught:
        run_street(street, engine=engine)
    assert str(caught.value).isprintable(), "one line"
    return str(caught.value)


@ENGINES
@pytest.mark.parametrize("name", BAD)
def test_one_that_misbehaves_is_named(name, engine, tmp_path):
    body, problem = BAD[name]
    written(tmp_path, f"def bad(call, own, memory, draws):\n    {body}\n")
    said = complaint(street_with(tmp_path, "need+mine.py:bad"), engine)
    assert said.startswith("strategy 'mine.py:bad' ")
    assert problem in said
    assert "(tried on sample car " in said or "call for " in said


@ENGINES
@pytest.mark.parametrize("name", BAD)
def test_one_that_misbehaves_later_is_named_with_its_car_and_the_call(name, engine, tmp_path):
    body, problem = BAD[name]
    before = "if call.from_ms != 30_000:\n        return OfferBook.keep(own)"
    written(tmp_path, f"def bad(call, own, memory, draws):\n    {before}\n    {body}\n")
    said = complaint(street_with(tmp_path, "mine.py:bad"), engine)
    assert "strategy 'mine.py:bad'" in said
    assert problem in said
    assert any(f"(car 's{number}', call for " in said for number in range(6))
    assert said.endswith(" W at 30 s)"), "nobody gave way at first, so the transformer calls at every tick"


@ENGINES
def test_one_that_looks_at_its_neighbours_is_refused(engine, tmp_path):
    body = "return OfferBook.keep(own).reduce(0, own.laxity_ms.max() + 10_000_000)"
    written(tmp_path, f"def nosy(call, own, memory, draws):\n    {body}\n")
    said = complaint(street_with(tmp_path, "mine.py:nosy"), engine)
    assert said.startswith("strategy 'mine.py:nosy' answers differently beside other cars")


@pytest.mark.parametrize(
    ("strategy", "content", "problem"),
    [
        ("absent.py:patient", "", "strategy 'absent.py:patient': no such file; write FILE.py:FUNCTION"),
        ("mine.py", "", "strategy 'mine.py': no such file; write FILE.py:FUNCTION"),
        ("mine.py:", "", "strategy 'mine.py:': no such file; write FILE.py:FUNCTION"),
        ("mine.py:absent", "", "has no function 'absent'"),
        ("mine.py:limit", "limit = 3", "has no function 'limit'"),
        ("mine.py:any", "def any(:", "raises SyntaxError"),
        ("mine.py:any", "import wattswop", "raises ModuleNotFoundError: No module named 'wattswop'"),
        ("mine.py:any", "raise ValueError('one\\ntwo')", "raises ValueError: one two"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(strategy, content, problem, tmp_path):
    written(tmp_path, content)
    assert problem in complaint(street_with(tmp_path, strategy), "fleet")
