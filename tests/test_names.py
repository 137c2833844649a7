"""One name for one thing: no class name is used twice, and what screens and pages count is called by its name."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
FOLDERS = ("agents", "protocol", "ledger", "runners", "experiments", "tests", "docs/examples")


def class_names(source: str) -> list[str]:
    """The classes that a module defines, inner ones counted."""
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]


def test_no_class_name_is_used_twice():
    files = [path for folder in FOLDERS for path in (HOUSE / folder).rglob("*.py")]
    assert len(files) > 100
    names = Counter(name for path in files for name in class_names(path.read_text("utf-8")))
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("inner", ["class Lot:\n    pass", "def made():\n    class Lot:\n        pass"])
def test_a_class_is_found_wherever_it_is_defined(inner: str):
    assert class_names(inner) == ["Lot"]


SHORT_CARS = re.compile(r"short cars|cars? (that |which )?(were |was )?(left|leave|leaves) short|cars short\b")


def test_what_is_left_short_is_a_session_and_never_called_a_car():
    """A car comes several times a week; screens, reports and pages count sessions that ended with energy missing."""
    pages = [HOUSE / "README.md", *(HOUSE / "docs").rglob("*.md"), *(HOUSE / "docs/examples").rglob("*.*")]
    code = [path for folder in ("experiments", "runners") for path in (HOUSE / folder).rglob("*.py")]
    assert len(pages) > 30
    wrong = [path.name for path in (*pages, *code) if SHORT_CARS.search(path.read_text("utf-8"))]
    assert wrong == []
