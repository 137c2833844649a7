"""What a transformer's node tells a dashboard: its own readings and messages, as a history that begins at midnight.

A transformer reads no car's meter. It knows what it granted and what each car wants, so a car's power is reckoned: the
less of the two. When a car has left, its charger's meter says what it drew.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from wattswap.agents.law import ChargingState
from wattswap.agents.offers import FEED
from wattswap.agents.transformer import Transformer
from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import NoteAward, NoteForced, NoteRound, NoteTrade, Send
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Received
from wattswap.protocol.messages import CappedOffer, Departed, Grant, Offer, ReliefCall, Report, Sealed
from wattswap.runners.node.clock import EPOCH_S
from wattswap.runners.node.seen_car import GONE, SeenCar
from wattswap.runners.recording.activities import activity
from wattswap.runners.recording.car_ticks import CarTicks
from wattswap.runners.recording.record import SHORT_WS, SessionRow, TickRow, forced_row, round_row, trade_rows
from wattswap.runners.watching.funds import Funds
from wattswap.runners.watching.history import HOMES, UNTOLD, CarCard, FeederCard, Head, History
from wattswap.runners.watching.tranches import offer_rows, tranche_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wattswap.agents.base import Agent
    from wattswap.agents.parties import SiteView
    from wattswap.agents.rules import Rules
    from wattswap.ledger.book import Book
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import Award
    from wattswap.runners.recording.record import TradeRow
    from wattswap.runners.watching.history import Row, Unknown

MOST_TICKS: Final = 43_200
"""So many heartbeats are kept, some 12 MB; then the history begins anew."""
MOST_ROWS: Final = 200_000
"""So it does when it has so many rows in all, some 50 MB: a street of a thousand cars fills them sooner."""
_NO_LOOK_UP: Final = (
    "A street of nodes keeps no journal of what is said, and signs no meter records. Each node logs what it decides:"
    " the transformer's a line for each round, award, trade and bill. Each meter is read by the node beside it."
    " Signed readings come with wattswap run --ledger."
)
_CALL: Final = ReliefCall.__struct_config__.tag
_STEP_W: Final = 250
"""A power is told anew when it has changed by so much; a car's meter is told with it, so nothing adds up wrongly."""
_FEEDER: Final = 0


