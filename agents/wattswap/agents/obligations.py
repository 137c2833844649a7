"""What an agent owes an answer for: said again until it is acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.protocol.effects import Send, WakeAt

if TYPE_CHECKING:
    from collections.abc import Hashable

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.messages import Message

MOST: Final = 4_096
"""No agent owes more than this at once; a peer that never acknowledges cannot fill our memory."""


class Obligations:
    """Messages under a key each, repeated every ``repeat_ms`` until they are done."""

    def __init__(self, repeat_ms: int) -> None:
        self._repeat_ms = repeat_ms
        self._owed: dict[Hashable, tuple[int, str, Message]] = {}
        self._woken_at_ms: int | None = None

    def __contains__(self, key: Hashable) -> bool:
        return key in self._owed

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, key: Hashable, to: str, message: Message, now_ms: int) -> list[Effect]:
        """Say this now, and again until it is done."""
        return [Send(to, message), *self.owe_from(key, to, message, now_ms + self._repeat_ms)]

    def owe_from(self, key: Hashable, to: str, message: Message, from_ms: int) -> list[Effect]:
        """Say this from an instant on, unless it is done by then."""
        assert len(self._owed) < MOST, f"{len(self._owed)} obligations and nobody acknowledges"
        self._owed[key] = (from_ms, to, message)
        return self._wake()

    def done(self, key: Hashable) -> None:
        """It is acknowledged."""
        self._owed.pop(key, None)

    def due(self, now_ms: int) -> list[Effect]:
        """Say again what is due; called at every wake-up."""
        if self._woken_at_ms is None or now_ms < self._woken_at_ms:
            return []
        self._woken_at_ms = None
        effects: list[Effect] = []
        for key, (at_ms, to, message) in self._owed.items():
            if at_ms <= now_ms:
                effects.append(Send(to, message))
                self._owed[key] = (now_ms + self._repeat_ms, to, message)
        return [*effects, *self._wake()]

    def _wake(self) -> list[Effect]:
        """Ask for one wake-up, for the earliest of all."""
        if not self._owed:
            return []
        earliest_ms = min(at_ms for at_ms, _, _ in self._owed.values())
        if self._woken_at_ms is not None and self._woken_at_ms <= earliest_ms:
            return []
        self._woken_at_ms = earliest_ms
        return [WakeAt(earliest_ms)]
