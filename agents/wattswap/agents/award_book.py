"""The transformer's account of its awards, from the reserve to the receipt, and of the bills of cars that left.

An award is repeated until its delivery arrives, a delivery until its receipt does; whatever comes twice is answered
again and changes nothing. A bill waits until all awards of its session are settled, so that it is netted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.agents import settlement
from wattswap.agents.obligations import Obligations
from wattswap.agents.offers import FEED, TRANCHES
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Bill, Forget, NoteAward, NoteTrade, Pay, Remember, Reserve, Send
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.messages import Award, Delivery, Departed, Receipt
from wattswap.protocol.round import Input, State, advance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Paid
    from wattswap.protocol.identity import Signer
    from wattswap.protocol.messages import Sealed, WitnessedDelivery

MOST_RECEIPTS: Final = 4_096
"""So many receipts are kept to be given again."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the transformer's owner has set."""

    limit_w: int
    funds_nanos: int
    tariff_nanos_per_kwh: int
    seed: int
    feeder: int = 0


class Party(msgspec.Struct, frozen=True):
    """Who is behind a session: what must be known to settle with it even after it left."""

    session_id: str
    charger: str
    vehicle: str


class AwardRecord(msgspec.Struct):
    """An award from its reserve to its receipt."""

    award: Award
    party: Party
    offered_w: tuple[int, ...]
    ask: tuple[int, ...]
    reserved_nanos: int
    from_ms: int

    @property
    def most_ws(self) -> tuple[int, ...]:
        """The most each tranche can deliver: nobody is paid for more than was bought."""
        lasts_s = (self.award.until_ms - self.from_ms) // 1000
        return tuple(watts * lasts_s for watts in self.award.award_w)

    @property
    def payment_id(self) -> str:
        """The key under which it is reserved and paid."""
        return settlement.payment_id(self.award.feeder, self.award.tick, self.party.session_id)


@dataclass(slots=True)
class _Account:
    held: AwardRecord
    state: State


