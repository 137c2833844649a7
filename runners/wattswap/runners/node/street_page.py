"""The dashboard of a transformer's own node: the page, and its stream of what the node knows.

    GET /         the page, in any browser
    GET /stream   server-sent events, also for ``wattswap dashboard --connect`` elsewhere

Read only: nothing is ordered through it.
"""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Final

from wattswap.runners.node.bounded_server import MOST_AT_ONCE, BoundedServer, QuietRequest
from wattswap.runners.page_guard import POLICY, PageGuard
from wattswap.runners.watching.page import page_files
from wattswap.runners.watching.places import WatchingPlaces
from wattswap.runners.watching.stream import LOOK_S, MEDIA, OVER, EventStream

if TYPE_CHECKING:
    from wattswap.runners.watching.history import History
    from wattswap.runners.watching.places import WatchingPlace

MOST_WATCHERS: Final = MOST_AT_ONCE // 2
"""The others of the server's places are for whoever opens the page."""
_CHUNK_BYTES: Final = 16_384
"""So much has to be taken within the time of a request, however long a part is."""
_TEXT: Final = "text/plain; charset=utf-8"


class StreetPage:
    """Serves a history in threads of its own, until it is closed."""

    def __init__(self, host: str, port: int, history: History) -> None:
        """Serve at once.

        Raises:
            InputError: the port is taken, or the address is not this machine's.
        """
        self._history, self._places, self._over = history, WatchingPlaces(MOST_WATCHERS), Event()
        page, guard, files = self, PageGuard(), page_files()

        class _StreetRequest(QuietRequest):
            def do_GET(self) -> None:  # noqa: N802 - the library's name
                path = self.path.partition("?")[0]
                if (why := guard.refusal({name.lower(): text for name, text in self.headers.items()})) is not None:
                    self._refuse(403, why)
                elif path == "/stream":
                    page.stream(self)
                elif path in files:
                    media, content = files[path]
                    self.answer(200, f"{media}; charset=utf-8", content, POLICY)
                else:
                    self._refuse(404, "there is no such page")

            def _refuse(self, status: int, why: str) -> None:
                self.answer(status, _TEXT, f"{why}\n".encode(), POLICY)

        self._server = BoundedServer(host, port, _StreetRequest)
        self.port = int(self._server.server_address[1])

    def stream(self, request: QuietRequest) -> None:
        """Tell one watcher until it goes, or is too slow: what is written to it must be read in time."""
        place = self._places.take(str(request.client_address[0]))
        try:
            self._tell(request, place, EventStream(self._history, request.headers.get("last-event-id", "")))
        finally:
            self._places.leave(place)

    def _tell(self, request: QuietRequest, place: WatchingPlace, events: EventStream) -> None:
        request.send_response(200)
        for name, text in {**POLICY, "content-type": MEDIA}.items():
            request.send_header(name, text)
        request.end_headers()
        while not self._over.is_set():
            if request.is_gone or place.is_lost:
                return
            event = events.next()
            self._places.sending(place)
            for start in range(0, max(len(event), 1), _CHUNK_BYTES):
                self._server.prolong(request.connection)
                request.wfile.write(event[start : start + _CHUNK_BYTES])
            self._places.sent(place)
            if not events.has_more:
                self._over.wait(LOOK_S)
        request.wfile.write(OVER)

    def close(self) -> None:
        """Answer no more."""
        self._over.set()
        self._server.close()
