"""The schema in ``schema.graphql``: the part of IOTA's that the SDK asks for, and ``devnet``, our figures of the chain.

Names and nullness follow the real service, so a query written here works there. Descriptions show up in any GraphQL
browser.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Final

from graphql import (
    ConstValueNode,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    assert_valid_schema,
    build_schema,
    value_from_ast_untyped,
)

from wattswap.ledger.devnet import names
from wattswap.ledger.devnet.model import Refused

_MOST_UINT53: Final = 2**53 - 1


def _uint53(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_UINT53:
        raise GraphQLError("a UInt53 is an integer from 0 to 2^53 - 1")
    return value


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise GraphQLError("an IotaAddress is a string")
    try:
        names.address(value)
    except Refused as refused:
        raise GraphQLError(str(refused)) from None
    return value


def _literal(read: Callable[[object], object]) -> Callable[[ConstValueNode], object]:
    """Reads a value that stands in the query itself."""
    return lambda written: read(value_from_ast_untyped(written))


def schema() -> GraphQLSchema:
    """The schema, checked once; scalars that come in are read strictly."""
    made = build_schema(files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8"))
    for name, read in (("UInt53", _uint53), ("IotaAddress", _address)):
        scalar = made.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        scalar.coerce_input_value = read
        scalar.coerce_input_literal = _literal(read)
    assert_valid_schema(made)
    return made
