"""What a transformer knows of the homes on its feeder: each household's power, and how long ago it was heard of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.protocol.units import MOST_MS

if TYPE_CHECKING:
    from collections.abc import Collection

_NEVER: Final = (0, -MOST_MS)
"""The report of a household that has not been heard of."""


class BaseLoad:
    """The newest report of every household."""

    def __init__(self, households: Collection[str], lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self._heard: dict[str, tuple[int, int]] = dict.fromkeys(households, _NEVER)
        """By household: its power, and when it was heard of."""
        self._deaf_until_ms = 0
        self.watts = 0
        """What all homes draw, as far as is known."""

    def is_known(self, now_ms: int) -> bool:
        """Whether every household was heard of within the length of a lease; else there is no room to grant."""
        return bool(self._heard) and all(heard_ms + self._lease_ms > now_ms for _, heard_ms in self._heard.values())

    def hear(self, household: str, watts: int, now_ms: int) -> None:
        """Take a household's report; whoever is none of this feeder's households is not heard."""
        if household in self._heard and now_ms >= self._deaf_until_ms:
            before_w, _ = self._heard[household]
            self._heard[household] = watts, now_ms
            self.watts += watts - before_w

    def forget(self, now_ms: int) -> None:
        """A tick was slept through: what homes have said until now is old, however late it is read."""
        self._heard, self.watts = dict.fromkeys(self._heard, _NEVER), 0
        self._deaf_until_ms = now_ms + 1
