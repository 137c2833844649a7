"""Messages that must be acknowledged: an agent repeats each of them until it is."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

from wattswap.protocol.effects import Send, WakeAt

if TYPE_CHECKING:
    from collections.abc import Hashable

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.messages import Message

MOST: Final = 4_096
"""No agent owes more than this at once, so a peer that never acknowledges cannot fill our memory."""

_MOST_STALE: Final = 64
"""The queue may hold this much that is not owed any more, beside as much again as is owed."""


class _Owed(NamedTuple):
    """One message that is owed, and when it is sent next; messages of one instant go out in the order of numbers."""

    at_ms: int
    number: int
    key: Hashable
    to: str
    message: Message


class Obligations:
    """Messages under a key each, repeated every ``repeat_ms`` until they are done.

    At most ``most`` are owed at once; None where what is owed is bounded peer by peer.
    """

    def __init__(self, repeat_ms: int, most: int | None = MOST) -> None:
        self._repeat_ms, self._most = repeat_ms, most
        self._owed: dict[Hashable, _Owed] = {}
        self._queue: list[_Owed] = []
        """A heap of what is owed, by instant, with entries that are done or replaced and not taken out yet."""
        self._number = 0
        self._woken_at_ms: int | None = None
        """The earliest wake-up that was asked for and has not come yet."""

    def __contains__(self, key: Hashable) -> bool:
        return key in self._owed

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, key: Hashable, to: str, message: Message, now_ms: int) -> list[Effect]:
        """Send a message now, and again until it is done."""
        return [Send(to, message), *self.owe_from(key, to, message, now_ms + self._repeat_ms)]

    def owe_from(self, key: Hashable, to: str, message: Message, from_ms: int) -> list[Effect]:
        """Send a message from an instant on, unless it is done by then; it replaces what was owed under its key."""
        assert self._most is None or len(self._owed) < self._most, f"{self._most} obligations and nobody acknowledges"
        self._number += 1
        self._owed[key] = owed = _Owed(from_ms, self._number, key, to, message)
        heappush(self._queue, owed)
        if len(self._queue) > 2 * len(self._owed) + _MOST_STALE:
            self._queue = sorted(self._owed.values())
        if self._woken_at_ms is not None and self._woken_at_ms <= from_ms:
            return []
        self._woken_at_ms = from_ms
        return [WakeAt(from_ms)]

    def done(self, key: Hashable) -> None:
        """A message is acknowledged, or void; one that is not owed is done already."""
        self._owed.pop(key, None)

    def due(self, now_ms: int) -> list[Effect]:
        """Send again what is due; called at every wake-up."""
        if self._woken_at_ms is None or now_ms < self._woken_at_ms:
            return []
        self._woken_at_ms = None
        again: list[_Owed] = []
        while self._queue:
            owed = self._queue[0]
            stands = self._owed.get(owed.key) is owed  # neither done nor replaced
            if stands and owed.at_ms > now_ms:
                break
            heappop(self._queue)
            if stands:
                self._number += 1
                again.append(owed._replace(at_ms=now_ms + self._repeat_ms, number=self._number))
        for owed in again:  # only now: an interval of 0 must not repeat a message for ever within one instant
            self._owed[owed.key] = owed
            heappush(self._queue, owed)
        effects: list[Effect] = [Send(owed.to, owed.message) for owed in again]
        if not self._queue:
            return effects
        self._woken_at_ms = self._queue[0].at_ms
        return [*effects, WakeAt(self._woken_at_ms)]
