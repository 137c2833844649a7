"""The money of a negotiated run, computed a second time from its ticks: lots, rent, payments and reserves.

It shares no code with what it checks. From what each car drew and fed, tick by tick, it follows in plain integers which
awards were in force, what was given up under them, what came back and how long that had waited, and holds every trade
and every posting of the book against it, to the nano. What differs is a *finding*, one line each; a run in order has
none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.checked_cars import cars_of, ppm

from wattswap.runners.engines.observer import Moved, Observer
from wattswap.runners.recording.record import RunRecord, TickRow, TradeRow
from wattswap.runners.scenario import Street

WS_PER_KWH = 3_600_000
WS_H_PER_KWH_H = WS_PER_KWH * 3_600
PRICE_TICK = 1_000_000
CAP_H = 24
TO_FLOOR, TO_ZERO, FEED = 1, 2, 3
"""Tranches as a trade's row numbers them."""


class WatchedGrants(Observer):
    """What chargers let their cars draw, which no record keeps: by tick, a row a plugged car."""

    def __init__(self) -> None:
        self.by_tick: dict[int, list[int]] = {}

    def moved(self, moved: Moved) -> None:
        self.by_tick[moved.tick] = moved.granted_w.tolist()


@dataclass
class CheckedLot:
    """An award, its rows by tranche, and what was seen of it."""

    car: int
    tick: int
    rows: dict[int, TradeRow]
    runs: bool = True
    delivered_ws: dict[int, int] = field(default_factory=lambda: {TO_FLOOR: 0, TO_ZERO: 0, FEED: 0})
    baseline_ws: int = 0
    owed_ws: int = 0
    rent: int = 0
    closed: bool = False

    def watts(self, *tranches: int) -> int:
        """What was awarded of these tranches."""
        return sum(self.rows[tranche].awarded_w for tranche in tranches if tranche in self.rows)

    def price(self, *tranches: int) -> int:
        """The dearest price of these tranches."""
        return max(
            (self.rows[tranche].price_nanos_per_kwh_h for tranche in tranches if tranche in self.rows), default=0
        )


def audit(street: Street, record: RunRecord, grants: WatchedGrants) -> list[str]:
    """All findings about the money of a negotiated run of this street; none if it is in order."""
    return list(_Audit(street, record, grants).findings())


