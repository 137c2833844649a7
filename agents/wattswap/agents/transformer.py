"""The transformer agent: it watches its load, calls for relief when it runs short, clears, awards, grants and pays.

One tick of it reads: readings come in; ``assess`` says whether the street fits under the limit; if not, a call goes
out and the round clears when all have answered; then everyone is granted power. Awards that ended are settled as
their deliveries come in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents import clearing, law, settlement
from wattswap.agents.notes import round_note
from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO, TRANCHES
from wattswap.agents.register import Register
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.draws import agent_key, draw
from wattswap.protocol.effects import (
    Bill,
    NoteAward,
    NoteForced,
    NoteTrade,
    Pay,
    Reserve,
    Send,
    WakeAt,
)
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Billed, LimitChanged, Paid, Received, Woken
from wattswap.protocol.messages import (
    Award,
    BaseReport,
    Call,
    CappedOffer,
    Delivery,
    Departed,
    Grant,
    Mandate,
    Offer,
    Receipt,
    Release,
    Report,
    Sealed,
    WitnessedDelivery,
)
from wattswap.protocol.round import Input, State, advance
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.controllers import Controller
    from wattswap.agents.law import Assessment
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer


@dataclass(frozen=True, slots=True)
class Site:
    """What the transformer's owner has set."""

    limit_w: int
    funds_nanos: int
    tariff_nanos_per_kwh: int
    seed: int
    feeder: int = 0


@dataclass(slots=True)
class _Session:
    """A plugged car, as its mandate declared it."""

    charger: str
    mandate: Mandate
    key: int
    author: bytes | None
    """The public key its vehicle signs with; None where nobody signs."""


@dataclass(slots=True)
class _Round:
    """The round that is open: who was called and what they answered so far."""

    call: Call
    demand_w: int
    target_w: int
    called: list[int]
    states: dict[int, State]
    offers: dict[int, tuple[Ints, Ints]] = field(default_factory=dict)


@dataclass(slots=True)
class _Held:
    """An award from its reserve to its receipt."""

    award: Award
    most_ws: tuple[int, ...]
    """What the award can come to, tranche by tranche."""
    offered_w: tuple[int, ...]
    ask: tuple[int, ...]
    reserved_nanos: int
    state: State
    nanos: int = 0


