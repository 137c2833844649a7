"""A street some of whose cars manipulate: what they say of needs, sessions and departures, and what is true."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents.strategies.waiting import waiting_cost
from wattswap.protocol.errors import InputError
from wattswap.runners.scenario.street import concatenated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.offers import Strategy
    from wattswap.agents.physics import Ints
    from wattswap.runners.scenario.street import Sessions, Street


@dataclass(frozen=True)
class PlayedStreet:
    """A street of one feeder as its cars present it, and what only their owners know; one row a session."""

    street: Street
    plays: NDArray[np.bool_]
    """The sessions of cars that manipulate."""
    real_ws: Ints
    """What each session really needs; the rest of its stated need is never drawn."""
    continues: Ints
    """The session of the same car that ends when this one begins, without the car having left; -1 if none does."""
    stalls: NDArray[np.bool_]
    """Draws back what it sold only when it must."""
    crawls: NDArray[np.bool_]
    """Draws it back as slowly as it can while its clock goes on."""
    asking: NDArray[np.bool_]
    """The sessions that answer with ``asks``."""
    asks: Strategy | None = None
    """``truthful`` if None."""

    @classmethod
    def honest(cls, street: Street, plays: NDArray[np.bool_]) -> PlayedStreet:
        """The street as it is; ``plays`` are those who will manipulate in another run.

        Raises:
            InputError: the street has several feeders.
        """
        if len(street.feeders) > 1:
            raise InputError(
                f"--games: scenario {street.name} has {len(street.feeders)} feeders; play on a street of one"
            )
        sessions = street.sessions
        rows = len(sessions.session_id)
        none = np.zeros(rows, dtype=bool)
        return cls(street, plays, sessions.energy_ws.copy(), np.full(rows, -1, dtype=np.int64), none, none, plays)

    def saying(self, sessions: Sessions) -> PlayedStreet:
        """The same, with other sessions than the true ones, row by row."""
        return replace(self, street=replace(self.street, sessions=sessions))

    def with_more(self, more: Sessions, real_ws: Ints, continues: Ints) -> PlayedStreet:
        """The same with more sessions, all of them of cars that manipulate."""
        count = len(more.session_id)
        sessions = concatenated([self.street.sessions, more])
        feeder = replace(self.street.feeders[0], sessions=slice(0, len(sessions.session_id)))
        return replace(
            self,
            street=replace(self.street, sessions=sessions, feeders=(feeder,)),
            plays=np.append(self.plays, np.ones(count, dtype=bool)),
            real_ws=np.append(self.real_ws, real_ws),
            continues=np.append(self.continues, continues),
            stalls=np.append(self.stalls, np.zeros(count, dtype=bool)),
            crawls=np.append(self.crawls, np.zeros(count, dtype=bool)),
            asking=np.append(self.asking, np.ones(count, dtype=bool)),
        )

    @property
    def waiting_nanos_per_kwh_h(self) -> Ints:
        """What waiting costs each session's owner: as a session's draw says, also when it is split."""
        return waiting_cost(self.street.scenario.seed, self.street.sessions.key)
