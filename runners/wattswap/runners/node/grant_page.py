"""What a charger may let its car draw, as a page that other programs read: evcc, EVerest, OpenEMS, a curl.

    GET /   {"charger": "charger/1", "maxconsumptionpower": 4140, "lease_ends": "2026-01-31T19:00:05Z", ...}

Read only. The answer never outlives the lease: once it is over, the guaranteed minimum stands, also where the node's
loop is stuck. A process that is frozen answers nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from wattswap.agents.charger import Charger
from wattswap.runners.node.bounded_server import BoundedServer, QuietRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.agents.base import Agent


@dataclass(frozen=True)
class GrantInForce:
    """What a charger lets its car draw and feed, and until when."""

    import_w: int
    export_w: int
    ends_ms: int | None
    """On the node's clock; None where no lease is in force."""


class GrantPage:
    """Serves the grant in force in a thread of its own, until it is closed."""

    def __init__(self, host: str, port: int, *, charger: str, guaranteed_w: int, clock: Callable[[], int]) -> None:
        """``clock`` is the node's.

        Raises:
            InputError: the port is taken, or the address is not this machine's.
        """
        self._charger, self._guaranteed_w, self._clock = charger, guaranteed_w, clock
        self._grant = GrantInForce(guaranteed_w, 0, None)
        page = self

        class _GrantRequest(QuietRequest):
            def do_GET(self) -> None:  # noqa: N802 - the library's name
                known = self.path.partition("?")[0] == "/"
                body = json.dumps(page.content() if known else {"error": "there is only /"}).encode() + b"\n"
                self.answer(200 if known else 404, "application/json", body)

        self._server = BoundedServer(host, port, _GrantRequest)
        self.port = int(self._server.server_address[1])

    def look(self, agent: Agent, powers_w: tuple[int, int]) -> None:
        """Show the powers that a charger has set, until its lease ends."""
        assert isinstance(agent, Charger)
        self.show(GrantInForce(*powers_w, agent.lease_ends_ms))

    def show(self, grant: GrantInForce) -> None:
        """This holds from now on."""
        self._grant = grant

    def content(self) -> dict[str, Any]:
        """The answer as it is now."""
        grant, now_ms = self._grant, self._clock()
        left_ms = 0 if grant.ends_ms is None else max(0, grant.ends_ms - now_ms)
        ends = datetime.now(UTC) + timedelta(milliseconds=left_ms)
        return {
            "charger": self._charger,
            "maxconsumptionpower": grant.import_w if left_ms else self._guaranteed_w,
            "feed_w": grant.export_w if left_ms else 0,
            "lease_left_ms": left_ms,
            "lease_ends": ends.isoformat(timespec="seconds").replace("+00:00", "Z") if left_ms else None,
        }

    def close(self) -> None:
        """Answer no more."""
        self._server.close()
