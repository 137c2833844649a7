"""A city's folder goes on only where all that its figures come from is as it was, and from rows that a run wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wattswap.experiments import run_inputs
from wattswap.experiments.city import City, run_city
from wattswap.experiments.city_table import COLUMNS, FEEDERS_CSV
from wattswap.experiments.result_folder import folder_taken
from wattswap.protocol.errors import InputError

STRATEGY = """
from wattswap.agents.offers import OfferBook

def s(call, own, memory, draws):
    return OfferBook.keep(own)
"""
SESSIONS = """\
session_id,user_id,station_id,arrival,departure,energy_kwh
s1,u1,p1,2018-09-09T08:00+02:00,2018-09-09T12:00+02:00,9.0
"""
CITY = """
schema = 1
name = "two"
start = 2018-09-09T00:00:00+02:00
days = 1
reading_s = 300
[vehicles]
strategy = "./mine.py:s"
[base]
[sessions]
csv = "cars.csv"
[[feeder]]
name = "east"
[feeder.transformer]
limit_w = 20_000
rating_va = 25_000
[[feeder]]
name = "west"
[feeder.transformer]
limit_w = 20_000
rating_va = 25_000
"""


def resumed(progress: Callable[[int], None] = lambda _done: None) -> City:
    return run_city("two.toml", jobs=1, out=Path("out"), progress=progress)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table of a city that was stopped before its second transformer was written down."""
    monkeypatch.chdir(tmp_path)
    Path("two.toml").write_text(CITY)
    Path("mine.py").write_text(STRATEGY)
    Path("cars.csv").write_text(SESSIONS)

    def stop(done: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resumed(stop)
    return Path("out") / FEEDERS_CSV


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("mine.py", STRATEGY + "# asks twice as much\n", "strategy_sha256"),
        ("cars.csv", SESSIONS.replace("9.0", "9.1"), "scenario_sha256"),
    ],
)
def test_a_city_whose_strategy_or_data_changed_is_not_gone_on_with(begun: Path, file: str, text: str, what: str):
    rows, was = begun.read_text(), Path(file).read_text()
    Path(file).write_text(text)
    with pytest.raises(InputError, match=rf"feeders.csv: made from other inputs \({what} changed since\)"):
        resumed()
    assert begun.read_text() == rows
    Path(file).write_text(was)
    heard: list[int] = []
    assert [row["feeder"] for row in resumed(heard.append).rows] == ["east", "west"]
    assert heard == [1, 2]


def test_a_city_of_another_version_is_not_gone_on_with(begun: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_inputs, "wattswap_version", lambda: "9.9")
    with pytest.raises(InputError, match=r"made from other inputs \(version changed since\)"):
        resumed()
    lines = begun.read_text().splitlines()
    begun.write_text("\n".join((lines[0], *lines[2:], "")))
    with pytest.raises(InputError, match=r"made from other inputs \(.*version changed since\)"):
        resumed()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("sessions", value) for value in ("-1", "1e23", str(-(10**23)), str(10**23), "nan", "", "1.5")],
        *[("ageing_h", value) for value in ("nan", "inf", "-1", "long")],
        *[("feeder", value) for value in ("north", "")],
        ("seed", "7"),
    ],
)
def test_a_row_that_no_run_wrote_is_one_line_that_names_it(begun: Path, column: str, value: str):
    *head, row = begun.read_text().splitlines()
    cells = row.split(",")
    cells[COLUMNS.index(column)] = value
    begun.write_text("\n".join((*head, ",".join(cells), "")))
    with pytest.raises(
        InputError, match=rf"the row of transformer '{cells[0]}' is not of a run \(.*\); delete it"
    ) as no:
        resumed()
    assert "\n" not in str(no.value)
    begun.write_text("\n".join((*head, "")))
    assert len(resumed().good) == 2


def test_a_row_twice_and_a_row_too_short_are_told(begun: Path):
    text = begun.read_text()
    row = text.splitlines()[-1]
    for more, what in ((f"{row}\n", "two of it"), (f"west{row[4:].rpartition(',')[0]}\n", "18 cells of 19")):
        begun.write_text(text + more)
        with pytest.raises(InputError, match=what):
            resumed()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"another\n"])
def test_a_table_that_is_none_is_one_line(begun: Path, content: bytes):
    begun.write_bytes(content)
    with pytest.raises(InputError, match=r"not the table of a city|another city lies there"):
        resumed()


def test_a_table_that_was_emptied_is_told_and_made_again(begun: Path):
    begun.write_bytes(b"")
    found = resumed()
    assert found.notes == (f"{begun} was empty; its transformers were run again",)
    assert len(found.good) == 2


@pytest.mark.usefixtures("begun")
def test_a_city_in_use_is_said_to_be():
    with folder_taken(Path("out")), pytest.raises(InputError, match=f"out: in use by process {os.getpid()}; wait"):
        resumed()
    assert len(resumed().good) == 2