class Transformer:
    """One feeder's transformer and its site account."""

    def __init__(
        self,
        name: str,
        site: Site,
        rules: Rules,
        *,
        controller: Controller | None = None,
        signer: Signer | None = None,
        trusted: Mapping[str, bytes] | None = None,
    ) -> None:
        self.name, self._site, self._rules, self._controller = name, site, rules, controller
        self._signer, self._trusted = signer, trusted
        self._limit_w = site.limit_w
        self._uncommitted_nanos = site.funds_nanos
        self._base_w: dict[str, int] = {}
        self._register = Register()
        self._sessions: dict[int, _Session] = {}
        self._round: _Round | None = None
        self._held: dict[int, _Held] = {}
        self._unpaid: dict[str, _Held] = {}
        self._receipts: dict[int, Receipt] = {}
        self._next_tick_ms = 0

    # -- what happens -------------------------------------------------------------------------------------------------

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the transformer wants done about an event."""
        match event:
            case Received(sender, message):
                return self._on_message(sender, message, now_ms)
            case Woken():
                return self._on_woken(now_ms)
            case LimitChanged():
                self._limit_w = event.limit_w
            case Paid():
                return self._on_paid(event)
            case Billed():
                self._uncommitted_nanos += event.received_nanos
            case _:
                pass
        return []

    def check(self) -> None:
        """Tokens promised are covered, and awards are held by plugged cars only."""
        assert self._uncommitted_nanos >= 0
        assert set(self._register.sessions) == set(self._sessions)
        assert set(self._held) <= set(self._sessions)
        assert set(self._receipts) <= set(self._sessions)

    def _on_message(self, sender: str, message: object, now_ms: int) -> list[Effect]:
        match message:
            case BaseReport():
                self._base_w[sender] = message.base_w
            case Sealed():
                self._on_mandate(sender, message, now_ms)
            case Report() | CappedOffer() | WitnessedDelivery() | Departed() if self._plugged(message.session, sender):
                return self._on_charger(message, now_ms)
            case _:
                pass
        return []

    def _on_charger(self, message: Report | CappedOffer | WitnessedDelivery | Departed, now_ms: int) -> list[Effect]:
        """What a charger says of the car that is plugged in there."""
        match message:
            case Report():
                self._register.report(message)
                return []
            case CappedOffer():
                return self._on_offer(message, now_ms)
            case WitnessedDelivery():
                return self._on_delivery(message)
            case Departed():
                return self._on_departed(message)

    def _plugged(self, session: int, sender: str) -> bool:
        """Whether a charger speaks of a car that is plugged in; what it says may also be late.

        Raises:
            RemoteProtocolError: the car is plugged in at another charger.
        """
        known = self._sessions.get(session)
        if known is not None and known.charger != sender:
            raise RemoteProtocolError(f"{sender} speaks for session {session}, which is plugged in at {known.charger}")
        return known is not None

    def _on_mandate(self, charger: str, sealed: Sealed, now_ms: int) -> None:
        """A car is plugged in; its need fixes its baseline until it leaves."""
        mandate = unseal(sealed)
        if not isinstance(mandate, Mandate) or mandate.session in self._sessions:
            return
        author = None
        if self._trusted is not None:
            author = self._trusted.get(mandate.payee, b"")
            unseal(sealed, author)
        self._sessions[mandate.session] = _Session(charger, mandate, agent_key(mandate.session_id), author)
        self._register.enter(mandate.session, now_ms, mandate.departure_ms)

    def _on_departed(self, departed: Departed) -> list[Effect]:
        """A car unplugged: its energy is billed, netted against what it earned."""
        del self._sessions[departed.session]
        self._register.leave(departed.session)
        self._held.pop(departed.session, None)
        self._receipts.pop(departed.session, None)
        tariff = self._site.tariff_nanos_per_kwh
        nanos = settlement.bill_nanos(tariff, departed.imported_ws, departed.exported_ws)
        return [Bill(departed.session, nanos)]

    # -- a tick -----------------------------------------------------------------------------------------------------

    def _on_woken(self, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        if self._round is not None and now_ms >= self._round.call.offers_due_ms:
            effects += self._clear(self._round, now_ms)
        if now_ms >= self._next_tick_ms:
            self._next_tick_ms = (now_ms // self._rules.tick_ms + 1) * self._rules.tick_ms
            effects += [*self._on_tick(now_ms), WakeAt(self._next_tick_ms)]
        return effects

    def _on_tick(self, now_ms: int) -> list[Effect]:
        """Assess; release awards no longer needed, or call for relief; grant."""
        base_w = sum(self._base_w.values())
        self._expire(now_ms)
        cars = self._register.cars(now_ms)
        if self._controller is not None:
            target_w = law.target_w(self._limit_w, self._rules)
            granted = self._controller(base_w, target_w, cars, self._register.plugged(), self._rules)
            return self._grant(granted, now_ms)
        assessment = law.assess(base_w, self._limit_w, cars, self._rules)
        effects: list[Effect] = self._release_all() if assessment.release else []
        if assessment.need_w > 0 and len(self._held) < len(self._sessions):
            return [*effects, *self._open_round(assessment, now_ms)]
        return [*effects, *self._grant_by_law(base_w, assessment.target_w, now_ms)]

    def _expire(self, now_ms: int) -> None:
        """Awards whose window is over no longer bind; their deliveries may still come."""
        for session, held in list(self._held.items()):
            if held.award.until_ms <= now_ms:
                self._end(session, held)

    def _end(self, session: int, held: _Held) -> None:
        held.state = advance(held.state, Input.END)
        del self._held[session]
        self._register.award(session, 0, 0)

    def _release_all(self) -> list[Effect]:
        effects: list[Effect] = []
        for session, held in list(self._held.items()):
            self._end(session, held)
            release = Release(held.award.feeder, held.award.tick, session)
            effects.append(Send(self._sessions[session].charger, release))
        return effects

    def _grant_by_law(self, base_w: int, target_w: int, now_ms: int) -> list[Effect]:
        return self._grant(law.grants(base_w, target_w, self._register.cars(now_ms), self._rules), now_ms)

    def _grant(self, granted: law.Grants, now_ms: int) -> list[Effect]:
        """Tell every charger whose grant changed; note what the last resort took."""
        effects: list[Effect] = [
            Send(self._sessions[session].charger, Grant(session, import_w, export_w))
            for session, import_w, export_w in self._register.regrant(granted.import_w, granted.export_w)
        ]
        tick = now_ms // self._rules.tick_ms
        effects += [
            NoteForced(tick, self._register.sessions[at], int(granted.forced_w[at]))
            for at in np.flatnonzero(granted.forced_w).tolist()
        ]
        return effects

    # -- a round ----------------------------------------------------------------------------------------------------

    def _open_round(self, assessment: Assessment, now_ms: int) -> list[Effect]:
        """Call every car that holds no award."""
        called = [session for session in self._register.sessions if session not in self._held]
        demand_w = assessment.demand_w
        call = Call(
            feeder=self._site.feeder,
            tick=now_ms // self._rules.tick_ms,
            need_w=assessment.need_w,
            ceiling_nanos_per_kwh=law.ceiling_nanos_per_kwh(demand_w, self._limit_w, self._rules),
            from_ms=now_ms,
            until_ms=self._rules.window_end_ms(now_ms),
            offers_due_ms=now_ms + self._rules.deadline_ms,
        )
        states = dict.fromkeys(called, advance(State.IDLE, Input.CALL))
        self._round = _Round(call, demand_w, assessment.target_w, called, states)
        sealed = seal(call, self._signer)
        calls: list[Effect] = [Send(self._sessions[session].charger, sealed) for session in called]
        return [*calls, WakeAt(call.offers_due_ms)]

    def _on_offer(self, capped: CappedOffer, now_ms: int) -> list[Effect]:
        """Note a car's answer; the first counts, if it comes in time. The last one clears the round."""
        current = self._round
        if current is None or now_ms >= current.call.offers_due_ms:
            return []
        offer = unseal(capped.offer, self._sessions[capped.session].author)
        if not isinstance(offer, Offer) or offer.session != capped.session:
            raise RemoteProtocolError("a charger's offer holds no offer of its car")
        this_round = (offer.feeder, offer.tick) == (current.call.feeder, current.call.tick)
        if not this_round or current.states.get(offer.session) is not State.CALLED:
            return []
        said = Input.OFFER if offer.tranches else Input.KEEP
        if offer.tranches:
            firm_w = int(self._register.firm_w([offer.session])[0])
            current.offers[offer.session] = _columns(offer, firm_w, capped.cap_w)
        current.states[offer.session] = advance(current.states[offer.session], said)
        all_answered = State.CALLED not in current.states.values()
        return self._clear(current, now_ms) if all_answered else []

    def _clear(self, current: _Round, now_ms: int) -> list[Effect]:
        """Buy the cheapest relief, award what the site's tokens cover, and grant power accordingly."""
        self._round = None
        called = [session for session in current.called if session in self._sessions]
        offered_w, ask = self._offers_of(current, called)
        keys = np.array([self._sessions[session].key for session in called], dtype=np.uint64)
        window = current.call.from_ms // self._rules.window_ms
        cleared = clearing.clear(
            offered_w,
            ask,
            draw(self._site.seed, keys, Purpose.TIE, window),
            need_w=current.call.need_w,
            ceiling_nanos_per_kwh=current.call.ceiling_nanos_per_kwh,
            amp_w=self._rules.amp_w,
            rule=self._rules.clearing,
        )
        effects = self._award(current, called, offered_w, ask, cleared)
        base_w = sum(self._base_w.values())
        return [*effects, *self._grant_by_law(base_w, current.target_w, now_ms)]

    @staticmethod
    def _offers_of(current: _Round, called: list[int]) -> tuple[Ints, Ints]:
        offered_w = np.zeros((len(called), TRANCHES), dtype=np.int64)
        ask = np.zeros_like(offered_w)
        for at, session in enumerate(called):
            if session in current.offers:
                offered_w[at], ask[at] = current.offers[session]
        return offered_w, ask

    def _award(
        self, current: _Round, called: list[int], offered_w: Ints, ask: Ints, cleared: clearing.Clearing
    ) -> list[Effect]:
        """Reserve, then send each award; in session order, as long as the site's tokens cover them."""
        call = current.call
        effects: list[Effect] = []
        lasts_s = (call.until_ms - call.from_ms) // 1000
        most_nanos = settlement.value_nanos(cleared.price_nanos_per_kwh, cleared.award_w * lasts_s).sum(axis=1)
        won = np.zeros(len(called), dtype=bool)
        for at in np.flatnonzero(cleared.award_w.any(axis=1)).tolist():
            session, reserved = called[at], int(most_nanos[at])
            if reserved > self._uncommitted_nanos:
                continue
            won[at] = True
            self._uncommitted_nanos -= reserved
            award_w, price = cleared.award_w[at].tolist(), cleared.price_nanos_per_kwh[at].tolist()
            award = Award(call.feeder, call.tick, session, call.until_ms, tuple(award_w), tuple(price))
            state = advance(current.states[session], Input.AWARD)
            most_ws = tuple(watts * lasts_s for watts in award_w)
            held = _Held(award, most_ws, tuple(offered_w[at].tolist()), tuple(ask[at].tolist()), reserved, state)
            self._held[session] = held
            self._unpaid[self._payment_id(award)] = held
            self._register.award(session, sum(award_w[:FEED]), award_w[FEED])
            effects += [
                Reserve(self._payment_id(award), reserved),
                Send(self._sessions[session].charger, seal(award, self._signer)),
                NoteAward(call.tick, session, sum(award_w[:FEED]), award_w[FEED]),
            ]
        firm_w = self._register.firm_w(called)
        bought_w, price = (np.where(won[:, np.newaxis], column, 0) for column in cleared)
        return [round_note(call, firm_w, offered_w, bought_w, price), *effects]

    def _payment_id(self, award: Award) -> str:
        session_id = self._sessions[award.session].mandate.session_id
        return settlement.payment_id(award.feeder, award.tick, session_id)

    # -- after a round ------------------------------------------------------------------------------------------------

    def _on_delivery(self, witnessed: WitnessedDelivery) -> list[Effect]:
        """Settle an award: the lower of two meters counts, and what it is worth is paid from the reserve."""
        session = self._sessions[witnessed.session]
        charger = _delivery(witnessed.charger, self._author_of(session.charger), witnessed.session)
        vehicle = _delivery(witnessed.vehicle, session.author, witnessed.session)
        if (charger.feeder, charger.tick) != (vehicle.feeder, vehicle.tick):
            raise RemoteProtocolError("charger and car claim the deliveries of two different awards")
        payment_id = settlement.payment_id(vehicle.feeder, vehicle.tick, session.mandate.session_id)
        held = self._unpaid.get(payment_id)
        if held is None:
            return self._receipt_again(witnessed.session, vehicle)
        if held.state not in {State.AWARDED, State.ENDED}:
            return []
        if self._held.get(witnessed.session) is held:
            self._end(witnessed.session, held)
        held.state = advance(held.state, Input.DELIVERY)
        note = self._settled(held, charger, vehicle, payment_id)
        held.nanos = sum(note.nanos)
        return [note, Pay(payment_id, witnessed.session, held.nanos)]

    def _author_of(self, charger: str) -> bytes | None:
        """The key a charger must sign with; None where nobody signs."""
        return None if self._trusted is None else self._trusted.get(charger, b"")

    @staticmethod
    def _settled(held: _Held, charger: Delivery, vehicle: Delivery, payment_id: str) -> NoteTrade:
        award = held.award
        pairs = zip(charger.delivered_ws, vehicle.delivered_ws, strict=True)
        agreed = [settlement.agreed_ws(mine, theirs) for mine, theirs in pairs]
        delivered_ws = tuple(min(most, energy) for most, (energy, _) in zip(held.most_ws, agreed, strict=True))
        prices = zip(award.price_nanos_per_kwh, delivered_ws, strict=True)
        return NoteTrade(
            tick=award.tick,
            session=award.session,
            payment_id=payment_id,
            award_w=award.award_w,
            price_nanos_per_kwh=award.price_nanos_per_kwh,
            delivered_ws=delivered_ws,
            nanos=tuple(settlement.value_nanos(price, energy_ws) for price, energy_ws in prices),
            offered_w=held.offered_w,
            ask_nanos_per_kwh=held.ask,
            baseline_ws=charger.baseline_ws,
            disputed=any(differs for _, differs in agreed),
        )

    def _on_paid(self, paid: Paid) -> list[Effect]:
        """The book has paid: what the reserve had left is free again, and the car gets its receipt."""
        held = self._unpaid.pop(paid.payment_id, None)
        if held is None:
            return []
        held.state = advance(held.state, Input.RECEIPT)
        self._uncommitted_nanos += held.reserved_nanos - paid.nanos
        award, session = held.award, self._sessions.get(held.award.session)
        if session is None:
            return []
        receipt = Receipt(award.feeder, award.tick, award.session, paid.nanos)
        self._receipts[award.session] = receipt
        return [Send(session.charger, seal(receipt, self._signer))]

    def _receipt_again(self, session: int, claimed: Delivery) -> list[Effect]:
        """Who says again what it delivered has missed its receipt."""
        receipt = self._receipts.get(session)
        if receipt is None or (receipt.feeder, receipt.tick) != (claimed.feeder, claimed.tick):
            return []
        return [Send(self._sessions[session].charger, seal(receipt, self._signer))]


