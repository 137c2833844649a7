"""The places of those who watch: so many, and when all are taken, a new visitor takes somebody's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW_S: Final = 2.0
"""Who has not taken in what was sent for so long is the first to make room."""


@dataclass(eq=False)
class WatchingPlace:
    """One watcher's; its server looks now and then whether it is lost, and then ends the stream."""

    address: str
    sends_since_s: float | None = None
    """Since when something that was sent is not taken yet; None if all was."""
    is_lost: bool = False


class WatchingPlaces:
    """Places by turn; any thread may ask.

    The first to make room is who takes in too slowly what it is sent. Else it is the oldest watcher at the address that
    has the most places, so nobody can keep out those at other addresses, nor for long those at the same.
    """

    def __init__(self, most: int, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._clock = most, clock
        self._lock = Lock()
        self._taken: list[WatchingPlace] = []
        """The oldest first."""

    def take(self, address: str) -> WatchingPlace:
        """A place for a new visitor."""
        with self._lock:
            if len(self._taken) >= self._most:
                lost = self._next_to_go()
                lost.is_lost = True
                self._taken.remove(lost)
            place = WatchingPlace(address)
            self._taken.append(place)
            return place

    def leave(self, place: WatchingPlace) -> None:
        """A watcher has gone, lost or not."""
        with self._lock:
            if not place.is_lost:
                self._taken.remove(place)

    def sending(self, place: WatchingPlace) -> None:
        """Something is sent; call :meth:`sent` when it was taken."""
        place.sends_since_s = self._clock()

    def sent(self, place: WatchingPlace) -> None:
        """What was sent was taken."""
        place.sends_since_s = None

    def _next_to_go(self) -> WatchingPlace:
        late_s = self._clock() - SLOW_S
        slow = {place: since_s for place in self._taken if (since_s := place.sends_since_s) is not None}
        if slow and min(slow.values()) < late_s:
            return min(slow, key=slow.__getitem__)
        counts = Counter(place.address for place in self._taken)
        return max(self._taken, key=lambda place: counts[place.address])  # the first, so the oldest, of several
