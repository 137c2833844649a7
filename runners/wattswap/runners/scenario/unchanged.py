"""Files that are read once as long as nobody changes them: runs of many seeds read the same ones again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

_MOST_FILES: Final = 32
_How = ParamSpec("_How")
_Read = TypeVar("_Read")


def read_once(read: Callable[Concatenate[Path, _How], _Read]) -> Callable[Concatenate[Path, _How], _Read]:
    """Remember what was read of a file, by its size and the time of its last change; errors are met anew.

    What ``read`` returns is shared, so nobody may change it.
    """

    @lru_cache(maxsize=_MOST_FILES)
    def remembered(path: Path, state: tuple[int, int, int], *args: _How.args, **kwargs: _How.kwargs) -> _Read:  # noqa: ARG001
        return read(path, *args, **kwargs)

    @wraps(read)
    def reading(path: Path, /, *args: _How.args, **kwargs: _How.kwargs) -> _Read:
        try:
            stat = path.stat()
        except (OSError, ValueError):  # whoever reads it says what is wrong
            return read(path, *args, **kwargs)
        return remembered(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns), *args, **kwargs)  # type: ignore[arg-type]

    return reading
