"""The node over HTTP: bytes in, bytes out. Every byte that comes in is taken for hostile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from wattswap.ledger.devnet import names, sdk
from wattswap.ledger.devnet.api import Api, where
from wattswap.ledger.devnet.api import Request as Query
from wattswap.ledger.devnet.faucet import Faucet, TooOftenError
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.rules import MOST_BODY_BYTES

_BODY_S: Final = 20.0
_log = logging.getLogger(__name__)

HELP: Final = {
    "what": "A local IOTA node of Wattswap. One authority, no Move machine; its tokens are worth nothing.",
    "graphql": "POST /graphql with {query, variables, operationName} as JSON; the schema answers introspection",
    "try": "{ chainIdentifier devnet { transactions supplyNanos } transactionBlocks(last: 5) { nodes { digest } } }",
    "faucet": 'POST /v1/gas with {"FixedAmountRequest": {"recipient": "0x..."}} as JSON, then GET /v1/status/<task>',
}


class _FixedAmount(msgspec.Struct):
    recipient: str
    amount: int | None = None
    """Nanos; ours, the public faucets have no such field."""


class _GasRequest(msgspec.Struct, rename="pascal"):
    fixed_amount_request: _FixedAmount


class _Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer with a status of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Read = TypeVar("Read")
Handler = Callable[[Request], Awaitable[Response]]


def app(node: DevnetNode, faucet: Faucet) -> Starlette:
    """The routes. A handler does its work without letting go in between, so requests never mix."""
    api = Api(node)

    async def graphql(request: Request) -> Response:
        query = _read(await _body(request), Query)
        return _json(api.answer(query))

    async def help_page(_request: Request) -> Response:
        return _json({**HELP, "chainIdentifier": node.chain_id})

    async def gas(request: Request) -> Response:
        wanted = _read(await _body(request), _GasRequest).fixed_amount_request
        try:
            recipient = names.address(wanted.recipient)
            digest = node.give(recipient, faucet.admit(recipient, wanted.amount))
        except TooOftenError as refused:
            return _json({"task": None, "error": str(refused)}, 429)
        except Refused as refused:
            return _json({"task": None, "error": str(refused)}, 400)
        return _json({"task": sdk.base58(digest), "error": None}, 202)

    async def status(request: Request) -> Response:
        return _json(*_gift_status(node, request.path_params["task"]))

    return Starlette(
        routes=[
            Route("/", _safe(help_page), methods=["GET"]),
            Route("/graphql", _safe(help_page), methods=["GET"]),
            Route("/graphql", _safe(graphql), methods=["POST"]),
            Route("/v1/gas", _safe(gas), methods=["POST"]),
            Route("/v1/status/{task}", _safe(status), methods=["GET"]),
        ]
    )


def _gift_status(node: DevnetNode, task: str) -> tuple[dict[str, Any], int]:
    """What became of a request to the faucet: it is done as soon as it is accepted."""
    try:
        coin = node.gift(sdk.from_base58(task))
    except Refused:
        coin = None
    if coin is None:
        return {"status": None, "error": "the faucet knows no such task"}, 404
    sent = [{"amount": coin.nanos, "id": names.shown(coin.id), "transferTxDigest": task}]
    return {"status": {"status": "SUCCEEDED", "transferred_gas_objects": {"sent": sent}}, "error": None}, 200


async def _body(request: Request) -> bytes:
    """The body, if it is JSON by its name (a web page elsewhere cannot send that), not too long and not too slow."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Refusal(415, "send JSON, with content-type application/json")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BODY_BYTES:
                    raise _Refusal(413, f"the body has more than {MOST_BODY_BYTES} bytes")
    except TimeoutError:
        raise _Refusal(408, "the body did not come") from None
    return bytes(body)


def _read(body: bytes, kind: type[Read]) -> Read:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _Refusal(400, f"cannot read the body: {' '.join(str(error).split())[:200]}") from None


def _safe(handler: Handler) -> Handler:
    """A handler whose every error is an answer. What nobody foresaw is logged in one line, and changed nothing."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except _Refusal as refusal:
            return _errors(str(refusal), refusal.status)
        except ClientDisconnect:
            return _errors("gone", 400)
        except Exception as error:  # noqa: BLE001 - the border of a request; the store has rolled back
            _log.error("internal error: %s", where(error))
            return _errors("internal error", 500)

    return guarded


def _errors(message: str, status: int) -> Response:
    response = _json({"errors": [{"message": message}]}, status)
    response.headers["connection"] = "close"  # what may be left of the body is not read
    return response


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
