"""GraphQL: a request in, an answer out; whatever goes wrong is an ``errors`` list and never more.

Names and nullness of the schema follow the real service, so a query written here works there. The library bounds a
query's length and depth; what answering it may cost is counted as it is answered.
"""

from __future__ import annotations

import logging
import traceback
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

import graphql
import msgspec
from graphql import DocumentNode, GraphQLError, GraphQLResolveInfo
from msgspec import Meta, Struct

from wattswap.ledger.devnet import rules, sdk
from wattswap.ledger.devnet.answers import Answers, Fields
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode

_RULES: Final = (*graphql.specified_rules, graphql.NoSchemaIntrospectionCustomRule)
_MOST_ERRORS: Final = 5
_log = logging.getLogger(__name__)


class Request(Struct, frozen=True):
    """The body of a POST."""

    query: str
    variables: dict[str, Any] | None = None


class _Allowance(Struct):
    """What is left of the cost that one request may have."""

    left: int = rules.MOST_COST

    def take(self, cost: int) -> None:
        """A field is counted whatever it is called and wherever it stands: no alias or fragment makes it cheaper."""
        self.left -= cost
        if self.left < 0:
            raise Refused(f"the query costs more than {rules.MOST_COST}: ask for less at once")


class Api:
    """Answers GraphQL for a node."""

    def __init__(self, node: DevnetNode) -> None:
        self._root = Answers(node)
        self._schema = graphql.build_schema(files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8"))
        for name, kind in self._schema.type_map.items():
            if isinstance(kind, graphql.GraphQLScalarType):
                kind.coerce_input_value = _READ.get(name, kind.coerce_input_value)
        self._read = lru_cache(256)(self._checked)  # a client sends the same few texts again and again

    def answer(self, request: Request) -> Fields:
        """What is sent back as JSON."""
        document, allowance = self._read(request.query), _Allowance()
        if isinstance(document, list):
            return {"errors": document}
        asked = document, self._root, allowance, request.variables
        result = graphql.execute_sync(self._schema, *asked, field_resolver=_resolved)
        errors = [_shown(error) for error in (result.errors or ())[:_MOST_ERRORS]]
        if allowance.left < 0:
            return {"errors": errors}
        return {"data": result.data, "errors": errors} if errors else {"data": result.data}

    def _checked(self, query: str) -> DocumentNode | list[Fields]:
        """The query, or what is wrong with it."""
        if len(query) > (most := rules.MOST_QUERY_CHARACTERS):
            return [{"message": f"the query has more than {most} characters: put long values into variables"}]
        try:
            document = graphql.parse(query, no_location=False, max_tokens=rules.MOST_QUERY_TOKENS)
        except GraphQLError as error:
            return [_shown(error)]
        wrong = graphql.validate(self._schema, document, _RULES, max_errors=_MOST_ERRORS)
        return [_shown(error) for error in wrong] or document


def _resolved(source: Fields | Answers, info: GraphQLResolveInfo[_Allowance], **given: Any) -> Any:
    """What answers a field."""
    info.context.take(rules.COSTS.get(info.field_name, 1))
    found = source.get(info.field_name) if isinstance(source, dict) else getattr(source, info.field_name)
    value = found(**given) if callable(found) else found
    if not isinstance(value, bytes):
        return value
    info.context.take(len(value) // rules.BYTES_A_COST)
    return b64encode(value).decode()


_UInt53 = Annotated[int, Meta(ge=0, lt=2**53)]
_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "UInt53": partial(msgspec.convert, type=_UInt53),
    "IotaAddress": lambda value: sdk.address(msgspec.convert(value, str)),
}


def _shown(error: GraphQLError) -> Fields:
    """An error without anything of our insides; what nobody foresaw is logged in one line."""
    cause = error.original_error
    if cause is not None and not isinstance(cause, Refused | GraphQLError | msgspec.ValidationError):
        _log.error("internal error: %s", where(cause))
        return {"message": "internal error"}
    return {"message": error.message}


def where(error: BaseException) -> str:
    """Kind and place of an error, without what was in the variables."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
