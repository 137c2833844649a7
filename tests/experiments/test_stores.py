"""Folders that a comparison goes on from: whatever a full disk, a kill, a second process or a hand left in them."""

from __future__ import annotations

import fcntl
import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from wattswap.cli import _code
from wattswap.experiments import Comparison, compare
from wattswap.experiments.result_folder import LOCK, folder_taken
from wattswap.experiments.run_inputs import refuse_other_inputs, run_inputs
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.whole_file import whole_file
from wattswap.runners.scenario import load_street

COARSE = ["reading_s=300"]


def compared(out: Path, seeds: int = 1) -> Comparison:
    return compare("demo", controllers=["uncontrolled"], settings=COARSE, seeds=seeds, jobs=1, out=out)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison of one run."""
    out = tmp_path_factory.mktemp("finished") / "there"
    compared(out)
    return out


@pytest.fixture
def there(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    out = tmp_path / "there"
    (out / "runs").mkdir(parents=True)
    for path in (*finished.glob("*.toml"), *finished.glob("runs/*.json")):
        (out / path.relative_to(finished)).write_bytes(path.read_bytes())
    return out


def run_file(out: Path) -> Path:
    (path,) = (out / "runs").iterdir()
    return path


def test_a_folder_that_fits_is_not_written_again_before_there_is_a_result(there: Path):
    """With no byte left on the disk the scenario stays, and once there is room the same command goes on."""
    before = (there / "scenario.toml").read_bytes()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        sys.stderr = sys.__stderr__  # where the test's are gathered is a file, too
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        words = ("--controllers", "uncontrolled", "--set", *COARSE, "--jobs", "1", "--seeds", "2", "--out", str(there))
        os._exit(_code(["compare", "demo", *words]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert (there / "scenario.toml").read_bytes() == before
    assert {path.name for path in there.iterdir()} == {"scenario.toml", "runs"}
    assert len(compared(there, seeds=2).rows) == 2


@pytest.mark.parametrize("left", [0, 100])
def test_a_scenario_that_was_torn_is_told_and_written_again(there: Path, left: int):
    whole = (there / "scenario.toml").read_bytes()
    (there / "scenario.toml").write_bytes(whole[:left])
    kept = run_file(there).stat().st_mtime_ns
    assert compared(there).notes == [f"{there / 'scenario.toml'} was torn and is written again"]
    assert (there / "scenario.toml").read_bytes() == whole
    assert run_file(there).stat().st_mtime_ns == kept


def test_the_file_of_a_run_that_is_empty_is_told_and_made_again(there: Path):
    path = run_file(there)
    before = json.loads(path.read_text())
    path.write_text("")
    assert compared(there).notes == [f"{path} was empty; its run was made again"]
    assert json.loads(path.read_text())["figures"]["trace_hash"] == before["figures"]["trace_hash"]


def test_what_a_kill_left_beside_its_place_is_removed(there: Path):
    (there / "runs/.x.json.0123abcd.part").write_text("{")
    compared(there)
    assert not list(there.rglob("*.part"))


def test_two_writers_of_one_file_have_a_place_each(tmp_path: Path):
    path = tmp_path / "x.json"
    with whole_file(path) as one, whole_file(path) as other:
        one.write_text("one")
        other.write_text("other")
        assert one != other
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_use_is_said_to_be_and_by_which_process(there: Path):
    with folder_taken(there), pytest.raises(InputError, match=rf"in use by process {os.getpid()}; wait for its end"):
        compared(there)
    assert len(compared(there).rows) == 1
    assert not (there / LOCK).exists()


def test_a_lock_whose_process_died_holds_nobody_up(there: Path):
    child = os.fork()
    if child == 0:
        descriptor = os.open(there / LOCK, os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os._exit(0)
    os.waitpid(child, 0)
    assert len(compared(there).rows) == 1


def figure(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["figures"].__setitem__(key, value)


ALTERED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another schema": (lambda content: content.update(schema=99), r"schema"),
    "no schema": (lambda content: content.pop("schema"), r"schema"),
    "inputs that are none": (lambda content: content.update(inputs=3), r"inputs"),
    "no figures": (lambda content: content.update(figures={}), r"figures|scenario"),
    "figures that are a list": (lambda content: content.update(figures=[]), r"figures"),
    "a failure with figures": (lambda content: content.update(status="failed"), r"failed ones have none"),
    "a figure that is missing": (lambda content: content["figures"].pop("overload_s"), r"overload_s"),
    "a figure that is nothing": (figure("overload_s", None), r"overload_s"),
    "a figure that is text": (figure("overload_s", "1800"), r"overload_s"),
    "a figure that is no number": (figure("overload_s", math.nan), r"malformed"),
    "a figure beyond 64 bits": (figure("paid_nanos", 1 << 80), r"paid_nanos"),
    "a part that is text": (lambda content: content["figures"]["timing"].update(wall_s="long"), r"timing"),
    "a hash that is a number": (figure("trace_hash", 5), r"trace_hash"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_run_file_that_was_altered_is_one_line_that_says_what_to_do(there: Path, what: str):
    spoil, words = ALTERED[what]
    path = run_file(there)
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"not the file of a run \(.*({words}).*\); delete it") as refusal:
        compared(there)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)
    path.unlink()
    assert len(compared(there).rows) == 1


@pytest.mark.parametrize("content", [b"[]", b"\xff\xfe", b"{", b"null"])
def test_a_file_that_holds_anything_else_is_one_line(there: Path, content: bytes):
    run_file(there).write_bytes(content)
    with pytest.raises(InputError, match=r"not the file of a run \(.*\); delete it, and the run is made again$"):
        compared(there)


def test_a_folder_by_the_name_of_a_run_file_is_one_line(there: Path):
    path = run_file(there)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"not the file of a run \(Is a directory\); delete it"):
        compared(there)


def test_the_file_of_a_batterys_strategy_is_an_input(tmp_path: Path):
    street = load_street("b250", day=7)
    (battery,) = street.scenario.battery
    scenario = replace(street.scenario, battery=(replace(battery, strategy="mine.py:s"),))
    (tmp_path / "mine.py").write_text("s = 1\n")
    before = run_inputs(scenario, b"", "need", tmp_path)
    refuse_other_inputs(tmp_path, before, run_inputs(scenario, b"", "need", tmp_path))
    (tmp_path / "mine.py").write_text("s = 2\n")
    with pytest.raises(InputError, match=r"\(strategy_sha256 changed since\)"):
        refuse_other_inputs(tmp_path, before, run_inputs(scenario, b"", "need", tmp_path))
