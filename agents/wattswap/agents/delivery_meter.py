"""The delivery meter of a charger or of a car: the lot of each award, and where that award stands.

Charger and car each count with their own meter, and the lower count is paid. One award is in force at most: a newer
one ends the older, in case the release of the older one was lost. After its end an award's lot stays open until what
was given up under it has been drawn back, or until the car leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from wattswap.agents import lots, settlement
from wattswap.agents.lots import NEVER, CarMeters, Lots
from wattswap.agents.offers import FEED, TRANCHES
from wattswap.protocol.effects import Forget, Remember
from wattswap.protocol.messages import Award, Delivery
from wattswap.protocol.round import Input, Part, State, advance, hear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Metered

MOST_PARTS: Final = 64
"""The number of parts without an open award that are remembered, so that messages which come twice are recognised."""

_WON: Final = frozenset({State.AWARDED, State.ENDED, State.DELIVERED, State.SETTLED})
_OPEN: Final = frozenset({State.AWARDED, State.ENDED})


class _Count(msgspec.Struct):
    """What one meter has counted for one award."""

    award: Award
    delivered_ws: list[int]
    baseline_ws: int = 0
    owed_ws: int = 0
    rent: int = 0

    @property
    def price(self) -> int:
        """The price of its lot."""
        return max(self.award.price_nanos_per_kwh_h[:FEED])

    def delivery(self, rent: int | None = None) -> Delivery:
        """The count as it is reported."""
        returned_ws = sum(self.delivered_ws[:FEED]) - self.owed_ws
        rent = self.rent if rent is None else rent
        return Delivery(*self.award.part, tuple(self.delivered_ws), self.baseline_ws, returned_ws, rent)


class DeliveryMeter:
    """The parts in rounds of one charger or car, and its counts for the awards that are not settled yet."""

    def __init__(self, rules: Rules, begins: State) -> None:
        self._rules, self._begins = rules, begins
        self._states: dict[Part, State] = {}
        self._counts: dict[Part, _Count] = {}
        self._stopped_at: dict[int, int] = {}
        """By session, the tick from which on its energy earns nothing more."""
        self._durable_lots: set[int] = set()
        """The sessions whose lots are remembered."""
        self._left: set[int] = set()
        """Those of them whose car has left."""
        self.in_force: Part | None = None
        """The award under which energy is given up now."""

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
        for count in self._counts.values():
            assert 0 <= count.owed_ws <= sum(count.delivered_ws[:FEED])
            assert count.rent >= 0

    # -- before an award ----------------------------------------------------------------------------------------------

    def move(self, part: Part, said: Input) -> None:
        """Follow a part by what this agent did itself."""
        self._states[part] = advance(self.state(part), said)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        if len(self._states) - len(self._counts) > MOST_PARTS:
            del self._states[next(old for old in self._states if old not in self._counts)]

    # -- an award -----------------------------------------------------------------------------------------------------

    def award(self, award: Award, now_ms: int, *, plugged: bool) -> bool:
        """Count for an award from now on; False if it has come before.

        It ends at once if its car is not plugged in, if its window is over, or if a newer award has come before it.
        """
        part, before = award.part, self.state(award.part)
        after = advance(before, Input.AWARD)
        if after is before:
            return False
        if after is State.AWARDED and (not plugged or now_ms >= award.until_ms or self._has_newer(part)):
            after = advance(advance(before, Input.END), Input.AWARD)
        if after is State.AWARDED:
            self.end(part.session, before_tick=part.tick)
            self.in_force = part
        self._states[part], self._counts[part] = after, _Count(award, [0] * TRANCHES)
        return True

    def award_of(self, part: Part) -> Award | None:
        """The award of a part that is not settled yet."""
        count = self._counts.get(part)
        return None if count is None else count.award

    def _has_newer(self, part: Part) -> bool:
        return any(
            state in _WON and other.session == part.session and other.tick > part.tick
            for other, state in self._states.items()
        )

    def end(self, session: int, *, only: Part | None = None, before_tick: int | None = None) -> None:
        """End the parts of a session: all, ``only`` one, or those before a tick."""
        for part, state in self._states.items():
            if part.session != session or only not in {None, part}:
                continue
            if before_tick is None or part.tick < before_tick:
                self._states[part] = advance(state, Input.END)
                if part == self.in_force:
                    self.in_force = None

    # -- its lot ------------------------------------------------------------------------------------------------------

    def add(self, metered: Metered) -> list[Effect]:
        """Count the tick that ended for the award in force and for all lots of the session, and make it durable."""
        session, tick_s = metered.session, self._rules.tick_s
        counts = self._open(session)
        if not counts:
            return []
        given_up_ws, award = np.zeros(len(counts), dtype=np.int64), None
        for at, count in enumerate(counts):
            if count.award.part == self.in_force:
                award = count.award
                given_up_ws[at] = _deliver(count, metered, tick_s)
        stopped = np.array([self._stopped_at.get(session, NEVER)])
        import_w, baseline_w, granted_w = np.array([[metered.import_w], [metered.baseline_w], [metered.granted_w]])
        meters = CarMeters(import_w, baseline_w, granted_w, np.array([award is not None]), stopped)
        before = _lots(counts, tick_s)
        after, stopped = lots.after_tick(before, given_up_ws, meters, metered.tick, self._rules)
        for count, owed_ws, rent in zip(counts, after.owed_ws.tolist(), after.rent.tolist(), strict=True):
            count.owed_ws, count.rent = owed_ws, rent
        if stopped[0] != NEVER:
            self._stopped_at[session] = int(stopped[0])
        if award is not None and (metered.tick + 1) * self._rules.tick_ms >= award.until_ms:
            self.end(session)
        changed = award is not None or metered.import_w > metered.baseline_w or stopped[0] == metered.tick
        return [self._durable(session, counts)] if changed else []

    def _open(self, session: int) -> list[_Count]:
        """The lots of a session that are not reported yet."""
        return [
            count for part, count in self._counts.items() if part.session == session and self._states[part] in _OPEN
        ]

    def _durable(self, session: int, counts: Sequence[_Count]) -> Effect:
        self._durable_lots.add(session)
        remembered = msgspec.msgpack.encode((self._stopped_at.get(session, NEVER), counts))
        return Remember(f"lots/{session}", remembered)

    def owed_ws(self, session: int) -> int:
        """What a session has given up and not drawn back yet."""
        return sum(count.owed_ws for count in self._open(session))

    def rent_price(self, session: int) -> int:
        """The dearest price at which a session's energy waits; 0 if none does, or once its clock has stopped."""
        if session in self._stopped_at:
            return 0
        return max((count.price for count in self._open(session) if count.owed_ws), default=0)

    def over(self, session: int, *, left: bool = False) -> list[Part]:
        """The parts of a session whose lots are to be reported: drawn back, or all of them once the car has left."""
        return [
            count.award.part
            for count in self._open(session)
            if self._states[count.award.part] is State.ENDED and (left or count.owed_ws < self._rules.tick_s)
        ]

    def so_far(self, tick: int) -> list[Delivery]:
        """The lots that are open, with their rent as if all came back now."""
        open_lots = list[Delivery]()
        for session in self.unsettled:
            if counts := self._open(session):
                stopped_at = np.array([self._stopped_at.get(session, NEVER)])
                rents = lots.accrued(_lots(counts, self._rules.tick_s), stopped_at, tick).tolist()
                open_lots += [count.delivery(rent) for count, rent in zip(counts, rents, strict=True)]
        return open_lots

    # -- its settlement -----------------------------------------------------------------------------------------------

    def deliver(self, part: Part) -> tuple[Delivery, list[Effect]]:
        """Close a lot and give its count, made durable; a count of nothing for an award that is not open here."""
        count = self._counts.get(part)
        if count is None:
            return Delivery(*part, (0,) * TRANCHES, 0, 0, 0), []
        delivery, before = count.delivery(), self._states[part]
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
        return [Forget(f"award/{part}"), Forget(f"claim/{part}"), *self._forget_lots(part.session)]

    def leave(self, session: int) -> list[Effect]:
        """A car has left: its awards end, and its lots are forgotten as soon as they are settled."""
        self.end(session)
        self._left.add(session)
        return self._forget_lots(session)

    def _forget_lots(self, session: int) -> list[Effect]:
        if session not in self._left or session in self.unsettled:
            return []
        self._left.discard(session)
        self._stopped_at.pop(session, None)
        remembered = session in self._durable_lots
        self._durable_lots.discard(session)
        return [Forget(f"lots/{session}")] if remembered else []

    # -- after a crash ------------------------------------------------------------------------------------------------

    @property
    def settled(self) -> list[Part]:
        """The parts that are settled, as far as they are remembered."""
        return [part for part, state in self._states.items() if state is State.SETTLED]

    @property
    def delivered(self) -> list[Part]:
        """The parts that are reported and not settled yet."""
        return [part for part in self._counts if self._states[part] is State.DELIVERED]

    def restore(self, remembered: Mapping[str, bytes], now_ms: int, settled: list[Part]) -> None:
        """Go on with the awards that were made durable, each with the last count of it that was.

        The newest of these awards is in force again if its window still runs.
        """
        self._states = dict.fromkeys(settled, State.SETTLED)
        counted: dict[Part, _Count] = {}
        for key, value in remembered.items():
            if key.startswith("lots/"):
                stopped_at, counts = msgspec.msgpack.decode(value, type=tuple[int, list[_Count]])
                counted |= {count.award.part: count for count in counts}
                self._durable_lots.add(int(key.removeprefix("lots/")))
                if stopped_at != NEVER:
                    self._stopped_at[int(key.removeprefix("lots/"))] = stopped_at
        running = list[Award]()
        for key, value in remembered.items():
            if not key.startswith("award/") or (award := msgspec.msgpack.decode(value, type=Award)).part in settled:
                continue
            part = award.part
            self._counts[part] = count = counted.get(part, _Count(award, [0] * TRANCHES))
            self._states[part] = State.ENDED
            if (claim := remembered.get(f"claim/{part}")) is not None:
                self._states[part] = State.DELIVERED
                _recall(count, msgspec.msgpack.decode(claim, type=Delivery))
            elif award.until_ms > now_ms:
                running.append(award)
        if running:
            self.in_force = max(running, key=lambda award: award.tick).part
            self._states[self.in_force] = State.AWARDED


