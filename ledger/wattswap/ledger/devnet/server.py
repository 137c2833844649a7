"""The node over HTTP: bytes in, bytes out. Every byte that comes in is taken for hostile."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from wattswap.ledger.devnet import sdk
from wattswap.ledger.devnet.api import Api
from wattswap.ledger.devnet.api import Request as Query
from wattswap.ledger.devnet.faucet import Faucet
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.rules import MOST_BODY_BYTES


class _FixedAmount(msgspec.Struct):
    recipient: str
    amount: Annotated[int, msgspec.Meta(gt=0)] = 10 * 10**9
    """Nanos; to ask for so much is ours, a public faucet gives what it likes."""


class _GasRequest(msgspec.Struct, rename="pascal"):
    fixed_amount_request: _FixedAmount


_UNFIT: Final = (Refused, msgspec.DecodeError, UnicodeDecodeError, RecursionError, ClientDisconnect)
"""What is wrong with a request, or with its body."""


def app(node: DevnetNode, faucet: Faucet) -> Starlette:
    """The routes. A handler does its work without letting go in between, so requests never mix."""
    api = Api(node)

    async def graphql(request: Request) -> Response:
        return _json(api.answer(msgspec.json.decode(await _body(request), type=Query)))

    async def gas(request: Request) -> Response:
        wanted = msgspec.json.decode(await _body(request), type=_GasRequest).fixed_amount_request
        recipient = sdk.address(wanted.recipient)
        if not faucet.take(wanted.amount):
            raise HTTPException(429, f"the faucet has {faucet.left_nanos} nanos just now: try again later")
        return _json({"task": sdk.base58(node.give(recipient, wanted.amount)), "error": None}, 202)

    routes = [Route("/graphql", graphql, methods=["POST"]), Route("/v1/gas", gas, methods=["POST"])]
    handlers = dict.fromkeys((HTTPException, *_UNFIT, Exception), _refused)
    return Starlette(routes=routes, exception_handlers=handlers)


async def _body(request: Request) -> bytearray:
    """The body, if it is JSON by its name (a web page elsewhere cannot send that), and not too long."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send JSON, with content-type application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise HTTPException(413, f"the body has more than {MOST_BODY_BYTES} bytes")
    return body


async def _refused(_request: Request, error: Exception) -> Response:
    """An error is an answer. One that nobody foresaw shows nothing of our insides; the store has rolled back."""
    status, message = 500, "internal error"
    if isinstance(error, HTTPException):
        status, message = error.status_code, error.detail
    elif isinstance(error, _UNFIT):
        status, message = 400, str(error)
    response = _json({"errors": [{"message": message}]}, status)
    response.headers["connection"] = "close"  # what may be left of the body is not read
    return response


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
