"""A street of agents as commands on this machine: each with keys, a configuration and a directory of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wattswap.runners.node.key_directory import PublicIdentity, new_agent_keys
from wattswap.runners.node.roles import Role
from wattswap.runners.node.trust import TrustDirectory

PATIENCE_S = 90.0
MARKET = "[market]\nbeat_ms = 1000\nwindow_beats = 10\n"
FIXED = '[discovery]\nuse = "no"\n'


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


class AgentProcess:
    """One agent: its directory, and its process while it runs."""

    def __init__(self, folder: Path, name: str, role: Role, text: str) -> None:
        self.folder, self.name, self.role = folder, name, role
        self.identity: PublicIdentity = new_agent_keys(folder / "keys", name, role).identity
        (folder / "agent.toml").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "wattswap", "agent", self.role, "--config", str(self.folder / "agent.toml")]
        with (self.folder / "log").open("ab") as log, (self.folder / "err").open("ab") as err:
            self.process = subprocess.Popen(command, stdout=log, stderr=err)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(how)
        return process.wait(timeout=PATIENCE_S)

    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "log"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == event]

    def err(self) -> str:
        return (self.folder / "err").read_text()


class StreetOfNodes:
    """A transformer, a household, and chargers with a car each."""

    def __init__(self, folder: Path, *, limit_w: int, base_w: int, points: int) -> None:
        port = free_port()
        above = f'[upstream]\nname = "transformer"\nhost = "127.0.0.1"\nport = {port}\n'
        listen = f'[listen]\nhost = "127.0.0.1"\nport = {port}\n'
        self.transformer = AgentProcess(
            folder / "transformer",
            "transformer",
            "transformer",
            f"{FIXED}{MARKET}{listen}[site]\nlimit_w = {limit_w}\n",
        )
        self.household = AgentProcess(
            folder / "home", "household/0", "household", f"{FIXED}{MARKET}{above}[device]\npower_w = {base_w}\n"
        )
        self.chargers, self.cars = [], []
        for number in range(points):
            mine = free_port()
            listen = f'[listen]\nhost = "127.0.0.1"\nport = {mine}\n'
            self.chargers.append(
                AgentProcess(
                    folder / f"point{number}", f"charger/{number}", "charger", f"{FIXED}{MARKET}{above}{listen}"
                )
            )
            cable = f'[upstream]\nname = "charger/{number}"\nhost = "127.0.0.1"\nport = {mine}\n'
            taste = '[car]\nstrategy = "need"\n'
            self.cars.append(
                AgentProcess(folder / f"car{number}", f"vehicle/{number}", "vehicle", f"{FIXED}{MARKET}{cable}{taste}")
            )
        self.all = [self.transformer, self.household, *self.chargers, *self.cars]
        for charger, car in zip(self.chargers, self.cars, strict=True):
            _befriend(charger, car)
            _befriend(charger, self.transformer)
            _befriend(car, self.transformer)
        _befriend(self.household, self.transformer)


def _befriend(one: AgentProcess, other: AgentProcess) -> None:
    TrustDirectory(one.folder / "keys").add(other.identity)
    TrustDirectory(other.folder / "keys").add(one.identity)


@contextmanager
def running(street: StreetOfNodes) -> Iterator[StreetOfNodes]:
    for agent in street.all:
        agent.start()
    try:
        yield street
    finally:
        for agent in street.all:
            if agent.process is not None:
                os.kill(agent.process.pid, signal.SIGCONT)
                agent.process.kill()
                agent.process.wait()


def until(so: Callable[[], Any], street: StreetOfNodes) -> Any:
    """What becomes so while the street runs; fails with what its agents said when it takes far longer than it may."""
    end = time.monotonic() + PATIENCE_S
    while not (found := so()):
        lost = [(agent.name, agent.err()) for agent in street.all if agent.process and agent.process.poll() is not None]
        assert not lost, lost
        assert time.monotonic() < end, [(agent.name, agent.log()[-8:], agent.err()) for agent in street.all]
        time.sleep(0.1)
    return found
