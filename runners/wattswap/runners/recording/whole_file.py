"""Files that are never half written: each is written beside its place and then moved there.

A disk that is full, or a kill, leaves what was there before.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden place beside ``path`` to write to, which no other writer has; moved there when the block ends."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one piece, unless it says just that already."""
    content = text.encode()
    if not path.is_file() or path.read_bytes() != content:
        with whole_file(path) as beside:
            beside.write_text(text, encoding="utf-8")


def remove_half_written(folder: Path) -> None:
    """Remove what a kill left beside its place; only by whom nobody else writes here."""
    for left in folder.glob(".*.part"):
        left.unlink(missing_ok=True)
