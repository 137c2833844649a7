"""Texts of a picture laid out in inches: how wide they are, folded into lines, and no two ticks on one place."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

POINTS_PER_IN: Final = 72
_EM_OF_A_LETTER: Final = 0.6
"""How wide the letters of DejaVu Sans are in the mean, as a part of the size; most texts are a little narrower."""
_LINE: Final = 1.2
"""From line to line, as a part of the size."""
_MOST_PT, _READABLE_PT = 9.0, 8.0
_FEW_LETTERS: Final = 30
_MOST_LINES: Final = 3
_CUT: Final = "…"


class Labels(NamedTuple):
    """The names of rows, folded."""

    texts: list[str]
    size_pt: float
    lines: int
    """Of the longest."""

    @property
    def width_in(self) -> float:
        """Of the widest line."""
        return max((width_in(line, self.size_pt) for text in self.texts for line in text.split("\n")), default=0.0)


def width_in(text: str, size_pt: float) -> float:
    """How wide a line is, about."""
    return len(text) * _EM_OF_A_LETTER * size_pt / POINTS_PER_IN


def folded(text: str, room_in: float, size_pt: float, most_lines: int | None = None) -> list[str]:
    """The lines of a text where there is so much room; what is more than ``most_lines`` is cut off and ends in "…"."""
    letters = max(int(room_in * POINTS_PER_IN / (_EM_OF_A_LETTER * size_pt)), 4)
    return wrap(text, letters, break_on_hyphens=False, max_lines=most_lines, placeholder=f" {_CUT}")


def fitted_labels(names: Sequence[str], room_in: float, row_in: float) -> Labels:
    """The names of rows that are ``row_in`` high at most, in up to three lines that are ``room_in`` wide at most.

    As much as can be is kept of the names, then short lines are taken where they can be read, else those in which the
    letters are largest. Of a word that fills more than a line, such as the path of a strategy, the end is kept.
    """
    found: list[tuple[int, float, Labels]] = []
    for narrow in (True, False):
        for lines in range(1, _MOST_LINES + 1):
            size = min(_MOST_PT, row_in * POINTS_PER_IN / (_LINE * lines))
            width = min(room_in, width_in("m" * _FEW_LETTERS, size)) if narrow else room_in
            letters = int(width * POINTS_PER_IN / (_EM_OF_A_LETTER * size))
            texts = ["\n".join(folded(_ends(name, letters), width, size, lines)) for name in names]
            kept = sum(len(text.replace("\n", " ")) for text in texts)
            labels = Labels(texts, size, max((text.count("\n") + 1 for text in texts), default=1))
            found.append((kept, min(size, _READABLE_PT), labels))
    return max(found, key=lambda each: each[:2])[2]


def _ends(name: str, letters: int) -> str:
    return " ".join(word if len(word) <= letters else _CUT + word[1 - letters :] for word in name.split(" "))


def thin_ticks(axes: Axes, size_pt: float, axes_in: float) -> None:
    """Leave out the ticks of the x axis whose texts would stand on one before; ``axes_in`` is how wide the panel is."""
    from matplotlib.ticker import FixedLocator

    low, high = axes.get_xlim()
    kept: list[float] = []
    free_from = float("-inf")
    ticks = [float(tick) for tick in axes.get_xticks() if low <= tick <= high]
    for tick, text in zip(ticks, axes.xaxis.get_major_formatter().format_ticks(ticks), strict=True):
        left, right = axes.transAxes.inverted().transform(axes.transData.transform([(low, 0), (tick, 0)]))[:, 0]
        middle_in, half_in = (right - left) * axes_in, width_in(text, size_pt) / 2
        if middle_in - half_in > free_from:
            kept.append(tick)
            free_from = middle_in + half_in + width_in("n", size_pt) / 2
    axes.xaxis.set_major_locator(FixedLocator(kept))
