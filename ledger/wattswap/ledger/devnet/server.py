"""The node over HTTP: bytes in, bytes out. Every byte that comes in is taken for hostile."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from wattswap.ledger.devnet import names, sdk
from wattswap.ledger.devnet.api import Api
from wattswap.ledger.devnet.api import Request as Query
from wattswap.ledger.devnet.faucet import Faucet, TooOftenError
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.rules import MOST_BODY_BYTES

_BODY_S: Final = 20.0

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


Read = TypeVar("Read")


def app(node: DevnetNode, faucet: Faucet) -> Starlette:
    """The routes. A handler does its work without letting go in between, so requests never mix."""
    api = Api(node)

    async def graphql(request: Request) -> Response:
        return _json(api.answer(await _read(request, Query)))

    async def help_page(_request: Request) -> Response:
        return _json({**HELP, "chainIdentifier": node.chain_id})

    async def gas(request: Request) -> Response:
        wanted = (await _read(request, _GasRequest)).fixed_amount_request
        try:
            recipient = names.address(wanted.recipient)
            digest = node.give(recipient, faucet.admit(recipient, wanted.amount))
        except Refused as refused:
            return _json({"task": None, "error": str(refused)}, 429 if isinstance(refused, TooOftenError) else 400)
        return _json({"task": sdk.base58(digest), "error": None}, 202)

    async def status(request: Request) -> Response:
        """What became of a request to the faucet: it is done as soon as it is accepted."""
        task = request.path_params["task"]
        try:
            coin = node.gift(sdk.from_base58(task))
        except Refused:
            coin = None
        if coin is None:
            return _json({"status": None, "error": "the faucet knows no such task"}, 404)
        sent = [{"amount": coin.nanos, "id": f"0x{coin.id.hex()}", "transferTxDigest": task}]
        return _json({"status": {"status": "SUCCEEDED", "transferred_gas_objects": {"sent": sent}}, "error": None})

    return Starlette(
        routes=[
            Route("/", help_page, methods=["GET"]),
            Route("/graphql", help_page, methods=["GET"]),
            Route("/graphql", graphql, methods=["POST"]),
            Route("/v1/gas", gas, methods=["POST"]),
            Route("/v1/status/{task}", status, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _refused, ClientDisconnect: _refused, Exception: _refused},
    )


async def _read(request: Request, kind: type[Read]) -> Read:
    """The body, if it is JSON by its name (a web page elsewhere cannot send that), not too long and not too slow."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send JSON, with content-type application/json")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BODY_BYTES:
                    raise HTTPException(413, f"the body has more than {MOST_BODY_BYTES} bytes")
        return msgspec.json.decode(body, type=kind)
    except TimeoutError:
        raise HTTPException(408, "the body did not come") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"cannot read the body: {' '.join(str(error).split())[:200]}") from None


async def _refused(_request: Request, error: Exception) -> Response:
    """An error is an answer. One that nobody foresaw shows nothing of our insides; the store has rolled back."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = error.detail if isinstance(error, HTTPException) else "internal error"
    response = _json({"errors": [{"message": message}]}, status)
    response.headers["connection"] = "close"  # what may be left of the body is not read
    return response


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
