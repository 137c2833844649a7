"""A street as processes that talk over real sockets: the same trades as in the simulator, however it is cut up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.smalltown import found
from tests.streets import random_street
from tests.test_same_everywhere import differences

from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import run_street
from wattswap.runners.engines.observer import Observer
from wattswap.runners.node.lockstep.run import LockstepRun, lockstep_run
from wattswap.runners.node.processes import pool
from wattswap.runners.node.processes.pool import ProcessPool, WorkerLostError
from wattswap.runners.node.processes.wire import Ready, Stop, encode_wire
from wattswap.runners.scenario import Street, load_street

CRASH_TICK = 200


def town(tmp_path: Path) -> Street:
    return load_street(str(found(tmp_path)))


@pytest.mark.parametrize(("processes", "sign"), [(1, False), (3, True), ("each", False)])
def test_a_small_town_makes_the_same_trades_in_any_number_of_processes(tmp_path, processes, sign):
    street = town(tmp_path)
    record = lockstep_run(street, processes=processes, sign=sign).run()
    assert record.trades
    assert differences(run_street(street), record) == []


@pytest.mark.parametrize("seed", range(3))
def test_any_small_street_makes_the_same_trades_in_two_processes(seed):
    street = random_street(seed, 4, 24)
    assert differences(run_street(street), lockstep_run(street, processes=2).run()) == []


def test_a_real_sunday_makes_the_same_trades_in_eight_processes():
    street = load_street("b250", day=7, settings=["reading_s=300"])
    assert differences(run_street(street), lockstep_run(street, processes=8).run()) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "day", "processes", "sign"),
    [
        ("b250", 7, 1, False),
        ("b250", 7, 8, False),
        ("b250", 7, 2, False),
        ("b250", 7, "each", False),
        ("b250", 7, 4, True),
        ("c250stress", 2, 8, False),
    ],
)
def test_a_real_day_makes_the_same_trades_however_it_is_cut_up(name, day, processes, sign):
    street = load_street(name, day=day)
    assert differences(run_street(street), lockstep_run(street, processes=processes, sign=sign).run()) == []


class _At(Observer):
    """Does something when a tick has passed."""

    def __init__(self, tick: int, do) -> None:
        self._tick, self._do = tick, do

    def tick_passed(self, tick: int) -> None:
        if tick == self._tick:
            self._do()


def lose(street: Street, number: int, how: signal.Signals) -> str:
    """Run until a process is lost in the middle; what is said of it. No process is left."""
    run: list[LockstepRun] = []

    def hit() -> None:
        os.kill(pids[number] or 0, how)

    run.append(lockstep_run(street, processes=3, observers=[_At(CRASH_TICK, hit)]))
    pids = run[0].pool.pids
    assert all(pids)
    with pytest.raises(WorkerLostError) as told:
        run[0].run()
    assert not [pid for pid in pids if _lives(pid)]
    return str(told.value)


def _lives(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


def test_a_process_that_dies_is_named_with_its_agents_and_the_stage(tmp_path):
    said = lose(town(tmp_path), 1, signal.SIGKILL)
    assert said.startswith("process 1 (")
    assert "was ended by signal 9, at stage " in said
    assert "instant 60" in said


def test_a_process_that_hangs_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "PATIENCE_S", 1.0)
    assert "process 2 (" in (said := lose(town(tmp_path), 2, signal.SIGSTOP))
    assert "has said nothing for 1 s" in said


def test_a_process_that_fails_says_why(tmp_path, monkeypatch):
    def fails(self, event, now_ms):
        raise ArithmeticError("this car cannot count")

    monkeypatch.setattr(Vehicle, "handle", fails)
    with pytest.raises(WorkerLostError, match=r"process . .* failed: ArithmeticError: this car cannot count, at stage"):
        lockstep_run(town(tmp_path), processes=2).run()


def test_what_goes_wrong_on_purpose_is_refused(tmp_path):
    street = load_street(str(found(tmp_path)), settings=["faults.loss_pct=2"])
    with pytest.raises(InputError, match=r"\[faults\]: in lockstep nothing is late or lost"):
        lockstep_run(street, processes=2)


def started(tmp_path: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """The command with four processes that all have their sockets, and their numbers; the run takes a while."""
    command = [sys.executable, "-m", "wattswap", "live", "c250stress", "--lockstep", "--processes", "4", "--json"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while len(children := _children(running.pid)) < 4 or not all(map(_has_worked, children)):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    return running, children


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _has_worked(pid: int) -> bool:
    """Whether a process has sockets of its own by now: three threads beside its own."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())) >= 4


def ended(children: list[int]) -> bool:
    end = time.monotonic() + 20
    while any(map(_lives, children)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(_lives, children))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_all_processes(tmp_path, how):
    running, children = started(tmp_path)
    running.send_signal(how)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, "", "wattswap: interrupted\n")
    assert ended(children)


def test_processes_that_still_connect_end_quietly_when_they_are_told_to_stop(tmp_path, monkeypatch, capfd):
    """The word comes right after each other's ports, before they have said that they are connected."""
    answers = ProcessPool.answers

    def stopped(self, kind, missing):
        if kind is Ready:
            for key in self._plan.keys:
                self._transport.send(key.public, encode_wire(Stop()))
            for worker in self._workers:
                worker.join()
            raise KeyboardInterrupt
        return answers(self, kind, missing)

    monkeypatch.setattr(ProcessPool, "answers", stopped)
    with pytest.raises(KeyboardInterrupt):
        lockstep_run(town(tmp_path), processes=4)
    assert capfd.readouterr().err == ""


def test_when_the_conductor_is_killed_nobody_is_left_behind(tmp_path):
    running, children = started(tmp_path)
    running.kill()
    running.communicate()
    assert ended(children)
