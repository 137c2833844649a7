"""The dashboard's web server: a page, its stream of server-sent events, and nothing that a foreign page may ask for."""

from __future__ import annotations

import asyncio
import secrets
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from wattswap.experiments.dashboard.history import MOST_ROWS, Cursor
from wattswap.experiments.dashboard.orders import Orders
from wattswap.experiments.dashboard.readings import signed_records
from wattswap.experiments.dashboard.transcript import transcript
from wattswap.protocol.errors import InputError
from wattswap.runners.page_guard import POLICY, PageGuard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wattswap.experiments.dashboard.history import History
    from wattswap.experiments.dashboard.rights import Rights

_MEDIA: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_LOOK_S: Final = 0.2
"""How often a watcher's stream looks for news."""
_BEAT_S: Final = 10.0
"""A silent stream says so often that it is still there."""
_MOST_WATCHERS: Final = 64


def dashboard_app(
    history: History, is_over: Callable[[], bool], rights: Rights | None = None, run_dir: Path | None = None
) -> ASGIApp:
    """The application; its streams end when ``is_over``. What was said is looked up in the journal of ``run_dir``."""
    streams, looked_up = _Streams(history, is_over), _LookedUp(run_dir)
    routes = [
        Route("/stream", streams.stream),
        Route("/transcript/{feeder:int}/{tick:int}", looked_up.transcript),
        Route("/readings", looked_up.readings),
        Route("/readings/{last:int}", looked_up.readings),
        Route("/readings/until/{until_ms:int}", looked_up.readings),
    ]
    if rights is not None:
        routes += Orders(history, rights).routes()
    for entry in files(__package__).joinpath("page").iterdir():
        page = _Page(entry.read_bytes(), _MEDIA[entry.name.rpartition(".")[2]])
        routes += [Route(path, page.get) for path in _paths(entry.name)]
    return _Guard(Starlette(routes=routes))


class _LookedUp:
    """What is read from the run's directory when somebody asks: each in a thread of its own."""

    def __init__(self, run_dir: Path | None) -> None:
        self._run_dir = run_dir

    def transcript(self, request: Request) -> Response:
        """What was said in a round."""
        feeder, tick = request.path_params["feeder"], request.path_params["tick"]
        return self._json("journal", lambda run_dir: transcript(run_dir, feeder, tick))

    def readings(self, request: Request) -> Response:
        """Signed meter records."""
        return self._json("meter records", lambda run_dir: signed_records(run_dir, **request.path_params))

    def _json(self, what: str, look_up: Callable[[Path], object]) -> Response:
        """What was found, or 404 with the reason why it is not there."""
        if self._run_dir is None:
            why = f"no {what} here: this run leaves no directory on this machine; name one with --out where it runs"
            return PlainTextResponse(why + "\n", 404)
        try:
            found = look_up(self._run_dir)
        except InputError as error:
            return PlainTextResponse(f"{error}\n", 404)
        return Response(msgspec.json.encode(found), media_type="application/json")


def _paths(name: str) -> tuple[str, ...]:
    return ("/", "/index.html") if name == "index.html" else (f"/{name}",)


class _Page:
    """A file of the page."""

    def __init__(self, content: bytes, media: str) -> None:
        self._content, self._media = content, media

    async def get(self, request: Request) -> Response:  # noqa: ARG002 - it is the same for everybody
        return Response(self._content, media_type=self._media)


class _Streams:
    """A stream for each watcher."""

    def __init__(self, history: History, is_over: Callable[[], bool]) -> None:
        self._history, self._is_over = history, is_over
        self._name = secrets.token_hex(8)
        """Of this run: a page that reconnects to another one must begin anew."""
        self._watchers = 0

    async def stream(self, request: Request) -> Response:
        """What happened so far, then what happens; from where the browser left off, if it comes back."""
        if self._watchers >= _MOST_WATCHERS:
            return PlainTextResponse(f"{_MOST_WATCHERS} watchers are too many already; close one\n", status_code=503)
        cursor = self._resumed(request.headers.get("last-event-id", ""))
        headers = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(request, cursor), headers=headers)

    def _resumed(self, event_id: str) -> Cursor | None:
        """Where a browser left off; None for one that is new or watched another run."""
        name, _, numbers = event_id.partition(":")
        had = tuple(int(number) for number in numbers.split("-") if number.isdecimal() and len(number) < 10)
        return Cursor(had) if name == self._name and len(had) == len(Cursor().had) else None

    async def _events(self, request: Request, cursor: Cursor | None) -> AsyncIterator[bytes]:
        self._watchers += 1
        try:
            silent_s = 0.0
            while not self._is_over() and not await request.is_disconnected():
                if self._history.head is None:
                    await asyncio.sleep(_LOOK_S)
                    continue
                if cursor is None:
                    yield _event("head", self._history.head)
                    cursor = Cursor()
                news = self._history.since(cursor)
                if news is not None:
                    part, cursor = news
                    yield _event("part", part, f"{self._name}:{'-'.join(map(str, cursor.had))}")
                    silent_s = 0.0
                    if max(len(part.ticks), len(part.cars)) == MOST_ROWS:
                        continue
                elif silent_s >= _BEAT_S:
                    yield b": still here\n\n"
                    silent_s = 0.0
                await asyncio.sleep(_LOOK_S)
                silent_s += _LOOK_S
            if self._is_over():
                yield _event("over", {})
        finally:
            self._watchers -= 1


def _event(kind: str, content: object, event_id: str = "") -> bytes:
    """A server-sent event; JSON has no line breaks, so one line of data holds it."""
    named = f"id: {event_id}\n" if event_id else ""
    return f"event: {kind}\n{named}data: ".encode() + msgspec.json.encode(content) + b"\n\n"


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