def _columns(offer: Offer, firm_w: int, cap_w: int) -> tuple[Ints, Ints]:
    """An offer's tranches as relief and asks, shape (3,) each.

    What the car does not draw and what the charger cannot carry is not on offer.

    Raises:
        RemoteProtocolError: asks that fall from tranche to tranche, or more tranches than there are.
    """
    relief_w, ask = np.zeros(TRANCHES, dtype=np.int64), np.zeros(TRANCHES, dtype=np.int64)
    if len(offer.tranches) > TRANCHES:
        raise RemoteProtocolError(f"an offer of {len(offer.tranches)} tranches; at most {TRANCHES} have a meaning")
    for at, tranche in enumerate(offer.tranches):
        relief_w[at], ask[at] = tranche.relief_w, tranche.ask_nanos_per_kwh
    offered = ask[relief_w > 0]
    if (np.diff(offered) < 0).any():
        raise RemoteProtocolError("an offer's asks fall from one tranche to the next")
    relief_w[TO_ZERO] = min(int(relief_w[TO_ZERO]), firm_w)
    relief_w[TO_FLOOR] = min(int(relief_w[TO_FLOOR]), firm_w - int(relief_w[TO_ZERO]))
    relief_w[FEED] = min(int(relief_w[FEED]), cap_w)
    return relief_w, ask


def _delivery(sealed: Sealed, author: bytes | None, session: int) -> Delivery:
    delivery = unseal(sealed, author)
    if not isinstance(delivery, Delivery) or len(delivery.delivered_ws) != TRANCHES or delivery.session != session:
        raise RemoteProtocolError(f"a sealed delivery holds none of session {session}")
    return delivery
