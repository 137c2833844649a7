"""The cars and batteries of a street as the auditor of records follows them, in plain integers.

They are written here a second time: they share no code with what is audited.
"""

from __future__ import annotations

from dataclasses import dataclass

from wattswap.runners.scenario import Street


@dataclass
class CheckedCar:
    """One row of the street as the auditor follows it."""

    name: str
    station: str
    vehicle: str
    arrives: int
    departs: int | None
    """None for what never departs."""
    due_ms: int
    """The departure it tells."""
    need_ws: int
    max_w: int
    feed_w: int
    stored_ws: int
    capacity_ws: int
    reserve_ws: int
    round_trip_permille: int
    tapers: bool
    remaining_ws: int = 0
    baseline_ws: int = 0
    imported_ws: int = 0
    exported_ws: int = 0
    deferred_ws: int = 0
    wanted_w: int = 0
    baseline_w: int = 0
    firm_w: int = 0
    laxity_ms: int = 0

    def stand(self, now_ms: int, tick_s: int, guard_ms: int) -> None:
        """Reckon what it wants, what its baseline is and what it may draw unasked in the tick to come."""
        behind_ws = self.remaining_ws - self.baseline_ws
        self.wanted_w = min(self.takes_w(self.stored_ws), self.remaining_ws // tick_s)
        self.baseline_w = min(self.takes_w(self.stored_ws + behind_ws), self.baseline_ws // tick_s)
        self.laxity_ms = self.due_ms - now_ms - -(-self.remaining_ws * 1000 // self.max_w)
        self.firm_w = min(self.baseline_w, self.wanted_w) if self.laxity_ms > guard_ms else self.wanted_w

    def takes_w(self, stored_ws: int) -> int:
        """The most its battery takes: all up to 80 %, from there down to a fifth at 100 %."""
        soc = min(max(stored_ws * 1000 // self.capacity_ws, 0), 1000)
        return self.max_w * (1000 - 4 * max(soc - 800, 0)) // 1000 if self.tapers else self.max_w

    def draw(self, import_w: int, tick_s: int) -> None:
        """Let it draw for a tick; its baseline goes on beside it."""
        self.baseline_ws -= self.baseline_w * tick_s
        self.remaining_ws -= import_w * tick_s
        self.stored_ws += import_w * tick_s
        self.imported_ws += import_w * tick_s

    def feed(self, export_w: int, tick_s: int) -> None:
        """Let it feed for a tick, which drains more than arrives."""
        drained_ws = -(-export_w * tick_s * 1000 // self.round_trip_permille)
        self.remaining_ws += drained_ws
        self.stored_ws -= drained_ws
        self.exported_ws += export_w * tick_s


def cars_of(street: Street) -> list[CheckedCar]:
    """The street's sessions in file order, then its batteries; all cars alike, as they are without models."""
    assert street.scenario.vehicles.curve != "model"
    scenario, sessions = street.scenario, street.sessions
    vehicles, max_w = scenario.vehicles, scenario.chargers.max_w
    target_permille = round(vehicles.target_pct * 10)
    cars = []
    for row, name in enumerate(sessions.session_id):
        need_ws = int(sessions.energy_ws[row])
        capacity_ws = max(vehicles.capacity_wh * 3600, -(-need_ws * 1000 // max(target_permille - 100, 1)))
        cars.append(
            CheckedCar(
                name=name,
                station=sessions.station_id[row],
                vehicle=sessions.vehicle_id[row],
                arrives=int(sessions.arrival_tick[row]),
                departs=int(sessions.departure_tick[row]),
                due_ms=int(sessions.stated_departure_ms[row]),
                need_ws=need_ws,
                max_w=max_w,
                feed_w=min(vehicles.feed_w, max_w),
                stored_ws=capacity_ws * target_permille // 1000 - need_ws,
                capacity_ws=capacity_ws,
                reserve_ws=capacity_ws * ppm(vehicles.reserve_pct) // 1_000_000,
                round_trip_permille=round(vehicles.round_trip_pct * 10),
                tapers=vehicles.curve == "taper",
                remaining_ws=need_ws,
                baseline_ws=need_ws,
            )
        )
    for number, battery in enumerate(scenario.battery, start=1):
        capacity_ws = battery.capacity_wh * 3600
        cars.append(
            CheckedCar(
                name=f"battery-{number}",
                station=f"battery-{number}",
                vehicle=f"battery-{number}",
                arrives=0,
                departs=None,
                due_ms=1 << 42,
                need_ws=0,
                max_w=battery.max_w,
                feed_w=battery.max_w,
                stored_ws=capacity_ws * ppm(battery.initial_pct) // 1_000_000,
                capacity_ws=capacity_ws,
                reserve_ws=capacity_ws * ppm(battery.reserve_pct) // 1_000_000,
                round_trip_permille=round(battery.round_trip_pct * 10),
                tapers=vehicles.curve == "taper",
            )
        )
    return cars


def ppm(pct: float) -> int:
    """A percentage in parts per million."""
    return round(pct * 10_000)
