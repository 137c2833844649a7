"""The physical street: every session's battery and need as columns, stepped in one array call per tick.

Both engines move this world; the agents of the messages engine are handed its readings. The rows of a feeder stand
together, feeder by feeder: its sessions in file order, then its stationary batteries. A battery is a car that was
always there, needs nothing and never departs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import numpy as np

from wattswap.agents import law, physics
from wattswap.agents.offers import Own
from wattswap.agents.rules import Rules
from wattswap.agents.strategies.waiting import waiting_cost
from wattswap.protocol.draws import agent_keys
from wattswap.protocol.units import NEVER_MS, PERMILLE, PPM, WS_PER_WH
from wattswap.runners.scenario.car_notes import capacity_ws
from wattswap.runners.scenario.cars import garage_of
from wattswap.runners.scenario.names import apart
from wattswap.runners.scenario.schema import ppm, share_of
from wattswap.runners.scenario.sessions import departure_error_ms
from wattswap.runners.scenario.street import concatenated
from wattswap.runners.scenario.tables import time_of_day_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.runners.scenario.schema import Battery, Scenario, TransformerTable
    from wattswap.runners.scenario.street import Street


def rules_of(scenario: Scenario, transformer: TransformerTable) -> Rules:
    """The scenario's market constants as the integers of the law, on the feeder of this transformer.

    Feeders differ in margin, release and clearing rule; all else is common to a scenario.
    """
    chargers, market = scenario.chargers, scenario.market
    amp_w = chargers.phases * chargers.voltage_v
    return Rules(
        tick_ms=scenario.reading_s * 1000,
        window_ms=scenario.window_s * 1000,
        deadline_ms=market.deadline_ms,
        lease_ms=(market.lease_s or 3 * scenario.reading_s) * 1000,
        drift_ppm=ppm(market.drift_pct),
        guard_ms=scenario.vehicles.guard_s * 1000,
        unsure_ms=departure_error_ms(scenario.vehicles.departure) or 0,
        margin_w=share_of(max(transformer.limit_w, 0), transformer.margin_pct),
        release_w=share_of(max(transformer.limit_w, 0), market.release_pct),
        amp_w=amp_w,
        min_w=chargers.min_a * amp_w,
        guaranteed_w=chargers.guaranteed_w,
        clearing=transformer.clearing,
        reserve_nanos_per_kwh_h=market.reserve_nanos_per_kwh_h,
        feed_h=market.feed_h,
        starts_ms=time_of_day_ms(scenario.start),
    )


@dataclass(frozen=True, slots=True)
class Fleet:
    """What does not change about each row: names, places and the car's constants. int64 columns of length n."""

    feeder: Ints
    """The number of its feeder; never falls from row to row."""
    is_session: NDArray[np.bool_]
    """False for a stationary battery."""
    session_id: tuple[str, ...]
    station_id: tuple[str, ...]
    vehicle_id: tuple[str, ...]
    strategy: tuple[str, ...]
    """The strategy mix each row is drawn from; the rows of a street's cars share one."""
    key: np.ndarray[tuple[int], np.dtype[np.uint64]]
    user_key: np.ndarray[tuple[int], np.dtype[np.uint64]]
    arrival_tick: Ints
    departure_tick: Ints
    departure_ms: Ints
    """The departure the car states."""
    need_ws: Ints
    max_w: Ints
    charger_max_w: Ints
    """What its charger can give, which may be more than it takes."""
    feed_w: Ints
    stored_ws: Ints
    """At arrival."""
    capacity_ws: Ints
    reserve_ws: Ints
    round_trip_permille: Ints
    wear_nanos_per_kwh: Ints
    tariff_nanos_per_kwh: Ints
    waiting_nanos_per_kwh_h: Ints
    """What it costs its owner when a kWh comes an hour later."""
    model: Ints
    """Each row's row in ``curves_w``, the cars' own charging curves: watts at each whole per cent."""
    curves_w: Ints

    def __len__(self) -> int:
        return len(self.session_id)

    @property
    def persons(self) -> dict[int, int]:
        """A session's key -> the key of the person who charges."""
        return dict(zip(self.key.tolist(), self.user_key.tolist(), strict=True))

    def rows_of(self, feeder: int) -> slice:
        """A feeder's rows."""
        first, last = np.searchsorted(self.feeder, (feeder, feeder + 1)).tolist()
        return slice(first, last)


