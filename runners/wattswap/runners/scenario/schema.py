"""The scenario file, key by key: what may be written in it, and what holds when a key is left out.

Units stand in the names. Percentages may be whole or decimal numbers, every other figure is an integer. What one
field cannot say alone (ranges, fields that must fit together) stands in :mod:`.checks`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from wattswap.protocol.units import PPM

Percent = int | float
Shape = Literal["ramp", "step"]
Format = Literal["wattswap", "acn", "trondheim"]

_FROM_RATING: Final = -(1 << 62)
_LIMIT_OF_RATING_PCT: Final = 95


def ppm(pct: Percent) -> int:
    """A percentage as an integer number of millionths, so that nothing after the file computes with floats."""
    return round(pct * (PPM // 100))


def share_of(amount: int, pct: Percent) -> int:
    """``pct`` per cent of an integer amount, in the amount's unit, rounded down."""
    return amount * ppm(pct) // PPM


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file. Frozen: a scenario is a value, a changed one is another scenario."""


class TransformerTable(_Table, frozen=True, kw_only=True):
    """The feeder's transformer, its limit and how it buys relief."""

    rating_va: int = 400_000
    limit_w: int = _FROM_RATING
    """What the feeder may carry; 0.95 x rating_va where the file is silent. May be 0 or negative."""
    margin_pct: Percent = 4
    clearing: Literal["next", "uniform", "pay-as-bid"] = "next"
    """What winners are paid: the next ask that won nothing, the highest accepted ask, or each its own."""
    funds_iota: int = 100_000
    ambient_c: Percent = 20
    """Temperature around the transformer, for the ageing figure only."""

    def __post_init__(self) -> None:
        if self.limit_w == _FROM_RATING:
            msgspec.structs.force_setattr(self, "limit_w", self.rating_va * _LIMIT_OF_RATING_PCT // 100)


class HouseholdTable(_Table, frozen=True, kw_only=True):
    """Homes (one or many, summed) behind one meter: a profile in kW, the sun subtracted. ``""`` is no file."""

    household_csv: str = ""
    pv_csv: str = ""
    shape: Shape = "ramp"
    noise_pct: Percent = 2


class SessionsFile(_Table, frozen=True, kw_only=True):
    """Where the charging sessions come from, and when and by whose clock they happen here."""

    csv: str
    """The file, JSON where the format is ``acn``."""
    format: Format = "wattswap"
    """``acn``: raw JSON of ACN-Data in either layout; ``trondheim``: the raw report of those buildings."""
    shift_days: int = 0
    """So many days later than recorded, at the same time of day; a multiple of 7 keeps the day of the week."""
    zone: str = ""
    """The zone whose clocks show the recorded times of day here (``Europe/Oslo``); ``""`` is where it was recorded."""


class Chargers(_Table, frozen=True, kw_only=True):
    """What every charger of the street can do."""

    max_w: int = 11_000
    phases: int = 3
    voltage_v: int = 230
    min_a: int = 6
    guaranteed_w: int = 0
    """What each charger may draw when nobody answers it, and what the last resort leaves it."""


class Vehicles(_Table, frozen=True, kw_only=True):
    """What holds for every car; sessions record no battery, so its size is assumed."""

    strategy: str = "need:0.8+prosumer:0.2"
    curve: Literal["flat", "taper", "model"] = "flat"
    """``flat``: full power to the end; ``taper``: one fixed table for all; ``model``: the car's own, see ``model``."""
    model: str = ""
    """A bundled car, or several with shares; its battery counts then instead of ``capacity_wh``, and its AC limit."""
    departure: str = "actual"
    """``actual``, ``stated`` (column estimated_departure) or ``error:2h`` (a standard deviation): what cars expect."""
    disclose: Literal["nothing", "departure"] = "nothing"
    """What a car tells of its plans; some controllers cannot do without its ``departure``."""
    capacity_wh: int = 60_000
    target_pct: Percent = 80
    reserve_pct: Percent = 30
    feed_w: int = 11_000
    round_trip_pct: Percent = 88
    wear_nanos_per_kwh: int = 500_000_000
    tariff_nanos_per_kwh: int = 3_000_000_000
    funds_iota: int = 1_000
    guard_s: int = 1_800


class Market(_Table, frozen=True, kw_only=True):
    """The constants of a round."""

    deadline_ms: int = 2_000
    lease_s: int = 0
    """How long a grant holds without renewal; 0 is three readings."""
    drift_pct: Percent = 2
    """By how much two clocks' rates may differ."""
    release_pct: Percent = 2
    reserve_nanos_per_kwh_h: int = 1_000_000_000
    """No ask above it is bought; it is fixed, and told when the round is over."""
    feed_h: int = 2
    """Fed energy is paid as if each kWh waited for so many hours."""


class FaultsTable(_Table, frozen=True, kw_only=True):
    """What goes wrong in a run of the messages engine; rates are per agent and day. Drawn from the scenario's seed."""

    loss_pct: Percent = 0
    repeat_pct: Percent = 0
    delay_ms: int = 0
    crashes_per_day: Percent = 0
    freezes_per_day: Percent = 0
    cuts_per_day: Percent = 0
    outage_s: int = 180
    drift_pct: Percent = 0
    hours: Percent = 0
    """Only in the first so many hours; 0 is the whole run."""


class LedgerTable(_Table, frozen=True, kw_only=True):
    """What a run puts on its ledger beside its payments, and how long it waits for it."""

    anchor: Literal["auto", "full", "root", "none"] = "auto"
    """Meter records: ``full`` readings in the open, ``root`` only what proves them; ``auto`` is ``full`` on a ledger
    of one's own, ``root`` on any other, and ``none`` where the run's ledger is its memory."""
    anchor_s: int = 30
    """Between two records; rounded up to whole readings."""
    drain_s: int = 60
    """So long the end of a run waits for a ledger that decides nothing more."""


class Battery(_Table, frozen=True, kw_only=True):
    """A stationary battery: it offers like a car that never leaves."""

    capacity_wh: int
    max_w: int
    reserve_pct: Percent = 20
    strategy: str = "prosumer"
    initial_pct: Percent = 80
    feeder: int = 0
    round_trip_pct: Percent = 88
    wear_nanos_per_kwh: int = 500_000_000
    target_pct: Percent = 100


class Event(_Table, frozen=True, kw_only=True):
    """From one instant to another the limit is a different one; where two overlap, the later in the file holds."""

    from_: datetime = msgspec.field(name="from")
    to: datetime
    limit_w: int


class Scenario(_Table, frozen=True, kw_only=True):
    """A whole scenario file."""

    schema: int = 1
    name: str = ""
    """The file's own name where the file is silent."""
    start: datetime
    days: int = 7
    seed: int = 1
    reading_s: int = 30
    window_s: int = 300
    transformer: TransformerTable = TransformerTable()
    base: HouseholdTable = HouseholdTable()
    household: tuple[HouseholdTable, ...] = ()
    sessions: SessionsFile
    chargers: Chargers = Chargers()
    vehicles: Vehicles = Vehicles()
    market: Market = Market()
    faults: FaultsTable = FaultsTable()
    ledger: LedgerTable = LedgerTable()
    battery: tuple[Battery, ...] = ()
    event: tuple[Event, ...] = ()
    inputs: dict[str, str] = {}
    """File name -> sha256, written into the scenario of a run: reading it back refuses files that have changed."""

    @property
    def households(self) -> tuple[HouseholdTable, ...]:
        """Every metered household in the order of the base load's rows: [base] first, where it names a file.

        Row i draws its noise as ``household-<i>``, counted from 0.
        """
        return ((self.base,) if self.base.household_csv else ()) + self.household
