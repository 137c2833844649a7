"""Mesa's own page of a street, in a real browser, with the versions that the project names for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dashboard.browser import MISSING, browser
from tests.pages import DOCS, HOUSE

EXAMPLE = DOCS / "examples" / "mesa_solara.py"
PATIENCE_S = 120.0


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """The address at which solara shows the example."""
    pytest.importorskip("solara")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "solara", "run", str(EXAMPLE), "--port", str(port), "--no-open"]
    with (
        (tmp_path / "solara.log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as at,
    ):
        try:
            yield _served(f"http://localhost:{port}")
        finally:
            at.terminate()


def _served(address: str) -> str:
    """The address, once something answers there."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(address).close()
        except OSError:
            assert time.monotonic() < ends, "solara does not start"
            time.sleep(0.1)
        else:
            return address


@pytest.mark.skipif(MISSING is not None, reason=f"needs {MISSING}")
def test_the_street_is_shown_and_stepped(page: str):
    with browser() as window:
        window.open(page)
        window.until("document.body.innerText.includes('Step: 2040')", PATIENCE_S)
        window.until("document.querySelectorAll('img, svg, canvas').length > 1", PATIENCE_S)
        window.js("[...document.querySelectorAll('button')].find(each => /step/i.test(each.innerText)).click()")
        window.until("document.body.innerText.includes('Step: 205')", PATIENCE_S)


def test_the_versions_that_are_named_are_the_projects_own():
    pins = tomllib.loads((HOUSE / "pyproject.toml").read_text())["dependency-groups"]["mesa-page"]
    command = "pip install " + " ".join(f"'{pin}'" for pin in pins)
    assert command in (DOCS / "mesa.md").read_text()
    assert command in EXAMPLE.read_text()
