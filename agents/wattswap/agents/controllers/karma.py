"""Karma: tokens that buy nothing but turns.

Every person begins with as many. While not all can charge, each bids karma for its turn, the more of what it has the
dearer waiting is to it; the highest bids are served, pay what they bid, and all they pay goes in equal parts to those
who wait. So who gives way today comes first tomorrow, and no money moves. After Elokda and others, A self-contained
karma economy for the dynamic allocation of common resources, Dynamic Games and Applications 14, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers.capped import served
from wattswap.agents.controllers.planning import Foresight, held_w, ranked
from wattswap.agents.law import Grants
from wattswap.agents.strategies.waiting import MOST_NANOS_PER_KWH_H, waiting_cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

ENDOWMENT: Final = 10_000
"""What everybody begins with."""
BID_PART: Final = 12
"""A car to whose owner waiting is dearest bids this part of its karma for a window."""


class Accounts:
    """What the persons of one feeder hold; whoever comes for the first time begins with the endowment."""

    def __init__(self, persons: Mapping[int, int]) -> None:
        self._persons = persons
        """A session's key -> its person's."""
        self.held: dict[int, int] = {}

    def of(self, keys: NDArray[np.uint64]) -> Ints:
        """What the persons of these sessions hold."""
        return np.array([self.held.setdefault(person, ENDOWMENT) for person in self._of(keys)], dtype=np.int64)

    def move(self, keys: NDArray[np.uint64], paid: Ints, waits: NDArray[np.bool_]) -> None:
        """Take what each pays, and share it out among those who wait; what does not divide goes to the first ones."""
        persons = self._of(keys)
        waiting = [person for person, one in zip(persons, waits.tolist(), strict=True) if one]
        if not waiting:
            return
        for person, karma in zip(persons, paid.tolist(), strict=True):
            self.held[person] -= karma
        each, odd = divmod(int(paid.sum()), len(waiting))
        for place, person in enumerate(waiting):
            self.held[person] += each + (place < odd)

    def _of(self, keys: NDArray[np.uint64]) -> list[int]:
        return [self._persons.get(key, key) for key in keys.tolist()]


@dataclass(frozen=True)
class Karma:
    """Turns by karma: a round at each window, and whenever a car has come or is full."""

    told: Foresight | None = None
    """Without it all owners' waiting counts alike."""
    accounts: Accounts | None = None
    """Without them all hold the same at all times."""

    def __call__(self, base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
        """Who bids most is served first; who has no more than its guard left comes before, whatever it holds."""
        room_w, nothing = target_w - base_w, np.zeros_like(cars.wanted_w)
        if int(cars.wanted_w.sum()) <= room_w:
            return Grants(cars.wanted_w, nothing, nothing)
        urgency = np.full_like(cars.wanted_w, MOST_NANOS_PER_KWH_H)
        if self.told is not None:
            urgency = waiting_cost(self.told.seed, cars.key)
        held = np.full_like(cars.wanted_w, ENDOWMENT) if self.accounts is None else self.accounts.of(cars.key)
        bids = held * urgency // (MOST_NANOS_PER_KWH_H * BID_PART)
        place = ranked(plugged, rules, -bids)
        kept = held_w(cars, plugged, rules, rules.window_ms)
        if kept is not None:
            return served(kept, room_w, place, rules)
        granted = served(cars.wanted_w, room_w, place, rules)
        if self.accounts is not None:
            draws, wants = granted.import_w > 0, cars.wanted_w > 0
            self.accounts.move(cars.key, np.where(draws, bids, 0), wants & ~draws)
        return granted
