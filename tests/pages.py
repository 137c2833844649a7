"""The project's pages as data: their code blocks, their tables and the command lines they show.

A comment above a block says what a test does with it:

    <!-- run -->             a console block is run and its output compared; a line of ``...`` stands for any lines
    <!-- file: NAME -->      the block is saved as NAME beside where the others run
    <!-- not run: why -->    a Python block that cannot be run
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from wattswap.cli import wattswap

HOUSE = Path(__file__).parents[1]
DOCS = HOUSE / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SHOWN = (HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *sorted(HOUSE.glob("*/README.md")), *PAGES)
"""Every page whose command lines must be right."""

_FENCED = re.compile(r"(?ms)(?:^<!-- (?P<says>[^\n]*?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$")
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_INLINE = re.compile(r"`((?:wattswap|\.venv/bin/wattswap) [^`\n]*)`")
_PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A piece of code on a page."""

    kind: str
    text: str
    says: str = ""
    """The comment above it."""

    @property
    def file(self) -> str:
        """The name it is to be saved under, if any."""
        return self.says.removeprefix("file: ") if self.says.startswith("file: ") else ""


def read(page: Path) -> str:
    """A page as it is written."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in their order."""
    return [Block(found["kind"], found["text"], found["says"] or "") for found in _FENCED.finditer(read(page))]


def tables(page: Path) -> list[list[list[str]]]:
    """The tables of a page: rows of cells, the head first, the dashes left out."""
    found: list[list[list[str]]] = []
    before = ""
    for line in _FENCED.sub("", read(page)).splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if any(cell.strip("-: ") for cell in cells):
                found[-1].append(cells)
        before = line
    return found


def names(cell: str) -> list[str]:
    """What stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def command_lines(page: Path) -> Iterator[str]:
    """Every ``wattswap ...`` that a page shows, in a block or in a line of text, without the remark behind it.

    A line of text may just name a command; that is as good as asking for its help.
    """
    text = read(page)
    shown = [block.text for block in blocks(page) if block.kind in {"", "console", "bash"}]
    shown += _INDENTED.findall(_FENCED.sub("", text))
    lines = [line.strip().removeprefix(_PROMPT) for part in shown for line in part.splitlines()]
    inline = _INLINE.findall(_FENCED.sub("", text))
    lines += [line if "-" in line or len(line.split()) > 2 else f"{line} --help" for line in inline]
    for line in lines:
        if line.startswith(("wattswap ", ".venv/bin/wattswap ")):
            yield line.partition("  #")[0].strip()


def arguments(line: str) -> list[str]:
    """A command line as the command gets it."""
    return shlex.split(line)[1:]


def parse(args: list[str]) -> dict[str, object]:
    """Let click read a command line to its end without running it; the options of the innermost command.

    Raises:
        click.UsageError, InputError: as the command itself would.
    """
    command: click.Command = wattswap
    context = click.Context(command)
    while isinstance(command, click.Group):
        assert args, "a command is missing"
        if args[0].startswith("-"):
            assert args in (["--help"], ["-h"], ["--version"])
            return {}
        name, found, args = command.resolve_command(context, args)
        assert found is not None, f"there is no command {name}"
        context, command = click.Context(found, parent=context, info_name=name), found
    if args in (["--help"], ["-h"]):
        return {}
    return command.make_context(context.info_name, args, parent=context.parent).params


def session(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block, each with the output that is shown for it."""
    command, output = "", list[str]()
    for line in block.text.splitlines():
        if line.startswith(_PROMPT):
            if command:
                yield command, output
            command, output = line.removeprefix(_PROMPT).partition("  #")[0].strip(), []
        else:
            output.append(line)
    if command:
        yield command, output


def agrees(shown: list[str], said: str) -> bool:
    """Whether an output is the one shown; ``...`` on a line of its own stands for any lines, in a line for any text."""
    pattern = "\n".join(".*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") for line in shown)
    text = "\n".join(line.rstrip() for line in said.strip("\n").splitlines())  # no page shows blanks at a line's end
    return not shown or re.fullmatch(pattern, text, re.DOTALL) is not None
