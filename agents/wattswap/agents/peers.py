"""The agents at the other end of the cable: which one belongs to which session, remembered across crashes.

A charger listens to a car, and a car to a charger, only about a session in which they were plugged together. So
nobody can fill an agent's memory, or push a peer out of it, by naming sessions that never were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.protocol.effects import Forget, Remember

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from wattswap.protocol.effects import Effect

MOST_PEERS: Final = 16
"""The number of sessions that are remembered, beside those that still have an award to settle."""

_KEY: Final = "peer/"


class Peers(dict[int, str]):
    """The name of the peer of each session that this agent was plugged into, the oldest first.

    A session is missing if the agent has no part in it, or has had none for a long time.
    """

    def meet(self, session: int, name: str, unsettled: Container[int]) -> list[Effect]:
        """A cable joins this agent and that peer; the oldest sessions that are not ``unsettled`` are forgotten."""
        if self.get(session) == name:
            return []
        self[session] = name
        done = [old for old in self if old != session and old not in unsettled]
        forgotten = done[: max(len(done) + 1 - MOST_PEERS, 0)]
        for old in forgotten:
            del self[old]
        return [Remember(f"{_KEY}{session}", name.encode()), *(Forget(f"{_KEY}{old}") for old in forgotten)]

    def restore(self, remembered: Mapping[str, bytes]) -> None:
        """Recall the peers after a crash, in the order of session numbers, which each charger counts upwards.

        For a car that went from charger to charger this is not the order in time; all that it decides is which of its
        settled sessions are forgotten first.
        """
        peers = {int(key.removeprefix(_KEY)): value for key, value in remembered.items() if key.startswith(_KEY)}
        self.clear()
        self.update((session, peers[session].decode()) for session in sorted(peers))