def _deliver(count: _Count, metered: Metered, tick_s: int) -> int:
    """Count a tick under the award in force; the energy that was given up in it."""
    award_w = np.array([count.award.award_w], dtype=np.int64)
    powers = np.array((metered.baseline_w, metered.import_w, metered.export_w), dtype=np.int64)
    delivered_ws = (settlement.relief_w(award_w, *powers[:, np.newaxis]) * tick_s)[0].tolist()
    count.delivered_ws = [before + more for before, more in zip(count.delivered_ws, delivered_ws, strict=True)]
    count.baseline_ws += metered.baseline_w * tick_s
    return sum(delivered_ws[:FEED])


def _lots(counts: Sequence[_Count], tick_s: int) -> Lots:
    """Some counts of one car as the columns of the law."""
    rows = [
        (0, count.price, count.award.tick, count.award.rent_cap_s // tick_s, count.owed_ws, count.rent)
        for count in counts
    ]
    return Lots(*np.array(rows, dtype=np.int64).T)


def _recall(count: _Count, claim: Delivery) -> None:
    count.delivered_ws, count.baseline_ws, count.rent = list(claim.delivered_ws), claim.baseline_ws, claim.rent
    count.owed_ws = sum(claim.delivered_ws[:FEED]) - claim.returned_ws
