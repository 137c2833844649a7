"""Questions that wait for their turn: askers take turns, and a place in the line is kept while an asker is away."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

_QuestionT = TypeVar("_QuestionT")


@dataclass
class _Waiting(Generic[_QuestionT]):
    question: _QuestionT
    asked_s: float
    """When it was asked last."""


class QuestionLine(Generic[_QuestionT]):
    """Who asks much waits behind whoever asks little: one question of each asker, then the next one of each."""

    def __init__(self, most_each: int, kept_s: float) -> None:
        """So many questions of an asker may wait, and each so long after it was asked last."""
        self._most_each, self._kept_s = most_each, kept_s
        self._lines: OrderedDict[str, OrderedDict[str, _Waiting[_QuestionT]]] = OrderedDict()
        """By asker, whose turn is next first; its questions by their text, the oldest first."""

    def join(self, asker: str, text: str, question: _QuestionT, now_s: float) -> _QuestionT:
        """The question that waits under this text: this one, or the one that the asker asked before.

        Where as many of the asker's wait already as may, the one makes room that was asked for longest ago.
        """
        line = self._lines.setdefault(asker, OrderedDict())
        if text not in line and len(line) >= self._most_each:
            del line[min(line, key=lambda other: line[other].asked_s)]
        place = line.setdefault(text, _Waiting(question, now_s))
        place.asked_s = now_s
        return place.question

    def next(self, now_s: float) -> _QuestionT | None:
        """Take out the question whose turn it is; None if none waits. Who did not come again has lost the place."""
        while self._lines:
            asker, line = self._lines.popitem(last=False)
            while line:
                _, place = line.popitem(last=False)
                if now_s - place.asked_s <= self._kept_s:
                    if line:
                        self._lines[asker] = line
                    return place.question
        return None
