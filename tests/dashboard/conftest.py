"""One browser for all tests of the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.dashboard.browser import Browser, browser

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def window() -> Iterator[Browser]:
    """Its window."""
    with browser() as opened:
        yield opened
