"""The transformer's book of awards, from the reserve to the receipt, and of the bills of cars that have left.

An award is repeated until the car acknowledges it, and again if no delivery follows its end; a delivery is repeated
until its receipt comes. Whatever comes twice is answered again and changes nothing. A bill waits until all awards of
its session are settled, so that it is netted once. A car that acknowledges nothing is soon awarded nothing, so that
what is repeated stays little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from wattswap.agents import claims, settlement
from wattswap.agents.obligations import Obligations
from wattswap.agents.offers import FEED, TRANCHES
from wattswap.agents.parties import Party
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Bill, Forget, NoteAward, NoteEnd, NoteTrade, Pay, Remember, Reserve, Send
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.messages import Award, Delivery, Departed, Receipt
from wattswap.protocol.round import Input, State, advance
from wattswap.protocol.units import MS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Paid
    from wattswap.protocol.identity import Signer
    from wattswap.protocol.messages import Sealed, WitnessedDelivery

PATIENCE_MS: Final = 24 * MS_PER_HOUR
"""A car that has left may claim for so long; after that it is owed nothing, and billed."""
MOST_UNACKNOWLEDGED: Final = 4
"""A car that has not acknowledged so many awards sells nothing until it does: it may be deaf, or a liar."""
MOST_REPEATED: Final = 64
"""So many awards of a session are repeated after it has left or the transformer has restarted: the newest unclaimed.

Of the older ones its car knows; an honest one claims them by itself."""
MOST_RECEIPTS: Final = 4_096
"""The number of receipts that are kept, to be sent again when a delivery comes once more."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the transformer's owner has set."""

    limit_w: int
    funds_nanos: int
    tariff_nanos_per_kwh: int
    seed: int
    feeder: int = 0


class AwardRecord(msgspec.Struct):
    """An award with what is needed to settle it; it stays durable from the reserve to the receipt."""

    award: Award
    party: Party
    offered_w: tuple[int, ...]
    ask: tuple[int, ...]
    reserved_nanos: int
    from_ms: int

    @property
    def payment_id(self) -> str:
        """The key under which the award is reserved and paid."""
        return settlement.payment_id(self.award.feeder, self.award.tick, self.party.session_id)


@dataclass(slots=True)
class _Account:
    """An award that is not settled yet."""

    record: AwardRecord
    state: State


class _Left(NamedTuple):
    """A car that has left and is not billed yet."""

    party: Party
    departed: Departed
    claims_until_ms: int
    """So long its claims are waited for."""


