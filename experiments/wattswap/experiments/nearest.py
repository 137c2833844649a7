"""What somebody who mistyped a name may have meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The most similar of some names, at least one."""
    return get_close_matches(word, list(known), n=1, cutoff=0.0)[0]
