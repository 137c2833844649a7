"""Who sold what to whom and for how much, reckoned from what was said and from the world's meters (S8 to S17)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import NoteRound, NoteTrade, Pay, Remember, Reserve, Send
from wattswap.protocol.events import Received, Restarted
from wattswap.protocol.messages import (
    Award,
    CappedOffer,
    Delivery,
    Departed,
    Offer,
    Receipt,
    Release,
    ReliefCall,
    Sealed,
    WitnessedDelivery,
)
from wattswap.runners.audit.audit_error import AuditError, require
from wattswap.runners.engines.agent_factory import TRANSFORMER

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.audit.offers import OfferAudit
    from wattswap.runners.engines.simulated import SimulatedRun
    from wattswap.runners.recording.record import TickRow

_WS_PER_KWH: Final = 3_600_000
_FEED: Final = 2
Key = tuple[int, int]
"""Session and tick of an award."""


@dataclass
class _Deal:
    """An award as the auditor follows it."""

    award: Award
    payment_id: str
    true_ws: list[int] = field(default_factory=lambda: [0, 0, 0])
    """What the world's meters saw of each tranche within the window."""
    claim: Delivery | None = None
    came_late: bool = False
    seen: bool = False
    ack: bool = False
    """Its trade was noted; after a crash before the payment it is noted once more."""
    paid_nanos: int | None = None


