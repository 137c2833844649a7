"""Whose data a run used is said, and nobody else's."""

from __future__ import annotations

from wattswap.experiments.data_credit import credit
from wattswap.experiments.run_tables import input_names

BUNDLED = {"household_csv": "bundled:households/A400_household_15min.csv", "pv_csv": "bundled:sun/A400_pv_15min.csv"}
SESSIONS = {"csv": "bundled:sessions/A400_sessions.csv"}


def credited(scenario: dict[str, object]) -> list[bool]:
    text = credit(input_names(scenario))
    return [name in text for name in ("Sørensen", "Bamberg", "SimBench")]


def test_the_bundled_street_names_its_three_sources():
    assert credited({"base": BUNDLED, "sessions": SESSIONS}) == [True, True, True]


def test_homes_of_one_s_own_are_nobody_else_s():
    assert credited({"base": {"household_csv": "/home/me/homes.csv"}, "sessions": SESSIONS}) == [True, False, False]
    assert credit(input_names({"base": {"household_csv": "/home/me/homes.csv"}})) == ""


def test_homes_that_were_drawn_are_those_of_their_source():
    assert credited({"base": {"homes": 100}}) == [False, True, False]


def test_what_every_feeder_has_replaced_is_not_credited():
    feeder = {"base": {"household_csv": "mine.csv"}, "sessions": {"csv": "mine.csv"}}
    assert credited({"base": BUNDLED, "sessions": SESSIONS, "feeder": [feeder]}) == [False, False, False]
    assert credited({"base": BUNDLED, "sessions": SESSIONS, "feeder": [feeder, {"base": BUNDLED}]}) == [True] * 3
