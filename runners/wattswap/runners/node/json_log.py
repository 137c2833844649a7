"""The log of a node: one JSON object a line."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from structlog.typing import FilteringBoundLogger, Processor


def json_log(stream: TextIO) -> FilteringBoundLogger:
    """A log that writes to ``stream``."""
    with _hidden("rich"):
        import structlog

    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ]
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream), processors, wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    return logger


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """As if a module were not installed.

    structlog loads rich wherever it is. Lines of JSON have no use for it, and a Pi none for 3 MB more in each process.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