class AwardBook:
    """The awards of one site that are not settled yet, by (session, tick), and the tokens that are not promised."""

    def __init__(self, rules: Rules, site: Site, signer: Signer | None, trusted: Mapping[str, bytes] | None) -> None:
        self._rules, self._site, self._signer, self._trusted = rules, site, signer, trusted
        self.uncommitted_nanos = site.funds_nanos
        self._accounts: dict[int, dict[int, _Account]] = {}
        """By session and tick."""
        self._in_force: dict[int, _Account] = {}
        self._receipts: dict[tuple[int, int], tuple[str, Receipt]] = {}
        self._departed: dict[int, _Left] = {}
        """The cars that have left and are not billed yet, by session."""
        self.billed: set[str] = set()
        """The ids of all sessions that were ever billed: one is billed once, whoever names it again."""
        self.owed = Obligations(rules.repeat_ms, most=None)
        """The awards that are repeated: so many of each session, and of as many sessions as there are."""

    # -- awards -------------------------------------------------------------------------------------------------------

    @property
    def in_force(self) -> list[Award]:
        """The awards that are in force now, at most one a session."""
        return [account.record.award for account in self._in_force.values()]

    @property
    def open(self) -> int:
        """The number of reported lots without receipts, of departures without bills, and of messages to be repeated.

        A lot that has not been drawn back is no debt yet.
        """
        reported = sum(account.state is State.DELIVERED for of in self._accounts.values() for account in of.values())
        return reported + len(self._departed) + len(self.owed)

    def __contains__(self, session: int) -> bool:
        """Whether an award of the session is in force now."""
        return session in self._in_force

    def may_sell(self, session: int) -> bool:
        """Whether a session may be called: none of its awards is in force, and it acknowledges what it is awarded."""
        unacknowledged = sum((session, tick) in self.owed for tick in self._accounts.get(session, ()))
        return session not in self._in_force and unacknowledged < MOST_UNACKNOWLEDGED

    def state(self, session: int, tick: int) -> State | None:
        """Where an award stands; None if it was never made, or is settled and forgotten."""
        account = self._accounts.get(session, {}).get(tick)
        if account is not None:
            return account.state
        return State.SETTLED if (session, tick) in self._receipts else None

    def unsettled(self, session: int) -> Iterator[tuple[Award, int]]:
        """A session's awards that are neither reported nor settled, each with the instant from which it counts."""
        return (
            (account.record.award, account.record.from_ms)
            for account in self._accounts.get(session, {}).values()
            if account.state is not State.DELIVERED
        )

    def award(self, record: AwardRecord, state: State, now_ms: int) -> list[Effect]:
        """Reserve and send an award, and repeat it until the car has acknowledged it."""
        award, key = record.award, (record.award.session, record.award.tick)
        account = _Account(record, advance(state, Input.AWARD))
        self._accounts.setdefault(award.session, {})[award.tick] = self._in_force[award.session] = account
        self.uncommitted_nanos -= record.reserved_nanos
        return [
            Reserve(record.payment_id, record.reserved_nanos),
            NoteAward(
                award.tick,
                award.session,
                record.payment_id,
                award.award_w,
                award.price_nanos_per_kwh_h,
                record.offered_w,
                record.ask,
            ),
            Remember(f"award/{record.payment_id}", msgspec.msgpack.encode(record)),
            *self.owed.owe(key, record.party.charger, seal(award, self._signer), now_ms),
        ]

    def ack(self, sender: str, session: int, tick: int) -> list[Effect]:
        """The car knows of its award, and reports its lot when it closes, which may take hours.

        Once the car has left, the award is repeated until the lot is reported.

        Raises:
            RemoteProtocolError: the sender is not the charger of the award's car.
        """
        account = self._accounts.get(session, {}).get(tick)
        if account is None:
            return []
        _refuse_strangers(account, sender)
        if session not in self._departed:
            self.owed.done((session, tick))
        return []

    def end(self, session: int) -> str:
        """End the award that is in force for a session, and return the charger that it went to.

        Its delivery may still come.
        """
        account = self._in_force.pop(session)
        account.state = advance(account.state, Input.END)
        return account.record.party.charger

    # -- deliveries and receipts --------------------------------------------------------------------------------------

    def deliver(self, sender: str, witnessed: WitnessedDelivery, now_ms: int) -> list[Effect]:
        """Settle an award: pay from its reserve what the lower of two meters is worth.

        Raises:
            RemoteProtocolError: the sender is not the charger of the award's car, or one of the two claims is forged.
        """
        claim = _delivery(witnessed.vehicle, None, witnessed.session)
        key = claim.session, claim.tick
        account = self._accounts.get(claim.session, {}).get(claim.tick)
        if account is None or account.state is State.DELIVERED or account.record.award.feeder != claim.feeder:
            return self._receipt_again(key, sender)
        _refuse_strangers(account, sender)
        record = account.record
        vehicle = _delivery(witnessed.vehicle, self.author(record.party.vehicle), witnessed.session)
        charger = _delivery(witnessed.charger, self.author(record.party.charger), witnessed.session)
        if charger.part != vehicle.part:
            raise RemoteProtocolError("charger and car claim the deliveries of two different awards")
        ended: list[Effect] = []
        if self._in_force.get(claim.session) is account:
            del self._in_force[claim.session]
            ended.append(NoteEnd(claim.tick, claim.session))
        self.owed.done(key)
        return [*ended, *self._settle(account, charger, vehicle, now_ms)]

    def _settle(self, account: _Account, charger: Delivery, vehicle: Delivery, now_ms: int) -> list[Effect]:
        """Pay what the lower of two meters is worth."""
        account.state = advance(account.state, Input.DELIVERY)
        award, party = account.record.award, account.record.party
        trade = _trade(account.record, charger, vehicle, now_ms, self._rules)
        pay = Pay(trade.payment_id, award.session, award.tick, party.session_id, party.vehicle, sum(trade.nanos))
        return [trade, pay]

    def paid(self, paid: Paid) -> list[Effect]:
        """The ledger has paid: free the rest of the reserve, send the receipt, and perhaps the bill."""
        key = paid.session, paid.tick
        account = self._accounts.get(paid.session, {}).pop(paid.tick, None)
        if account is None:
            return []
        if not self._accounts[paid.session]:
            del self._accounts[paid.session]
        account.state = advance(account.state, Input.RECEIPT)
        record = account.record
        self.uncommitted_nanos += paid.returned_nanos
        charger, receipt = record.party.charger, Receipt(record.award.feeder, paid.tick, paid.session, paid.nanos)
        self._receipts[key] = charger, receipt
        effects: list[Effect] = [
            Remember(f"receipt/{paid.session}/{paid.tick}", msgspec.msgpack.encode((charger, receipt))),
            Forget(f"award/{record.payment_id}"),
        ]
        if len(self._receipts) > MOST_RECEIPTS:
            oldest = next(iter(self._receipts))
            del self._receipts[oldest]
            effects.append(Forget(f"receipt/{oldest[0]}/{oldest[1]}"))
        return [*effects, *self._receipt_again(key, charger), *self._bill(paid.session)]

    def _receipt_again(self, key: tuple[int, int], sender: str) -> list[Effect]:
        """Send the receipt of a settled award to its charger, and to nobody else, as often as it asks."""
        charger, receipt = self._receipts.get(key, ("", None))
        return [Send(charger, seal(receipt, self._signer))] if receipt is not None and charger == sender else []

    def author(self, name: str) -> bytes | None:
        """The key that this agent must sign with; None where nobody signs."""
        return None if self._trusted is None else self._trusted.get(name, b"")

    # -- departures ---------------------------------------------------------------------------------------------------

    def depart(self, party: Party, departed: Departed, now_ms: int) -> list[Effect]:
        """A car has left: all its lots close, and it is billed when they are settled."""
        effects: list[Effect] = []
        if (account := self._in_force.get(departed.session)) is not None:
            effects.append(NoteEnd(account.record.award.tick, departed.session))
            self.end(departed.session)
        self._departed[departed.session] = _Left(party, departed, now_ms + PATIENCE_MS)
        for key, charger, award in self._unclaimed(departed.session):
            effects += self.owed.owe_from(key, charger, award, now_ms + self._rules.repeat_ms)
        return [*effects, *self._bill(departed.session)]

    def refuse_former(self, session: int, session_id: str) -> None:
        """A session of a car that has left is nobody's any more: its number until it is billed, its id for ever.

        Raises:
            RemoteProtocolError: the id is billed already, or the number or the id will be.
        """
        if session_id in self.billed:
            raise RemoteProtocolError(f"a mandate for session {session_id}, which is billed already")
        for number, (party, _, _) in self._departed.items():
            if number == session or party.session_id == session_id:
                raise RemoteProtocolError(
                    f"a mandate for session {session}, {session_id}: {number}, {party.session_id} is not billed yet"
                )

    def _unclaimed(self, session: int) -> list[tuple[tuple[int, int], str, Sealed]]:
        """The newest awards of a session whose lots are not reported, as they are repeated: key, charger, award."""
        accounts = self._accounts.get(session, {}).items()
        records = [(tick, account.record) for tick, account in accounts if account.state is not State.DELIVERED]
        return [
            ((session, tick), record.party.charger, seal(record.award, self._signer))
            for tick, record in records[-MOST_REPEATED:]
        ]

    def due(self, now_ms: int) -> list[Effect]:
        """Repeat what is due; settle at nothing what a car that left long ago never claimed, so that it is billed."""
        effects = self.owed.due(now_ms)
        for session in (session for session, left in self._departed.items() if left.claims_until_ms <= now_ms):
            for tick, account in self._accounts.get(session, {}).items():
                if account.state is not State.DELIVERED:
                    self.owed.done((session, tick))
                    nothing = Delivery(*account.record.award.part, (0,) * TRANCHES, 0, 0, 0)
                    effects += self._settle(account, nothing, nothing, now_ms)
        return effects

    def _bill(self, session: int) -> list[Effect]:
        if session not in self._departed or session in self._accounts:
            return []
        party, departed, _ = self._departed.pop(session)
        tariff = self._site.tariff_nanos_per_kwh
        nanos = settlement.bill_nanos(tariff, departed.imported_ws, departed.exported_ws)
        self.billed.add(party.session_id)
        bill = Bill(session, party.session_id, party.vehicle, nanos)
        return [bill, Remember(f"billed/{party.session_id}", b""), Forget(f"departed/{session}")]

    # -- after a crash ------------------------------------------------------------------------------------------------

    def restore(self, remembered: Mapping[str, bytes], site_nanos: int, now_ms: int) -> list[Effect]:
        """Go on with the awards, receipts and departures that were made durable."""
        self.uncommitted_nanos = site_nanos
        effects: list[Effect] = []
        awards: list[AwardRecord] = []
        for name, value in remembered.items():
            kind, _, about = name.partition("/")
            if kind == "award":
                awards.append(msgspec.msgpack.decode(value, type=AwardRecord))
            elif kind == "billed":
                self.billed.add(about)
            elif kind == "receipt":
                charger, receipt = msgspec.msgpack.decode(value, type=tuple[str, Receipt])
                self._receipts[receipt.session, receipt.tick] = charger, receipt
            elif kind == "departed":
                party, departed = msgspec.msgpack.decode(value, type=tuple[Party, Departed])
                self._departed[departed.session] = _Left(party, departed, now_ms + PATIENCE_MS)
        for record in sorted(awards, key=lambda record: (record.award.session, record.award.tick)):
            self._restore_award(record, now_ms)
        for session in self._accounts:
            for key, charger, award in self._unclaimed(session):
                effects += self.owed.owe(key, charger, award, now_ms)
        for session in list(self._departed):
            effects += self._bill(session)
        return effects

    def _restore_award(self, record: AwardRecord, now_ms: int) -> None:
        """An award is in force if its window still runs and its car is still here."""
        award = record.award
        account = self._accounts.setdefault(award.session, {})[award.tick] = _Account(record, State.ENDED)
        if award.until_ms > now_ms and award.session not in self._departed:
            account.state = State.AWARDED
            self._in_force[award.session] = account


