"""``wattswap settle`` of a run that was killed: book and ledger agree, and yet the evening is not over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Say
from tests.cli.settled import settled_run

from wattswap.runners.recording.rundir import METERS, RunDir, Status, read_run

pytestmark = pytest.mark.usefixtures("without_report")


def ended(folder: Path, status: Status, slots: int = 120) -> Path:
    """A run with all its tokens settled, whose last award was made after an hour, and what it says of its end."""
    run = settled_run(folder / "run", f"sqlite:{folder / 'tokens.sqlite'}", slots=slots)
    RunDir(run).write_figures({"settlement": read_run(run).settlement}, status)
    return run


@pytest.mark.parametrize(("status", "what"), [("interrupted", "was interrupted"), ("failed", "failed")])
def test_a_run_that_broke_off_says_when_and_when_it_was_to_end(tmp_path: Path, say: Say, status: Status, what: str):
    run = ended(tmp_path, status)
    until = f"This run {what}: its meter records end at 2018-11-25 01:00:00, and it was to go on until "
    code, out, _ = say("settle", str(run))
    assert (code, out.splitlines()[-1]) == (0, f"{until}2018-11-26 12:00:00.")
    code, out, err = say("settle", str(run), "--json")
    assert (code, json.loads(out)["agree"], err) == (0, True, f"{until}2018-11-26 12:00:00.\n")


def test_records_that_a_killed_run_had_not_written_yet_are_lost_and_that_is_no_good_end(tmp_path: Path, say: Say):
    """Records are made when there is time, and awards were made until long after the last of them."""
    run = ended(tmp_path, "interrupted", slots=6)
    lost = "Meter records end at 2018-11-25 00:03:00, and the run went on until 2018-11-25 01:00:00"
    for command in (("settle", str(run)), ("meter", "verify", "--run", str(run))):
        code, out, _ = say(*command)
        assert (code, lost in out, "This run was interrupted" in out) == (1, True, True), out
    (out_of_time, _, error) = say(
        *("meter", "receipt", "c1", "--from", "2018-11-25T00:01:00", "--to", "2018-11-25T00:10:00"),
        *("--run", str(run), "--out", str(tmp_path / "stay.ocmf")),
    )
    assert (out_of_time, "later than 2018-11-25T00:03:00, where the meter records end" in error) == (2, True), error


def test_without_records_it_says_that_much_alone(tmp_path: Path, say: Say):
    run = ended(tmp_path, "interrupted")
    (run / METERS).unlink()
    last = say("settle", str(run))[1].splitlines()[-1]
    assert last == "This run was interrupted: only what it wrote down until then is settled."


def test_a_run_that_came_to_its_end_says_nothing_of_it(tmp_path: Path, say: Say):
    assert "This run" not in say("settle", str(ended(tmp_path, "complete")))[1]
