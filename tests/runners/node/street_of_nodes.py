"""A street of agents as commands on this machine: each with keys, a configuration and a directory of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.runners.node.hosts import NetworkHost

from wattswap.runners.node.key_directory import PublicIdentity, new_agent_keys
from wattswap.runners.node.roles import Role
from wattswap.runners.node.trust import TrustDirectory

PATIENCE_S = 90.0
MARKET = "[market]\nbeat_ms = 1000\nwindow_beats = 3\n"
FIXED = '[discovery]\nuse = "no"\n'


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


class AgentProcess:
    """One agent: its directory, and its process while it runs."""

    def __init__(
        self,
        folder: Path,
        name: str,
        role: Role,
        text: str,
        prefix: Sequence[str] = (),
        host: AgentProcess | None = None,
    ) -> None:
        """``prefix`` stands before the command, to run it elsewhere; ``host`` is the agent in whose process it runs."""
        self.folder, self.name, self.role, self._prefix = folder, name, role, tuple(prefix)
        beside = None if host is None else host.folder / "keys"
        self.identity: PublicIdentity = new_agent_keys(folder / "keys", name, role, beside=beside).identity
        if host is not None:
            with (host.folder / "agent.toml").open("a") as file:
                file.write(f'[[also]]\nrole = "{role}"\nconfig = "{folder / "agent.toml"}"\n')
        (folder / "agent.toml").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None
        self.command = [sys.executable, "-m", "wattswap", "agent", role, "--config", str(folder / "agent.toml")]
        """What is started; a test may put something else here."""

    def start(self) -> None:
        command = [*self._prefix, *self.command]
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


class _AllRunning(Protocol):
    """Some agents that run together."""

    all: list[AgentProcess]


_Street = TypeVar("_Street", bound=_AllRunning)


class StreetOfNodes:
    """A transformer, a household, and chargers with a car each.

    Without ``hosts`` all are here and know each other's addresses. With hosts the transformer and the household are on
    the first, the cars on the last, a charger on each between, and nobody is told any address. Each car wants
    ``need_wh``: some 30 Wh are charged within ten seconds, so that who gave way draws it back and is paid.
    ``ledger`` is a table of the transformer's file; cars follow ``need`` if ``strategies`` does not say otherwise.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit_w: int,
        base_w: int,
        points: int,
        need_wh: int = 20_000,
        ledger: str = "",
        strategies: Sequence[str] = (),
        hosts: Sequence[NetworkHost] = (),
    ) -> None:
        self._hosts, self.ports = hosts, [free_port() for _ in range(points + 1)]
        ports = self.ports
        self.dashboard_port = free_port()
        """Where the transformer shows its street."""
        site = f"[site]\nlimit_w = {limit_w}\n{ledger}[page]\nport = {self.dashboard_port}\n"
        self.transformer = self._agent(folder, "transformer", "transformer", 0, listen(ports[0], hosts) + site)
        above = upstream("transformer", ports[0], hosts)
        self.household = self._agent(folder, "household/0", "household", 0, above + f"[device]\npower_w = {base_w}\n")
        self.page_port = free_port()
        """Where the first charger tells other programs what it may draw."""
        point = f"[point]\nneed_wh = {need_wh}\n"
        pages = [f"[page]\nport = {self.page_port}\n", *[""] * (points - 1)]
        self.chargers = [
            self._agent(
                folder,
                f"charger/{number}",
                "charger",
                number + 1,
                above + listen(ports[number + 1], hosts) + point + pages[number],
            )
            for number in range(points)
        ]
        self.driver_port = free_port()
        """Where the driver of the first car says what is wanted of it."""
        driven = [f"[page]\nport = {self.driver_port}\n", *[""] * (points - 1)]
        follows = [*strategies, *["need"] * (points - len(strategies))]
        self.cars = [
            self._agent(
                folder,
                f"vehicle/{number}",
                "vehicle",
                points + 1,
                upstream(f"charger/{number}", ports[number + 1], hosts)
                + f'[car]\nstrategy = "{follows[number]}"\n'
                + driven[number],
            )
            for number in range(points)
        ]
        self.all = [self.transformer, self.household, *self.chargers, *self.cars]
        for charger, car in zip(self.chargers, self.cars, strict=True):
            befriend(charger, car)
            befriend(charger, self.transformer)
            befriend(car, self.transformer)
        befriend(self.household, self.transformer)

    def _agent(self, folder: Path, name: str, role: Role, place: int, text: str) -> AgentProcess:
        host = self._hosts[place] if self._hosts else None
        discovery = FIXED if host is None else ""
        prefix = [] if host is None else host.prefix()
        return AgentProcess(folder / name.replace("/", "-"), name, role, discovery + MARKET + text, prefix)


def listen(port: int, hosts: Sequence[NetworkHost]) -> str:
    return "" if hosts else f'[listen]\nhost = "127.0.0.1"\nport = {port}\n'


def upstream(name: str, port: int, hosts: Sequence[NetworkHost]) -> str:
    address = "" if hosts else f'host = "127.0.0.1"\nport = {port}\n'
    return f'[upstream]\nname = "{name}"\n{address}'


def befriend(one: AgentProcess, other: AgentProcess) -> None:
    TrustDirectory(one.folder / "keys").add(other.identity)
    TrustDirectory(other.folder / "keys").add(one.identity)


@contextmanager
def running(street: _Street) -> Iterator[_Street]:
    for agent in street.all:
        agent.start()
    try:
        yield street
    finally:
        for agent in street.all:
            if agent.process is not None:
                agent.process.send_signal(signal.SIGCONT)  # none is sent to one that has ended
                agent.process.kill()
                agent.process.wait()


def until(so: Callable[[], Any], street: _AllRunning, patience_s: float = PATIENCE_S) -> Any:
    """What becomes so while the street runs; fails with what its agents said when it takes far longer than it may."""
    end = time.monotonic() + patience_s
    while not (found := so()):
        lost = [(agent.name, agent.err()) for agent in street.all if agent.process and agent.process.poll() is not None]
        assert not lost, lost
        assert time.monotonic() < end, [(agent.name, agent.log()[-8:], agent.err()) for agent in street.all]
        time.sleep(0.1)
    return found
