"""The dashboard's web server: a page, its stream of server-sent events, and nothing that a foreign page may ask for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from wattswap.experiments.dashboard.looked_up import LookedUp
from wattswap.experiments.dashboard.orders import Orders
from wattswap.runners.page_guard import POLICY, PageGuard
from wattswap.runners.watching.page import page_files
from wattswap.runners.watching.places import WatchingPlaces
from wattswap.runners.watching.stream import LOOK_S, MEDIA, OVER, EventStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wattswap.experiments.dashboard.rights import Rights
    from wattswap.runners.watching.history import History

_MOST_WATCHERS: Final = 64


def dashboard_app(
    history: History, is_over: Callable[[], bool], rights: Rights | None = None, run_dir: Path | None = None
) -> ASGIApp:
    """The application; its streams end when ``is_over``. What was said is looked up in the journal of ``run_dir``."""
    routes = [Route("/stream", _Streams(history, is_over).stream), *LookedUp(history, run_dir).routes()]
    if rights is not None:
        routes += Orders(history, rights).routes()
    routes += [Route(path, _Page(*file).get) for path, file in page_files().items()]
    return _Guard(Starlette(routes=routes))


class _Page:
    """A file of the page."""

    def __init__(self, media: str, content: bytes) -> None:
        self._content, self._media = content, media

    async def get(self, request: Request) -> Response:  # noqa: ARG002 - it is the same for everybody
        return Response(self._content, media_type=self._media)


class _Streams:
    """A stream for each watcher."""

    def __init__(self, history: History, is_over: Callable[[], bool]) -> None:
        self._history, self._is_over = history, is_over
        self._places = WatchingPlaces(_MOST_WATCHERS)

    async def stream(self, request: Request) -> Response:
        """What happened so far, then what happens; from where the browser left off, if it comes back."""
        events = EventStream(self._history, request.headers.get("last-event-id", ""))
        headers = {"content-type": MEDIA, "x-accel-buffering": "no"}
        return StreamingResponse(self._told(request, events), headers=headers)

    async def _told(self, request: Request, events: EventStream) -> AsyncIterator[bytes]:
        place = self._places.take(request.client.host if request.client else "")
        try:
            while not (self._is_over() or place.is_lost or await request.is_disconnected()):
                if event := events.next():
                    self._places.sending(place)
                    yield event
                    self._places.sent(place)
                if not events.has_more:
                    await asyncio.sleep(LOOK_S)
            if self._is_over():
                yield OVER
        finally:
            self._places.leave(place)


class _Guard:
    """Answers only requests that name this machine as their host and come from this page, and says so in headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._guard = app, PageGuard()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), text.encode()) for name, text in POLICY.items()),
                ]
            await send(message)

        refusal = self._guard.refusal(Request(scope).headers)
        if refusal is None:
            await self._app(scope, receive, guarded)
        else:
            await PlainTextResponse(refusal + "\n", status_code=403)(scope, receive, guarded)
