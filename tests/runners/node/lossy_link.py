"""A link between two hosts that loses and delays packets, drawn from a seed: TCP runs over it as over bad Wi-Fi.

Each end is a TUN device in a network namespace; a thread carries the packets from one to the other. Needs root.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from heapq import heappop, heappush
from subprocess import CalledProcessError
from threading import Thread

import pytest
from tests.runners.node.hosts import NetworkHost, ip, require_namespaces

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_MOST_BYTES = 65_535


class LossyLink:
    """Carries packets both ways until it is closed."""

    def __init__(self, ends: Sequence[int], *, loss: float, delay_s: float, seed: int) -> None:
        self._ends, self._loss, self._delay_s, self._luck = ends, loss, delay_s, random.Random(seed)
        self.carried = self.lost = 0
        self._stop, self._stopped = os.pipe()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)

    def _run(self) -> None:
        other = dict(zip(self._ends, reversed(self._ends), strict=True))
        waiting: list[tuple[float, int, int, bytes]] = []
        while True:
            wait_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            ready, _, _ = select.select([*self._ends, self._stop], [], [], wait_s)
            if self._stop in ready:
                return
            for end in ready:
                packet = os.read(end, _MOST_BYTES)
                self.carried += 1
                if self._luck.random() < self._loss:
                    self.lost += 1
                else:
                    heappush(waiting, (time.monotonic() + self._delay_s, self.carried, other[end], packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, end, packet = heappop(waiting)
                with suppress(OSError):  # the host is gone
                    os.write(end, packet)


@contextmanager
def lossy_hosts(*, loss: float, delay_s: float, seed: int) -> Iterator[tuple[Sequence[NetworkHost], LossyLink]]:
    """Two hosts and the link between them; the test is skipped where that cannot be made."""
    require_namespaces()
    mark = f"wl{os.getpid()}"
    names = [f"{mark}a", f"{mark}b"]
    with ExitStack() as undo:
        found, ends = [], []
        for number, name in enumerate(names):
            try:
                ip("netns", "add", name)
                undo.callback(ip, "netns", "del", name)
                end = os.open("/dev/net/tun", os.O_RDWR)
                undo.callback(os.close, end)
                fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
            except (CalledProcessError, OSError) as error:
                pytest.skip(f"no network namespaces or TUN devices here: {error}")
            ip("link", "set", name, "netns", name)
            address = f"10.78.0.{number + 1}"
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", name)
            ip("-n", name, "link", "set", name, "up")
            ends.append(end)
            found.append(NetworkHost(name, address))
        link = LossyLink(ends, loss=loss, delay_s=delay_s, seed=seed)
        undo.callback(link.close)
        yield found, link
