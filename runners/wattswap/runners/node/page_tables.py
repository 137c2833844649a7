"""The ``[page]`` of each kind of agent's file: where others look.

A file that has the table, however little stands in it, has a page, at the usual port of its kind; ``port = 0`` is none.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65_535)]


class _PageTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all of them say."""

    host: str = "127.0.0.1"


class StreetPageTable(_PageTable, frozen=True, kw_only=True):
    """A transformer's page, of its street."""

    port: Port = 8_090


class GrantPageTable(_PageTable, frozen=True, kw_only=True):
    """A charging point's page, of what may be drawn now."""

    port: Port = 8_080


class DriverPageTable(_PageTable, frozen=True, kw_only=True):
    """A car's page, for its driver."""

    port: Port = 8_081
