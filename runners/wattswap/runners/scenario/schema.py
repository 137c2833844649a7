"""The scenario file, key by key: what may be written in it, and what holds when a key is left out.

Units stand in the names. Percentages may be whole or decimal numbers, every other figure is an integer. Each figure's
type says its range; how keys must fit together stands in :mod:`.checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from wattswap.protocol.units import MOST_NANOS, MOST_W, NANOS_PER_IOTA, PPM, PRICE_TICK_NANOS

DAY_S: Final = 86_400

SchemaVersion = Annotated[
    int, Meta(ge=1, le=1, description="this version reads schema 1; write schema = 1 or use a newer wattswap")
]
Days = Annotated[int, Meta(ge=1, le=3_660)]
FurtherHours = Annotated[int, Meta(ge=0, le=23)]
ShiftDays = Annotated[int, Meta(ge=-36_500, le=36_500)]
Seed = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Seconds = Annotated[int, Meta(ge=0, le=DAY_S)]
SomeSeconds = Annotated[int, Meta(ge=1, le=DAY_S)]
WeekSeconds = Annotated[int, Meta(ge=0, le=7 * DAY_S)]
Milliseconds = Annotated[int, Meta(ge=0, le=DAY_S * 1000)]
SomeMilliseconds = Annotated[int, Meta(ge=1, le=DAY_S * 1000)]
Hours = Annotated[int, Meta(ge=0, le=1_000_000)] | Annotated[float, Meta(ge=0, le=1_000_000)]
PerDay = Annotated[int, Meta(ge=0, le=10_000)] | Annotated[float, Meta(ge=0, le=10_000)]
Power = Annotated[int, Meta(ge=0, le=MOST_W)]
SomePower = Annotated[int, Meta(ge=1, le=MOST_W)]
Limit = Annotated[int, Meta(ge=-MOST_W, le=MOST_W)]
Capacity = Annotated[int, Meta(ge=1, le=10_000_000_000)]
WattHoursPerKm = Annotated[int, Meta(ge=50, le=1_000)]
Fraction = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)]
Phases = Annotated[int, Meta(ge=1, le=3)]
Volts = Annotated[int, Meta(ge=1, le=1_000)]
Amperes = Annotated[int, Meta(ge=0, le=1_000)]
Celsius = Annotated[int, Meta(ge=-90, le=90)] | Annotated[float, Meta(ge=-90, le=90)]
Percent = Annotated[int, Meta(ge=0, le=100)] | Annotated[float, Meta(ge=0, le=100)]
SomePercent = Annotated[int, Meta(ge=1, le=100)] | Annotated[float, Meta(ge=1, le=100)]
TargetPercent = Annotated[int, Meta(ge=11, le=100)] | Annotated[float, Meta(ge=11, le=100)]
"""Above the 10 % of charge that no car arrives below."""
DriftPercent = Annotated[int, Meta(ge=0, le=20)] | Annotated[float, Meta(ge=0, le=20)]
Price = Annotated[int, Meta(ge=0, le=1_000_000 * NANOS_PER_IOTA, multiple_of=PRICE_TICK_NANOS)]
"""Nanos per kWh, on the price tick."""
RentPrice = Annotated[int, Meta(ge=0, le=1_000 * NANOS_PER_IOTA, multiple_of=PRICE_TICK_NANOS)]
"""Nanos per kWh and hour, on the price tick; a day of waiting at the highest price fits into 64 bits."""
FeedHours = Annotated[int, Meta(ge=1, le=24)]
Cars = Annotated[int, Meta(ge=0, le=100_000)]
Homes = Annotated[int, Meta(ge=0, le=100_000)]
Funds = Annotated[int, Meta(ge=0, le=MOST_NANOS // NANOS_PER_IOTA)]
"""IOTA tokens."""
SomeYears = Annotated[int, Meta(ge=1, le=100)]
Rate = Annotated[int, Meta(ge=0, le=1_000_000)] | Annotated[float, Meta(ge=0, le=1_000_000)]
Shape = Literal["ramp", "step"]
Format = Literal["wattswap", "acn", "trondheim"]

_FROM_RATING: Final = -(1 << 62)
_LIMIT_OF_RATING_PCT: Final = 95


def ppm(pct: float) -> int:
    """A percentage as an integer number of millionths, so that nothing after the file computes with floats."""
    return round(pct * (PPM // 100))


def share_of(amount: int, pct: float) -> int:
    """``pct`` per cent of an integer amount, in the amount's unit, rounded down."""
    return amount * ppm(pct) // PPM


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file. Frozen: a scenario is a value, a changed one is another scenario."""


class TransformerTable(_Table, frozen=True, kw_only=True):
    """The feeder's transformer, its limit and how it buys relief."""

    rating_va: SomePower = 400_000
    limit_w: Limit = _FROM_RATING
    """What the feeder may carry; 0.95 x rating_va where the file is silent. May be 0 or negative."""
    margin_pct: Percent = 4
    clearing: Literal["next", "uniform", "pay-as-bid", "vcg", "posted", "none"] = "next"
    """What winners are paid: the next ask that won nothing, the highest accepted ask, or each its own."""
    funds_iota: Funds = 100_000
    ambient_c: Celsius = 20
    """Temperature around the transformer where no file tells it; like the file, for the ageing figure only."""
    ambient_csv: str = ""
    """The temperature of the days: columns ``timestamp``, ``temp_c``. ``""`` is no file."""
    paper: Literal["normal", "upgraded"] = "normal"
    """The winding's insulation: thermally upgraded paper ages at 98 degrees as slowly as normal paper at 87."""
    upgrade_eur: Rate = 20_000
    """What the next larger transformer would cost, put in its place (an assumption)."""
    upgrade_years: SomeYears = 40
    interest_pct: Percent = 4

    def __post_init__(self) -> None:
        if self.limit_w == _FROM_RATING:
            msgspec.structs.force_setattr(self, "limit_w", self.rating_va * _LIMIT_OF_RATING_PCT // 100)


class BaseTable(_Table, frozen=True, kw_only=True):
    """Homes (one or many, summed) behind one meter: a profile in kW, the sun subtracted. ``""`` is no file."""

    household_csv: str = ""
    homes: Homes = 0
    """In place of a file: so many homes, drawn by the seed from the recorded ones that come with the package."""
    pv_csv: str = ""
    shape: Shape = "ramp"
    noise_pct: Percent = 2
    beyond: Literal["refuse", "week-before"] = "refuse"
    """Where the run goes on beyond a file's last row: not at all, or with what the file has seven days earlier."""


class HouseholdTable(BaseTable, frozen=True, kw_only=True):
    """Further homes, behind a meter of their own."""

    feeder: str = ""
    """The feeder they are on; needed where there are several. So it is of batteries and events."""


class SessionsFile(_Table, frozen=True, kw_only=True):
    """Where the charging sessions come from, and when and by whose clock they happen here."""

    csv: str = ""
    """The file, JSON where the format is ``acn``; ``""`` is no file and so no cars."""
    format: Format = "wattswap"
    """``acn``: raw JSON of ACN-Data in either layout; ``trondheim``: the raw report of those buildings."""
    shift_days: ShiftDays = 0
    """So many days later than recorded, at the same time of day; a multiple of 7 keeps the day of the week."""
    zone: str = ""
    """The zone whose clocks show the recorded times of day here (``Europe/Oslo``); ``""`` is where it was recorded."""
    generate: Cars = 0
    """In place of a file: so many cars charge like those of the bundled week."""
    generate_pct: Percent = 0
    """The same for a share of the homes, in place of a number of cars."""
    homes: Cars = 0
    """How many homes the share is of."""
    resample: Literal["no", "yes"] = "no"
    """``yes``: the recorded users are drawn anew by the seed, with replacement, each with all its sessions."""

    @property
    def generated_cars(self) -> int:
        """How many cars are to be drawn; 0 where sessions are read."""
        return self.generate or share_of(self.homes, self.generate_pct)


class Chargers(_Table, frozen=True, kw_only=True):
    """What every charger of the street can do."""

    max_w: SomePower = 11_000
    phases: Phases = 3
    voltage_v: Volts = 230
    min_a: Amperes = 6
    guaranteed_w: Power = 0
    """What each charger may draw when nobody answers it, and what the last resort leaves it."""
    csv: str = ""
    """Stations with a power of their own: columns ``station``, ``max_w``, and ``phases``, ``dc`` where they differ."""


class ChargerTable(_Table, frozen=True, kw_only=True):
    """A station with a power of its own. One that gives less than ``[chargers]`` asks at least is on or off."""

    station: str
    max_w: SomePower = 11_000
    phases: Phases = 3
    dc: bool = False
    """Direct current: the car's own AC limit does not matter."""
    min_a: Amperes = 0
    """That of ``[chargers]``, which is the same for the whole street; 0 says nothing."""


class Vehicles(_Table, frozen=True, kw_only=True):
    """What holds for every car; sessions record no battery, so its size is assumed."""

    strategy: str = "need:0.8+prosumer:0.2"
    curve: Literal["flat", "taper", "model"] = "flat"
    """``flat``: full power to the end; ``taper``: one fixed table for all; ``model``: the car's own, see ``model``."""
    model: str = ""
    """A bundled car, or several with shares; its battery counts then instead of ``capacity_wh``, and its AC limit."""
    departure: str = "actual"
    """``actual``, ``stated`` (column estimated_departure) or ``error:2h`` (a standard deviation): what cars expect."""
    disclose: Literal["nothing", "departure", "feeding"] = "nothing"
    """What a car tells of its plans; some controllers cannot do without its ``departure``."""
    capacity_wh: Capacity = 60_000
    target_pct: TargetPercent = 80
    reserve_pct: Percent = 30
    feed_w: Power = 11_000
    round_trip_pct: SomePercent = 88
    wear_nanos_per_kwh: Price = 500_000_000
    tariff_nanos_per_kwh: Price = 3_000_000_000
    funds_iota: Funds = 1_000
    guard_s: WeekSeconds = 1_800
    wh_per_km: WattHoursPerKm = 180
    """What a driver's wish for a range is reckoned with; it decides nothing else."""


class Market(_Table, frozen=True, kw_only=True):
    """The constants of a round."""

    deadline_ms: SomeMilliseconds = 2_000
    lease_s: Seconds = 0
    """How long a grant holds without renewal; 0 is three readings."""
    drift_pct: DriftPercent = 2
    """By how much two clocks' rates may differ."""
    release_pct: Percent = 2
    reserve_nanos_per_kwh_h: RentPrice = 1_000_000_000
    """No ask above it is bought; it is fixed, and told when the round is over."""
    feed_h: FeedHours = 2
    """Fed energy is paid as if each kWh waited for so many hours."""
    eur_per_iota: Rate = 0.1
    """Euros shown beside tokens, and nothing else: it decides nothing. 0 shows none."""


class FaultsTable(_Table, frozen=True, kw_only=True):
    """What goes wrong in a run of the messages engine; rates are per agent and day. Drawn from the scenario's seed."""

    loss_pct: Percent = 0
    repeat_pct: Percent = 0
    delay_ms: Milliseconds = 0
    crashes_per_day: PerDay = 0
    freezes_per_day: PerDay = 0
    cuts_per_day: PerDay = 0
    outage_s: SomeSeconds = 180
    drift_pct: DriftPercent = 0
    hours: Hours = 0
    """Only in the first so many hours; 0 is the whole run."""


class LedgerTable(_Table, frozen=True, kw_only=True):
    """What a run puts on its ledger beside its payments, and how long it waits for it."""

    anchor: Literal["auto", "full", "root", "none"] = "auto"
    """Meter records: ``full`` readings in the open, ``root`` only what proves them; ``auto`` is ``root``, and ``none``
    where the run's ledger is its memory."""
    anchor_s: SomeSeconds = 30
    """Between two records; rounded up to whole readings."""
    pay: Literal["departure", "each"] = "departure"
    """When a reward reaches its car's wallet: netted with the bill at departure, or as soon as it is earned."""
    drain_s: Seconds = 60
    """So long the end of a run waits for a ledger that decides nothing more."""


class Battery(_Table, frozen=True, kw_only=True):
    """A stationary battery: it offers like a car that never leaves."""

    capacity_wh: Capacity
    max_w: SomePower
    reserve_pct: Percent = 20
    strategy: str = "prosumer"
    initial_pct: Percent = 80
    feeder: str = ""
    round_trip_pct: SomePercent = 88
    wear_nanos_per_kwh: Price = 500_000_000
    target_pct: Percent = 100


class Event(_Table, frozen=True, kw_only=True):
    """From one instant to another the limit is a different one; where two overlap, the later in the file holds."""

    from_: datetime = msgspec.field(name="from")
    to: datetime
    limit_w: Limit
    feeder: str = ""


class FeederSessions(SessionsFile, frozen=True, kw_only=True):
    """The charging sessions of one of several feeders: those of a file of its own, or a share of the common file's."""

    share: Fraction = 0
    """The fraction of the common file's stations that are on this feeder; 0 is an equal part of what others leave."""


class FeederTable(_Table, frozen=True, kw_only=True):
    """One of several feeders. What it leaves out, key by key, it takes from the file's tables of the same names."""

    name: str
    seed: Seed = 0
    """Its homes and cars are drawn, and its homes flicker, apart from all others; 0: as the file's seed alone says."""
    transformer: TransformerTable = TransformerTable()
    base: BaseTable = BaseTable()
    sessions: FeederSessions = FeederSessions()


OnFeederT = TypeVar("OnFeederT", HouseholdTable, Battery, Event)


class Scenario(_Table, frozen=True, kw_only=True):
    """A whole scenario file."""

    schema: SchemaVersion = 1
    name: str = ""
    """The file's own name where the file is silent."""
    start: datetime
    days: Days = 7
    hours: FurtherHours = 0
    """So much longer than ``days``, so that those who plugged in on the last evening are seen to leave."""
    zone: str = ""
    """The street's time zone, as ``Europe/Berlin``: by its clocks go its days, and times without an offset."""
    seed: Seed = 1
    reading_s: SomeSeconds = 30
    window_s: SomeSeconds = 300
    transformer: TransformerTable = TransformerTable()
    base: BaseTable = BaseTable()
    household: tuple[HouseholdTable, ...] = ()
    sessions: SessionsFile = SessionsFile()
    chargers: Chargers = Chargers()
    vehicles: Vehicles = Vehicles()
    market: Market = Market()
    faults: FaultsTable = FaultsTable()
    ledger: LedgerTable = LedgerTable()
    battery: tuple[Battery, ...] = ()
    charger: tuple[ChargerTable, ...] = ()
    event: tuple[Event, ...] = ()
    feeder: tuple[FeederTable, ...] = ()
    inputs: dict[str, str] = {}
    """File name -> sha256, written into the scenario of a run: reading it back refuses files that have changed."""

    @property
    def feeders(self) -> tuple[FeederTable, ...]:
        """The feeders, in the order of the file; a file that lists none is one feeder without a name."""
        if self.feeder:
            return self.feeder
        file = self.sessions
        sessions = FeederSessions(
            format=file.format,
            shift_days=file.shift_days,
            zone=file.zone,
            generate=file.generate,
            generate_pct=file.generate_pct,
            homes=file.homes,
            resample=file.resample,
        )
        return (FeederTable(name="", transformer=self.transformer, base=self.base, sessions=sessions),)

    def households_of(self, feeder: FeederTable) -> tuple[BaseTable, ...]:
        """The metered homes of a feeder: its [base] first, where it names a file or a number.

        Number i of them draws its noise as ``household-<i>``, counted from 0 on each feeder.
        """
        has_base = bool(feeder.base.household_csv or feeder.base.homes)
        return ((feeder.base,) if has_base else ()) + self.on(feeder, self.household)

    def on(self, feeder: FeederTable, listed: tuple[OnFeederT, ...]) -> tuple[OnFeederT, ...]:
        """Those of these households, batteries or events that are on a feeder."""
        return tuple(each for each in listed if each.feeder in ("", feeder.name))

    def only(self, numbers: Sequence[int]) -> Scenario:
        """The scenario with the feeders of these numbers alone, and what is on them."""
        feeders = tuple(self.feeder[number] for number in numbers)
        names = {"", *(feeder.name for feeder in feeders)}
        household, battery, event = (
            tuple(each for each in listed if each.feeder in names)
            for listed in (self.household, self.battery, self.event)
        )
        return msgspec.structs.replace(self, feeder=feeders, household=household, battery=battery, event=event)
