"""The transformer agent: it watches its load, calls for relief when it runs short, clears, awards, grants and pays.

One tick of it reads: readings come in; ``assess`` says whether the street fits under the limit; if not, a call goes
out and the round clears when all have answered; then everyone is granted power. Deliveries settle what was awarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from wattswap.agents import claims, law, market
from wattswap.agents.award_book import AwardBook, Site
from wattswap.agents.awarding import cleared, lapsed, refuse_second
from wattswap.agents.base_load import BaseLoad
from wattswap.agents.bought_feed import BoughtFeed
from wattswap.agents.departed_sessions import DepartedSessions
from wattswap.agents.lease_issuer import LeaseIssuer
from wattswap.agents.lost_sessions import LostSessions
from wattswap.agents.offers import FEED
from wattswap.agents.open_round import OpenRound
from wattswap.agents.parties import Party, Session, SiteView
from wattswap.agents.rules import Terms
from wattswap.agents.vehicle_table import VehicleTable
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.draws import agent_key
from wattswap.protocol.effects import Forget, NoteEnd, NoteForced, Remember, Send, WakeAt
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Billed, LimitChanged, Paid, Received, Restarted, Woken
from wattswap.protocol.messages import (
    AWARD,
    DEPARTED,
    MANDATE,
    Ack,
    BaseReport,
    CappedOffer,
    Cleared,
    Departed,
    Grant,
    Mandate,
    Offer,
    Release,
    ReliefCall,
    Report,
    Sealed,
    WitnessedDelivery,
)
from wattswap.protocol.round import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.controllers import Controller
    from wattswap.agents.roster import Roster
    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer
    from wattswap.protocol.round import Part


class Transformer:
    """One feeder's transformer and its site account."""

    def __init__(
        self,
        name: str,
        site: Site,
        rules: Rules,
        roster: Roster,
        *,
        controller: Controller | None = None,
        signer: Signer | None = None,
        trusted: Mapping[str, bytes] | None = None,
    ) -> None:
        self.name, self._site, self._rules, self._controller = name, site, rules, controller
        self._terms, self._signer, self._roster = Terms.of(rules), signer, roster
        self._limit_w = site.limit_w
        self._base = BaseLoad(roster.households, rules.lease_ms)
        self._vehicles, self._leases = VehicleTable(), LeaseIssuer(rules)
        self._award_book = AwardBook(rules, site, signer, trusted)
        self._sessions: dict[int, Session] = {}
        self._lost = LostSessions(rules.lease_ms)
        self._departed, self._bought_feed = DepartedSessions(), BoughtFeed(rules, buys=controller is None)
        self._round: OpenRound | None = None
        self._next_tick_ms = self._quiet_until_ms = 0

    # -- what happens -------------------------------------------------------------------------------------------------

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the transformer wants done about an event."""
        match event:
            case Received(sender, message):
                return self._on_message(sender, message, now_ms)
            case Woken(at_ms):
                return [WakeAt(at_ms)] if now_ms < at_ms else self._on_woken(now_ms)
            case LimitChanged():
                self._limit_w = event.limit_w
                self._leases.wait()
            case Paid():
                return self._award_book.paid(event)
            case Billed():
                self._award_book.uncommitted_nanos += event.received_nanos
            case Restarted():
                return self._on_restarted(event, now_ms)
        return []

    @property
    def uncommitted_nanos(self) -> int:
        """What it thinks it may still promise."""
        return self._award_book.uncommitted_nanos

    def view(self, now_ms: int) -> SiteView:
        """What it knows now."""
        return SiteView(
            base_w=self._base.watts,
            is_base_known=self._base.is_known(now_ms),
            limit_w=self._limit_w,
            sessions=self._lost.others(self._sessions),
            awards=self._award_book.in_force,
            quiet_until_ms=self._quiet_until_ms,
        )

    @property
    def owes(self) -> int:
        """Awards that are not settled yet, and departures that are not billed."""
        return self._award_book.open

    def state(self, part: Part) -> State:
        """Where a car's part of a round stands; IDLE before the call, and when nothing came of it."""
        call = None if self._round is None else self._round.call
        if self._round is not None and call is not None and (call.feeder, call.tick) == (part.feeder, part.tick):
            return self._round.states.get(part.session, State.IDLE)
        return self._award_book.state(part.session, part.tick) or State.IDLE

    def worst_import_w(self, session: int, now_ms: int) -> int | None:
        """What it believes a session may be drawing at worst; None if it does not know it, or keeps quiet still."""
        return None if now_ms < self._quiet_until_ms else self._leases.worst_import_w(session)

    def check(self) -> None:
        """Tokens promised are covered, and only plugged cars hold awards."""
        assert self._award_book.uncommitted_nanos >= 0
        assert set(self._vehicles.sessions) == set(self._sessions)
        assert {award.session for award in self._award_book.in_force} <= set(self._sessions)

    def _on_message(self, sender: str, message: object, now_ms: int) -> list[Effect]:
        if isinstance(message, BaseReport):
            self._base.hear(sender, message.base_w, now_ms)
            return []
        if sender not in self._roster.charger_max_w:
            raise RemoteProtocolError(f"{sender} is no charger of {self.name}, and says what only chargers say")
        match message:
            case Report() | CappedOffer() | WitnessedDelivery() | Departed() | Ack():
                return self._on_session(sender, message, now_ms)
            case Sealed():
                return self._on_mandate(sender, message, now_ms)
        return []

    def _on_session(
        self, charger: str, message: Report | CappedOffer | WitnessedDelivery | Departed | Ack, now_ms: int
    ) -> list[Effect]:
        """A charger speaks for its own car only.

        Raises:
            RemoteProtocolError: the car is plugged in at another charger.
        """
        session = self._sessions.get(message.session)
        if session is not None and session.party.charger != charger:
            raise RemoteProtocolError(f"{charger} speaks for session {message.session} at {session.party.charger}")
        match message:
            case Report():
                return [] if session is None else self._on_report(message, session, now_ms)
            case CappedOffer():
                return [] if session is None else self._on_offer(message, session, now_ms)
            case WitnessedDelivery():
                return self._on_delivery(charger, message, now_ms)
            case Departed():
                return self._on_departed(charger, message, now_ms)
            case Ack(kind, number, tick):
                return self._award_book.ack(charger, number, tick) if kind == AWARD else []

    def _on_mandate(self, charger: str, sealed: Sealed, now_ms: int) -> list[Effect]:
        """A car is plugged in; its need fixes its baseline until it leaves.

        Raises:
            RemoteProtocolError: the car is none of this feeder's or did not sign, or the session is another's.
        """
        mandate = unseal(sealed)
        if not isinstance(mandate, Mandate):
            return []
        if mandate.payee not in self._roster.vehicles:
            raise RemoteProtocolError(f"a mandate of {mandate.payee}, which is no vehicle of {self.name}")
        unseal(sealed, self._award_book.author(mandate.payee))
        party = Party(mandate.session_id, charger, mandate.payee)
        refuse_second(self._sessions, mandate.session, party)
        ack = Send(charger, Ack(MANDATE, mandate.session))
        if mandate.session in self._sessions or self._departed.has(charger, mandate.session):
            return [ack]
        self._award_book.refuse_former(mandate.session, mandate.session_id)
        self._enter(charger, mandate, now_ms)
        remembered = msgspec.msgpack.encode((charger, mandate, now_ms))
        return [Remember(f"session/{mandate.session}", remembered), ack]

    def _enter(self, charger: str, mandate: Mandate, arrival_ms: int) -> None:
        party = Party(mandate.session_id, charger, mandate.payee)
        charger_w = self._roster.charger_max_w.get(charger, 0)
        key, max_w = agent_key(mandate.session_id), min(mandate.max_w, charger_w)
        self._sessions[mandate.session] = Session(party, key, mandate.need_ws, max_w, charger_w, arrival_ms)
        self._vehicles.enter(mandate.session, key, arrival_ms, mandate.departure_ms or 0)
        self._leases.enter(mandate.session)

    def _on_report(self, told: Report, session: Session, now_ms: int) -> list[Effect]:
        """A heartbeat: note where the car stands. If it gave way, others may rise, if it is known what homes draw."""
        report = claims.possible(told, session, self._award_book.unsettled(told.session), now_ms, self._rules)
        if not self._leases.hears(report, now_ms):
            return []
        self._vehicles.report(report)
        may_rise = self._leases.waiting and self._base.is_known(now_ms)
        return self._send(self._leases.go_on(self._base.watts, now_ms)) if may_rise else []

    def _on_departed(self, charger: str, departed: Departed, now_ms: int) -> list[Effect]:
        """A car unplugged: its energy is billed, netted against what it earned.

        One that never gave its mandate owes nothing; should the mandate come later, it is void.
        """
        session, ack = departed.session, Send(charger, Ack(DEPARTED, departed.session))
        if session not in self._sessions:
            if self._departed.has(charger, session):
                return [ack]
            return [*self._departed.add(charger, session), ack]
        tariff = self._site.tariff_nanos_per_kwh
        claims.refuse_impossible(departed, self._sessions[session], tariff, now_ms)
        departed, forget = self._bought_feed.leave(departed)
        party = self._sessions.pop(session).party
        self._lost.leave(session)
        if self._round is not None:
            self._round.leave(session)
        self._vehicles.leave(session)
        self._leases.leave(session)
        return [
            Remember(f"departed/{session}", msgspec.msgpack.encode((party, departed))),
            *self._departed.add(charger, session),
            Forget(f"session/{session}"),
            *forget,
            ack,
            *self._award_book.depart(party, departed, now_ms),
        ]

    def _on_restarted(self, restarted: Restarted, now_ms: int) -> list[Effect]:
        """Start in a new epoch, and grant nothing until every grant from before is certainly over."""
        self._leases = LeaseIssuer(self._rules, restarted.epoch)
        self._quiet_until_ms = now_ms + self._rules.quiet_ms
        self._departed.restore(restarted.remembered)
        self._bought_feed.restore(restarted.remembered)
        for name, value in restarted.remembered.items():
            if name.startswith("session/"):
                charger, mandate, arrival_ms = msgspec.msgpack.decode(value, type=tuple[str, Mandate, int])
                self._enter(charger, mandate, arrival_ms)
        effects = self._award_book.restore(restarted.remembered, restarted.site_nanos, now_ms)
        for award in self._award_book.in_force:
            self._vehicles.award(award.session, sum(award.award_w[:FEED]), award.award_w[FEED])
        self._next_tick_ms = (now_ms // self._rules.tick_ms + 1) * self._rules.tick_ms
        return [*effects, WakeAt(self._next_tick_ms)]

    # -- a tick -----------------------------------------------------------------------------------------------------

    def _on_woken(self, now_ms: int) -> list[Effect]:
        if self._next_tick_ms and now_ms >= self._next_tick_ms + self._rules.tick_ms:
            self._base.forget(now_ms)
        effects = self._award_book.due(now_ms)
        if self._round is not None and now_ms >= self._round.call.offers_due_ms:
            effects += self._clear(self._round, now_ms)
        if now_ms >= self._next_tick_ms:
            self._next_tick_ms = (now_ms // self._rules.tick_ms + 1) * self._rules.tick_ms
            effects += [*self._on_tick(now_ms), WakeAt(self._next_tick_ms)]
        return effects

    def _on_tick(self, now_ms: int) -> list[Effect]:
        """Assess; release awards no longer needed, or call for relief; grant."""
        effects = self._expire(now_ms)
        for session in self._lost.look(self._sessions, self._leases, now_ms):
            effects += self._on_departed(self._sessions[session].party.charger, Departed(session, 0, 0), now_ms)
        if now_ms < self._quiet_until_ms or not self._base.is_known(now_ms):
            self._leases.wait()
            return effects
        cars = self._cars(now_ms)
        if self._controller is not None:
            return [*effects, *self._control(self._controller, cars, now_ms)]
        limit_w = np.array([self._limit_w])
        assessment = law.assess(np.array([self._base.watts]), limit_w, cars, self._vehicles.segments, self._terms)
        if assessment.release[0]:
            effects, cars = [*effects, *self._release_all()], self._cars(now_ms)
        need_w, may_sell = assessment.need_w[0], self._award_book.may_sell
        if need_w > 0 and (
            free := [car for car in self._vehicles.sessions if may_sell(car) and car not in self._lost.since_ms]
        ):
            call = market.relief_call(self._site.feeder, now_ms, int(need_w), self._rules)
            return [*effects, *self._open_round(call, free)]
        return [*effects, *self._grant_by_law(cars, now_ms)]

    def _expire(self, now_ms: int) -> list[Effect]:
        """Strike out awards whose window is over."""
        over = [award for award in self._award_book.in_force if award.until_ms <= now_ms]
        for award in over:
            self._award_book.end(award.session)
            self._vehicles.award(award.session, 0, 0)
        return [NoteEnd(award.tick, award.session) for award in over]

    def _release_all(self) -> list[Effect]:
        effects: list[Effect] = []
        for award in self._award_book.in_force:
            self._vehicles.award(award.session, 0, 0)
            release = Release(award.feeder, award.tick, award.session)
            effects += [NoteEnd(award.tick, award.session), Send(self._award_book.end(award.session), release)]
        return effects

    def _cars(self, now_ms: int) -> law.Cars:
        """The plugged cars, without what those have sold to feed whose charger is silent: it feeds nothing."""
        long_ago = (now_ms - self._rules.lease_ms) // self._rules.tick_ms
        sold = [award.session for award in self._award_book.in_force if award.award_w[FEED] and award.tick <= long_ago]
        return self._vehicles.cars(
            self._lost.since_ms, [car for car in sold if not self._leases.hears_from(car, now_ms)]
        )

    def _grant_by_law(self, cars: law.Cars, now_ms: int) -> list[Effect]:
        """Grant under the limit in force now, whatever it was when a call went out."""
        base_w, target_w = np.array([self._base.watts]), law.target_w(np.array([self._limit_w]), self._terms)
        granted = law.grants(
            base_w, target_w, cars, self._vehicles.segments, now_ms=now_ms, seed=self._site.seed, rules=self._rules
        )
        return self._grant(granted, int(target_w[0]), now_ms)

    def _control(self, controller: Controller, cars: law.Cars, now_ms: int) -> list[Effect]:
        """Grant as the controller decides, which asks nobody."""
        target_w = int(law.target_w(np.array([self._limit_w]), self._terms)[0])
        plugged = self._vehicles.plugged(now_ms, self._rules)
        granted = controller(self._base.watts, target_w, cars, plugged, self._rules)
        return self._grant(granted, target_w, now_ms)

    def _grant(self, granted: law.Grants, target_w: int, now_ms: int) -> list[Effect]:
        """Renew, lower and raise; note what the last resort took.

        The bound is the target, or what was decided where that is more: by a controller, or homes that are too much.
        """
        import_w, export_w, forced_w = granted
        base_w, tick = self._base.watts, now_ms // self._rules.tick_ms
        bound_w = max(target_w, base_w + int((import_w - export_w).sum()))
        aims = self._vehicles.aims(import_w, export_w, self._rules.guaranteed_w)
        cut = forced_w.nonzero()[0].tolist()
        forced = [NoteForced(tick, self._vehicles.sessions[at], int(forced_w[at])) for at in cut]
        return [*self._send(self._leases.aim(aims, base_w, bound_w, now_ms)), *forced]

    def _send(self, grants: list[Grant]) -> list[Effect]:
        return [Send(self._sessions[grant.session].party.charger, grant) for grant in grants]

    # -- a round ----------------------------------------------------------------------------------------------------

    def _open_round(self, call: ReliefCall, cars: list[int]) -> list[Effect]:
        """Call these cars; a round that is still open then was slept through."""
        over: list[Effect] = [] if self._round is None else [lapsed(self._round, self._sessions, self._vehicles)]
        self._round = OpenRound(call, cars)
        sealed = seal(call, self._signer)
        calls = [Send(self._sessions[session].party.charger, sealed) for session in self._round.called]
        return [*over, *calls, WakeAt(call.offers_due_ms)]

    def _on_offer(self, capped: CappedOffer, session: Session, now_ms: int) -> list[Effect]:
        """Note a car's answer; the first counts, if it comes in time. The last one clears the round."""
        open_round = self._round
        if open_round is None or now_ms >= open_round.call.offers_due_ms:
            return []
        offer = unseal(capped.offer, self._award_book.author(session.party.vehicle))
        if not isinstance(offer, Offer) or offer.session != capped.session:
            raise RemoteProtocolError("a charger's offer holds no offer of its car")
        cap_w = min(capped.cap_w, session.charger_w)
        counts = open_round.answer(offer, int(self._vehicles.firm_w([offer.session])[0]), cap_w)
        return self._clear(open_round, now_ms) if counts and not open_round.unanswered else []

    def _clear(self, open_round: OpenRound, now_ms: int) -> list[Effect]:
        """Buy the cheapest relief, award what the site's tokens cover, and grant power accordingly.

        A round that was slept through lapses: what it was about is over. So does one at whose end no home has been
        heard of for the length of a lease: nobody knows what room there is.
        """
        self._round, call = None, open_round.call
        if not self._base.is_known(now_ms) or now_ms >= call.until_ms:
            return [lapsed(open_round, self._sessions, self._vehicles)]
        funds_nanos, seed = self._award_book.uncommitted_nanos, self._site.seed
        note, records = cleared(open_round, self._sessions, self._vehicles, funds_nanos, seed, self._terms)
        effects: list[Effect] = [note]
        for record in records:
            award = record.award
            self._vehicles.award(award.session, sum(award.award_w[:FEED]), award.award_w[FEED])
            effects += self._award_book.award(record, open_round.states[award.session], now_ms)
            effects += self._bought_feed.buy(award, record.from_ms)
        reserve = self._rules.reserve_nanos_per_kwh_h
        over = Cleared(call.feeder, call.tick, note.price_nanos_per_kwh_h, reserve)
        effects += [Send(self._sessions[car].party.charger, over) for car in open_round.called if car in self._sessions]
        return [*effects, *self._grant_by_law(self._cars(now_ms), now_ms)]

    def _on_delivery(self, charger: str, witnessed: WitnessedDelivery, now_ms: int) -> list[Effect]:
        """Settle an award; it binds no longer."""
        effects = self._award_book.deliver(charger, witnessed, now_ms)
        if witnessed.session in self._sessions and witnessed.session not in self._award_book:
            self._vehicles.award(witnessed.session, 0, 0)
        return effects