def _refuse_strangers(account: _Account, sender: str) -> None:
    if (charger := account.record.party.charger) != sender:
        raise RemoteProtocolError(
            f"{sender} speaks for an award of session {account.record.award.session} at {charger}"
        )


def _delivery(sealed: Sealed, author: bytes | None, session: int) -> Delivery:
    delivery = unseal(sealed, author)
    if not isinstance(delivery, Delivery) or delivery.session != session or len(delivery.delivered_ws) != TRANCHES:
        raise RemoteProtocolError(f"a sealed delivery holds none of session {session}")
    return delivery


def _trade(record: AwardRecord, charger: Delivery, vehicle: Delivery, now_ms: int, rules: Rules) -> NoteTrade:
    """What the two meters agree on, and what it is worth: the lower energies and the lower rent count.

    Rent is paid for no more than came back, and neither for more than can have been by now.
    """
    award = record.award
    most_ws = claims.most_ws(award, record.from_ms, now_ms, rules)
    agreed = [
        settlement.agreed_ws(min(mine, most), min(theirs, most))
        for mine, theirs, most in zip(charger.delivered_ws, vehicle.delivered_ws, most_ws, strict=True)
    ]
    delivered_ws = tuple(energy_ws for energy_ws, _ in agreed)
    back_ws, back_differs = settlement.agreed_ws(charger.returned_ws, vehicle.returned_ws)
    returned_ws = min(back_ws, sum(delivered_ws[:FEED]))
    rent = min(charger.rent, vehicle.rent, claims.most_rent(award, returned_ws, now_ms, rules))
    prices, fed_ws = award.price_nanos_per_kwh_h, delivered_ws[FEED]
    return NoteTrade(
        tick=award.tick,
        session=award.session,
        payment_id=record.payment_id,
        award_w=award.award_w,
        price_nanos_per_kwh_h=award.price_nanos_per_kwh_h,
        delivered_ws=delivered_ws,
        returned_ws=returned_ws,
        rent=rent,
        nanos=tuple(settlement.worth_nanos(award.award_w, prices, rent, fed_ws, rules).tolist()),
        offered_w=record.offered_w,
        ask_nanos_per_kwh_h=record.ask,
        baseline_ws=charger.baseline_ws,
        disputed=back_differs or any(differs for _, differs in agreed),
    )
