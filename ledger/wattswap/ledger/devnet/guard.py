"""Reads a GraphQL query and stops one that would cost too much, before anything of it is looked up."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    validate,
)

from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.rules import (
    COSTS,
    MOST_QUERY_BYTES,
    MOST_QUERY_COST,
    MOST_QUERY_DEPTH,
    MOST_QUERY_NODES,
    ROOT_COST,
)

_MOST_TOKENS: Final = 4_000
_MOST_KEPT: Final = 256
_MOST_ERRORS: Final = 5


class Guard:
    """Queries that passed; a client sends the same few texts again and again, so the last ones are kept."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._kept: OrderedDict[str, DocumentNode] = OrderedDict()

    def read(self, query: str) -> DocumentNode | list[GraphQLError]:
        """The query, or what is wrong with it; raises ``Refused`` if it is too large to say."""
        document = self._kept.get(query)
        if document is None:
            found = self._read(query)
            if isinstance(found, list):
                return found
            document = self._kept[query] = found
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(query)
        return document

    def _read(self, query: str) -> DocumentNode | list[GraphQLError]:
        if len(query) > MOST_QUERY_BYTES:
            raise Refused(f"the query has more than {MOST_QUERY_BYTES} characters: put long values into variables")
        try:
            document = parse(query, no_location=False, max_tokens=_MOST_TOKENS)
            _Weight(document).check()
            return validate(self._schema, document, max_errors=_MOST_ERRORS) or document
        except GraphQLError as error:
            return [error]
        except RecursionError:
            raise Refused("the query is nested too deeply") from None


class _Weight:
    """Counts what a document asks for, its fragments as often as they are spread, and what answering it may cost.

    A field at the root costs by what it makes the node do, whatever it is called and wherever it stands: an alias or a
    fragment makes nothing cheaper.
    """

    def __init__(self, document: DocumentNode) -> None:
        self._operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._nodes = self._cost = 0

    def check(self) -> None:
        """Raise ``Refused`` if a limit is passed."""
        for operation in self._operations:
            self._selections(operation.selection_set, 1, (), root=True)

    def _selections(
        self, selections: SelectionSetNode, depth: int, within: tuple[str, ...], *, root: bool = False
    ) -> None:
        if depth > MOST_QUERY_DEPTH:
            raise Refused(f"the query is nested deeper than {MOST_QUERY_DEPTH} levels")
        for one in selections.selections:
            self._nodes += 1
            if self._nodes > MOST_QUERY_NODES:
                raise Refused(f"the query has more than {MOST_QUERY_NODES} nodes")
            if isinstance(one, FragmentSpreadNode):
                name = one.name.value
                if name in within:
                    raise Refused(f"fragment {name[:80]!r} contains itself")
                if name in self._fragments:
                    inside = self._fragments[name].selection_set
                    self._selections(inside, depth + 1, (*within, name), root=root)
                continue
            if isinstance(one, FieldNode):
                self._cost += COSTS.get(one.name.value, ROOT_COST if root else 0)
                if self._cost > MOST_QUERY_COST:
                    raise Refused(f"the query costs more than {MOST_QUERY_COST}: ask for less at once")
            if inner := getattr(one, "selection_set", None):
                self._selections(inner, depth + 1, within, root=root and not isinstance(one, FieldNode))