class _Audit:
    def __init__(self, street: Street, record: RunRecord, grants: WatchedGrants) -> None:
        self.street, self.record, self.grants, self.scenario = street, record, grants, street.scenario
        self.tick_s = self.scenario.reading_s
        self.per_window = self.scenario.window_s // self.tick_s
        self.cars = cars_of(street)
        self.car_of = {car.name: at for at, car in enumerate(self.cars)}
        chargers = self.scenario.chargers
        self.min_w = chargers.min_a * chargers.phases * chargers.voltage_v
        self.lots: list[CheckedLot] = []
        """Those that are open."""
        self.closed: list[CheckedLot] = []
        self.stopped: dict[int, int] = {}
        """By car: the tick at which it failed to draw back."""
        self.drawn_ws: Counter[int] = Counter()
        self.fed_ws: Counter[int] = Counter()
        self.trades = [trade for trade in record.trades if trade.kind != "forced"]

    def findings(self) -> Iterator[str]:
        yield from self.of_rows()
        for row in self.record.ticks:
            self.close(row.tick)
            self.release(row)
            self.award(row.tick)
            self.meter(row)
        self.close(self.street.ticks)
        for lot in (*self.closed, *self.lots):
            yield from (f"award {lot.tick} of {self.cars[lot.car].name}: {finding}" for finding in self.of_lot(lot))
        yield from self.of_sessions()
        yield from self.of_book()

    # -- rows by themselves -------------------------------------------------------------------------------------------

    def of_rows(self) -> Iterator[str]:
        rounds, prices = {note.tick: note for note in self.record.rounds}, defaultdict(set)
        for trade in self.trades:
            at = f"trade {trade[:4]}"
            if trade.tick not in rounds:
                yield f"{at}: no round"
            if not 0 < trade.awarded_w <= trade.offered_w:
                yield f"{at}: awarded {trade.awarded_w} of {trade.offered_w} W"
            price, ask = trade.price_nanos_per_kwh_h, trade.ask_nanos_per_kwh_h
            least = 0 if self.scenario.transformer.clearing == "none" else ask
            if not 0 <= least <= price <= self.scenario.market.reserve_nanos_per_kwh_h:
                yield f"{at}: asked {ask}, priced {price}: beyond ask or reserve"
            if price % PRICE_TICK or ask % PRICE_TICK:
                yield f"{at}: between two ticks of the price"
            if self.scenario.transformer.clearing == "pay-as-bid" and price != ask:
                yield f"{at}: not paid as bid"
            prices[trade.tick].add(price)
        if self.scenario.transformer.clearing not in ("pay-as-bid", "vcg"):
            yield from (f"tick {tick}: {len(several)} prices" for tick, several in prices.items() if len(several) > 1)

    # -- the street, tick by tick -------------------------------------------------------------------------------------

    def close(self, tick: int) -> None:
        """End what ends at this tick: awards with their window, lots that are back, and all lots of who leaves."""
        left = {at for at, car in enumerate(self.cars) if car.departs is not None and car.departs <= tick}
        for lot in self.lots:
            lot.runs = lot.runs and bool(tick % self.per_window) and lot.car not in left
            lot.closed = lot.car in left or self.is_back(lot)
        self.sort_out()

    def is_back(self, lot: CheckedLot) -> bool:
        return not lot.runs and lot.owed_ws < self.tick_s

    def sort_out(self) -> None:
        self.closed += [lot for lot in self.lots if lot.closed]
        self.lots = [lot for lot in self.lots if not lot.closed]

    def release(self, row: TickRow) -> None:
        """All awards end when there is room again, whatever window it is."""
        firm_w = dict(zip(row.rows.tolist(), row.charging.firm_w.tolist(), strict=True))
        running = [lot for lot in self.lots if lot.runs]
        bought_w = sum(min(lot.watts(TO_FLOOR, TO_ZERO), firm_w[lot.car]) + lot.watts(FEED) for lot in running)
        base_w, limit_w = (int(column[row.tick]) for column in (self.street.base_w[0], self.street.limit_w[0]))
        usual_w = max(self.scenario.transformer.limit_w, 0)
        spare_w = (
            usual_w * ppm(self.scenario.transformer.margin_pct) // 1_000_000
            + usual_w * ppm(self.scenario.market.release_pct) // 1_000_000
        )
        if bought_w > 0 and base_w + sum(firm_w.values()) <= limit_w - spare_w:
            for lot in running:
                lot.runs, lot.closed = False, lot.owed_ws < self.tick_s
            self.sort_out()

    def award(self, tick: int) -> None:
        """What was awarded at this tick holds from now on."""
        rows: defaultdict[str, dict[int, TradeRow]] = defaultdict(dict)
        for trade in self.trades:
            if trade.tick == tick:
                rows[trade.session][trade.tranche] = trade
        self.lots += [CheckedLot(self.car_of[name], tick, of) for name, of in rows.items()]

    def meter(self, row: TickRow) -> None:
        columns = (row.rows, row.import_w, row.export_w, row.charging.baseline_w)
        granted = self.grants.by_tick[row.tick]
        for car, import_w, export_w, baseline_w, granted_w in zip(
            *(column.tolist() for column in columns), granted, strict=True
        ):
            self.meter_car(row.tick, car, import_w, export_w, baseline_w, granted_w)

    def meter_car(self, tick: int, car: int, import_w: int, export_w: int, baseline_w: int, granted_w: int) -> None:
        """What one car gave up, drew back, or could have drawn back."""
        self.drawn_ws[car] += import_w * self.tick_s
        self.fed_ws[car] += export_w * self.tick_s
        lots = [lot for lot in self.lots if lot.car == car]
        running = [lot for lot in lots if lot.runs]
        could_w = min(self.min_w, sum(lot.owed_ws for lot in lots) // self.tick_s)
        if not running and 0 < could_w <= granted_w and import_w < could_w:
            self.stopped.setdefault(car, tick)
        for lot in running:
            reduced_w = max(baseline_w - import_w, 0)
            first_w = min(reduced_w, lot.watts(TO_FLOOR))
            second_w = min(reduced_w - first_w, lot.watts(TO_ZERO))
            lot.delivered_ws[TO_FLOOR] += first_w * self.tick_s
            lot.delivered_ws[TO_ZERO] += second_w * self.tick_s
            lot.delivered_ws[FEED] += min(export_w, lot.watts(FEED)) * self.tick_s
            lot.baseline_ws += baseline_w * self.tick_s
            lot.owed_ws += (first_w + second_w) * self.tick_s
        back_ws = max(import_w - baseline_w, 0) * self.tick_s
        for lot in sorted(lots, key=lambda lot: (-lot.price(TO_FLOOR, TO_ZERO), lot.tick)):
            returned_ws = min(back_ws, lot.owed_ws)
            back_ws -= returned_ws
            lot.owed_ws -= returned_ws
            lot.rent += returned_ws * self.waited(lot, tick)

    def waited(self, lot: CheckedLot, tick: int) -> int:
        """How long what comes back at a tick has waited, as far as that is paid."""
        waited = min(tick, self.stopped.get(lot.car, tick)) - lot.tick
        return min(max(waited, 0), CAP_H * 3_600 // self.tick_s)

    # -- what it came to ----------------------------------------------------------------------------------------------

    def of_lot(self, lot: CheckedLot) -> Iterator[str]:
        sold_ws = lot.delivered_ws[TO_FLOOR] + lot.delivered_ws[TO_ZERO]
        rent = lot.rent if lot.closed else lot.rent + lot.owed_ws * self.waited(lot, self.street.ticks)
        earned = lot.price(TO_FLOOR, TO_ZERO) * rent * self.tick_s // WS_H_PER_KWH_H if lot.closed else 0
        first = min(tranche for tranche in lot.rows if tranche != FEED) if set(lot.rows) - {FEED} else None
        for tranche, trade in lot.rows.items():
            fed = trade.price_nanos_per_kwh_h * lot.delivered_ws[FEED] * self.scenario.market.feed_h // WS_PER_KWH
            nanos = 0 if not lot.closed else fed if tranche == FEED else earned if tranche == first else 0
            returned_ws = sold_ws - lot.owed_ws
            its_own = (returned_ws, rent) if tranche == first else (0, 0)
            expected = (lot.delivered_ws[tranche], *its_own, nanos, lot.baseline_ws, "paid" if lot.closed else "open")
            found = (trade.delivered_ws, trade.returned_ws, trade.rent, trade.nanos, trade.baseline_ws, trade.status)
            if found != expected:
                yield f"tranche {tranche} is noted as {found}, was {expected}"

    def of_sessions(self) -> Iterator[str]:
        earned, deferred_ws = Counter[str](), Counter[str]()
        for trade in self.trades:
            earned[trade.session] += trade.nanos
            deferred_ws[trade.session] += trade.delivered_ws if trade.tranche != FEED else 0
        for row in self.record.sessions:
            at = self.car_of[row.session]
            departs = self.cars[at].departs
            leaves = departs is not None and departs <= self.street.ticks
            energy_ws = row.imported_ws - row.exported_ws
            billed = self.scenario.vehicles.tariff_nanos_per_kwh * energy_ws // WS_PER_KWH if leaves else 0
            found = (row.imported_ws, row.exported_ws, row.deferred_ws, row.earned_nanos, row.billed_nanos)
            of = (self.drawn_ws[at], self.fed_ws[at], deferred_ws[row.session], earned[row.session], billed)
            if found != of:
                yield f"session {row.session}: drew, fed, deferred, earned and was billed {found}, not {of}"

    def of_book(self) -> Iterator[str]:
        """Every award had reserved a day of waiting for all it bought, and was paid once, from that."""
        book = self.record.book
        assert book is not None
        book.audit()
        booked: dict[str, dict[str, int]] = {"reserve": {}, "settle": {}, "refuse": {}}
        for operation, key, _, nanos, _ in book.entries:
            booked.get(operation, {})[key] = nanos
        reserved, paid = {}, {}
        for lot in (*self.closed, *self.lots):
            key = f"0.{lot.tick}/{self.cars[lot.car].name}"
            reserved[key] = sum(self.most_nanos(lot.tick, row) for row in lot.rows.values())
            if lot.closed:
                paid[key] = sum(row.nanos for row in lot.rows.values())
        expected: dict[str, Any] = {"reserve": reserved, "settle": paid, "refuse": {}}
        for what, entries in expected.items():
            if booked[what] != entries:
                differ = sorted(booked[what].items() ^ entries.items())
                yield f"the book has other entries to {what} than the trades: {differ[:4]}"

    def most_nanos(self, tick: int, row: TradeRow) -> int:
        lasts_s = (self.per_window - tick % self.per_window) * self.tick_s
        hours = self.scenario.market.feed_h if row.tranche == FEED else CAP_H
        return row.price_nanos_per_kwh_h * row.awarded_w * lasts_s * hours // WS_PER_KWH