class TradeAudit:
    """Offers, awards, claims, payments, receipts."""

    def __init__(self, run: SimulatedRun, words: OfferAudit) -> None:
        self._run, self._words = run, words
        self._calls: dict[int, ReliefCall] = {}
        self._offers: dict[Key, Offer] = {}
        self._forged: dict[Key, Offer] = {}
        self._deals: dict[Key, _Deal] = {}
        self._binds: dict[int, Key] = {}
        """By session: the award that binds it, as the transformer sees it."""
        self._paid: Counter[str] = Counter()
        self._relief_ws: Counter[Key] = Counter()
        """By session and window: all the relief there was."""
        self._sold_ws: Counter[Key] = Counter()
        """By session and window: all the relief that was paid for."""
        self._opened: dict[bytes, object] = {}

    def paid_to(self, vehicle: str) -> int:
        """What the book has paid to a car."""
        return self._paid[vehicle]

    def look(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        """Check one event."""
        if agent == TRANSFORMER:
            self._look_at_transformer(now_ms, event, done)
        elif agent.startswith("vehicle/"):
            self._look_at_vehicle(now_ms, agent, event, done)

    def _open(self, sealed: Sealed) -> object:
        if sealed.payload not in self._opened:
            self._opened[sealed.payload] = unseal(sealed)
        return self._opened[sealed.payload]

    # -- the transformer ----------------------------------------------------------------------------------------------

    def _look_at_transformer(self, now_ms: int, event: Event, done: list[Effect]) -> None:
        match event:
            case Received(_, CappedOffer() as capped):
                self._offered(capped, now_ms)
            case Received(_, Departed(session)):
                self._binds.pop(session, None)
            case Restarted():
                self._remembers(event)
            case _:
                pass
        money = False
        for effect in done:
            match effect:
                case Send(_, Sealed(4) as sealed):
                    call = self._open(sealed)
                    assert isinstance(call, ReliefCall)
                    self._calls[call.tick] = call
                case Send(_, Sealed(6) as sealed):
                    award = self._open(sealed)
                    assert isinstance(award, Award)
                    self._awarded(award, done, now_ms)
                case Send(_, Release(_, tick, session)) if self._binds.get(session) == (session, tick):
                    del self._binds[session]
                case NoteTrade():
                    assert isinstance(event, Received)
                    assert isinstance(event.message, WitnessedDelivery)
                    self._settled(effect, event.message)
                    money = True
                case Pay():
                    self._pays(effect)
                    money = True
                case Reserve() | NoteRound():
                    money = True
                case _:
                    pass
        if money:
            self._run.book.check()

    def _offered(self, capped: CappedOffer, now_ms: int) -> None:
        """Note the first answer of a car that comes in time, and apart from it what only pretends to be one."""
        offer = self._open(capped.offer)
        if isinstance(offer, Offer) and offer.tick in self._calls and now_ms < self._calls[offer.tick].offers_due_ms:
            authentic = self._words.is_authentic(capped.offer, offer.session)
            (self._offers if authentic else self._forged).setdefault((offer.session, offer.tick), offer)

    def _awarded(self, award: Award, done: list[Effect], now_ms: int) -> None:
        key = award.session, award.tick
        known = self._deals.get(key)
        if known is not None:
            require(known.award == award, "S7 same again", f"{award} was said before as {known.award}")
            return
        payment_id = f"{award.feeder}.{award.tick}/{self._run.vehicle_of(award.session)[0]}"
        self._deals[key] = _Deal(award, payment_id)
        self._is_sound(award)
        self._is_covered(award, payment_id, done)
        binds = self._binds.get(award.session)
        require(
            binds is None or binds == key or self._deals[binds].award.until_ms <= now_ms,
            "S9 bound once",
            f"{award} was sent while the award of tick {binds and binds[1]} still binds session {award.session}",
        )
        self._binds[award.session] = key

    def _is_sound(self, award: Award) -> None:
        """S8, S10: an award is for its car's own offer, which came in time; for no more, at no less than its ask."""
        key = award.session, award.tick
        offer = self._offers.get(key)
        require(
            offer is not None or key not in self._forged,
            "S10 authentic",
            f"{award} was sent for {self._forged.get(key)}, which session {award.session} never said",
        )
        if offer is None or not offer.tranches:
            raise AuditError(
                "S8 award sound", f"{award} was sent, but no offer of session {award.session} came in time"
            )
        call = self._calls[award.tick]
        for at, (awarded_w, price) in enumerate(zip(award.award_w, award.price_nanos_per_kwh_h, strict=True)):
            if not awarded_w:
                continue
            tranche = offer.tranches[at]
            require(
                awarded_w <= tranche.relief_w and tranche.ask_nanos_per_kwh_h <= price <= call.ceiling_nanos_per_kwh,
                "S8 award sound",
                f"{awarded_w} W at {price} were bought of {tranche} under a ceiling of {call.ceiling_nanos_per_kwh}",
            )
        require(award.until_ms == call.until_ms, "S8 award sound", f"{award} lasts longer than {call}")

    def _is_covered(self, award: Award, payment_id: str, done: list[Effect]) -> None:
        """S14: what an award may come to is set aside before it is sent."""
        lasts_s = (award.until_ms - self._calls[award.tick].from_ms) // 1000
        prices = zip(award.award_w, award.price_nanos_per_kwh_h, strict=True)
        most = sum(price * watts * lasts_s // _WS_PER_KWH for watts, price in prices)
        held = self._run.book.held(payment_id)
        require(
            held >= most, "S14 covered", f"{award} may come to {most} nanos, {held} are reserved under {payment_id}"
        )
        reserves = [at for at, did in enumerate(done) if isinstance(did, Reserve) and did.payment_id == payment_id]
        said = next(at for at, did in enumerate(done) if self._says(did, award))
        keeps = [at for at, did in enumerate(done) if isinstance(did, Remember) and did.key == f"award/{payment_id}"]
        require(not keeps or keeps[0] < said, "S17 nothing forgotten", f"{award} was sent before it was made durable")
        require(not reserves or reserves[0] < said, "S14 covered", f"{award} was sent before its reserve")

    def _says(self, did: Effect, award: Award) -> bool:
        return isinstance(did, Send) and isinstance(did.message, Sealed) and self._open(did.message) == award

    def _remembers(self, restarted: Restarted) -> None:
        """S17: what was said survives a crash."""
        for deal in self._deals.values():
            require(
                deal.paid_nanos is not None or f"award/{deal.payment_id}" in restarted.remembered,
                "S17 nothing forgotten",
                f"{deal.award} was sent and is not settled, but the transformer has started again without it",
            )

    def _settled(self, note: NoteTrade, witnessed: WitnessedDelivery) -> None:
        """S13: paid is the lower of two meters, within what was bought and what there was; and each relief once."""
        key = note.session, note.tick
        deal, mine, theirs = self._deals[key], self._open(witnessed.charger), self._open(witnessed.vehicle)
        assert isinstance(mine, Delivery)
        assert isinstance(theirs, Delivery)
        for at, delivered_ws in enumerate(note.delivered_ws):
            most_ws = min(mine.delivered_ws[at], theirs.delivered_ws[at], deal.true_ws[at])
            require(
                delivered_ws <= most_ws,
                "S13 pay for delivery",
                f"{delivered_ws} ws of tranche {at + 1} of {deal.award} are paid, but charger, car and world saw "
                f"{mine.delivered_ws[at]}, {theirs.delivered_ws[at]} and {deal.true_ws[at]}",
            )
            worth = note.price_nanos_per_kwh_h[at] * delivered_ws // _WS_PER_KWH
            require(
                note.nanos[at] == worth, "S13 pay for delivery", f"{note} is worth {worth} nanos in tranche {at + 1}"
            )
        if not deal.ack:
            deal.ack = True
            window = key[0], note.tick * self._run.rules.tick_ms // self._run.rules.window_ms
            self._sold_ws[window] += sum(note.delivered_ws[:_FEED])
            require(
                self._sold_ws[window] <= self._relief_ws[window],
                "S9 sold once",
                f"session {key[0]} is paid for {self._sold_ws[window]} ws of relief in a window in which it drew only "
                f"{self._relief_ws[window]} ws less than its baseline",
            )

    def _pays(self, pay: Pay) -> None:
        """S14: each award is paid once, with one amount."""
        deal = self._deals[pay.session, pay.tick]
        if deal.paid_nanos is None:
            deal.paid_nanos = pay.nanos
            self._paid[self._run.factory.vehicle_of[pay.session]] += pay.nanos
            if self._binds.get(pay.session) == (pay.session, pay.tick):
                del self._binds[pay.session]
        in_book = self._run.book.settled_nanos(pay.payment_id)
        require(
            in_book == deal.paid_nanos == pay.nanos,
            "S14 paid once",
            f"{pay.payment_id} is paid {pay.nanos} nanos, was paid {deal.paid_nanos}, the book says {in_book}",
        )

    # -- vehicles -----------------------------------------------------------------------------------------------------

    def _look_at_vehicle(self, now_ms: int, name: str, event: Event, done: list[Effect]) -> None:
        match event:
            case Received(_, Sealed(6) as sealed):
                self._awarded_to(self._open(sealed), now_ms)
            case Received(_, Sealed(10) as sealed):
                receipt = self._open(sealed)
                assert isinstance(receipt, Receipt)
                deal = self._deals.get((receipt.session, receipt.tick))
                paid = None if deal is None else deal.paid_nanos
                require(paid == receipt.nanos, "S14 paid once", f"{receipt} was sent for what was paid with {paid}")
            case _:
                pass
        for effect in done:
            match effect:
                case Send(_, Sealed(9) as sealed):
                    claim = self._open(sealed)
                    assert isinstance(claim, Delivery)
                    self._claimed(claim)
                case _:
                    pass
        self._counts_right(name)

    def _awarded_to(self, award: object, now_ms: int) -> None:
        assert isinstance(award, Award)
        deal = self._deals[award.session, award.tick]
        if not deal.seen:
            deal.seen, deal.came_late = True, now_ms >= award.until_ms

    def _claimed(self, claim: Delivery) -> None:
        """S11, S13: a car claims what it delivered under an award that came in time, and says the same each time."""
        deal = self._deals.get((claim.session, claim.tick))
        if deal is None:
            raise AuditError("S13 pay for delivery", f"{claim} is for an award that was never sent")
        require(deal.claim is None or deal.claim == claim, "S7 same again", f"{claim} was said before as {deal.claim}")
        deal.claim = claim
        require(
            not deal.came_late or not any(claim.delivered_ws),
            "S11 no late binding",
            f"{claim} counts for {deal.award}, which came after its end",
        )
        require(
            all(claimed <= true for claimed, true in zip(claim.delivered_ws, deal.true_ws, strict=True)),
            "S13 pay for delivery",
            f"{claim} claims more than the world saw: {deal.true_ws}",
        )

    def _counts_right(self, name: str) -> None:
        earned = getattr(self._run.agents[name], "earned_nanos", 0)
        require(
            earned <= self._paid[name],
            "S17 nothing forgotten",
            f"{name} counts {earned}, was paid {self._paid[name]} nanos",
        )

    # -- the world ----------------------------------------------------------------------------------------------------

    def tick(self, row: TickRow) -> None:
        """Count what each award in its window has really brought."""
        rules = self._run.rules
        window = row.tick * rules.tick_ms // rules.window_ms
        powers = zip(
            row.rows.tolist(),
            row.charging.baseline_w.tolist(),
            row.import_w.tolist(),
            row.export_w.tolist(),
            strict=True,
        )
        drew = {
            session: (max(baseline_w - import_w, 0), export_w) for session, baseline_w, import_w, export_w in powers
        }
        for session, (relief_w, _) in drew.items():
            self._relief_ws[session, window] += relief_w * rules.tick_s
        for (session, tick), deal in self._deals.items():
            if row.tick * rules.tick_ms < deal.award.until_ms and tick <= row.tick and session in drew:
                self._count(deal, *drew[session])

    def _count(self, deal: _Deal, relief_w: int, export_w: int) -> None:
        tick_s, award_w = self._run.rules.tick_s, deal.award.award_w
        to_floor_w = min(award_w[0], relief_w)
        deal.true_ws[0] += to_floor_w * tick_s
        deal.true_ws[1] += min(award_w[1], relief_w - to_floor_w) * tick_s
        deal.true_ws[_FEED] += min(award_w[_FEED], export_w) * tick_s

    # -- in the end ---------------------------------------------------------------------------------------------------

    def agree_in_the_end(self) -> None:
        """L6: every award that was ever sent is settled."""
        for deal in self._deals.values():
            require(deal.paid_nanos is not None, "L6 all is settled", f"{deal.award} was never settled")
