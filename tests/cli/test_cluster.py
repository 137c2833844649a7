"""Comparisons on a dask.distributed cluster and on any executor: the rows of this machine, dead workers survived."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from wattswap.experiments import compare
from wattswap.experiments.executors import ExecutorLostError
from wattswap.runners.scenario import load_street

KEEPS = """
import os
from pathlib import Path
from wattswap.agents.offers import OfferBook

def keeps(call, own, memory, draws):
    {first}
    return OfferBook.keep(own)
"""
DIES_ONCE = "Path('first').exists() or (Path('first').touch(), os._exit(9)) if call.need_w.min() < 50_000 else None"
WAITS = "(Path('begun').touch(), __import__('time').sleep(60)) if call.need_w.min() < 50_000 else None"


@pytest.fixture
def small(tmp_path: Path, monkeypatch) -> str:
    """The demo's day in steps of 300 s, in the folder we are in."""
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(load_street("demo", settings=["reading_s=300"]).resolved_toml, encoding="utf-8")
    return "small.toml"


def without_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if not key.startswith("timing")} for row in rows]


class FirstTaskLost(ThreadPoolExecutor):
    """Loses so many of the first tasks, as a cluster does when their workers die."""

    def __init__(self, lost: int) -> None:
        super().__init__(2)
        self.lost = lost

    def submit(self, task, /, *args, **kwargs):
        self.lost -= 1
        if self.lost < 0:
            return super().submit(task, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_exception(OSError("the worker died"))
        return future


def test_any_executor_makes_the_rows_of_this_process(small):
    here = compare(small, seeds=2, jobs=1)
    with ThreadPoolExecutor(2) as executor:
        there = compare(small, seeds=2, jobs=2, executor=executor)
    assert without_time(there.rows) == without_time(here.rows)


def test_a_worker_of_joblib_makes_the_rows_of_this_process(small):
    loky = pytest.importorskip("joblib.externals.loky")
    with loky.get_reusable_executor(max_workers=1) as executor:
        there = compare(small, seeds=1, jobs=1, executor=executor)
    assert without_time(there.rows) == without_time(compare(small, seeds=1, jobs=1).rows)


def test_runs_of_a_dead_worker_are_made_once_more_and_then_fail_alone(small):
    with FirstTaskLost(1) as executor:
        assert not compare(small, seeds=2, jobs=1, executor=executor).failed
    with FirstTaskLost(4) as executor:  # three passes: two runs uncontrolled, two negotiated together; then one of them
        found = compare(small, seeds=2, jobs=1, executor=executor)
    assert [row["error"] for row in found.failed] == ["OSError: the worker died"]
    assert len(found.rows) == 4


def test_an_executor_that_broke_says_so_and_what_is_finished_is_kept(small):
    Path("mine.py").write_text(
        KEEPS.format(first="os._exit(9) if call.need_w.min() < 50_000 else None"), encoding="utf-8"
    )
    asked: dict[str, Any] = {"strategies": ["mine.py:keeps"], "jobs": 1, "out": "there"}
    with ProcessPoolExecutor(1) as executor, pytest.raises(ExecutorLostError):
        compare(small, executor=executor, **asked)
    assert len(list(Path("there/runs").iterdir())) == 1


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A part of a cluster, until the block ends."""
    command = [sys.executable, "-W", "ignore", "-m", *words]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a scheduler on this machine, and its process."""
    pytest.importorskip("distributed")
    file = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file)]
    with process("distributed.cli.dask_scheduler", *words) as child:
        until = time.monotonic() + 30
        while not file.is_file():
            assert time.monotonic() < until, "the scheduler did not come up"
            time.sleep(0.05)
        yield json.loads(file.read_text(encoding="utf-8"))["address"], child


@pytest.fixture(scope="module")
def address(scheduler) -> Iterator[str]:
    """The address of a cluster with two workers."""
    words = ("distributed.cli.dask_worker", scheduler[0], "--no-nanny", "--nthreads", "1", "--no-dashboard")
    with process(*words), process(*words):
        yield scheduler[0]


