"""The README keeps its word: its Python runs, its strategy works, and what it names is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command, wattswap
from tests.pages import HOUSE, arguments, blocks, command_lines, names, parse, read, tables

from wattswap.agents.strategies import BUNDLED

README = HOUSE / "README.md"
ROOTS = ("agents", "protocol", "ledger", "runners", "experiments")
PYTHON = [block.text for block in blocks(README) if block.kind == "python"]

__all__ = ["Command", "wattswap"]


def test_the_python_of_the_readme_runs(tmp_path):
    """Each piece in an interpreter of its own, as a reader starts it."""
    assert PYTHON
    for text in PYTHON:
        (tmp_path / "shown.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-W", "error", "shown.py"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_strategy_of_the_readme_runs_as_it_says(wattswap, tmp_path):
    text = next(text for text in PYTHON if "def patient(" in text)
    line = next(line for line in command_lines(README) if "mine.py:patient" in line)
    assert "Save this as `mine.py`" in read(README)
    (tmp_path / "mine.py").write_text(text)
    done = wattswap(*arguments(line), "--engine", "fleet", "--set", "reading_s=300", "--json")
    assert done.returncode == 0, done.stderr
    assert '"strategy": "./mine.py:patient:0.3+need:0.7"' in done.stdout
    assert '"sessions_short": 0' in done.stdout


def test_every_command_line_of_the_readme_can_be_read():
    lines = list(command_lines(README))
    assert len(lines) >= 6
    for line in lines:
        parse(arguments(line))


def test_every_file_that_the_readme_names_is_there():
    links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", read(README)) if "://" not in link]
    assert len(links) > 10
    assert [link for link in links if not (HOUSE / link).exists()] == []


def test_the_strategies_that_the_readme_names_are_those_that_are_bundled():
    named = re.search(r"^Bundled: (.*?)\(", read(README), re.MULTILINE | re.DOTALL)
    assert named
    assert names(named[1])[: len(BUNDLED)] == list(BUNDLED)


def test_every_target_of_make_that_the_readme_names_is_there():
    targets = set(re.findall(r"^([a-z-]+):", read(HOUSE / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", read(README), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


# -- the steps of a round ---------------------------------------------------------------------------------------------


def steps() -> list[list[str]]:
    return next(table for table in tables(README) if table[0] == ["step", "where"])[1:]


def defined(path: Path) -> set[str]:
    """Every function and class of a source, methods included."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)}


def modules() -> dict[str, list[Path]]:
    """Every source by its last name; several packages may have one of the same."""
    found: dict[str, list[Path]] = {}
    for root in ROOTS:
        for path in sorted((HOUSE / root).rglob("*.py")):
            found.setdefault(path.stem, []).append(path)
    return found


def missing(steps: list[list[str]]) -> list[str]:
    """What a table of steps names and the code does not have.

    A name follows the file that is linked before it in its row, or carries its module: ``transformer._clear``. One that
    stands alone may also be a module, or anything that agents say and do.
    """
    common: set[Any] = {*modules(), *defined(HOUSE / "protocol/wattswap/protocol/effects.py")}
    gone, module = [], ""
    for row in steps:
        linked: set[str] = set()
        for file, name in re.findall(r"\]\(([^)]+\.py)\)|`([^`]+)`", row[1]):
            if file:
                linked |= defined(HOUSE / file)
                continue
            prefix, _, last = name.rpartition(".")
            if prefix:
                module = prefix
            of_module = {each for path in modules().get(module, []) for each in defined(path)}
            known = of_module if prefix else linked | of_module | common
            if last not in known:
                gone.append(f"{row[0]}: {name}")
    return gone


def test_every_function_in_the_steps_of_a_round_is_there():
    assert len(steps()) == 9
    assert missing(steps()) == []


@pytest.mark.parametrize(
    "where",
    ["`transformer._open_rounds`", "[agents/law.py](agents/wattswap/agents/law.py) `asses`", "`nothing.assess`"],
)
def test_a_step_that_is_not_there_is_noticed(where):
    assert len(missing([["2", where]])) == 1
