"""Several hosts on one machine: network namespaces that share a bridge, as Pis share a switch. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

BRIDGE = "br0"


class NetworkHost:
    """A host with one interface, ``eth0``."""

    def __init__(self, name: str, address: str, switch: str = "", port: str = "") -> None:
        self.name, self.address, self._switch, self._port = name, address, switch, port

    def prefix(self) -> list[str]:
        """What stands before a command to run it on this host."""
        return ["ip", "netns", "exec", self.name]

    def unplug(self) -> None:
        """Pull the cable out of the switch."""
        ip("-n", self._switch, "link", "set", self._port, "down")

    def plug(self) -> None:
        ip("-n", self._switch, "link", "set", self._port, "up")

    def move_to(self, address: str) -> None:
        """Get another address, as from a router that has forgotten the old lease."""
        ip("-n", self.name, "addr", "del", f"{self.address}/24", "dev", "eth0")
        self.address = address
        self.set_up()

    def set_up(self) -> None:
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")
        ip("-n", self.name, "route", "replace", "default", "dev", "eth0")


def require_namespaces() -> None:
    """Skip the test where nobody makes network namespaces."""
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip` command here")
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")


@contextmanager
def hosts(count: int) -> Iterator[Sequence[NetworkHost]]:
    """So many hosts behind one switch; the test is skipped where that cannot be made."""
    require_namespaces()
    mark = f"ws{os.getpid()}"
    switch = f"{mark}-switch"
    names = [f"{mark}-{number}" for number in range(count)]
    try:
        try:
            ip("netns", "add", switch)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        ip("-n", switch, "link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0")
        ip("-n", switch, "link", "set", BRIDGE, "up")
        found = []
        for number, name in enumerate(names):
            port = f"port{number}"
            ip("netns", "add", name)
            ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", switch, "link", "set", port, "master", BRIDGE, "up")
            host = NetworkHost(name, f"10.77.0.{number + 1}", switch, port)
            ip("-n", name, "link", "set", "lo", "up")
            host.set_up()
            found.append(host)
        yield found
    finally:
        for name in [*names, switch]:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