class AwardBook:
    """All awards of one site that are not settled yet, by (session, tick), and the money that is not promised."""

    def __init__(self, rules: Rules, site: Site, signer: Signer | None, trusted: Mapping[str, bytes] | None) -> None:
        self._rules, self._site, self._signer, self._trusted = rules, site, signer, trusted
        self.uncommitted_nanos = site.funds_nanos
        self._accounts: dict[tuple[int, int], _Account] = {}
        self._in_force: dict[int, _Account] = {}
        self._receipts: dict[tuple[int, int], tuple[str, Receipt]] = {}
        self._departed: dict[int, Departed] = {}
        self._owed = Obligations(rules.repeat_ms)

    # -- awards -------------------------------------------------------------------------------------------------------

    @property
    def in_force(self) -> list[Award]:
        """The awards that bind now, at most one a session."""
        return [account.held.award for account in self._in_force.values()]

    @property
    def open(self) -> int:
        """How much is not done yet: awards without receipts, departures without bills."""
        return len(self._accounts) + len(self._departed) + len(self._owed)

    def __contains__(self, session: int) -> bool:
        """Whether the session holds an award now."""
        return session in self._in_force

    def __len__(self) -> int:
        return len(self._in_force)

    def award(self, held: AwardRecord, state: State, now_ms: int) -> list[Effect]:
        """Reserve and send an award, and repeat it until the car has noted it."""
        award, key = held.award, _key(held.award)
        account = _Account(held, advance(state, Input.AWARD))
        self._accounts[key] = self._in_force[award.session] = account
        self.uncommitted_nanos -= held.reserved_nanos
        return [
            Reserve(held.payment_id, held.reserved_nanos),
            NoteAward(award.tick, award.session, sum(award.award_w[:FEED]), award.award_w[FEED]),
            Remember(f"award/{held.payment_id}", msgspec.msgpack.encode(held)),
            *self._owed.owe(key, held.party.charger, seal(award, self._signer), now_ms),
        ]

    def ack(self, session: int, tick: int, now_ms: int) -> list[Effect]:
        """The car knows of its award; should no delivery follow its end, the award asks for it once more."""
        account = self._accounts.get((session, tick))
        if account is None or account.state is State.DELIVERED:
            return []
        award, charger = account.held.award, account.held.party.charger
        from_ms = max(award.until_ms + self._rules.tick_ms, now_ms + self._rules.repeat_ms)
        return self._owed.owe_from(_key(award), charger, seal(award, self._signer), from_ms)

    def expire(self, now_ms: int) -> list[Award]:
        """The awards whose window is over: they bind no longer, their deliveries may still come."""
        over = [award for award in self.in_force if award.until_ms <= now_ms]
        for award in over:
            self.end(award.session)
        return over

    def end(self, session: int) -> str:
        """The session's award binds no longer; the charger it went to."""
        account = self._in_force.pop(session)
        account.state = advance(account.state, Input.END)
        return account.held.party.charger

    def due(self, now_ms: int) -> list[Effect]:
        """The awards to be said again."""
        return self._owed.due(now_ms)

    # -- deliveries and receipts --------------------------------------------------------------------------------------

    def deliver(self, witnessed: WitnessedDelivery) -> list[Effect]:
        """Settle an award: the lower of two meters counts, and what it is worth is paid from the reserve."""
        claim = _delivery(witnessed.vehicle, None, witnessed.session)
        key = claim.session, claim.tick
        account = self._accounts.get(key)
        if account is None or account.state is State.DELIVERED or account.held.award.feeder != claim.feeder:
            return self._receipt_again(key)
        held = account.held
        vehicle = _delivery(witnessed.vehicle, self.author(held.party.vehicle), witnessed.session)
        charger = _delivery(witnessed.charger, self.author(held.party.charger), witnessed.session)
        if (charger.feeder, charger.tick) != (vehicle.feeder, vehicle.tick):
            raise RemoteProtocolError("charger and car claim the deliveries of two different awards")
        if self._in_force.get(claim.session) is account:
            del self._in_force[claim.session]
        account.state = advance(account.state, Input.DELIVERY)
        self._owed.done(key)
        note = _trade(held, charger, vehicle)
        return [note, Pay(note.payment_id, claim.session, claim.tick, sum(note.nanos))]

    def paid(self, paid: Paid) -> list[Effect]:
        """The book has paid: the rest of the reserve is free again, the car gets its receipt, perhaps its bill."""
        key = paid.session, paid.tick
        account = self._accounts.pop(key, None)
        if account is None:
            return []
        account.state = advance(account.state, Input.RECEIPT)
        held = account.held
        self.uncommitted_nanos += held.reserved_nanos - paid.nanos
        receipt = Receipt(held.award.feeder, paid.tick, paid.session, paid.nanos)
        self._receipts[key] = held.party.charger, receipt
        return [
            Remember(_name("receipt", key), msgspec.msgpack.encode((held.party.charger, receipt))),
            Forget(f"award/{held.payment_id}"),
            *self._forget_oldest_receipt(),
            *self._receipt_again(key),
            *self._bill(paid.session),
        ]

    def _receipt_again(self, key: tuple[int, int]) -> list[Effect]:
        """The receipt of what is settled, as often as it is asked for."""
        if key not in self._receipts:
            return []
        charger, receipt = self._receipts[key]
        return [Send(charger, seal(receipt, self._signer))]

    def _forget_oldest_receipt(self) -> list[Effect]:
        if len(self._receipts) <= MOST_RECEIPTS:
            return []
        oldest = next(iter(self._receipts))
        del self._receipts[oldest]
        return [Forget(_name("receipt", oldest))]

    def author(self, name: str) -> bytes | None:
        """The key this agent must sign with; None where nobody signs."""
        return None if self._trusted is None else self._trusted.get(name, b"")

    # -- departures ---------------------------------------------------------------------------------------------------

    def depart(self, departed: Departed) -> list[Effect]:
        """A car left; its bill follows when all its awards are settled."""
        if departed.session in self._in_force:
            self.end(departed.session)
        self._departed[departed.session] = departed
        return self._bill(departed.session)

    def _bill(self, session: int) -> list[Effect]:
        departed = self._departed.get(session)
        if departed is None or any(key[0] == session for key in self._accounts):
            return []
        del self._departed[session]
        tariff = self._site.tariff_nanos_per_kwh
        nanos = settlement.bill_nanos(tariff, departed.imported_ws, departed.exported_ws)
        return [Bill(session, nanos), Forget(f"departed/{session}")]

    # -- after a crash ------------------------------------------------------------------------------------------------

    def restore(self, remembered: Mapping[str, bytes], site_nanos: int, now_ms: int) -> list[Effect]:
        """Go on with what was promised: awards, receipts and departures that were made durable."""
        self.uncommitted_nanos = site_nanos
        effects: list[Effect] = []
        awards: list[AwardRecord] = []
        for name, value in remembered.items():
            kind, _, _ = name.partition("/")
            if kind == "award":
                awards.append(msgspec.msgpack.decode(value, type=AwardRecord))
            elif kind == "receipt":
                charger, receipt = msgspec.msgpack.decode(value, type=tuple[str, Receipt])
                self._receipts[receipt.session, receipt.tick] = charger, receipt
            elif kind == "departed":
                departed = msgspec.msgpack.decode(value, type=Departed)
                self._departed[departed.session] = departed
        for held in sorted(awards, key=lambda held: _key(held.award)):
            effects += self._restore_award(held, now_ms)
        for session in list(self._departed):
            effects += self._bill(session)
        return effects

    def _restore_award(self, held: AwardRecord, now_ms: int) -> list[Effect]:
        """Ask for its delivery again; it binds if its window still runs and its car is still here."""
        award, key = held.award, _key(held.award)
        self._accounts[key] = account = _Account(held, State.AWARDED)
        if award.until_ms > now_ms and award.session not in self._departed:
            self._in_force[award.session] = account
        return self._owed.owe(key, held.party.charger, seal(award, self._signer), now_ms)


