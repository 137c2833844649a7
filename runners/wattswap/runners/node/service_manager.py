"""Word to systemd, where it runs the node: that it is ready, and that its loop still turns.

The protocol is sd_notify(3): datagrams of text to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY_MS: Final = 5_000
"""So often a node says that it lives, if its loop turns as often."""


class ServiceManager:
    """Tells whoever runs the node as a service; without a service manager it tells nobody."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """``environment`` is that of the process."""
        self._path = environment.get("NOTIFY_SOCKET", "")
        self._next_ms = 0

    def ready(self) -> None:
        """Everything that can be wrong at the start was right."""
        self._say("READY=1")

    def turned(self, now_ms: int) -> None:
        """The loop has turned once more."""
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + EVERY_MS
            self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if not self._path:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
                out.sendto(text.encode(), self._path.replace("@", "\0", 1) if self._path[0] == "@" else self._path)
        except OSError:
            return  # the node's work does not depend on who watches it
