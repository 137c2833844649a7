"""What stands at the end of every help."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """An epilog that shows these command lines, one a line; click would otherwise run them together."""
    title = "Examples:" if len(lines) > 1 else "Example:"
    return "\n".join(("\b", title, *(f"  {line}" for line in lines)))
