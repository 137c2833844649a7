"""Strategies that an installed package provides: found by name and tried like a user's own.

Each test lays a package beside its ``.dist-info`` on the path, which is what pip leaves behind.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.runners.test_strategy_files import HEAD, PATIENT, complaint, street_with
from tests.test_same_everywhere import differences

from wattswap.agents.strategies import BUNDLED
from wattswap.runners.engines import strategy_assignment
from wattswap.runners.engines.launch import run_street
from wattswap.runners.engines.strategy_assignment import installed_strategies


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages. What is imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def install(site: Path, package: str, points: str, body: str = PATIENT) -> None:
    """A package of one module, as pip would leave it."""
    (site / f"{package}.py").write_text(HEAD + body)
    about = site / f"{package}-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[wattswap.strategies]\n{points}\n")


def test_a_package_provides_a_strategy_under_a_name_of_its_own(site, tmp_path):
    install(site, "waiting_cars", "unhurried = waiting_cars:patient")
    street = street_with(tmp_path, "unhurried:0.5+prosumer:0.5")
    fleet, messages = run_street(street, engine="fleet"), run_street(street, engine="messages")
    assert differences(fleet, messages) == []
    assert {row.strategy for row in fleet.sessions} == {"unhurried", "prosumer"}


def test_nothing_is_looked_up_while_bundled_names_will_do(tmp_path, monkeypatch):
    def refuse(**_):
        raise AssertionError("packages were searched")

    monkeypatch.setattr(strategy_assignment, "entry_points", refuse)
    (tmp_path / "mine.py").write_text(HEAD + PATIENT)
    run_street(street_with(tmp_path, f"{'+'.join(BUNDLED)}+mine.py:patient"), engine="fleet")


def test_looking_up_imports_nothing(site):
    install(site, "waiting_cars", "unhurried = waiting_cars:patient", "raise SystemExit('imported')")
    assert "unhurried" in installed_strategies()
    assert "waiting_cars" not in sys.modules


def test_no_package_takes_the_place_of_a_bundled_strategy(site, tmp_path):
    install(site, "usurper", "need = usurper:patient")
    street = street_with(tmp_path, "need")
    assert run_street(street, engine="fleet").trace_hash() == run_street(street, engine="messages").trace_hash()
    assert "usurper" not in sys.modules


def test_an_unknown_name_lists_what_is_installed_beside_what_is_bundled(site, tmp_path):
    install(site, "waiting_cars", "unhurried = waiting_cars:patient\nlazy = waiting_cars:patient")
    said = complaint(street_with(tmp_path, "unhuried"), "fleet")
    assert said.startswith("unknown strategy 'unhuried'; the nearest is 'unhurried' (bundled: need, ")
    assert "; installed: lazy, unhurried; or FILE.py:FUNCTION)" in said


BAD = {
    "module is not there": (
        "bad = absent_module:patient",
        PATIENT,
        "strategy 'bad' of broken 1.2 raises ModuleNotFoundError",
    ),
    "function is not there": ("bad = broken:absent", PATIENT, "strategy 'bad' of broken 1.2 raises AttributeError"),
    "module raises": (
        "bad = broken:patient",
        "raise ValueError('one\\ntwo')",
        "strategy 'bad' of broken 1.2 raises ValueError: one two",
    ),
    "no function": ("bad = broken:number", "number = 3", "strategy 'bad' of broken 1.2: broken:number is no function"),
    "looks at its neighbours": (
        "bad = broken:nosy",
        "def nosy(call, own, *_):\n    return OfferBook.keep(own).reduce(0, own.laxity_ms.max() + 10_000_000)\n",
        "strategy 'bad' answers differently beside other cars",
    ),
    "returns nothing": (
        "bad = broken:silent",
        "def silent(call, own, memory, draws):\n    return None\n",
        "strategy 'bad' returns NoneType, not an OfferBook",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_one_that_cannot_be_used_is_named_in_one_line(name, site, tmp_path):
    points, body, problem = BAD[name]
    install(site, "broken", points, body)
    assert complaint(street_with(tmp_path, "need+bad"), "fleet").startswith(problem)


def test_one_that_misbehaves_later_is_named_with_its_car_and_the_call(site, tmp_path):
    body = (
        "def fickle(call, own, memory, draws):\n"
        "    return OfferBook.keep(own) if call.from_ms != 30_000 else OfferBook.keep(own).feed(own.feed_w, -1)\n"
    )
    install(site, "broken", "fickle = broken:fickle", body)
    said = complaint(street_with(tmp_path, "fickle"), "fleet")
    assert said.startswith("strategy 'fickle' asks a negative price (car 's")
    assert said.endswith(" W at 30 s)")


def test_a_name_that_two_packages_provide_is_refused_when_it_is_used(site, tmp_path):
    install(site, "one_idea", "unhurried = one_idea:patient\nlazy = one_idea:patient")
    install(site, "another_idea", "unhurried = another_idea:patient")
    said = complaint(street_with(tmp_path, "unhurried"), "fleet")
    assert (
        said == "strategy 'unhurried' is provided by another_idea 1.2 and one_idea 1.2; uninstall all but one of them"
    )
    run_street(street_with(tmp_path, "lazy"), engine="fleet")


def test_the_names_in_a_mix_are_those_of_the_packages(site, tmp_path):
    install(site, "waiting_cars", "unhurried = waiting_cars:patient")
    street = street_with(tmp_path, " unhurried : 2 + keep : 1 ")
    run = run_street(street, engine="fleet")
    assert {row.strategy for row in run.sessions} <= {"unhurried", "keep"}
