"""What an exception out of a user's strategy says, on one line, and how to mend the one that nearly everybody meets."""

from __future__ import annotations

from typing import Final

COLUMNS: Final = "call.need_w and all of own are columns, a row for each car"
_ONE_NUMBER: Final = (
    "truth value of an array",
    "can be converted to Python scalars",
    "can be converted to a scalar index",
    "unsupported format string passed to numpy.ndarray",
    "unhashable type: 'numpy.ndarray'",
    "conversion from numpy.ndarray to",
)
"""What is said of a column that is used as if it were one number: in a condition, as an index, a key, a text."""
_NUMPYS_ADVICE: Final = " Use a.any() or a.all()"
"""It would mix the cars."""


def raised(error: BaseException) -> str:
    """The error by type and text; a strategy that takes a column for one number is told what to write."""
    text = " ".join(f"raises {type(error).__name__}: {error}".split())
    if any(sign in text for sign in _ONE_NUMBER):
        return (
            f"{text.replace(_NUMPYS_ADVICE, '').rstrip('.')}; {COLUMNS}: choose rows with where=..., or"
            " np.where(condition, this, that), in place of if, min, max and int"
        )
    return text