def _key(award: Award) -> tuple[int, int]:
    return award.session, award.tick


def _name(kind: str, key: tuple[int, int]) -> str:
    return f"{kind}/{key[0]}/{key[1]}"


def _delivery(sealed: Sealed, author: bytes | None, session: int) -> Delivery:
    delivery = unseal(sealed, author)
    if not isinstance(delivery, Delivery) or delivery.session != session or len(delivery.delivered_ws) != TRANCHES:
        raise RemoteProtocolError(f"a sealed delivery holds none of session {session}")
    return delivery


def _trade(held: AwardRecord, charger: Delivery, vehicle: Delivery) -> NoteTrade:
    """What the two meters agree on, and its worth."""
    award = held.award
    agreed = [
        settlement.agreed_ws(min(mine, most), min(theirs, most))
        for mine, theirs, most in zip(charger.delivered_ws, vehicle.delivered_ws, held.most_ws, strict=True)
    ]
    delivered_ws = tuple(energy_ws for energy_ws, _ in agreed)
    prices = zip(award.price_nanos_per_kwh_h, delivered_ws, strict=True)
    return NoteTrade(
        tick=award.tick,
        session=award.session,
        payment_id=held.payment_id,
        award_w=award.award_w,
        price_nanos_per_kwh_h=award.price_nanos_per_kwh_h,
        delivered_ws=delivered_ws,
        nanos=tuple(settlement.value_nanos(price, energy_ws) for price, energy_ws in prices),
        offered_w=held.offered_w,
        ask_nanos_per_kwh_h=held.ask,
        baseline_ws=charger.baseline_ws,
        disputed=any(differs for _, differs in agreed),
    )
