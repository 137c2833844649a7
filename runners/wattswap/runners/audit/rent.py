"""Whether rent is earned by waiting, and by nothing else (S12, S13).

It goes by the world's own meter: what each session drew beyond its baseline, and when. Whatever charger and car have
counted, no more than that can have been drawn back, and none of it can have waited longer than since the session's
first award. Meters that were down have counted less.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import NoteTrade, Send
from wattswap.protocol.messages import Award, Delivery, Sealed
from wattswap.runners.audit.audit_error import require
from wattswap.runners.audit.rules import Rule

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.runners.engines.loop import SimulatedRun
    from wattswap.runners.recording.record import TickRow

_FEED: Final = 2
_CAP_S: Final = 86_400
"""The law's cap, whatever an award says: a day of waiting."""


class _Counted(NamedTuple):
    """What was counted of one lot."""

    sold_ws: int
    returned_ws: int
    rent: int


class RentAudit:
    """Follows what sessions draw back, and what cars claim and are paid for having waited."""

    def __init__(self, run: SimulatedRun) -> None:
        (self._transformer,) = run.factory.transformers
        self._run, self._tick_s = run, run.rules.tick_s
        self._sold_at: dict[int, int] = {}
        """By session: the tick of its first award."""
        self._cap: dict[tuple[int, int], int] = {}
        """By session and tick of the award: the most ticks of waiting that it pays."""
        self._back_ws: defaultdict[int, int] = defaultdict(int)
        """By session: what it drew beyond its baseline since then."""
        self._waited: defaultdict[int, int] = defaultdict(int)
        """By session: that energy times the ticks since then, none counted for more than the cap."""
        self._claimed: defaultdict[int, dict[int, _Counted]] = defaultdict(dict)
        """By session and tick of the award: what the car says."""
        self._paid: defaultdict[int, dict[int, _Counted]] = defaultdict(dict)

    def look(self, agent: str, done: list[Effect]) -> None:
        """Audit one event."""
        if agent == self._transformer:
            self._look_at_transformer(done)
        elif agent.startswith("vehicle/"):
            self._look_at_vehicle(done)

    def _look_at_transformer(self, done: list[Effect]) -> None:
        for effect in done:
            match effect:
                case Send(_, Sealed(6) as sealed):
                    award = unseal(sealed)
                    assert isinstance(award, Award)
                    self._sold_at.setdefault(award.session, award.tick)
                    self._cap[award.session, award.tick] = min(award.rent_cap_s, _CAP_S) // self._tick_s
                case NoteTrade(tick, session):
                    counted = _Counted(sum(effect.delivered_ws[:_FEED]), effect.returned_ws, effect.rent)
                    self._counts(f"{effect} is paid", session, tick, counted, self._paid[session])
                case _:
                    pass

    def _look_at_vehicle(self, done: list[Effect]) -> None:
        for effect in done:
            match effect:
                case Send(_, Sealed(9) as sealed):
                    claim = unseal(sealed)
                    assert isinstance(claim, Delivery)
                    if claim.tick not in self._claimed[claim.session]:
                        self._claims(claim)
                case _:
                    pass

    def _claims(self, claim: Delivery) -> None:
        counted = _Counted(sum(claim.delivered_ws[:_FEED]), claim.returned_ws, claim.rent)
        stays = self._run.world.plugged.tolist()
        owed_ws = counted.sold_ws - counted.returned_ws
        require(
            claim.session not in stays or owed_ws < self._tick_s,
            Rule.RETURNED_AS_SOLD,
            f"{claim} closes a lot of which {owed_ws} ws are still to be drawn back, and its car is here",
        )
        self._counts(f"{claim} is claimed", claim.session, claim.tick, counted, self._claimed[claim.session])

    def _counts(self, what: str, session: int, tick: int, counted: _Counted, of: dict[int, _Counted]) -> None:
        require(
            counted.returned_ws <= counted.sold_ws,
            Rule.RETURNED_AS_SOLD,
            f"{what}, but of {counted.sold_ws} ws sold no {counted.returned_ws} ws can come back",
        )
        require(
            counted.rent <= counted.returned_ws * self._cap.get((session, tick), 0),
            Rule.RENT_CAPPED,
            f"{what}, but no energy earns rent for more than {self._cap.get((session, tick), 0)} ticks",
        )
        of[tick] = counted
        returned_ws, rent = sum(one.returned_ws for one in of.values()), sum(one.rent for one in of.values())
        here = session in self._run.world.plugged.tolist()
        require(
            returned_ws <= self._back_ws[session] and rent <= self._waited[session],
            Rule.DRAWN_BACK if here else Rule.GONE_EARN_NOTHING,
            f"{what}, which makes {returned_ws} ws drawn back by session {session} and a rent of {rent}, but the world "
            f"measured {self._back_ws[session]} ws beyond its baseline and {self._waited[session]} at most",
        )

    def tick(self, row: TickRow) -> None:
        """Measure what has been drawn back in this tick."""
        powers = zip(row.rows.tolist(), row.import_w.tolist(), row.charging.baseline_w.tolist(), strict=True)
        for session, import_w, baseline_w in powers:
            sold_at = self._sold_at.get(session)
            if sold_at is not None and import_w > baseline_w:
                back_ws = (import_w - baseline_w) * self._tick_s
                self._back_ws[session] += back_ws
                self._waited[session] += back_ws * min(row.tick - sold_at, _CAP_S // self._tick_s)