COMPARE = ("compare", "small.toml", "--seeds", "2", "--out", "there")


def test_a_cluster_without_workers_says_so(scheduler, small, say, monkeypatch):
    monkeypatch.setattr("wattswap.experiments.cluster.CONNECT_TIMEOUT_S", 0.5)
    code, out, err = say(*COMPARE, "--cluster", scheduler[0])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"it has no worker; start some with `dask worker {scheduler[0]}`" in err


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:9", "nowhere://x", "127.0.0.1"])
def test_an_unreachable_cluster_says_so_in_one_line(small, say, monkeypatch, where: str):
    pytest.importorskip("distributed")
    monkeypatch.setattr("wattswap.experiments.cluster.CONNECT_TIMEOUT_S", 0.5)
    code, out, err = say(*COMPARE, "--cluster", where)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"--cluster: no dask scheduler answers at {where} (" in err
    assert not Path("there").exists()


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"", "no answer within 1 s"),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "what answers there is something else"),
    ],
)
def test_a_port_that_is_no_scheduler_is_one_line_in_time(small, say, monkeypatch, says: bytes, why: str):
    """What only listens, and what answers with other bytes."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("wattswap.experiments.cluster.CONNECT_TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as beside:
        heard = beside.submit(answered, server, says)
        where = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        began_s = time.monotonic()
        code, out, err = say(*COMPARE, "--cluster", where)
        assert time.monotonic() - began_s < 10
        heard.result()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"--cluster: no dask scheduler answers at {where} ({why});" in err


def answered(server: socket.socket, says: bytes) -> None:
    """Take one caller, say this, and listen until it is gone."""
    caller, _ = server.accept()
    with caller:
        caller.settimeout(20)
        caller.sendall(says)
        with suppress(ConnectionError):
            while caller.recv(4096):
                pass


def test_two_workers_make_the_rows_of_this_machine(address, small, say):
    code, out, err = say(*COMPARE, "--cluster", address, "--json")
    assert (code, err) == (0, "")
    here = compare(small, seeds=2, jobs=1)
    assert without_time(json.loads(out)["runs"]) == without_time(here.rows)
    assert len(list(Path("there/runs").iterdir())) == 4


def test_a_run_whose_worker_died_is_made_on_another_one(address, small, say):
    Path("mine.py").write_text(KEEPS.format(first=DIES_ONCE), encoding="utf-8")
    words = ("--controllers", "negotiated", "--strategies", "mine.py:keeps")
    code, _, err = say(*COMPARE, *words, "--cluster", address)
    assert (code, err) == (0, "")
    assert Path("first").exists()


def test_a_cluster_that_is_lost_is_one_line_and_finished_runs_are_kept(scheduler, address, small):
    """dask's own log has a traceback for it."""
    Path("mine.py").write_text(KEEPS.format(first=WAITS), encoding="utf-8")
    words = [*COMPARE, "--strategies", "mine.py:keeps", "--cluster", address]
    with subprocess.Popen([sys.executable, "-m", "wattswap", *words], stderr=subprocess.PIPE, text=True) as command:
        until = time.monotonic() + 30
        while not Path("begun").exists():
            assert time.monotonic() < until, "no run began"
            time.sleep(0.05)
        os.kill(scheduler[1].pid, signal.SIGKILL)
        _, err = command.communicate(timeout=60)
    assert command.returncode == 1
    kept = len(list(Path("there/runs").iterdir()))
    said = f"its scheduler was lost; {kept} of 4 runs lie in there, the same command goes on from there"
    assert err == f"wattswap: --cluster {address}: {said}\n"
    again = compare(small, seeds=2, jobs=1, out="there", strategies=["mine.py:keeps"], controllers=["uncontrolled"])
    assert len(again.rows) == 2


def test_without_dask_the_extra_is_named(small, monkeypatch, say):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = say(*COMPARE, "--cluster", "tcp://127.0.0.1:9")
    assert code == 2
    assert "pip install 'wattswap[cluster]'" in err
