"""What a strategy consists of: whatever of it changes, its fingerprint does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wattswap.experiments.strategy_sources import strategy_sources


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder we are in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str = "") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def sources(mix: str = "mine.py:f") -> dict[str, str]:
    return strategy_sources(mix, Path("elsewhere"))


def test_bundled_strategies_have_no_sources():
    assert sources("need:0.5+keep:0.5") == {}


def test_a_file_and_what_it_imports_directly_or_not():
    write("mine.py", "import numpy as np\nfrom wattswap.agents.offers import OfferBook\nfrom helper import ASK\n")
    write("helper.py", "import deeper.still\n")
    write("deeper/__init__.py")
    write("deeper/still.py", "from . import sibling\nfrom .sibling import x\n")
    write("deeper/sibling.py")
    write("unrelated.py")
    names = {"mine.py", "helper.py", "deeper/__init__.py", "deeper/still.py", "deeper/sibling.py"}
    before = sources("need:0.5+mine.py:f:0.5")
    assert set(before) == names
    for name in sorted(names):
        whole = Path(name).read_text(encoding="utf-8")
        write(name, f"{whole}# changed\n")
        assert {each for each, digest in sources().items() if digest != before[each]} == {name}
        write(name, whole)


def test_imports_within_functions_and_in_circles_are_followed_too():
    write("mine.py", "def f():\n    import one\n")
    write("one.py", "import two\n")
    write("two.py", "import one\n")
    assert set(sources()) == {"mine.py", "one.py", "two.py"}


def test_a_file_beside_the_scenario_imports_what_lies_beside_it():
    write("elsewhere/mine.py", "import helper\n")
    write("elsewhere/helper.py")
    assert set(sources()) == {"mine.py", "helper.py"}


def test_a_file_that_is_not_there_or_is_no_python_has_a_fingerprint_all_the_same():
    assert sources() == {"mine.py": ""}
    write("mine.py", "this is no Python")
    assert set(sources()) == {"mine.py"}


@pytest.fixture
def installed(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, one of which provides the strategy ``unhurried``."""
    site = here / "site"
    write("site/waiting/__init__.py")
    write("site/waiting/cars.py", "from waiting import patience\nimport other\ndef f(): ...\n")
    write("site/waiting/patience.py")
    write("site/other.py")
    write("site/waiting-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: waiting\nVersion: 1.2\n")
    write("site/waiting-1.2.dist-info/entry_points.txt", "[wattswap.strategies]\nunhurried = waiting.cars:f\n")
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("waiting", None)


def test_an_installed_strategy_is_its_package_and_not_its_neighbours(installed: Path):
    before = sources("unhurried:0.5+need")
    assert set(before) == {"waiting/__init__.py", "waiting/cars.py", "waiting/patience.py"}
    (installed / "waiting/patience.py").write_text("# changed\n", encoding="utf-8")
    assert sources("unhurried:0.5+need") != before
