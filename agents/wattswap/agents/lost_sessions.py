"""Sessions that their charger has forgotten: it was set up anew while a car was plugged in, and says nothing of it.

A charger has one cable. If it reports another session and not this one for the length of a lease, the car of this
one is no longer there, though nobody has said that it left.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from wattswap.agents.award_book import PATIENCE_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.lease_issuer import LeaseIssuer
    from wattswap.agents.parties import Session

MOST_LOST: Final = 2
"""So many lost sessions of a charger are kept open, so that it may always open the next."""


class LostSessions:
    """The open sessions that are lost. One takes no part in anything, and still waits for word that its car left."""

    def __init__(self, lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self.since_ms: dict[int, int] = {}
        """By session: when its charger last spoke of it."""

    def others(self, sessions: Mapping[int, Session]) -> dict[int, Session]:
        """The sessions that are not lost."""
        return {number: session for number, session in sessions.items() if number not in self.since_ms}

    def leave(self, session: int) -> None:
        """It is closed."""
        self.since_ms.pop(session, None)

    def look(self, sessions: Mapping[int, Session], leases: LeaseIssuer, now_ms: int) -> list[int]:
        """Find out which are lost; returned are those to be closed now, for nobody will ever say that they left."""
        self.since_ms = {}
        if len({session.party.charger for session in sessions.values()}) == len(sessions):
            return []
        at: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, session in sessions.items():
            heard_ms = leases.heard_ms(number)
            at[session.party.charger].append((session.arrival_ms if heard_ms is None else heard_ms, number))
        over = list[int]()
        for known in at.values():
            *others, newest = sorted(known)
            lost = [each for each in others if each[0] < min(newest[0], now_ms - self._lease_ms)]
            self.since_ms |= {number: since_ms for since_ms, number in lost}
            over += [number for since_ms, number in lost if since_ms + PATIENCE_MS <= now_ms]
            over += [number for _, number in lost[:-MOST_LOST] if number not in over]
        return over