class StreetRecorder:
    """Records from inside the node of a transformer; other threads may read the history."""

    def __init__(self, name: str, rules: Rules) -> None:
        self.history = History()
        self._name, self._rules = name, rules
        self._first_tick = self._last_tick = -1
        """Of the history, in ticks of the node's clock; the last is the one that goes on."""
        self._since_ms = UNTOLD
        """When this node began: of what was before nobody here knows."""
        self._quiet_until_tick = 0
        """Of the node's clock."""
        self._day = ""
        self._cars: dict[int, SeenCar] = {}
        self._told_accounts: tuple[int, ...] = ()
        self._told_of_homes: Unknown = ""
        self._were_homes_heard = False
        self._called_tick = -1
        """Of the newest call."""
        self._answered: set[int] = set()
        """Who has answered it."""

    # -- what the node says -------------------------------------------------------------------------------------------

    def handled(self, handled: Iterable[tuple[Event, Sequence[Effect]]], now_ms: int) -> None:
        """The transformer has learned of these events, and wants this done about each."""
        for event, effects in handled:
            if isinstance(event, Received):
                self._hear(event.message, now_ms)
            self._follow(effects, now_ms)

    def _follow(self, effects: Sequence[Effect], now_ms: int) -> None:
        for effect in effects:
            match effect:
                case Send(message=Grant(session=session) as grant) if (car := self._cars.get(session)) is not None:
                    car.grant, car.granted_ms = grant, car.heard_ms or now_ms  # its lease counts from the report
                case Send(message=Sealed(kind=kind) as sealed) if kind == _CALL:
                    if isinstance(call := unseal(sealed), ReliefCall) and call.tick != self._called_tick:
                        self._called_tick, self._answered = call.tick, set()
                case NoteRound():
                    _, *figures = round_row(effect, _FEEDER)
                    self.history.add(rounds=[[effect.tick - self._first_tick, *figures]])
                case NoteAward() | NoteForced() | NoteTrade() if (car := self._cars.get(effect.session)) is not None:
                    self._note(effect, car)

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """The bill of a car that has left was netted."""
        if (car := self._cars.pop(session, None)) is None:
            return
        party, need_ws = car.session.party, car.session.need_ws
        missing_ws = max(need_ws - car.imported_ws + car.exported_ws, 0)
        row = SessionRow(
            session=party.session_id,
            station=party.charger,
            vehicle=party.vehicle,
            strategy="",
            arrival_tick=car.arrival_tick,
            departure_tick=self._last_tick - self._first_tick,
            need_ws=need_ws,
            missing_ws=missing_ws,
            imported_ws=car.imported_ws,
            exported_ws=car.exported_ws,
            deferred_ws=0,
            earned_nanos=car.earned_nanos,
            billed_nanos=billed_nanos,
            receivable_nanos=receivable_nanos,
            status="short" if missing_ws > SHORT_WS else "full",
        )
        self._tell_gone(car)
        self.history.add(sessions=[list(row)])

    def look(self, agent: Agent, book: Book | None, now_ms: int) -> None:
        """The node has made a turn: if a tick is over by now, tell of it."""
        tick = now_ms // self._rules.tick_ms
        if tick == self._last_tick:
            return
        assert isinstance(agent, Transformer)
        view, local = agent.view(now_ms), datetime.fromtimestamp(EPOCH_S + now_ms / 1_000, UTC).astimezone()
        if self._since_ms == UNTOLD:
            self._since_ms = now_ms
        slept = (tick - self._last_tick) * self._rules.tick_ms > self._rules.lease_ms + self._rules.tick_ms
        is_full = tick - self._first_tick > MOST_TICKS or self.history.rows > MOST_ROWS
        if (day := f"{local:%F%z}") != self._day or is_full or slept:
            self._day = day
            self._begin(tick, local, view.quiet_until_ms, slept=slept)
        self._look_who_is_here(view)
        if passed := tick - self._last_tick:
            self._tell_ticks(view, passed, now_ms)
        if book is not None:
            self._tell_accounts(agent.uncommitted_nanos, book)
        self._last_tick = tick

    # -- what of it is told -------------------------------------------------------------------------------------------

    @property
    def _tick(self) -> int:
        """The tick that goes on, in the history."""
        return self._last_tick - self._first_tick

    def _begin(self, tick: int, local: datetime, quiet_until_ms: int, *, slept: bool) -> None:
        """Begin anew with this tick; of the past stay the cars that are here."""
        here = {number: car for number, car in self._cars.items() if car.told[0] != GONE}
        self._cars, self._first_tick, self._last_tick, self._told_accounts = {}, tick, tick, ()
        self._told_of_homes, self._quiet_until_tick = "", -(-quiet_until_ms // self._rules.tick_ms)
        offset = local.utcoffset()
        head = Head(
            name=self._name,
            controller="negotiated",
            start_ms=EPOCH_S * 1_000 + tick * self._rules.tick_ms,
            utc_offset_ms=round(offset.total_seconds() * 1_000) if offset else 0,
            tick_ms=self._rules.tick_ms,
            all_ticks=0,
            feeders=[FeederCard(name="")],
            is_live=True,
            lease_ms=self._rules.lease_ms,
            is_reckoned=True,
            window_ms=self._rules.window_ms,
            quiet_ticks=max(self._quiet_until_tick - tick, 0),
            beat_ms=self._rules.tick_ms,
            no_look_up=_NO_LOOK_UP,
        )
        self.history.begin(head)
        for number, car in here.items():
            fresh = replace(car, told=(GONE, 0, 0), told_grant=(GONE, GONE), told_unknown="")
            self._enter(number, replace(fresh, is_whole=car.is_whole and not slept))

    def _enter(self, number: int, car: SeenCar) -> None:
        """Tell of a plugged car."""
        session, self._cars[number] = car.session, car
        car.row = len(self.history.cards)
        car.arrival_tick = session.arrival_ms // self._rules.tick_ms - self._first_tick
        card = CarCard(
            session=session.party.session_id,
            station=session.party.charger,
            vehicle=session.party.vehicle,
            strategy="",
            arrival_tick=car.arrival_tick,
            departure_tick=UNTOLD,
            need_ws=session.need_ws,
            is_whole=car.is_whole,
        )
        self.history.enter([card])
        self._tell_sales(car, car.awards, car.trades)

    def _tell_sales(self, car: SeenCar, awards: Iterable[Row], trades: Iterable[TradeRow]) -> None:
        """Tell of what a car has sold; what was settled before this history counts from its beginning on."""
        first = self._first_tick
        self.history.add(
            awards=[[int(tick) - first, feeder, car.row, *more] for tick, feeder, _, *more in awards],
            trades=[
                list(row._replace(tick=row.tick - first, settled_tick=max(row.settled_tick - first, 0)))
                for row in trades
            ],
        )

    def _look_who_is_here(self, view: SiteView) -> None:
        """Tell of cars that are new, and of those that have left."""
        for number, session in view.sessions.items():
            if number not in self._cars:
                self._enter(number, SeenCar(session, is_whole=session.arrival_ms >= self._since_ms))
        for number, car in self._cars.items():
            if number not in view.sessions:
                self._tell_gone(car)

    def _tell_gone(self, car: SeenCar) -> None:
        if car.told_unknown:
            car.told_unknown = ""
            self.history.add(unknown=[[self._tick, car.row, ""]])
        if car.told[0] != GONE:
            car.told = GONE, 0, 0
            self.history.add(cars=[[self._tick, car.row, *car.told, car.imported_ws, car.exported_ws]])

    def _hear(self, message: object, now_ms: int) -> None:
        """A charger has said something that the transformer did not refuse."""
        match message:
            case Report() if (car := self._cars.get(message.session)) is not None:
                car.report, car.heard_ms = message, now_ms
            case Departed() if (car := self._cars.get(message.session)) is not None:
                car.imported_ws, car.exported_ws = message.imported_ws, message.exported_ws
            case CappedOffer() if (car := self._cars.get(message.session)) is not None:
                self._hear_offer(message, car)

    def _hear_offer(self, capped: CappedOffer, car: SeenCar) -> None:
        """A car's first answer to the call at hand is told; what else comes, the transformer does not look at."""
        try:
            offer = unseal(capped.offer)
        except RemoteProtocolError:
            return
        if not isinstance(offer, Offer) or capped.session in self._answered:
            return
        if (offer.tick, offer.session) == (self._called_tick, capped.session):
            self._answered.add(capped.session)
            told = msgspec.structs.replace(offer, tick=offer.tick - self._first_tick, feeder=_FEEDER)
            self.history.add(offers=offer_rows(told, car.row, min(capped.cap_w, car.session.charger_w)))

    def _note(self, note: NoteAward | NoteForced | NoteTrade, car: SeenCar) -> None:
        name = car.session.party.session_id
        match note:
            case NoteAward():
                awards = tranche_rows((note.tick, _FEEDER, car.row), note.award_w, note.price_nanos_per_kwh_h)
                car.awards += awards
                self._tell_sales(car, awards, ())
            case NoteForced():
                car.forced_w = note.forced_w
                self._tell_sales(car, (), [forced_row(note.tick, _FEEDER, name, note.forced_w)])
            case NoteTrade():
                car.earned_nanos += sum(note.nanos)
                trades = list(trade_rows(note, _FEEDER, name, settled_tick=self._last_tick))
                car.trades += trades
                self._tell_sales(car, (), trades)

    def _tell_ticks(self, view: SiteView, passed: int, now_ms: int) -> None:
        """Tell how the last tick ended; if others, for less than a lease, were slept through, they were like it."""
        here = [car for number, car in self._cars.items() if number in view.sessions]
        sold = {award.session: award for award in view.awards}
        cars = self._reckoned(here, sold, view, now_ms)
        changes: list[Row] = []
        grants: list[Row] = []
        unknown = self._unknown_homes(view)
        seconds = passed * self._rules.tick_ms // 1_000
        doing = np.stack((activity(cars), cars.import_w, cars.export_w), axis=1).tolist()
        for car, (what, import_w, export_w) in zip(here, doing, strict=True):
            car.forced_w = 0
            why = car.unknown(now_ms, self._rules.lease_ms, is_quiet=self._last_tick < self._quiet_until_tick)
            was_unknown, car.told_unknown = car.told_unknown, why
            if why != was_unknown:
                unknown.append([self._tick, car.row, why])
            was, imported_w, exported_w = car.told
            steps_w = abs(import_w - imported_w), abs(export_w - exported_w)
            is_new = not why and bool(was_unknown or what != was or max(steps_w) >= _STEP_W)
            # told each by itself, they would be of two ticks, and the car could seem to draw more than it may
            if (grant := self._new_grant(car, now_ms, is_new=is_new)) is not None:
                grants.append([self._tick, car.row, *grant])
            if why:
                continue
            if is_new or grant is not None:
                car.told = what, import_w, export_w
                changes.append([self._tick, car.row, *car.told, car.imported_ws, car.exported_ws])
            car.imported_ws += car.told[1] * seconds
            car.exported_ws += car.told[2] * seconds
        columns = cars.import_w, cars.export_w, cars.baseline_w, cars.owed_ws
        street: Row = [view.base_w, view.limit_w, *(int(column.sum()) for column in columns)]
        self.history.add(ticks=[street] * passed, cars=changes, grants=grants, unknown=unknown)

    def _unknown_homes(self, view: SiteView) -> list[Row]:
        """Whether it is known what the homes draw, where that has changed."""
        self._were_homes_heard |= view.is_base_known
        why: Unknown = "" if view.is_base_known else "silent" if self._were_homes_heard else "unheard"
        if why == self._told_of_homes:
            return []
        self._told_of_homes = why
        return [[self._tick, HOMES, why]]

    def _reckoned(self, here: Sequence[SeenCar], sold: dict[int, Award], view: SiteView, now_ms: int) -> CarTicks:
        """The plugged cars as columns; their baseline is what they may draw unasked."""
        rows: list[tuple[int, ...]] = []
        for car in here:
            if car.report is None:
                rows.append((0,) * 7)
                continue
            award = sold.get(car.report.session)
            powers_w = car.powers_w(self._rules.guaranteed_w, now_ms)
            reduce_w = 0 if award is None else sum(award.award_w[:FEED])
            if powers_w[0] == 0 and reduce_w < car.firm_w:
                reduce_w = 0  # it is not what it sold that stops it
            rows.append((car.wanted_w, car.firm_w, *powers_w, reduce_w, car.forced_w, car.owed_ws))
        wanted, firm, *rest = np.array(rows, dtype=np.int64).reshape(-1, 7).T
        numbers = np.array([car.row for car in here], dtype=np.int64)
        state = ChargingState(wanted, firm, firm, np.zeros_like(firm))
        return CarTicks.of([TickRow(self._tick, view.base_w, view.limit_w, numbers, state, *rest)])

    def _new_grant(self, car: SeenCar, now_ms: int, *, is_new: bool) -> tuple[int, int] | None:
        """What a charger may draw, and how long, where that has changed or its car ``is_new``; None if neither."""
        if car.told_unknown in ("unheard", "quiet"):
            return None
        left_ms = car.lease_left_ms(now_ms)
        granted_w = car.grant.import_w if car.grant is not None and left_ms else self._rules.guaranteed_w
        whole_ms = left_ms // self._rules.tick_ms * self._rules.tick_ms
        if not is_new and abs(granted_w - car.told_grant[0]) < _STEP_W and whole_ms == car.told_grant[1]:
            return None
        car.told_grant = granted_w, whole_ms
        return car.told_grant

    def _tell_accounts(self, free_nanos: int, book: Book) -> None:
        accounts = Funds.of(book)._replace(free=free_nanos)
        if accounts != self._told_accounts:
            self._told_accounts = accounts
            self.history.add(accounts=[[max(self._tick - 1, 0), _FEEDER, *accounts]])
