"""Which sessions have departed, so that a mandate that comes after its car's departure is void."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from wattswap.protocol.effects import Forget, Remember

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.protocol.effects import Effect

_GONE: Final = "gone/"
"""Under this key, a charger's name and a session's number it is remembered that the car has departed."""

_MOST_REMEMBERED: Final = 16
"""The number of departed sessions that are remembered for each charger."""


class DepartedSessions:
    """The newest departed sessions of each charger, whose word voids the late mandates of its own cars only."""

    def __init__(self) -> None:
        self._of: dict[str, deque[int]] = {}

    def has(self, charger: str, session: int) -> bool:
        """Whether this charger has said that the session departed, as far as that is remembered."""
        return session in self._of.get(charger, ())

    def add(self, charger: str, session: int) -> list[Effect]:
        """Remember that a session has departed from a charger, and no longer the oldest of too many."""
        departed = self._of.setdefault(charger, deque())
        oldest = [Forget(f"{_GONE}{charger}/{departed.popleft()}")] if len(departed) == _MOST_REMEMBERED else []
        departed.append(session)
        return [Remember(f"{_GONE}{charger}/{session}", b""), *oldest]

    def restore(self, remembered: Iterable[str]) -> None:
        """Take up what was remembered before a restart; keys about anything else are left alone."""
        for key in remembered:
            if key.startswith(_GONE):
                charger, _, session = key.removeprefix(_GONE).rpartition("/")
                self._of.setdefault(charger, deque()).append(int(session))
