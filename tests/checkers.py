"""The auditor: what must hold of any negotiated run, reckoned again from its record and its street.

It shares no code with what it audits. Batteries, the law and the money are written here a second time, car by car and
tick by tick, in plain integers, and every figure of the record is held against them. What differs is a *finding*, one
line each; a run in order has none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.checked_cars import Car, cars_of, ppm

from wattswap.protocol.effects import NoteRound
from wattswap.runners.recording.record import RunRecord, SessionRow, TickRow, TradeRow
from wattswap.runners.scenario import Street

WS_PER_KWH = 3_600_000
NANOS_PER_IOTA = 1_000_000_000
PRICE_TICK = 1_000_000
SHORT_WS = 360_000
TO_FLOOR, TO_ZERO, FEED = 1, 2, 3
"""Tranches as a trade's row numbers them."""


@dataclass
class Award:
    """An award in force: its trade rows by tranche, and what the auditor saw delivered of each."""

    rows: dict[int, TradeRow]
    delivered_ws: dict[int, int] = field(default_factory=lambda: {TO_FLOOR: 0, TO_ZERO: 0, FEED: 0})
    baseline_ws: int = 0

    def watts(self, *tranches: int) -> int:
        """What was awarded of these tranches."""
        return sum(self.rows[tranche].awarded_w for tranche in tranches if tranche in self.rows)


def audit(street: Street, record: RunRecord) -> list[str]:
    """All findings about a negotiated run of this street; none if it is in order."""
    return list(_Audit(street, record).findings())


