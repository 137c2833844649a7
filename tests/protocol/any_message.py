"""Hypothesis strategies for messages: any that the bounds in their annotations allow."""

from __future__ import annotations

from typing import get_args

import msgspec
from hypothesis import strategies as st

from wattswap.protocol.messages import (
    SEALED,
    Message,
)


def any_of(type_: msgspec.inspect.Type) -> st.SearchStrategy[object]:
    """Any value a field may hold: the bounds in the annotations are the specification."""
    match type_:
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.IntType(ge=low, le=high):
            return st.integers(low, high)
        case msgspec.inspect.UnionType(types=(some, msgspec.inspect.NoneType())):
            return any_of(some) | st.none()
        case msgspec.inspect.StrType(max_length=most):
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=most)
        case msgspec.inspect.BytesType(max_length=most):
            return st.binary(max_size=most)
        case msgspec.inspect.VarTupleType(item_type=item, min_length=least, max_length=most):
            return st.lists(any_of(item), min_size=least or 0, max_size=most).map(tuple)
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, *(any_of(field.type) for field in fields))
        case _:
            raise AssertionError(type_)


def said(kinds: tuple[type, ...]) -> st.SearchStrategy[object]:
    return st.one_of([any_of(msgspec.inspect.type_info(kind)) for kind in kinds])


messages = said(get_args(Message))
inner_messages = said(SEALED)
