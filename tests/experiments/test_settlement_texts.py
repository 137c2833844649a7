"""What is said of a settlement: whether book and ledger agree, and what to do if not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wattswap.experiments.settlement_texts import figures_of, name_of, verdict

SETTLED: dict[str, Any] = {
    "ledger": "http://127.0.0.1:9311",
    "payments": 1_234,
    "anchors": 12,
    "pending": 0,
    "earned_nanos": 5_000_000_000,
    "netted_nanos": 4_000_000_000,
    "waiting_nanos": 250_000_000,
    "crossed_nanos": 750_000_000,
    "fees_nanos": 1_500_000,
    "deposits_nanos": 2_000_000_000,
    "agree": True,
    "differences": [],
    "alarms": [],
    "notes": [],
}


def test_every_figure_has_a_label_and_a_unit():
    figures = dict(figures_of(SETTLED))
    assert figures["Payments over the ledger"] == "1,234"
    assert figures["Fees, burned"] == "0.0015 IOTA"
    assert figures["  of it waiting for a bill or the ledger"] == "0.25 IOTA"
    assert len(figures) == len(figures_of(SETTLED))


def test_a_ledger_that_agrees_is_said_to_in_one_line():
    assert verdict(SETTLED) == ["Ledger http://127.0.0.1:9311: book and ledger agree to the nano."]


def test_what_is_still_on_its_way_says_which_command_goes_on():
    pending = SETTLED | {"agree": False, "pending": 7}
    (line,) = verdict(pending, Path("runs/one"))
    assert line.endswith(
        "7 payments or records are still on their way; nothing is lost: `wattswap settle runs/one` goes on."
    )
    (line,) = verdict(pending)
    assert line.endswith("it ended with the run, for there is no run directory.")


def test_five_differences_are_told_and_the_others_counted():
    """After the alarms: they say why."""
    wrong = SETTLED | {"agree": False, "differences": [f"car {n}" for n in range(7)], "alarms": ["set back", "odd"]}
    lines = verdict(wrong)
    assert lines[0].endswith("something is wrong.")
    assert lines[1:3] == ["  set back", "  odd"]
    assert lines[3].endswith("book and ledger differ.")
    assert lines[4:9] == [f"  car {n}" for n in range(5)]
    assert lines[9:] == ["  and 2 more, see `settlement` in run.json"]


def test_what_is_good_to_know_is_a_note_and_no_alarm():
    assert verdict(SETTLED | {"notes": ["its wallets were used by other runs"]})[-1] == (
        "Note: its wallets were used by other runs."
    )


def test_a_run_that_was_never_compared_says_so():
    assert verdict(SETTLED | {"agree": False}) == [
        "Ledger http://127.0.0.1:9311: the run ended before it was compared with the book."
    ]


@pytest.mark.parametrize(
    ("ledger", "name"),
    [("sqlite:/home/ann/tokens.sqlite", "sqlite:tokens.sqlite"), ("memory", "memory"), ("http://a/b", "http://a/b")],
)
def test_of_a_file_only_the_name_is_told(ledger: str, name: str):
    assert name_of({"ledger": ledger}) == name
