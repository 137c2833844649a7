"""One browser for all tests of the dashboard, and one finished run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.dashboard.browser import Browser, browser

from wattswap.experiments.api import run
from wattswap.experiments.dashboard.finished import finished_run
from wattswap.experiments.dashboard.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def window() -> Iterator[Browser]:
    """Its window."""
    with browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a demo that is over."""
    out = tmp_path_factory.mktemp("run") / "demo"
    run("demo", engine="fleet", out=out)
    return out


@pytest.fixture(scope="session")
def address(finished: Path) -> Iterator[str]:
    """Where it is shown."""
    with served(finished_run(finished), "127.0.0.1", 0) as url:
        yield url
