"""A GraphQL request in, an answer out; whatever goes wrong is an ``errors`` list and never more."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any, Final

from graphql import ExecutionResult, GraphQLError, execute_sync
from msgspec import Struct

from wattswap.ledger.devnet.answers import Answers, Fields
from wattswap.ledger.devnet.guard import Guard
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.schema import schema

_MOST_TEXT: Final = 500
_log = logging.getLogger(__name__)


class Request(Struct, frozen=True, rename="camel"):
    """The body of a POST."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


class Api:
    """Answers GraphQL for a node."""

    def __init__(self, node: DevnetNode) -> None:
        self._node = node
        self._schema = schema()
        self._guard = Guard(self._schema)

    def answer(self, request: Request) -> Fields:
        """What is sent back as JSON."""
        try:
            document = self._guard.read(request.query)
            if isinstance(document, list):
                return {"errors": [_shown(error) for error in document]}
            result = execute_sync(
                self._schema,
                document,
                Answers(self._node).roots(),
                variable_values=request.variables,
                operation_name=request.operation_name,
            )
        except Refused as refused:
            return {"errors": [{"message": str(refused)[:_MOST_TEXT]}]}
        except RecursionError:
            return {"errors": [{"message": "the request is nested too deeply"}]}
        return _result(result)


def _result(result: ExecutionResult) -> Fields:
    answer: Fields = {"data": result.data}
    if result.errors:
        answer["errors"] = [_shown(error) for error in result.errors[:20]]
    return answer


def _shown(error: GraphQLError) -> Fields:
    """An error without anything of our insides; what nobody foresaw is logged in one line."""
    cause = error.original_error
    if cause is not None and not isinstance(cause, Refused | GraphQLError):
        _log.error("internal error: %s", where(cause))
        return {"message": "internal error"}
    shown: Fields = {"message": error.message[:_MOST_TEXT]}
    if error.path:
        shown["path"] = error.path
    return shown


def where(error: BaseException) -> str:
    """Kind and place of an error, without what was in the variables."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
