"""The ``[page]`` of an agent's file."""

from __future__ import annotations

import msgspec
import pytest

from wattswap.runners.node.page_tables import DriverPageTable, GrantPageTable, StreetPageTable


@pytest.mark.parametrize("table", [StreetPageTable, GrantPageTable, DriverPageTable])
def test_a_page_is_this_machines_unless_a_host_is_named(table: type) -> None:
    assert msgspec.convert({}, table).host == "127.0.0.1"
    with pytest.raises(msgspec.ValidationError, match=r"length >= 1 - at `\$\.host`"):
        msgspec.convert({"host": ""}, table)