_FLEETS: Final[WeakKeyDictionary[Street, Fleet]] = WeakKeyDictionary()


def fleet_of(street: Street) -> Fleet:
    """The rows of a street: the sessions and the stationary batteries of each of its feeders; made once."""
    if street not in _FLEETS:
        _FLEETS[street] = _fleet_of(street)
    return _FLEETS[street]


def _fleet_of(street: Street) -> Fleet:
    """The sessions of all feeders and then all batteries as columns, put into the order of the feeders."""
    sessions, cars = street.sessions, street.scenario.vehicles
    garage = garage_of(street.scenario, sessions.user_key, sessions.station_id)
    names, batteries = _batteries(street)
    n, m = len(sessions.session_id), len(batteries)
    numbers = np.arange(len(street.feeders))
    parts = [np.arange(n)[feeder.sessions] for feeder in street.feeders]
    of_sessions = np.repeat(numbers, [len(part) for part in parts])
    of_batteries = np.repeat(numbers, [len(each.batteries) for each in street.feeders])
    feeder = np.concatenate((of_sessions, of_batteries))
    sort = np.argsort(feeder, kind="stable")
    order = np.concatenate((*parts, np.arange(n, n + m)))[sort]
    target = round(cars.target_pct * 10)
    car_batteries_ws = capacity_ws(garage, sessions.energy_ws, cars)

    def column(of_cars: Ints | int, of_batteries: Sequence[int] | int) -> Ints:
        whole = np.empty(n + m, dtype=np.int64)
        whole[:n], whole[n:] = of_cars, of_batteries
        return whole[order]

    def listed(of_cars: Sequence[str], of_batteries: Sequence[str]) -> tuple[str, ...]:
        whole = (*of_cars, *of_batteries)
        return tuple([whole[row] for row in order.tolist()])

    keys = agent_keys(names)
    battery_ws = [battery.capacity_wh * WS_PER_WH for battery in batteries]
    battery_max_w = [battery.max_w for battery in batteries]
    return Fleet(
        feeder=feeder[sort],
        is_session=order < n,
        session_id=listed(sessions.session_id, names),
        station_id=listed(sessions.station_id, names),
        vehicle_id=listed(sessions.vehicle_id, names),
        strategy=listed([cars.strategy] * n, [battery.strategy for battery in batteries]),
        key=np.concatenate((sessions.key, keys))[order],
        user_key=np.concatenate((sessions.user_key, keys))[order],
        arrival_tick=column(sessions.arrival_tick, 0),
        departure_tick=column(sessions.departure_tick, NEVER_MS // street.tick_ms),
        departure_ms=column(sessions.stated_departure_ms, NEVER_MS),
        need_ws=column(sessions.energy_ws, 0),
        max_w=column(garage.max_w, battery_max_w),
        charger_max_w=column(garage.charger_max_w, battery_max_w),
        feed_w=column(np.minimum(cars.feed_w, garage.max_w), battery_max_w),
        stored_ws=column(
            car_batteries_ws * target // PERMILLE - sessions.energy_ws,
            [ws * ppm(battery.initial_pct) // PPM for ws, battery in zip(battery_ws, batteries, strict=True)],
        ),
        capacity_ws=column(car_batteries_ws, battery_ws),
        reserve_ws=column(
            car_batteries_ws * ppm(cars.reserve_pct) // PPM,
            [ws * ppm(battery.reserve_pct) // PPM for ws, battery in zip(battery_ws, batteries, strict=True)],
        ),
        round_trip_permille=column(round(cars.round_trip_pct * 10), [round(b.round_trip_pct * 10) for b in batteries]),
        wear_nanos_per_kwh=column(cars.wear_nanos_per_kwh, [battery.wear_nanos_per_kwh for battery in batteries]),
        tariff_nanos_per_kwh=column(cars.tariff_nanos_per_kwh, cars.tariff_nanos_per_kwh),
        waiting_nanos_per_kwh_h=column(waiting_cost(street.scenario.seed, sessions.key), 0),
        model=column(garage.model, len(garage.curves_w) - 1),
        curves_w=garage.curves_w,
    )


def _batteries(street: Street) -> tuple[list[str], list[Battery]]:
    """The stationary batteries of all feeders, and what each is called: nothing on its feeder has that name."""
    sessions, names = street.sessions, list[str]()
    for feeder in street.feeders:
        if feeder.batteries:
            columns = (sessions.session_id, sessions.station_id, sessions.vehicle_id)
            taken = frozenset(chain(*(column[feeder.sessions] for column in columns)))
            names += [apart(f"battery-{place}", taken) for place in range(1, len(feeder.batteries) + 1)]
    return names, [battery for feeder in street.feeders for battery in feeder.batteries]


class World:
    """All batteries and needs of a street, as they are at the present tick.

    Several streets, of the same rules and the same kind of cars, are one world, with their feeders numbered on.
    """

    def __init__(self, *streets: Street) -> None:
        firsts = np.cumsum([0, *(len(street.feeders) for street in streets)]).tolist()
        fleets = [fleet_of(street) for street in streets]
        numbered = [replace(fleet, feeder=fleet.feeder + at) for fleet, at in zip(fleets, firsts, strict=False)]
        self.fleet = replace(concatenated(numbered), curves_w=fleets[0].curves_w)
        self.feeder_rules = tuple(
            rules_of(street.scenario, feeder.transformer) for street in streets for feeder in street.feeders
        )
        """By feeder."""
        self.rules = self.feeder_rules[0]
        """What is common to all feeders is read from the first one's."""
        self.base_w = streets[0].base_w if len(streets) == 1 else np.concatenate([street.base_w for street in streets])
        """By feeder and tick; column 0 is the tick before the start."""
        self._curve = streets[0].scenario.vehicles.curve
        self.remaining_ws = self.fleet.need_ws.copy()
        self.baseline_ws = self.fleet.need_ws.copy()
        self.stored_ws = self.fleet.stored_ws.copy()
        self.departure_ms = self.fleet.departure_ms.copy()
        """When each car reckons to leave: as it stated, until its driver says otherwise."""
        self.sells = np.ones(len(self.fleet), dtype=bool)
        """Whether its driver lets it give way for pay."""
        self.least_ws = np.zeros(len(self.fleet), dtype=np.int64)
        """So much its driver wants in the battery before it does, and after it has fed."""
        self.has_wished = np.zeros(len(self.fleet), dtype=bool)
        self.drew = np.zeros(len(self.fleet), dtype=bool)
        self.imported_ws = np.zeros(len(self.fleet), dtype=np.int64)
        self.exported_ws = np.zeros(len(self.fleet), dtype=np.int64)
        self._before_the_start()
        self.arrivals = _rows_by_tick(np.maximum(self.fleet.arrival_tick, 0))
        self.departures = _rows_by_tick(self.fleet.departure_tick)
        self.plugged = np.zeros(0, dtype=np.int64)

    def _before_the_start(self) -> None:
        """Who plugged in before the run starts has charged unhindered until then."""
        tick_s = self.rules.tick_s
        early = np.flatnonzero(self.fleet.arrival_tick < 0)
        waiting = -self.fleet.arrival_tick[early]
        if self._curve == "flat":
            max_w, total_w = self.fleet.max_w[early], self.remaining_ws[early] // tick_s
            drawn_w = np.minimum(waiting * max_w, total_w)
            self.drew[early] = drawn_w > np.minimum((waiting - 1) * max_w, total_w)
            self._fill(early, drawn_w * tick_s)
            return
        while len(early):
            still = waiting > 0
            early, waiting = early[still], waiting[still] - 1
            power_w = physics.wanted_w(self.remaining_ws[early], self._takes_w(early), tick_s)
            early, waiting, power_w = early[power_w > 0], waiting[power_w > 0], power_w[power_w > 0]
            self.drew[early] = waiting == 0
            self._fill(early, power_w * tick_s)

    def _fill(self, rows: Ints, drawn_ws: Ints) -> None:
        """What these cars drew unhindered."""
        self.remaining_ws[rows] -= drawn_ws
        self.baseline_ws[rows] -= drawn_ws
        self.stored_ws[rows] += drawn_ws

    def rows_of(self, feeder: int) -> slice:
        """A feeder's rows."""
        return self.fleet.rows_of(feeder)

    def leave(self, tick: int) -> Ints:
        """Unplug who departs at this tick; their rows."""
        rows = self.departures.get(tick, _NOBODY)
        if len(rows):
            self.plugged = np.setdiff1d(self.plugged, rows, assume_unique=True)
        return rows

    def arrive(self, tick: int) -> Ints:
        """Plug in who arrives at this tick; their rows."""
        rows = self.arrivals.get(tick, _NOBODY)
        if len(rows):
            self.plugged = np.union1d(self.plugged, rows)
        return rows

    def wish(self, row: int, *, sells: bool, departure_ms: int, least_ws: int) -> None:
        """A driver says what the car is to do from now on."""
        self.sells[row], self.departure_ms[row], self.least_ws[row] = sells, departure_ms, least_ws
        self.has_wished[row] = True

    def may_sell(self, rows: Ints) -> NDArray[np.bool_]:
        """Which of these cars' drivers let them give way for pay now."""
        may: NDArray[np.bool_] = self.sells[rows] & (self.stored_ws[rows] >= self.least_ws[rows])
        return may

    def _reserve_ws(self, rows: Ints) -> Ints:
        """Below which these cars do not feed."""
        return np.maximum(self.fleet.reserve_ws[rows], self.least_ws[rows])

    def charging(self, tick: int) -> law.ChargingState:
        """Where the plugged cars stand at this tick, one row a plugged car."""
        return self.standing(self.plugged, tick)

    def standing(self, rows: Ints, tick: int) -> law.ChargingState:
        """Where these plugged cars stand at this tick."""
        fleet = self.fleet
        remaining_ws, baseline_ws = self.remaining_ws[rows], self.baseline_ws[rows]
        takes_w = baseline_takes_w = max_w = fleet.max_w[rows]
        if self._curve != "flat":
            takes_w = self._takes_w(rows)
            baseline_takes_w = self._takes_w(rows, remaining_ws - baseline_ws)
        now_ms = tick * self.rules.tick_ms
        return law.charging_state(
            remaining_ws, baseline_ws, takes_w, baseline_takes_w, max_w, self.departure_ms[rows], now_ms, self.rules
        )

    def _takes_w(self, rows: Ints, more_ws: Ints | int = 0) -> Ints:
        """The most these batteries take now, or would if they held ``more_ws``."""
        fleet, stored_ws = self.fleet, self.stored_ws[rows] + more_ws
        if self._curve == "taper":
            return physics.taper_w(stored_ws, fleet.capacity_ws[rows], fleet.max_w[rows])
        if self._curve == "model":
            return physics.curve_w(
                stored_ws, fleet.capacity_ws[rows], fleet.max_w[rows], fleet.curves_w, fleet.model[rows]
            )
        return fleet.max_w[rows]

    def own(self, rows: Ints, charging: law.ChargingState, owed_ws: Ints, now_ms: int) -> Own:
        """What the cars of these rows know of themselves; ``charging`` and ``owed_ws`` hold the same rows."""
        fleet = self.fleet
        return Own(
            key=fleet.key[rows],
            wanted_w=charging.wanted_w,
            baseline_w=charging.baseline_w,
            firm_w=charging.firm_w,
            floor_w=np.minimum(charging.firm_w, self.rules.min_w),
            max_w=fleet.max_w[rows],
            feed_w=fleet.feed_w[rows],
            remaining_ws=self.remaining_ws[rows],
            owed_ws=owed_ws,
            stored_ws=self.stored_ws[rows],
            capacity_ws=fleet.capacity_ws[rows],
            reserve_ws=self._reserve_ws(rows),
            laxity_ms=charging.due_ms - now_ms,
            round_trip_permille=fleet.round_trip_permille[rows],
            wear_nanos_per_kwh=fleet.wear_nanos_per_kwh[rows],
            tariff_nanos_per_kwh=fleet.tariff_nanos_per_kwh[rows],
            waiting_nanos_per_kwh_h=fleet.waiting_nanos_per_kwh_h[rows],
        )

    def move(self, charging: law.ChargingState, import_w: Ints, export_w: Ints) -> tuple[Ints, Ints]:
        """Let one tick pass under these grants of the plugged cars; what each really drew and fed, in watts."""
        rows, tick_s = self.plugged, self.rules.tick_s
        drawn_w = np.minimum(import_w, charging.wanted_w)
        drawn_ws = drawn_w * tick_s
        self.remaining_ws[rows] -= drawn_ws
        self.stored_ws[rows] += drawn_ws
        self.baseline_ws[rows] -= charging.baseline_w * tick_s
        self.imported_ws[rows] += drawn_ws
        self.drew[rows] = drawn_w > 0
        fed_w = self._feed(export_w) if np.count_nonzero(export_w) else export_w
        return drawn_w, fed_w

    def _feed(self, export_w: Ints) -> Ints:
        """A car feeds no further than to its owner's reserve, whatever it was told."""
        rows, tick_s = self.plugged, self.rules.tick_s
        fed_w = np.minimum(export_w, self._above_reserve_w(rows))
        drained_ws = physics.drained_ws(fed_w * tick_s, self.fleet.round_trip_permille[rows])
        self.stored_ws[rows] -= drained_ws
        self.remaining_ws[rows] += drained_ws
        self.exported_ws[rows] += fed_w * tick_s
        return fed_w

    def _above_reserve_w(self, rows: Ints) -> Ints:
        """What batteries hold above their owners' reserve, as power for one tick."""
        above_ws = np.maximum(self.stored_ws[rows] - self._reserve_ws(rows), 0)
        return physics.feedable_w(above_ws, self.fleet.round_trip_permille[rows], self.rules.tick_s)

    def feedable_w(self, rows: Ints) -> Ints:
        """What these cars could feed in the next tick, down to their owners' reserve."""
        return np.minimum(self.fleet.feed_w[rows], self._above_reserve_w(rows))


def fallback_unsafe_w(fleet: Fleet, short_w: Ints, guaranteed_w: int) -> int:
    """Watts missing at the worst moment even with every car at its guaranteed minimum; 0 when safe.

    ``short_w`` is by how much the homes of each feeder exceed its limit then; negative is room.
    """
    rows = np.flatnonzero(fleet.is_session).tolist()
    places = {(int(fleet.feeder[row]), fleet.station_id[row]) for row in rows}
    feeders = np.array([feeder for feeder, _ in places], dtype=np.int64)
    stations = np.bincount(feeders, minlength=len(short_w))
    return max(int((short_w + stations * guaranteed_w).max()), 0)


_NOBODY: Final = np.zeros(0, dtype=np.int64)


def _rows_by_tick(ticks: Ints) -> dict[int, Ints]:
    """The rows that share a tick, in row order."""
    order = np.argsort(ticks, kind="stable")
    changes = np.flatnonzero(np.diff(ticks[order])) + 1
    return {int(ticks[rows[0]]): rows for rows in np.split(order, changes) if len(rows)}
