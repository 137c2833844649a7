"""Whether awards, claims and payments are right, by the messages and by the world's own meters (S7 to S14, S17, L6).

Each award is followed from the call and the offer behind it to the receipt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import Bill, NoteTrade, Pay, Remember, Reserve, Send
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
from wattswap.runners.audit.rules import Rule

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.audit.offers import OfferAudit
    from wattswap.runners.engines.loop import SimulatedRun
    from wattswap.runners.recording.record import TickRow

_WS_PER_KWH: Final = 3_600_000
_FEED: Final = 2
Key = tuple[int, int]
"""Session and tick of an award."""


@dataclass
class _Trade:
    """An award and what became of it."""

    award: Award
    payment_id: str
    true_ws: list[int] = field(default_factory=lambda: [0, 0, 0])
    """What the world's meter measured of each tranche within the window."""
    claim: Delivery | None = None
    """The car's own claim, once it was sent."""
    arrived: bool = False
    """Whether the award has reached its car."""
    came_late: bool = False
    """Whether it did so after its end."""
    noted: bool = False
    """Whether the trade was noted; after a crash before the payment it is noted again."""
    paid_nanos: int | None = None
    most_nanos: int = 0
    """What it may come to."""


class TradeAudit:
    """Follows calls, offers, awards, claims, payments and receipts."""

    def __init__(self, run: SimulatedRun, offers: OfferAudit) -> None:
        (self._transformer,) = run.factory.transformers
        self._run, self._authentic = run, offers
        self._calls: dict[int, ReliefCall] = {}
        self._offers: dict[Key, Offer] = {}
        self._forged: dict[Key, Offer] = {}
        self._trades: dict[Key, _Trade] = {}
        self._binds: dict[int, Key] = {}
        """By session: the award that is in force for it at the transformer."""
        self._paid: Counter[str] = Counter()
        self._relief_ws: Counter[Key] = Counter()
        """By session and window: the energy by which it stayed below its baseline."""
        self._sold_ws: Counter[Key] = Counter()
        """By session and window: the energy of that kind that was paid for."""
        self._billed: set[int] = set()
        self._opened: dict[bytes, object] = {}

    def paid_to(self, vehicle: str) -> int:
        """What the book has paid to a car, in nanos."""
        return self._paid[vehicle]

    def look(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        """Audit one event."""
        if agent == self._transformer:
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
                    self._settles(effect, event.message)
                case Pay():
                    self._pays(effect)
                case Bill(session):
                    self._bills(session)
                case _:
                    pass

    def _offered(self, capped: CappedOffer, now_ms: int) -> None:
        """Note the first offer of a car that comes in time; keep what only pretends to be one apart from it."""
        offer = self._open(capped.offer)
        if isinstance(offer, Offer) and offer.tick in self._calls and now_ms < self._calls[offer.tick].offers_due_ms:
            authentic = self._authentic.is_authentic(capped.offer, offer.session)
            (self._offers if authentic else self._forged).setdefault((offer.session, offer.tick), offer)

    def _awarded(self, award: Award, done: list[Effect], now_ms: int) -> None:
        key = award.session, award.tick
        known = self._trades.get(key)
        if known is not None:
            require(known.award == award, Rule.SAME_AGAIN, f"{award} was sent before as {known.award}")
            return
        payment_id = f"{award.feeder}.{award.tick}/{self._run.world.fleet.session_id[award.session]}"
        self._trades[key] = _Trade(award, payment_id)
        self._is_sound(award)
        self._is_covered(award, payment_id, done)
        binds = self._binds.get(award.session)
        require(
            binds is None or binds == key or self._trades[binds].award.until_ms <= now_ms,
            Rule.BOUND_ONCE,
            f"{award} was sent while session {award.session} still held that of tick {binds and binds[1]}",
        )
        self._binds[award.session] = key

    def _is_sound(self, award: Award) -> None:
        """S8, S10: an award is for an offer that its own car sent in time, buys no more and pays at least the ask."""
        key = award.session, award.tick
        offer = self._offers.get(key)
        require(
            offer is not None or key not in self._forged,
            Rule.AUTHENTIC,
            f"{award} was sent for {self._forged.get(key)}, which session {award.session} never sent",
        )
        if offer is None or not offer.tranches:
            raise AuditError(
                Rule.AWARD_SOUND, f"{award} was sent, but no offer of session {award.session} came in time"
            )
        call, reserve = self._calls[award.tick], self._run.rules.reserve_nanos_per_kwh_h
        for at, (awarded_w, price) in enumerate(zip(award.award_w, award.price_nanos_per_kwh_h, strict=True)):
            if not awarded_w:
                continue
            tranche = offer.tranches[at]
            least = 0 if self._run.rules.clearing == "none" else tranche.ask_nanos_per_kwh_h
            require(
                awarded_w <= tranche.relief_w and least <= price <= reserve,
                Rule.AWARD_SOUND,
                f"{awarded_w} W at {price} were bought of {tranche} under a reserve of {reserve}",
            )
        require(award.until_ms == call.until_ms, Rule.AWARD_SOUND, f"{award} lasts longer than {call}")

    def _is_covered(self, award: Award, payment_id: str, done: list[Effect]) -> None:
        """S14: the most that an award may cost is reserved before it is sent."""
        lasts_s = (award.until_ms - self._calls[award.tick].from_ms) // 1000
        hours = (award.rent_cap_s // 3_600, award.rent_cap_s // 3_600, self._run.rules.feed_h)
        prices = zip(award.award_w, award.price_nanos_per_kwh_h, hours, strict=True)
        most = sum(price * watts * lasts_s * h // _WS_PER_KWH for watts, price, h in prices)
        self._trades[award.session, award.tick].most_nanos = most
        self._holds(self._trades[award.session, award.tick])
        reserves = [at for at, did in enumerate(done) if isinstance(did, Reserve) and did.payment_id == payment_id]
        sent = next(at for at, did in enumerate(done) if self._sends(did, award))
        keeps = [at for at, did in enumerate(done) if isinstance(did, Remember) and did.key == f"award/{payment_id}"]
        require(not keeps or keeps[0] < sent, Rule.NOTHING_FORGOTTEN, f"{award} was sent before it was made durable")
        require(not reserves or reserves[0] < sent, Rule.COVERED, f"{award} was sent before its reserve")

    def _holds(self, trade: _Trade) -> None:
        held = self._run.books[0].held(trade.payment_id)
        require(
            held >= trade.most_nanos,
            Rule.COVERED,
            f"{trade.award} may cost {trade.most_nanos} nanos, {held} are reserved under {trade.payment_id}",
        )

    def _sends(self, did: Effect, award: Award) -> bool:
        return isinstance(did, Send) and isinstance(did.message, Sealed) and self._open(did.message) == award

    def _remembers(self, restarted: Restarted) -> None:
        """S17: every award that is not settled survives a crash."""
        for trade in self._trades.values():
            require(
                trade.paid_nanos is not None or f"award/{trade.payment_id}" in restarted.remembered,
                Rule.NOTHING_FORGOTTEN,
                f"{trade.award} was sent and is not settled, but the transformer has started again without it",
            )

    def _settles(self, note: NoteTrade, witnessed: WitnessedDelivery) -> None:
        """S13, S9: the lower of two meters is paid, at most what was bought and measured, and each energy once."""
        key = note.session, note.tick
        trade, mine, theirs = self._trades[key], self._open(witnessed.charger), self._open(witnessed.vehicle)
        assert isinstance(mine, Delivery)
        assert isinstance(theirs, Delivery)
        for at, delivered_ws in enumerate(note.delivered_ws):
            most_ws = min(mine.delivered_ws[at], theirs.delivered_ws[at], trade.true_ws[at])
            require(
                delivered_ws <= most_ws,
                Rule.PAID_FOR_DELIVERY,
                f"{delivered_ws} ws of tranche {at + 1} of {trade.award} are paid, but charger, car and world measured "
                f"{mine.delivered_ws[at]}, {theirs.delivered_ws[at]} and {trade.true_ws[at]}",
            )
        self._is_worth(note, mine, theirs)
        if not trade.noted:
            trade.noted = True
            window = key[0], note.tick * self._run.rules.tick_ms // self._run.rules.window_ms
            self._sold_ws[window] += sum(note.delivered_ws[:_FEED])
            require(
                self._sold_ws[window] <= self._relief_ws[window],
                Rule.SOLD_ONCE,
                f"session {key[0]} is paid for {self._sold_ws[window]} ws in a window in which it drew only "
                f"{self._relief_ws[window]} ws less than its baseline",
            )

    def _is_worth(self, note: NoteTrade, mine: Delivery, theirs: Delivery) -> None:
        """S13: rent is paid for what came back and for the hours it waited, feeding for ``feed_h`` hours."""
        rules, price = self._run.rules, max(note.price_nanos_per_kwh_h[:_FEED])
        most_rent = min(mine.rent, theirs.rent)
        require(
            note.returned_ws <= min(mine.returned_ws, theirs.returned_ws) and note.rent <= most_rent,
            Rule.PAID_FOR_DELIVERY,
            f"{note} is paid, but charger and car counted {mine} and {theirs}",
        )
        rent = price * note.rent * rules.tick_s // (_WS_PER_KWH * 3_600)
        fed = note.price_nanos_per_kwh_h[_FEED] * note.delivered_ws[_FEED] * rules.feed_h // _WS_PER_KWH
        worth = (rent, fed)
        paid = (sum(note.nanos[:_FEED]), note.nanos[_FEED])
        require(paid == worth, Rule.PAID_FOR_DELIVERY, f"{note} is worth {worth} nanos of rent and feeding")

    def _bills(self, session: int) -> None:
        """S12: the bill of a session nets all of its awards, so it comes after they are settled."""
        unpaid = [trade.award for trade in self._trades.values() if trade.award.session == session]
        unpaid = [award for award in unpaid if self._trades[award.session, award.tick].paid_nanos is None]
        self._billed.add(session)
        require(not unpaid, Rule.BILLED_LAST, f"session {session} is billed, but {unpaid} are not settled")

    def _pays(self, pay: Pay) -> None:
        """S14: each award is paid once, with one amount."""
        trade = self._trades[pay.session, pay.tick]
        if trade.paid_nanos is None:
            trade.paid_nanos = pay.nanos
            self._paid[self._run.factory.vehicle_of[pay.session]] += pay.nanos
            if self._binds.get(pay.session) == (pay.session, pay.tick):
                del self._binds[pay.session]
        in_book = self._run.books[0].settled_nanos(pay.payment_id)
        require(
            in_book == trade.paid_nanos == pay.nanos,
            Rule.PAID_ONCE,
            f"{pay.payment_id} is paid {pay.nanos} nanos, was paid {trade.paid_nanos}, the book says {in_book}",
        )

    # -- vehicles -----------------------------------------------------------------------------------------------------

    def _look_at_vehicle(self, now_ms: int, name: str, event: Event, done: list[Effect]) -> None:
        match event:
            case Received(_, Sealed(6) as sealed):
                self._awarded_to(self._open(sealed), now_ms)
            case Received(_, Sealed(10) as sealed):
                receipt = self._open(sealed)
                assert isinstance(receipt, Receipt)
                trade = self._trades.get((receipt.session, receipt.tick))
                paid = None if trade is None else trade.paid_nanos
                require(paid == receipt.nanos, Rule.PAID_ONCE, f"{receipt} was sent for what was paid with {paid}")
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
        trade = self._trades[award.session, award.tick]
        if not trade.arrived:
            trade.arrived, trade.came_late = True, now_ms >= award.until_ms

    def _claimed(self, claim: Delivery) -> None:
        """S7, S11, S13: a car claims what it delivered under an award that came in time, and the same each time."""
        trade = self._trades.get((claim.session, claim.tick))
        if trade is None:
            raise AuditError(Rule.PAID_FOR_DELIVERY, f"{claim} is for an award that was never sent")
        require(
            trade.claim is None or trade.claim == claim, Rule.SAME_AGAIN, f"{claim} was sent before as {trade.claim}"
        )
        trade.claim = claim
        require(
            not trade.came_late or not any(claim.delivered_ws),
            Rule.NO_LATE_BINDING,
            f"{claim} counts for {trade.award}, which came after its end",
        )
        require(
            all(claimed <= true for claimed, true in zip(claim.delivered_ws, trade.true_ws, strict=True)),
            Rule.PAID_FOR_DELIVERY,
            f"{claim} claims more than the world measured: {trade.true_ws}",
        )

    def _counts_right(self, name: str) -> None:
        """S17: a car counts at most what it was paid."""
        vehicle, paid = self._run.nodes[name].agent, self._paid[name]
        assert isinstance(vehicle, Vehicle)
        earned = vehicle.earned_nanos
        require(earned <= paid, Rule.NOTHING_FORGOTTEN, f"{name} counts {earned} nanos, was paid {paid}")

    # -- the world ----------------------------------------------------------------------------------------------------

    def tick(self, row: TickRow) -> None:
        """Measure what each award in its window has brought in this tick; what is not settled is covered."""
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
        for (session, tick), trade in self._trades.items():
            if trade.paid_nanos is None:
                self._holds(trade)
            if row.tick * rules.tick_ms < trade.award.until_ms and tick <= row.tick and session in drew:
                self._count(trade, *drew[session])

    def _count(self, trade: _Trade, relief_w: int, export_w: int) -> None:
        tick_s, award_w = self._run.rules.tick_s, trade.award.award_w
        to_floor_w = min(award_w[0], relief_w)
        trade.true_ws[0] += to_floor_w * tick_s
        trade.true_ws[1] += min(award_w[1], relief_w - to_floor_w) * tick_s
        trade.true_ws[_FEED] += min(award_w[_FEED], export_w) * tick_s

    # -- in the end ---------------------------------------------------------------------------------------------------

    @property
    def held_nanos(self) -> int:
        """What the reserves of lots hold that are not settled."""
        book = self._run.books[0]
        return sum(book.held(trade.payment_id) for trade in self._trades.values() if trade.paid_nanos is None)

    def all_are_closed(self, departed: set[int]) -> None:
        """L6: every lot of a session that departed is settled."""
        for (session, _), trade in self._trades.items():
            settled = trade.paid_nanos is not None or session not in departed
            require(settled, Rule.LOTS_CLOSED, f"session {session} has left, but {trade.award} was never settled")

    def all_are_billed(self, departed: set[int]) -> None:
        """L6: every session that departed is billed."""
        unbilled = sorted(departed - self._billed)
        require(not unbilled, Rule.ALL_SETTLED, f"sessions {unbilled} have departed and were never billed")
