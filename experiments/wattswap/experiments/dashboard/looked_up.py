"""What is read from a run's directory when somebody asks: one thing at a time, so that no asker can slow the run.

Addresses take turns, and a place in the line is kept while its asker waits to come again: nobody is starved by others.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from wattswap.experiments.dashboard.question_line import QuestionLine
from wattswap.experiments.dashboard.readings import signed_records
from wattswap.experiments.dashboard.transcript import transcript
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

    from wattswap.runners.watching.history import History

_PATIENCE_S: Final = 2.0
"""So long an asker waits for its turn before it is asked to come again."""
_REST: Final = 4.0
"""While the run goes on, nothing is read after a look-up for so many times as long as that took."""
_FRESH_S: Final = 5.0
"""So old an answer about a run that goes on may be; one about a run that is over does not age."""
_MOST_KEPT: Final = 32
_MOST_WAITING: Final = 64
"""Of one address."""
_PLACE_KEPT_S: Final = 10.0
"""So long a place in the line is kept for an asker who was asked to come again."""


class _ShortNumber(Convertor[int]):
    """A number in a path; 12 digits of milliseconds are 31 years."""

    regex = "[0-9]{1,12}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("number", _ShortNumber())


class _Kept(NamedTuple):
    """An answer, and until when it holds."""

    content: bytes
    holds_until_s: float


class _Question(NamedTuple):
    """What somebody waits for."""

    path: str
    run_dir: Path
    look_up: Callable[[Path], object]
    read: asyncio.Future[asyncio.Task[_Kept]]
    """Done once it was its turn and it was read."""


class LookedUp:
    """Transcripts of rounds and signed meter records, each read in a thread, the newest ones kept."""

    def __init__(self, history: History, run_dir: Path | None) -> None:
        self._history, self._run_dir = history, run_dir
        self._line = QuestionLine[_Question](_MOST_WAITING, _PLACE_KEPT_S)
        self._is_busy = False
        """Whether something is read, or rested from."""
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def routes(self) -> list[Route]:
        """By their paths."""
        return [
            Route("/transcript/{feeder:number}/{tick:number}", self.transcript),
            Route("/readings", self.readings),
            Route("/readings/{last:number}", self.readings),
            Route("/readings/until/{until_ms:number}", self.readings),
        ]

    async def transcript(self, request: Request) -> Response:
        """What was said in a round."""
        feeder, tick = request.path_params["feeder"], request.path_params["tick"]
        return await self._answer(request, "journal", lambda run_dir: transcript(run_dir, feeder, tick))

    async def readings(self, request: Request) -> Response:
        """Signed meter records."""
        asked = request.path_params
        return await self._answer(request, "meter records", lambda run_dir: signed_records(run_dir, **asked))

    async def _answer(self, request: Request, what: str, look_up: Callable[[Path], object]) -> Response:
        """What was found, or why it is not there; 503 where too many others ask."""
        if self._run_dir is None:
            why = f"no {what} here: this run leaves no directory on this machine; name one with --out where it runs"
            return _json(_why_not(why))
        path = request.url.path
        kept = self._still_kept(path) or await self._in_turn(request, path, self._run_dir, look_up)
        if kept is None:
            why = "others are looking something up; ask again in a moment\n"
            return PlainTextResponse(why, 503, {"retry-after": "2"})
        return _json(kept.content)

    def _still_kept(self, path: str) -> _Kept | None:
        kept = self._kept.get(path)
        return kept if kept is not None and time.monotonic() < kept.holds_until_s else None

    async def _in_turn(
        self, request: Request, path: str, run_dir: Path, look_up: Callable[[Path], object]
    ) -> _Kept | None:
        """What was found when it was this asker's turn; None if that is yet to come."""
        question = _Question(path, run_dir, look_up, asyncio.get_running_loop().create_future())
        asker = request.client.host if request.client else ""
        waiting = self._line.join(asker, path, question, time.monotonic())
        if not self._is_busy:
            self._take_up_next()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return (await asyncio.shield(waiting.read)).result()
        except TimeoutError:
            self._line.join(asker, path, question, time.monotonic())  # the place is kept from now on
            return None

    def _take_up_next(self) -> None:
        """Let the next question have its turn, if one waits."""
        question = self._line.next(time.monotonic())
        self._is_busy = question is not None
        if question is not None:
            self._reading = asyncio.create_task(self._read(question))
            self._reading.add_done_callback(question.read.set_result)

    async def _read(self, question: _Question) -> _Kept:
        """Look it up, keep it, and let the next one have its turn after a rest."""
        if (kept := self._still_kept(question.path)) is not None:  # who was before in the line asked for the same
            self._take_up_next()
            return kept
        goes_on, began_s = self._history.state == "running", time.monotonic()
        try:
            content = await run_in_threadpool(_found, question.run_dir, question.look_up)
        finally:
            ended_s = time.monotonic()
            rest_s = _REST * (ended_s - began_s) if goes_on else 0.0
            asyncio.get_running_loop().call_later(rest_s, self._take_up_next)
        kept = _Kept(content, ended_s + _FRESH_S if goes_on else float("inf"))
        self._kept.pop(question.path, None)
        self._kept[question.path] = kept
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return kept


def _found(run_dir: Path, look_up: Callable[[Path], object]) -> bytes:
    try:
        return msgspec.json.encode(look_up(run_dir))
    except InputError as error:
        return _why_not(str(error))


def _why_not(why: str) -> bytes:
    """That a run does not keep something is an answer, and no fault that a browser's console has to note."""
    return msgspec.json.encode({"why": why})


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
