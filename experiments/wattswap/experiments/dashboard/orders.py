"""Where a page orders something: the operator a limit, each driver what the own car does. By POST, with a token."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from wattswap.protocol.units import WS_PER_WH
from wattswap.runners.engines.driver_wishes import Said, Wish

if TYPE_CHECKING:
    from starlette.requests import Request

    from wattswap.experiments.dashboard.rights import Rights
    from wattswap.runners.watching.history import CarCard, History

_MOST_ORDER_BYTES: Final = 1_000
_MOST_AHEAD_MS: Final = 7 * 24 * 3_600_000
_OrderT = TypeVar("_OrderT", bound=msgspec.Struct)


class _LimitOrdered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the slider sends."""

    feeder: Annotated[int, msgspec.Meta(ge=0)]
    limit_w: Annotated[int, msgspec.Meta(ge=0)] | None


class _WishSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a car's screen sends."""

    session: str
    wish: Wish
    by_ms: int | None = None
    """In the run's milliseconds."""
    least_wh: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _DriverAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose driver is to get an address."""

    session: str


class _RefusedError(Exception):
    """An order is not carried out: a status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Orders:
    """Where orders arrive."""

    def __init__(self, history: History, rights: Rights) -> None:
        self._history, self._rights = history, rights

    def routes(self) -> list[Route]:
        """By their paths."""
        return [
            Route("/limit", self.limit, methods=["POST"]),
            Route("/wish", self.wish, methods=["POST"]),
            Route("/driver", self.driver, methods=["POST"]),
        ]

    async def limit(self, request: Request) -> Response:
        """The operator orders a limit."""
        try:
            _require(request, self._rights.operator_token, "set the limit; open the operator's address again")
            order = await _order(request, _LimitOrdered)
            feeders = self._history.head.feeders if self._history.head else []
            most_w = feeders[order.feeder].most_limit_w if order.feeder < len(feeders) else None
            if most_w is None:
                raise _RefusedError(400, "there is no such feeder")
            if order.limit_w is not None and order.limit_w > most_w:
                raise _RefusedError(400, f"the transformer is built for {most_w} W and no more")
            self._require_running()
        except _RefusedError as refused:
            return _answer(refused)
        self._rights.limits.order(order.feeder, order.limit_w)
        return Response(status_code=204)

    async def wish(self, request: Request) -> Response:
        """A driver says what the own car is to do."""
        try:
            said = await _order(request, _WishSaid)
            row, car = self._car(said.session)
            _require(
                request, self._rights.driver_token(car.vehicle), "say what this car does; open its driver's address"
            )
            if (said.by_ms is not None) != (said.wish is Wish.FULL_BY):
                raise _RefusedError(400, "an instant belongs to full-by, and only there")
            if (said.least_wh is not None) != (said.wish is Wish.AT_LEAST):
                raise _RefusedError(400, "an energy belongs to at-least, and only there")
            now_ms = self._history.ticks * (self._history.head.tick_ms if self._history.head else 0)
            if said.by_ms is not None and not now_ms <= said.by_ms <= now_ms + _MOST_AHEAD_MS:
                raise _RefusedError(400, "the car can be full by an instant of the next seven days")
            if said.least_wh is not None and said.least_wh > car.battery_wh:
                raise _RefusedError(400, f"the battery holds {car.battery_wh} Wh at most")
            if self._rights.drivers is None:
                raise _RefusedError(409, "this street asks no car, so no driver has a say")
            self._require_running()
            if self._history.has_left(row):
                raise _RefusedError(409, "this car has left")
        except _RefusedError as refused:
            return _answer(refused)
        least_ws = None if said.least_wh is None else said.least_wh * WS_PER_WH
        self._rights.drivers.say(Said(row, said.wish, said.by_ms, least_ws))
        return Response(status_code=204)

    async def driver(self, request: Request) -> Response:
        """The operator hands out the token of a car's driver."""
        try:
            _require(request, self._rights.operator_token, "hand out drivers' addresses")
            _, car = self._car((await _order(request, _DriverAsked)).session)
        except _RefusedError as refused:
            return _answer(refused)
        found = {"vehicle": car.vehicle, "token": self._rights.driver_token(car.vehicle)}
        return Response(msgspec.json.encode(found), media_type="application/json")

    def _require_running(self) -> None:
        if self._history.state != "running":
            raise _RefusedError(409, "the run is over")

    def _car(self, session: str) -> tuple[int, CarCard]:
        """The row and the card of a session."""
        for row, card in enumerate(self._history.cards):
            if card.session == session:
                return row, card
        raise _RefusedError(400, "there is no such car")


def _require(request: Request, token: str, what: str) -> None:
    """Refuse whoever has another token. It is no cookie, so no other page can make a browser send it along."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not secrets.compare_digest(given.encode(), token.encode()):
        raise _RefusedError(401, f"this token may not {what}")


async def _order(request: Request, kind: type[_OrderT]) -> _OrderT:
    """What was ordered."""
    if request.headers.get("content-type") != "application/json":
        raise _RefusedError(415, "an order is JSON")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_ORDER_BYTES:
            raise _RefusedError(413, "an order is shorter")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _RefusedError(400, f"no order: {error}") from None


def _answer(refused: _RefusedError) -> Response:
    return PlainTextResponse(f"{refused}\n", refused.status)
