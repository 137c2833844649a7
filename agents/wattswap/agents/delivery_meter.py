"""The delivery meter of a charger or of a car: what it has counted for each award, and where that award stands.

Charger and car each count with their own meter, and the lower count is paid. One award is in force at most: a newer
one ends the older, in case the release of the older one was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from wattswap.agents import settlement
from wattswap.agents.offers import TRANCHES
from wattswap.protocol.effects import Forget, Remember
from wattswap.protocol.messages import Award, Delivery
from wattswap.protocol.round import Input, Part, State, advance, hear

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.physics import Ints
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Metered

MOST_PARTS: Final = 64
"""The number of parts without an open award that are remembered, so that messages which come twice are recognised."""

_WON: Final = frozenset({State.AWARDED, State.ENDED, State.DELIVERED, State.SETTLED})


class _Count:
    """The energy that one meter has counted for one award."""

    def __init__(self, award: Award, delivered_ws: tuple[int, ...] = (0,) * TRANCHES, baseline_ws: int = 0) -> None:
        self.award, self.baseline_ws = award, baseline_ws
        self.award_w: Ints = np.array([award.award_w], dtype=np.int64)
        self.delivered_ws: Ints = np.array([delivered_ws], dtype=np.int64)


class DeliveryMeter:
    """The parts in rounds of one charger or car, and its counts for the awards that are not settled yet."""

    def __init__(self, tick_s: int, begins: State) -> None:
        self._tick_s, self._begins = tick_s, begins
        self._states: dict[Part, State] = {}
        self._counts: dict[Part, _Count] = {}
        self.in_force: Part | None = None
        """The award that is counted for now."""

    def __len__(self) -> int:
        """The number of awards that are not settled yet."""
        return len(self._counts)

    @property
    def unsettled(self) -> set[int]:
        """The sessions that have an award to settle."""
        return {part.session for part in self._counts}

    def state(self, part: Part) -> State:
        """Where a part stands."""
        return self._states.get(part, self._begins)

    def check(self) -> None:
        """The award in force, and no other, is AWARDED; each open award has a count; what is remembered is bounded."""
        assert {part for part, state in self._states.items() if state is State.AWARDED} == {self.in_force} - {None}
        assert all(
            (part in self._counts) == (state in {State.AWARDED, State.ENDED, State.DELIVERED})
            for part, state in self._states.items()
        )
        assert len(self._states) - len(self._counts) <= MOST_PARTS

    # -- before an award ----------------------------------------------------------------------------------------------

    def move(self, part: Part, said: Input) -> None:
        """Follow a part by what this agent did itself."""
        self._states[part] = advance(self.state(part), said)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        if len(self._states) - len(self._counts) > MOST_PARTS:
            del self._states[next(old for old in self._states if old not in self._counts)]

    # -- an award -----------------------------------------------------------------------------------------------------

    def award(self, award: Award, now_ms: int, *, plugged: bool) -> list[Part] | None:
        """Count for an award from now on; None if it has come before, else the awards in force that it has ended.

        It ends at once if its car is not plugged in, if its window is over, or if a newer award has come before it.
        """
        part, before = award.part, self.state(award.part)
        after = advance(before, Input.AWARD)
        if after is before:
            return None
        if after is State.AWARDED and (not plugged or now_ms >= award.until_ms or self._has_newer(part)):
            after = advance(advance(before, Input.END), Input.AWARD)
        ended = self.end(part.session, before_tick=part.tick) if after is State.AWARDED else []
        self._states[part], self._counts[part] = after, _Count(award)
        self.in_force = part if after is State.AWARDED else self.in_force
        return ended

    def _has_newer(self, part: Part) -> bool:
        return any(
            state in _WON and other.session == part.session and other.tick > part.tick
            for other, state in self._states.items()
        )

    def add(self, metered: Metered, now_ms: int) -> list[Part]:
        """Count the tick that ended; the awards whose window has ended with it."""
        part = self.in_force
        if part is None or part.session != metered.session:
            return []
        count = self._counts[part]
        powers = (metered.baseline_w, metered.import_w, metered.export_w)
        baseline_w, import_w, export_w = np.array(powers, dtype=np.int64)[:, np.newaxis]
        count.delivered_ws += settlement.relief_w(count.award_w, baseline_w, import_w, export_w) * self._tick_s
        count.baseline_ws += metered.baseline_w * self._tick_s
        return self.end(part.session) if now_ms >= count.award.until_ms else []

    def end(self, session: int, *, only: Part | None = None, before_tick: int | None = None) -> list[Part]:
        """End the parts of a session: all, ``only`` one, or those before a tick. Returns those that were in force."""
        ended = list[Part]()
        for part, state in self._states.items():
            if part.session != session or only not in {None, part}:
                continue
            if before_tick is None or part.tick < before_tick:
                self._states[part] = advance(state, Input.END)
                if part == self.in_force:
                    ended.append(part)
                    self.in_force = None
        return ended

    # -- its settlement -----------------------------------------------------------------------------------------------

    def deliver(self, part: Part) -> tuple[Delivery, list[Effect]]:
        """End an award and give its count, made durable; a count of nothing for an award that is not open here."""
        count = self._counts.get(part)
        if count is None:
            return Delivery(*part, (0,) * TRANCHES, 0), []
        delivery = Delivery(*part, tuple(count.delivered_ws[0].tolist()), count.baseline_ws)
        before = self._states[part]
        self._states[part] = advance(before, Input.DELIVERY)
        if part == self.in_force:
            self.in_force = None
        durable = before is State.DELIVERED
        return delivery, [] if durable else [Remember(f"claim/{part}", msgspec.msgpack.encode(delivery))]

    def receipt(self, part: Part) -> list[Effect]:
        """An award is settled; nothing happens if it is settled already.

        Raises:
            RemoteProtocolError: nothing was delivered yet, so nobody can have settled it.
        """
        if part not in self._counts:
            return []
        self._states[part] = hear(self._states[part], Input.RECEIPT)
        del self._counts[part]
        self._forget_oldest()
        return [Forget(f"award/{part}"), Forget(f"claim/{part}")]

    # -- after a crash ------------------------------------------------------------------------------------------------

    @property
    def settled(self) -> list[Part]:
        """The parts that are settled, as far as they are remembered."""
        return [part for part, state in self._states.items() if state is State.SETTLED]

    @property
    def open(self) -> list[Part]:
        """The awards that are not settled yet."""
        return list(self._counts)

    def restore(self, remembered: Mapping[str, bytes], now_ms: int, settled: list[Part]) -> None:
        """Go on with the awards that were made durable.

        A count that was not reported yet is lost and starts from zero; the newest of these awards is in force again if
        its window still runs.
        """
        self._states = dict.fromkeys(settled, State.SETTLED)
        running = list[Award]()
        for key, value in remembered.items():
            if not key.startswith("award/") or (award := msgspec.msgpack.decode(value, type=Award)).part in settled:
                continue
            if (claim := remembered.get(f"claim/{award.part}")) is None:
                self._states[award.part], self._counts[award.part] = State.ENDED, _Count(award)
                running += [award] if award.until_ms > now_ms else []
            else:
                delivery = msgspec.msgpack.decode(claim, type=Delivery)
                self._states[award.part] = State.DELIVERED
                self._counts[award.part] = _Count(award, delivery.delivered_ws, delivery.baseline_ws)
        if running:
            self.in_force = max(running, key=lambda award: award.tick).part
            self._states[self.in_force] = State.AWARDED
