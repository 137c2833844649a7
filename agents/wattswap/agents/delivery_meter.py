"""The delivery meter of a charger or of a car: the lot of each award, and where that award stands.

Charger and car each count with their own meter, and the lower count is paid. One award is in force at most: a newer
one ends the older, in case the release of the older one was lost. After its end an award's lot stays open until what
was given up under it has been drawn back, or until the car leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.agents.offers import FEED, TRANCHES
from wattswap.agents.session_lots import Lot, SessionLots
from wattswap.protocol.effects import Forget, Remember
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.messages import Award, Delivery
from wattswap.protocol.round import Input, Part, State, advance, hear

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Metered

MOST_PARTS: Final = 64
"""The number of parts without an open award that are remembered, so that messages which come twice are recognised."""

MOST_UNSETTLED: Final = 2_048
"""No more awards are open at once: a car that gives way in every window for a week and draws nothing back has fewer."""

_UNSETTLED: Final = frozenset({State.AWARDED, State.ENDED, State.DELIVERED})
_WON: Final = frozenset({State.AWARDED, State.ENDED, State.DELIVERED, State.SETTLED})


class DeliveryMeter:
    """The parts in rounds of one charger or car, and what it has counted for awards that are not settled yet."""

    def __init__(self, rules: Rules, begins: State) -> None:
        self._rules, self._begins = rules, begins
        self._states: dict[Part, State] = {}
        self._open: dict[int, SessionLots] = {}
        """By session, the lots that are not reported; the car may have left."""
        self._claims: dict[Part, Delivery] = {}
        """What was reported and is not settled."""
        self._durable: set[int] = set()
        """The sessions whose lots are remembered."""
        self._left: set[int] = set()
        """The sessions whose car has left with something unsettled."""
        self.in_force: Part | None = None
        """The award under which energy is given up now."""

    def __len__(self) -> int:
        """The number of awards that are not settled yet."""
        return len(self._claims) + sum(len(of.lots) for of in self._open.values())

    @property
    def unsettled(self) -> set[int]:
        """The sessions that have an award to settle."""
        return {session for session, of in self._open.items() if of.lots} | {part.session for part in self._claims}

    def state(self, part: Part) -> State:
        """Where a part stands."""
        return self._states.get(part, self._begins)

    def check(self) -> None:
        """The award in force, and no other, is AWARDED; each open award has a count; what is remembered is bounded."""
        running = {part for part, state in self._states.items() if state is State.AWARDED}
        assert running == {self.in_force} - {None}
        ended = {part for part, state in self._states.items() if state is State.ENDED}
        assert {lot.part for of in self._open.values() for lot in of.lots} == running | ended
        assert {part for part, state in self._states.items() if state is State.DELIVERED} == set(self._claims)
        assert len(self._states) - len(self) <= MOST_PARTS
        for lot in (lot for of in self._open.values() for lot in of.lots):
            assert 0 <= lot.owed_ws <= sum(lot.delivered_ws[:FEED])
            assert lot.rent >= 0

    # -- before an award ----------------------------------------------------------------------------------------------

    def move(self, part: Part, *said: Input) -> None:
        """Follow a part by what this agent heard and did itself."""
        state = self.state(part)
        for each in said:
            state = advance(state, each)
        self._states[part] = state
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        if len(self._states) > MOST_PARTS and len(self._states) - len(self) > MOST_PARTS:
            done = (old for old, state in self._states.items() if state not in _UNSETTLED)
            del self._states[next(done)]

    # -- an award -----------------------------------------------------------------------------------------------------

    def award(self, award: Award, now_ms: int, *, plugged: bool) -> bool:
        """Count for an award from now on; False if it has come before.

        It ends at once if its car is not plugged in, if its window is over, or if a newer award has come before it.

        Raises:
            RemoteProtocolError: another feeder has bought from the session at this tick, and a car is on one feeder; or
                too many are open.
        """
        part, before = award.part, self.state(award.part)
        if any(other[1:] == part[1:] and other != part and self._states[other] in _WON for other in self._states):
            raise RemoteProtocolError(f"two feeders award session {part.session} something at tick {part.tick}")
        after = advance(before, Input.AWARD)
        if after is before:
            return False
        if len(self._states) >= MOST_UNSETTLED and len(self) >= MOST_UNSETTLED:
            raise RemoteProtocolError(f"one more award for session {award.session}, and {len(self)} are not settled")
        if after is State.AWARDED and (not plugged or now_ms >= award.until_ms or self._has_newer(part)):
            after = advance(advance(before, Input.END), Input.AWARD)
        if after is State.AWARDED:
            self.end(part.session, before_tick=part.tick)
            self.in_force = part
        self._states[part] = after
        self._open.setdefault(part.session, SessionLots([])).lots.append(Lot.of(award))
        return True

    def award_of(self, part: Part) -> Award | None:
        """The award of a part whose lot is open."""
        lot = self._lot(part)
        return None if lot is None else lot.award

    def _lot(self, part: Part | None) -> Lot | None:
        of = None if part is None else self._open.get(part.session)
        return None if of is None or part is None else of.lot(part)

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
        session = metered.session
        of = self._open.get(session)
        if of is None or not of.lots:
            return []
        part = self.in_force
        in_force = of.lot(part) if part is not None and part.session == session else None
        if not of.add(metered, in_force, self._rules):
            return []
        if in_force is not None and (metered.tick + 1) * self._rules.tick_ms >= in_force.award.until_ms:
            self.end(session)
        self._durable.add(session)
        return [Remember(f"lots/{session}", msgspec.msgpack.encode(of))]

    def owed(self, session: int) -> tuple[int, int]:
        """What a session has given up and not drawn back yet, and the dearest price at which that waits.

        The price is 0 if nothing waits, or once the session's clock has stopped.
        """
        of = self._open.get(session)
        return (0, 0) if of is None else (of.owed_ws, of.rent_price)

    def over(self, session: int, *, left: bool = False) -> list[Part]:
        """The parts of a session whose lots are to be reported: drawn back, or all of them once the car has left."""
        of, most_ws = self._open.get(session), self._rules.tick_s
        if of is None:
            return []
        return [lot.part for lot in of.lots if lot.part != self.in_force and (left or lot.owed_ws < most_ws)]

    def is_behind(self, claim: Delivery) -> bool:
        """Whether the other meter has counted more for a lot than this one has until now."""
        lot = self._lot(claim.part)
        if lot is None:
            return False
        mine = lot.delivery()
        more = any(theirs > ours for ours, theirs in zip(mine.delivered_ws, claim.delivered_ws, strict=False))
        return more or claim.returned_ws > mine.returned_ws or claim.rent > mine.rent

    # -- its settlement -----------------------------------------------------------------------------------------------

    def deliver(self, part: Part) -> tuple[Delivery, list[Effect]]:
        """Close a lot and give its count, made durable; a count of nothing for an award that is not open here."""
        if (claim := self._claims.get(part)) is not None:
            return claim, []
        if (lot := self._lot(part)) is None:
            return Delivery(*part, (0,) * TRANCHES, 0, 0, 0), []
        self._states[part] = advance(self._states[part], Input.DELIVERY)
        self.in_force = None if part == self.in_force else self.in_force
        self._open[part.session].lots.remove(lot)
        self._claims[part] = delivery = lot.delivery()
        return delivery, [Remember(f"claim/{part}", msgspec.msgpack.encode(delivery))]

    def receipt(self, part: Part) -> list[Effect]:
        """An award is settled; nothing happens if it is settled already.

        Raises:
            RemoteProtocolError: nothing was delivered yet, so nobody can have settled it.
        """
        if part not in self._claims and self._lot(part) is None:
            return []
        self._states[part] = hear(self._states[part], Input.RECEIPT)
        del self._claims[part]
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
        self._open.pop(session, None)
        durable = session in self._durable
        self._durable.discard(session)
        return [Forget(f"lots/{session}")] if durable else []

    # -- after a crash ------------------------------------------------------------------------------------------------

    @property
    def settled(self) -> list[Part]:
        """The parts that are settled, as far as they are remembered."""
        return [part for part, state in self._states.items() if state is State.SETTLED]

    @property
    def claims(self) -> list[Part]:
        """The parts that are reported and not settled yet."""
        return list(self._claims)

    def restore(self, remembered: Mapping[str, bytes], now_ms: int, settled: list[Part]) -> None:
        """Go on with the awards that were made durable, each from the last count of it that was.

        The newest of these awards is in force again if its window still runs.
        """
        self._states = dict.fromkeys(settled, State.SETTLED)
        counted: dict[Part, Lot] = {}
        for key, value in remembered.items():
            if key.startswith("lots/"):
                session, of = int(key.removeprefix("lots/")), msgspec.msgpack.decode(value, type=SessionLots)
                counted |= {lot.part: lot for lot in of.lots}
                self._open[session] = SessionLots([], of.stopped_at)
                self._durable.add(session)
        running = list[Award]()
        for key, value in remembered.items():
            if not key.startswith("award/") or (award := msgspec.msgpack.decode(value, type=Award)).part in settled:
                continue
            part = award.part
            if (claim := remembered.get(f"claim/{part}")) is not None:
                self._states[part], self._claims[part] = State.DELIVERED, msgspec.msgpack.decode(claim, type=Delivery)
                continue
            self._states[part] = State.ENDED
            lot = counted.get(part) or Lot.of(award)
            self._open.setdefault(part.session, SessionLots([])).lots.append(lot)
            running += [award] if award.until_ms > now_ms else []
        if running:
            self.in_force = max(running, key=lambda award: award.tick).part
            self._states[self.in_force] = State.AWARDED
