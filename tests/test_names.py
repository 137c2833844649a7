"""One name for one thing: no class name is used twice, in the code, its tests and its examples alike."""

from __future__ import annotations

import ast
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