class _Audit:
    def __init__(self, street: Street, record: RunRecord) -> None:
        self.street, self.record, self.scenario = street, record, street.scenario
        self.tick_s = self.scenario.reading_s
        self.per_window = self.scenario.window_s // self.scenario.reading_s
        self.cars = cars_of(street)
        self.by_name = {car.name: row for row, car in enumerate(self.cars)}
        self.in_force: dict[int, Award] = {}
        self.awards: dict[int, dict[str, Award]] = defaultdict(dict)
        self.forced: dict[int, dict[str, int]] = defaultdict(dict)
        self.rounds: dict[int, NoteRound] = {}
        self.trades = [trade for trade in record.trades if trade.kind != "forced"]
        chargers = self.scenario.chargers
        self.min_w = chargers.min_a * chargers.phases * chargers.voltage_v
        self.guard_ms = self.scenario.vehicles.guard_s * 1000

    def findings(self) -> Iterator[str]:
        yield from self.of_trades()
        yield from self.of_ticks()
        yield from self.of_sessions()
        yield from self.of_money()

    # -- rows by themselves -------------------------------------------------------------------------------------------

    def of_trades(self) -> Iterator[str]:
        """Each trade against its round and its own columns."""
        for round_ in self.record.rounds:
            if round_.tick in self.rounds:
                yield f"tick {round_.tick}: two rounds"
            self.rounds[round_.tick] = round_
        for trade in self.record.trades:
            yield from (f"trade {trade[:4]}: {finding}" for finding in self.of_trade(trade))
        if self.scenario.transformer.clearing == "uniform":
            prices: dict[int, set[int]] = defaultdict(set)
            for trade in self.trades:
                prices[trade.tick].add(trade.price_nanos_per_kwh)
            yield from (f"tick {tick}: {len(several)} prices" for tick, several in prices.items() if len(several) > 1)

    def of_trade(self, trade: TradeRow) -> Iterator[str]:
        if trade.session not in self.by_name:
            yield "nobody of that name"
        elif trade.kind == "forced":
            if trade.session in self.forced[trade.tick]:
                yield "forced twice"
            if trade.nanos or trade.awarded_w or trade.delivered_ws or trade.tranche:
                yield "what is forced is not sold"
            self.forced[trade.tick][trade.session] = trade.forced_w
        elif trade.tick not in self.rounds:
            yield "no round"
        else:
            yield from self.of_award(trade, self.rounds[trade.tick])

    def of_award(self, trade: TradeRow, round_: NoteRound) -> Iterator[str]:
        award = self.awards[trade.tick].setdefault(trade.session, Award({}))
        if trade.tranche in award.rows or (trade.kind == "feed") != (trade.tranche == FEED):
            yield "not one row a tranche"
        award.rows[trade.tranche] = trade
        ticks_left = self.per_window - trade.tick % self.per_window
        if not 0 <= trade.delivered_ws <= trade.awarded_w * ticks_left * self.tick_s:
            yield f"delivered {trade.delivered_ws} ws of {trade.awarded_w} W in {ticks_left} ticks"
        if trade.nanos != trade.price_nanos_per_kwh * trade.delivered_ws // WS_PER_KWH:
            yield f"paid {trade.nanos} nanos"
        if not 0 < trade.awarded_w <= trade.offered_w:
            yield f"awarded {trade.awarded_w} of {trade.offered_w} W"
        if not 0 <= trade.ask_nanos_per_kwh <= trade.price_nanos_per_kwh <= round_.ceiling_nanos_per_kwh:
            yield f"asked {trade.ask_nanos_per_kwh}, priced {trade.price_nanos_per_kwh}: beyond ask or ceiling"
        if trade.price_nanos_per_kwh % PRICE_TICK or trade.ask_nanos_per_kwh % PRICE_TICK:
            yield "between two ticks of the price"
        if self.scenario.transformer.clearing == "pay-as-bid" and trade.price_nanos_per_kwh != trade.ask_nanos_per_kwh:
            yield "not paid as bid"
        if trade.payment_id != f"{trade.feeder}.{trade.tick}/{trade.session}":
            yield f"payment id {trade.payment_id}"

    # -- the street, tick by tick -------------------------------------------------------------------------------------

    def of_ticks(self) -> Iterator[str]:
        if [row.tick for row in self.record.ticks] != list(range(self.street.ticks)):
            yield "ticks are missing"
            return
        for car in self.cars:
            self.charge_before_the_start(car)
        for row in self.record.ticks:
            yield from (f"tick {row.tick}: {finding}" for finding in self.of_tick(row))
        yield from self.end_awards(lambda _row: True)
        yield from (f"tick {tick}: a round that was not due" for tick in sorted(self.rounds))
        yield from (f"tick {tick}: forced when there was room" for tick, cars in self.forced.items() if cars)

    def charge_before_the_start(self, car: Car) -> None:
        for tick in range(car.arrives, 0):
            car.stand(tick, self.tick_s, self.guard_ms)
            if not car.wanted_w:
                break
            car.draw(car.wanted_w, self.tick_s)
        car.baseline_ws, car.imported_ws = car.remaining_ws, 0

    def of_tick(self, row: TickRow) -> Iterator[str]:
        tick, now_ms = row.tick, row.tick * self.tick_s * 1000
        base_w = sum(int(home[tick]) for home in self.street.household_w)
        next_w = sum(int(home[tick + 1]) for home in self.street.household_w)
        limit_w = int(self.street.limit_w[0, tick])
        yield from self.end_awards(lambda at: tick % self.per_window == 0 or self.cars[at].departs == tick)
        present = [at for at, car in enumerate(self.cars) if car.arrives <= tick < (car.departs or tick + 1)]
        columns = {
            name: getattr(row, name).tolist() for name in ("rows", "import_w", "export_w", "reduce_w", "owed_ws")
        }
        if columns["rows"] != present:
            yield f"plugged are {columns['rows']}, not {present}"
            return
        if (row.base_w, row.limit_w) != (next_w, limit_w):
            yield f"base and limit are {row.base_w}, {row.limit_w}"
        for at, *figures in zip(present, *(column.tolist() for column in row.charging), strict=True):
            car = self.cars[at]
            car.stand(now_ms, self.tick_s, self.guard_ms)
            if figures != [car.wanted_w, car.baseline_w, car.firm_w, car.laxity_ms + now_ms]:
                yield f"{car.name} stands elsewhere than {figures}"
        owed_ws = [max(self.cars[at].remaining_ws - self.cars[at].baseline_ws, 0) for at in present]
        if columns["owed_ws"] != owed_ws:
            yield f"owed are {columns['owed_ws']}"
        target_w = limit_w - (limit_w * ppm(self.scenario.transformer.margin_pct) // 1_000_000 if limit_w > 0 else 0)
        yield from self.of_round(tick, present, base_w + sum(self.cars[at].firm_w for at in present), target_w)
        if columns["reduce_w"] != [self.sold_w(at, TO_FLOOR, TO_ZERO) for at in present]:
            yield f"reductions in force are {columns['reduce_w']}"
        powers = list(zip(present, columns["import_w"], columns["export_w"], strict=True))
        yield from self.of_powers(tick, powers, base_w, next_w, target_w)
        for at, import_w, export_w in powers:
            yield from self.move(at, import_w, export_w)

    def sold_w(self, at: int, *tranches: int) -> int:
        return self.in_force[at].watts(*tranches) if at in self.in_force else 0

    def of_round(self, tick: int, present: list[int], demand_w: int, target_w: int) -> Iterator[str]:
        """A release when there is room again, a call when there is not, and awards that the law admits."""
        bought_w = sum(
            min(self.sold_w(at, TO_FLOOR, TO_ZERO), self.cars[at].firm_w) + self.sold_w(at, FEED)
            for at in self.in_force
        )
        transformer, market = self.scenario.transformer, self.scenario.market
        release_w = max(transformer.limit_w, 0) * ppm(market.release_pct) // 1_000_000
        if bought_w > 0 and demand_w <= target_w - release_w:
            yield from self.end_awards(lambda _at: True)
            bought_w = 0
        called = [at for at in present if at not in self.in_force]
        need_w, round_ = demand_w - target_w - bought_w, self.rounds.pop(tick, None)
        if need_w <= 0 or not called:
            if round_ is not None:
                yield "a round without need"
            return
        if round_ is None:
            yield f"a need of {need_w} W and no round"
            return
        ceiling = self.ceiling(demand_w, int(self.street.limit_w[0, tick]))
        about = (round_.need_w, round_.ceiling_nanos_per_kwh, round_.called)
        if about != (need_w, ceiling, len(called)):
            yield f"a round about {about}, not {(need_w, ceiling, len(called))}"
        awards = self.awards.get(tick, {})
        yield from self.of_awards(round_, called, awards)
        self.in_force |= {self.by_name[name]: award for name, award in awards.items()}

    def ceiling(self, demand_w: int, limit_w: int) -> int:
        market = self.scenario.market
        low, high = market.ceiling_from_nanos_per_kwh, market.ceiling_to_nanos_per_kwh
        if limit_w <= 0 or self.scenario.transformer.ceiling == "fixed":
            return high
        full_w = limit_w * ppm(market.ceiling_at_pct - 100) // 1_000_000
        over_w = max(demand_w - limit_w, 0)
        return (high if over_w >= full_w else low + (high - low) * over_w // full_w) // PRICE_TICK * PRICE_TICK

    def of_awards(self, round_: NoteRound, called: list[int], awards: dict[str, Award]) -> Iterator[str]:
        figures = (
            sum(award.watts(TO_FLOOR, TO_ZERO, FEED) for award in awards.values()),
            max((row.price_nanos_per_kwh for award in awards.values() for row in award.rows.values()), default=0),
            sum(award.watts(TO_FLOOR, TO_ZERO) > 0 for award in awards.values()),
            sum(award.watts(FEED) > 0 for award in awards.values()),
        )
        noted = (round_.awarded_w, round_.price_nanos_per_kwh, round_.reduce_awards, round_.feed_awards)
        if noted != figures:
            yield f"the round awarded {noted}, its trades are {figures}"
        spare_w = figures[0] - round_.need_w
        for name, award in awards.items():
            yield from (f"{name} {finding}" for finding in self.of_new_award(name, award, called, spare_w))

    def of_new_award(self, name: str, award: Award, called: list[int], spare_w: int) -> Iterator[str]:
        car = self.cars[self.by_name[name]]
        if self.by_name[name] not in called:
            yield "is bound twice, or was not there to be called"
        if car.laxity_ms <= self.guard_ms + self.scenario.window_s * 1000:
            yield "has no time to give way"
        floor_w = min(car.firm_w, self.min_w)
        if award.watts(TO_FLOOR) > car.firm_w - floor_w or award.watts(TO_ZERO) not in (0, floor_w):
            yield "sells reduction it does not have"
        if award.watts(TO_ZERO) and award.watts(TO_FLOOR) < car.firm_w - floor_w:
            yield "stops before it is down at the floor"
        if award.watts(FEED) and award.watts(TO_FLOOR, TO_ZERO) < car.firm_w:
            yield "feeds while it charges"
        if award.watts(FEED) > car.feed_w:
            yield "feeds more than it can"
        if award.watts(max(award.rows)) <= spare_w:
            yield "was bought without need"

    def of_powers(
        self, tick: int, powers: list[tuple[int, int, int]], base_w: int, next_w: int, target_w: int
    ) -> Iterator[str]:
        """Firm power less what was sold; then room that is left for what is owed, or the last resort."""
        keeps_w = {at: max(self.cars[at].firm_w - self.sold_w(at, TO_FLOOR, TO_ZERO), 0) for at, *_ in powers}
        feeds_w = sum(self.sold_w(at, FEED) for at, *_ in powers)
        room_w = target_w - base_w - sum(keeps_w.values()) + feeds_w
        guaranteed_w = sum(min(kept_w, self.scenario.chargers.guaranteed_w) for kept_w in keeps_w.values())
        forced = self.forced.pop(tick, {}) if room_w < 0 else {}
        for at, import_w, export_w in powers:
            car, keeps = self.cars[at], keeps_w[at]
            if export_w != self.sold_w(at, FEED):
                yield f"{car.name} feeds {export_w} W, sold {self.sold_w(at, FEED)}"
            if not 0 <= import_w <= car.wanted_w:
                yield f"{car.name} draws {import_w} W of {car.wanted_w} wanted"
            if import_w != keeps - forced.get(car.name, 0) and (room_w < 0 or at in self.in_force or import_w < keeps):
                yield f"{car.name} draws {import_w} W, keeps {keeps}, forced {forced.get(car.name, 0)}"
            if import_w < min(keeps, self.scenario.chargers.guaranteed_w):
                yield f"{car.name} is below its guaranteed minimum"
            if keeps < import_w < min(self.min_w, car.wanted_w):
                yield f"{car.name} is raised to {import_w} W, less than a charger can give"
        load_w = sum(import_w - export_w for _, import_w, export_w in powers)
        if load_w > max(target_w - base_w, guaranteed_w - feeds_w):
            yield f"granted {load_w} W, the target leaves {target_w - base_w}"
        allowed_w = max(target_w, base_w + guaranteed_w - feeds_w) + next_w - base_w
        if next_w + load_w > allowed_w:
            yield f"a load of {next_w + load_w} W that no step of the homes explains"

    def move(self, at: int, import_w: int, export_w: int) -> Iterator[str]:
        """Let the tick pass for one car, and count what its award delivers."""
        car = self.cars[at]
        if at in self.in_force:
            award = self.in_force[at]
            reduced_w = max(car.baseline_w - import_w, 0)
            first_w = min(reduced_w, award.watts(TO_FLOOR))
            award.delivered_ws[TO_FLOOR] += first_w * self.tick_s
            award.delivered_ws[TO_ZERO] += min(reduced_w - first_w, award.watts(TO_ZERO)) * self.tick_s
            award.delivered_ws[FEED] += min(export_w, award.watts(FEED)) * self.tick_s
            award.baseline_ws += car.baseline_w * self.tick_s
        car.draw(import_w, self.tick_s)
        car.feed(export_w, self.tick_s)
        if export_w and car.stored_ws < car.reserve_ws:
            yield f"{car.name} feeds out of its reserve, down to {car.stored_ws} ws"
        if not 0 <= car.stored_ws <= car.capacity_ws:
            yield f"{car.name} holds {car.stored_ws} ws of {car.capacity_ws}"

    def end_awards(self, ends: Any) -> Iterator[str]:
        """End the awards of these rows and hold their trades against what was delivered."""
        for at in [at for at in self.in_force if ends(at)]:
            car, award = self.cars[at], self.in_force.pop(at)
            car.deferred_ws += award.delivered_ws[TO_FLOOR] + award.delivered_ws[TO_ZERO]
            for tranche, trade in award.rows.items():
                if trade.delivered_ws != award.delivered_ws[tranche] or trade.baseline_ws != award.baseline_ws:
                    yield (
                        f"trade {trade[:4]}: delivered {trade.delivered_ws} of a baseline of {trade.baseline_ws} ws,"
                        f" metered {award.delivered_ws[tranche]} of {award.baseline_ws}"
                    )

    # -- what it all came to ------------------------------------------------------------------------------------------

    def of_sessions(self) -> Iterator[str]:
        names = Counter(row.session for row in self.record.sessions)
        present = {car.name for car in self.cars if car.arrives < self.street.ticks}
        if set(names) != present or max(names.values(), default=1) > 1:
            yield f"not one row a session: {set(names) ^ present}"
            return
        paid: Counter[str] = Counter()
        for trade in self.trades:
            paid[trade.session] += trade.nanos
        for row in self.record.sessions:
            car = self.cars[self.by_name[row.session]]
            yield from (f"session {row.session}: {finding}" for finding in self.of_session(row, car, paid[row.session]))

    def of_session(self, row: SessionRow, car: Car, paid_nanos: int) -> Iterator[str]:
        leaves = car.departs is not None and car.departs <= self.street.ticks
        if (row.station, row.vehicle, row.need_ws) != (car.station, car.vehicle, car.need_ws):
            yield "is another's"
        if (row.imported_ws, row.exported_ws, row.missing_ws) != (car.imported_ws, car.exported_ws, car.remaining_ws):
            yield f"meters and need end at {row.imported_ws}, {row.exported_ws}, {row.missing_ws} ws"
        if row.deferred_ws != car.deferred_ws:
            yield f"deferred {row.deferred_ws} ws"
        if row.deferred_ws > row.need_ws:
            yield f"deferred {row.deferred_ws} ws of a need of {row.need_ws}"
        if row.earned_nanos != paid_nanos:
            yield f"earned {row.earned_nanos} nanos, was paid {paid_nanos}"
        energy_ws = car.imported_ws - car.exported_ws
        billed = self.scenario.vehicles.tariff_nanos_per_kwh * energy_ws // WS_PER_KWH if leaves else 0
        if row.billed_nanos != billed:
            yield f"billed {row.billed_nanos} nanos, not {billed}"
        status = "battery" if car.departs is None else "open" if not leaves else None
        if row.status != (status or ("short" if car.remaining_ws > SHORT_WS else "full")):
            yield f"is said to be {row.status}"

    def of_money(self) -> Iterator[str]:
        """The book against trades and bills: what everyone started with, earned and was billed."""
        book = self.record.book
        if book is None:
            yield "there is no book"
            return
        try:
            book.audit()
        except AssertionError as error:
            yield f"the book: {error}"
        yield from self.of_reserves(book.entries)
        balances = defaultdict(int, book.balances())
        owed: Counter[str] = Counter()
        net: Counter[str] = Counter()
        for row in self.record.sessions:
            net[row.vehicle] += row.earned_nanos - row.billed_nanos
            owed[row.vehicle] += row.receivable_nanos
        opening = self.scenario.vehicles.funds_iota * NANOS_PER_IOTA
        for vehicle in dict.fromkeys(car.vehicle for car in self.cars):
            holds = balances[f"wallet/{vehicle}"] + balances[f"payable/{vehicle}"]
            if holds != opening + net[vehicle] + owed[vehicle] or balances[f"receivable/{vehicle}"] != owed[vehicle]:
                yield f"{vehicle} holds {holds} nanos and owes {balances[f'receivable/{vehicle}']}"
        site = self.scenario.transformer.funds_iota * NANOS_PER_IOTA - sum(net.values()) - sum(owed.values())
        if balances["site"] + balances["reserved"] != site or balances["reserved"]:
            yield f"the site holds {balances['site']} nanos and {balances['reserved']} in reserve, not {site}"

    def of_reserves(self, entries: Any) -> Iterator[str]:
        """Every award was covered before it was made, for the most it could cost, and paid once.

        Who awards counts its own tokens, so the book has nothing to refuse.
        """
        reserved, settled = {}, {}
        for operation, key, _, nanos, _ in entries:
            if operation == "reserve":
                reserved[key] = nanos
            elif operation == "settle":
                settled[key] = nanos
            elif operation == "refuse":
                yield f"{key} was refused {nanos} nanos"
        most, paid = {}, {}
        for tick, awards in self.awards.items():
            lasts_s = (self.per_window - tick % self.per_window) * self.tick_s
            for award in awards.values():
                rows = award.rows.values()
                key = next(iter(rows)).payment_id
                most[key] = sum(row.price_nanos_per_kwh * row.awarded_w * lasts_s // WS_PER_KWH for row in rows)
                paid[key] = sum(row.nanos for row in rows)
        for name, booked, traded in (("reserved", reserved, most), ("paid", settled, paid)):
            for key in sorted(booked.keys() | traded.keys()):
                if booked.get(key) != traded.get(key):
                    yield f"{name} for {key}: {booked.get(key)} nanos in the book, {traded.get(key)} by the trades"


def overload_s(record: RunRecord, reading_s: int) -> int:
    """How long the load was above the limit."""
    loads_w: list[int] = [row.base_w + sum(row.import_w.tolist()) - sum(row.export_w.tolist()) for row in record.ticks]
    return reading_s * sum(load_w > row.limit_w for load_w, row in zip(loads_w, record.ticks, strict=True))
