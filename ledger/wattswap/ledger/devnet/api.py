"""GraphQL: a request in, an answer out; whatever goes wrong is an ``errors`` list and never more.

A query that would cost too much is stopped before anything of it is looked up. Names and nullness of the schema follow
the real service, so a query written here works there.
"""

from __future__ import annotations

import logging
import re
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import graphql
from graphql import DocumentNode, FieldNode, GraphQLError, SelectionSetNode
from msgspec import Struct

from wattswap.ledger.devnet import names, rules
from wattswap.ledger.devnet.answers import Answers, Fields
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode

_MOST_TOKENS: Final = 4_000
_MOST_KEPT: Final = 256
_MOST_ERRORS: Final = 5
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
        self._answers = Answers(node)
        self._schema = graphql.build_schema(files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8"))
        for name, kind in self._schema.type_map.items():
            if isinstance(kind, graphql.GraphQLScalarType):
                kind.coerce_input_value = _READ.get(name, kind.coerce_input_value)
                kind.coerce_output_value = _WRITTEN.get(name, kind.coerce_output_value)
            for field in kind.fields.values() if isinstance(kind, graphql.GraphQLObjectType) else ():
                for argument, about in field.args.items():
                    about.out_name = _in_python(argument)
        graphql.assert_valid_schema(self._schema)
        self._read = lru_cache(_MOST_KEPT)(self._checked)  # a client sends the same few texts again and again

    def answer(self, request: Request) -> Fields:
        """What is sent back as JSON."""
        try:
            query = self._read(request.query)
            if isinstance(query, list):
                return {"errors": [_shown(error) for error in query]}
            asked = query, self._answers, [0], request.variables, request.operation_name
            result = graphql.execute_sync(self._schema, *asked, field_resolver=_resolved)
        except Refused as refused:
            return {"errors": [{"message": str(refused)[:_MOST_TEXT]}]}
        except RecursionError:
            return {"errors": [{"message": "the request is nested too deeply"}]}
        return _result(result)

    def _checked(self, query: str) -> DocumentNode | list[GraphQLError]:
        """The query, or what is wrong with it; raises ``Refused`` if it is too large to say."""
        if len(query) > (most := rules.SERVICE["maxQueryPayloadSize"]):
            raise Refused(f"the query has more than {most} characters: put long values into variables")
        try:
            document = graphql.parse(query, no_location=False, max_tokens=_MOST_TOKENS)
            _check_cost(document)
            return graphql.validate(self._schema, document, max_errors=_MOST_ERRORS) or document
        except GraphQLError as error:
            return [error]


def _resolved(source: Any, info: graphql.GraphQLResolveInfo[list[int]], **given: Any) -> Any:
    """What answers a field; the context counts the bytes that one answer hands out."""
    name = info.field_name
    found = source.get(name) if isinstance(source, dict) else getattr(source, _in_python(name))
    value = found(**given) if callable(found) else found
    if isinstance(value, bytes):
        info.context[0] += len(value)
        if info.context[0] > rules.MOST_OUTPUT_BYTES:
            raise Refused(f"the answer would be longer than {rules.MOST_OUTPUT_BYTES} bytes: ask for smaller pages")
    return value


@lru_cache
def _in_python(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


def _uint53(value: object) -> int:
    if type(value) is not int or not 0 <= value <= rules.MOST_UINT53:
        raise GraphQLError("a UInt53 is an integer from 0 to 2^53 - 1")
    return value


def _address(value: object) -> bytes:
    if not isinstance(value, str):
        raise GraphQLError("an IotaAddress is a string")
    return names.address(value)


_READ: Final[dict[str, Callable[[Any], Any]]] = {"UInt53": _uint53, "IotaAddress": _address}
_WRITTEN: Final[dict[str, Callable[[Any], Any]]] = {
    "IotaAddress": lambda value: f"0x{value.hex()}",
    "Base64": lambda value: b64encode(value).decode(),
    "BigInt": str,
}


def _check_cost(document: DocumentNode) -> None:
    """Raise ``Refused`` if a query is too large, or what answering it may cost.

    A field costs by what it makes the node do, whatever it is called and wherever it stands: an alias or a fragment
    makes nothing cheaper, and a fragment counts as often as it is spread.
    """
    named = {
        one.name.value: one.selection_set
        for one in document.definitions
        if isinstance(one, graphql.FragmentDefinitionNode)
    }
    nodes = cost = 0
    for operation in document.definitions:
        if not isinstance(operation, graphql.OperationDefinitionNode):
            continue
        for one in _costs(operation.selection_set, named):
            nodes, cost = nodes + 1, cost + one
            if nodes > rules.SERVICE["maxQueryNodes"]:
                raise Refused(f"the query has more than {rules.SERVICE['maxQueryNodes']} nodes")
            if cost > rules.MOST_QUERY_COST:
                raise Refused(f"the query costs more than {rules.MOST_QUERY_COST}: ask for less at once")


def _costs(
    within: SelectionSetNode, fragments: dict[str, SelectionSetNode], path: tuple[str, ...] = (), *, root: bool = True
) -> Iterator[int]:
    """What each node costs; ``path`` names the fragments on the way down, "" for every other level."""
    if len(path) >= rules.SERVICE["maxQueryDepth"]:
        raise Refused(f"the query is nested deeper than {rules.SERVICE['maxQueryDepth']} levels")
    for node in within.selections:
        inner, name = getattr(node, "selection_set", None), ""
        if isinstance(node, graphql.FragmentSpreadNode):
            name = node.name.value
            if name in path:
                raise Refused(f"fragment {name[:80]!r} contains itself")
            inner = fragments.get(name)
        is_field = isinstance(node, FieldNode)
        yield rules.COSTS.get(node.name.value, rules.ROOT_COST if root else 0) if isinstance(node, FieldNode) else 0
        if inner:
            yield from _costs(inner, fragments, (*path, name), root=root and not is_field)


def _result(result: graphql.ExecutionResult) -> Fields:
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
