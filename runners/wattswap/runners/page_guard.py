"""Which requests a page of this machine answers: those that name it, and that no other page has sent."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every answer."""


class PageGuard:
    """Answers only requests that name this machine as their host and come from its own page."""

    def __init__(self) -> None:
        self._names = {"localhost", socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused. A name that somebody else pointed at this machine is not ours, a number is."""
        host = str(headers.get("host", ""))
        if not self._is_ours(host):
            return f"{host[:100]!r} is not a name of this machine; open the address that wattswap printed"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return f"a page from {str(origin)[:100]!r} may not ask here; open the address that wattswap printed"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "another page may not ask here; open the address that wattswap printed"
        return None

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if name.lower() in self._names:
            return True
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True
