"""What a charger may let its car draw, as a page that other programs read: evcc, EVerest, OpenEMS, a curl.

    GET /   {"charger": "charger/1", "maxconsumptionpower": 4140, "lease_ends": "2026-01-31T19:00:05Z", ...}

Read only. The answer never outlives the lease: once it is over, or when the node hangs, the guaranteed minimum stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


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

        class _GrantRequest(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                known = self.path.partition("?")[0] == "/"
                body = json.dumps(page.content() if known else {"error": "there is only /"}).encode() + b"\n"
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: programs ask every few seconds."""

        try:
            self._server = ThreadingHTTPServer((host, port), _GrantRequest)
        except OSError as error:
            raise InputError(
                f"[page]: cannot listen at {host}:{port} ({error.strerror}); choose another port"
            ) from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, name="grant page", daemon=True)
        self._thread.start()

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
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
