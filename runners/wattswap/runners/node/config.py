"""The configuration of an agent on its own machine: one TOML file, unknown keys refused with the nearest name.

Relative paths are relative to the file. A node listens where others connect to it (transformer, charger) and connects
to the one above it (charger, household: the transformer; vehicle: its charger), whose address is found by discovery
unless it is written down.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from wattswap.agents.rules import Rules
from wattswap.protocol.errors import InputError
from wattswap.runners.node.drivers.document import JsonFields
from wattswap.runners.node.page_tables import DriverPageTable, GrantPageTable, Port, StreetPageTable
from wattswap.runners.node.roles import Role
from wattswap.runners.scenario.keys import Origin, refuse_misfits
from wattswap.runners.scenario.schema import (
    Amperes,
    Capacity,
    Funds,
    Limit,
    Percent,
    Phases,
    Power,
    Price,
    Seed,
    SomePercent,
    SomePower,
    Volts,
    share_of,
)

BeatMs = Annotated[int, Meta(ge=1_000, le=60_000)]
DeadlineMs = Annotated[int, Meta(ge=50, le=60_000)]
SomePort = Annotated[int, Meta(ge=1, le=65_535)]
Beats = Annotated[int, Meta(ge=3, le=100)]

DEFAULT_PORT: Final = 9_700
_MOST_BATTERY_C: Final = 60


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class ListenTable(_Section, frozen=True, kw_only=True):
    """Where others connect to this node."""

    host: str = "0.0.0.0"  # noqa: S104 - a node serves its network
    port: Port = 0
    """0: the default port; where discovery announces the node, a free one if that is taken."""


class UpstreamTable(_Section, frozen=True, kw_only=True):
    """Whom this node connects to."""

    name: str
    """The agent above: it must be in ``trusted/``."""
    host: str = ""
    """Empty: found by discovery."""
    port: SomePort = DEFAULT_PORT


class DiscoveryTable(_Section, frozen=True, kw_only=True):
    """Multicast DNS."""

    use: Literal["yes", "no"] = "yes"
    interfaces: str = ""
    """Addresses of this machine, with spaces between them; empty: all but the loopback's."""


class MarketTable(_Section, frozen=True, kw_only=True):
    """What all nodes of a street must agree on."""

    beat_ms: BeatMs = 1_000
    window_beats: Beats = 60
    lease_beats: Beats = 5
    deadline_ms: DeadlineMs = 400
    """How long offers are waited for; four ways through the network, and less than a beat."""
    guard_s: Annotated[int, Meta(ge=0, le=86_400)] = 1_800
    margin_pct: Percent = 4

    @property
    def phase_ms(self) -> int:
        """How long after the beat the transformer ticks: the reports are in by then, and its round ends in the beat."""
        return min(self.beat_ms // 4, (self.beat_ms - self.deadline_ms) // 2)


class SiteTable(_Section, frozen=True, kw_only=True):
    """The transformer's site account and its limit."""

    limit_w: Limit
    """What the street may draw; 0: an island that lives on what it feeds, negative: one that must feed so much."""
    funds_iota: Funds = 1_000
    tariff_nanos_per_kwh: Price = 3_000_000_000
    seed: Seed = 1
    charger_max_w: SomePower = 22_000
    """The most that a charging point of this street draws. Who claims more is taken for this much."""


class TokensTable(_Section, frozen=True, kw_only=True):
    """Where the transformer's book is paid."""

    where: str = ""
    """``sqlite:FILE``, beside this file, or the URL of a local devnet's IOTA node. Empty: tokens stay in the book."""
    pay: Literal["departure", "each"] = "departure"
    """Rewards are netted with the bill when the car leaves, or each is paid as soon as it is earned."""
    allow: str = ""
    """The chain's id, to pay on another network than a devnet: its tokens may be money."""
    wallets: str = "wallets"
    """There, the folder of ``site.key``, ``gas.key`` and ``anchors.key``."""
    payees: dict[str, str] = {}
    """There, the address of each car's wallet: only its owner has the key, so nothing is ever taken out of it."""


class PointTable(_Section, frozen=True, kw_only=True):
    """A charging point."""

    max_w: SomePower = 11_000
    phases: Phases = 3
    voltage_v: Volts = 230
    min_a: Amperes = 6
    guaranteed_w: Power = 0
    driver_file: str = "driver.json"
    """What the driver wants: a JSON object with need_wh and departure (ISO 8601 with offset), read when a car plugs in.
    Without the file: the two that follow."""
    need_wh: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    stay_h: Annotated[int, Meta(ge=1, le=168)] = 8


class CarTable(_Section, frozen=True, kw_only=True):
    """A car."""

    strategy: str = "need"
    capacity_wh: Capacity = 60_000
    reserve_pct: Percent = 30
    feed_w: Power = 0
    round_trip_pct: Percent = 88
    wear_nanos_per_kwh: Price = 500_000_000
    tariff_nanos_per_kwh: Price = 3_000_000_000
    seed: Seed = 1


class BatteryTable(_Section, frozen=True, kw_only=True):
    """A stationary battery: a car that never leaves, at a charging point of its own."""

    capacity_wh: Capacity
    max_w: SomePower
    """Of its inverter, in both directions."""
    strategy: str = "prosumer"
    reserve_pct: Percent = 20
    initial_pct: Percent = 80
    """How full it is when the agent starts for the first time; it is filled up to here again."""
    round_trip_pct: SomePercent = 88
    wear_nanos_per_kwh: Price = 500_000_000
    tariff_nanos_per_kwh: Price = 3_000_000_000
    seed: Seed = 1

    @property
    def car(self) -> CarTable:
        """What it is as a car."""
        return CarTable(
            strategy=self.strategy,
            capacity_wh=self.capacity_wh,
            reserve_pct=self.reserve_pct,
            feed_w=self.max_w,
            round_trip_pct=self.round_trip_pct,
            wear_nanos_per_kwh=self.wear_nanos_per_kwh,
            tariff_nanos_per_kwh=self.tariff_nanos_per_kwh,
            seed=self.seed,
        )


class DeviceTable(_Section, frozen=True, kw_only=True):
    """The meter and, at a charging point, what sets its power."""

    kind: Literal["simulated", "file", "stdin", "http", "mqtt"] = "simulated"
    source: str = ""
    """A file, an address, or a broker's host, by the kind."""
    allow: str = ""
    """Where to say what may be drawn: a file, an address with {watts} or {amps}, or a topic."""
    allow_method: Literal["POST", "GET"] = "POST"
    """How an address is told."""
    topic: str = ""
    port: SomePort = 1_883
    power_w: Annotated[int, Meta(ge=-100_000_000, le=100_000_000)] = 0
    """What a simulated household draws."""
    relay_pin: Annotated[int, Meta(ge=-1, le=64)] = -1
    """A relay at a pin (Broadcom's number) beside the meter; -1 for none."""
    fields: JsonFields = JsonFields()


class AlsoTable(_Section, frozen=True, kw_only=True):
    """A further agent in the same process, behind the same socket."""

    role: Role
    config: str
    """Its own file."""


class NodeConfig(_Section, frozen=True, kw_only=True):
    """What every agent's file may hold."""

    schema: Literal[1] = 1
    also: tuple[AlsoTable, ...] = ()
    keys: str = "keys"
    state: str = "state"
    market: MarketTable = MarketTable()
    discovery: DiscoveryTable = DiscoveryTable()


class TransformerConfig(NodeConfig, frozen=True, kw_only=True):
    """The file of a transformer."""

    site: SiteTable
    listen: ListenTable = ListenTable()
    ledger: TokensTable = TokensTable()
    page: StreetPageTable = StreetPageTable(port=0)


class ChargerConfig(NodeConfig, frozen=True, kw_only=True):
    """The file of a charging point."""

    upstream: UpstreamTable
    listen: ListenTable = ListenTable()
    point: PointTable = PointTable()
    device: DeviceTable = DeviceTable()
    page: GrantPageTable = GrantPageTable(port=0)


class VehicleConfig(NodeConfig, frozen=True, kw_only=True):
    """The file of a car."""

    upstream: UpstreamTable
    transformer: str = "transformer"
    """Whose calls and awards it believes; also in ``trusted/``."""
    car: CarTable = CarTable()
    page: DriverPageTable = DriverPageTable(port=0)


class HouseholdConfig(NodeConfig, frozen=True, kw_only=True):
    """The file of a household's meter."""

    upstream: UpstreamTable
    device: DeviceTable = DeviceTable()


class BatteryConfig(NodeConfig, frozen=True, kw_only=True):
    """The file of a stationary battery."""

    upstream: UpstreamTable
    battery: BatteryTable
    device: DeviceTable = DeviceTable()


_FILES: Final[Mapping[Role, type[NodeConfig]]] = {
    "transformer": TransformerConfig,
    "charger": ChargerConfig,
    "vehicle": VehicleConfig,
    "household": HouseholdConfig,
    "battery": BatteryConfig,
}


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and where it stands."""

    config: NodeConfig
    path: Path
    role: Role
    others: tuple[LoadedConfig, ...] = ()
    """Those of the further agents of the process."""

    @property
    def upstream(self) -> UpstreamTable | None:
        """Whom the agent connects to."""
        config = self.config
        if isinstance(config, ChargerConfig | VehicleConfig | HouseholdConfig | BatteryConfig):
            return config.upstream
        return None

    @property
    def listens(self) -> ListenTable | None:
        """Where others connect to the agent."""
        return self.config.listen if isinstance(self.config, TransformerConfig | ChargerConfig) else None

    def there(self, name: str) -> Path:
        """A path that the file names."""
        return self.path.parent / Path(name).expanduser()

    @property
    def rules(self) -> Rules:
        """The constants of the market, as all agents of the street compute with them."""
        market = self.config.market
        point = self.config.point if isinstance(self.config, ChargerConfig) else PointTable()
        amp_w = point.voltage_v * point.phases
        limit_w = self.config.site.limit_w if isinstance(self.config, TransformerConfig) else 0
        return Rules(
            tick_ms=market.beat_ms,
            window_ms=market.beat_ms * market.window_beats,
            deadline_ms=market.deadline_ms,
            lease_ms=market.beat_ms * market.lease_beats,
            guard_ms=market.guard_s * 1_000,
            margin_w=share_of(max(limit_w, 0), market.margin_pct),
            amp_w=amp_w,
            min_w=amp_w * point.min_a,
            guaranteed_w=point.guaranteed_w,
        )


def read_config(path: Path, role: Role) -> LoadedConfig:
    """Read the configuration of an agent of this role, and those of the further agents that it names.

    Raises:
        InputError: one cannot be read, holds an unknown key or a value that cannot be, or lacks a table; or agents of
            one process do not agree on the market.
    """
    first = _read_one(path, role)
    others = tuple(_read_one(first.there(also.config), also.role) for also in first.config.also)
    for other in others:
        if other.config.also:
            raise InputError(f"{other.path}: also is read in {path} only: name all further agents there")
        if other.config.market != first.config.market:
            raise InputError(f"{other.path}: market differs from that of {path}: agents of one process share it")
    return LoadedConfig(first.config, path, role, others)


def _check_battery(battery: BatteryTable, origin: Origin) -> None:
    """Refuse what no battery is."""
    if battery.max_w > _MOST_BATTERY_C * battery.capacity_wh:
        raise origin.wrong(
            f"battery.max_w is {battery.max_w} W, which empties {battery.capacity_wh} Wh within a minute;"
            " max_w is in W, capacity_wh in Wh",
            "battery.max_w",
        )
    if battery.reserve_pct > battery.initial_pct:
        raise origin.wrong(
            f"battery.reserve_pct is {battery.reserve_pct}, above battery.initial_pct ({battery.initial_pct}), up to"
            " which it is filled: it could never feed",
            "battery.reserve_pct",
        )


def _read_one(path: Path, role: Role) -> LoadedConfig:
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a configuration file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: this is not UTF-8 text; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}; texts and paths stand in quotes") from None
    origin = Origin(str(path))
    kind = _FILES[role]
    if likely := _roles_instead(raw, role):
        raise InputError(
            f"{path}: this is the configuration of a {' or a '.join(likely)}, not of a {role}:"
            f" wattswap agent {likely[0]} --config {path}"
        )
    refuse_misfits(raw, kind, origin)
    config: NodeConfig = msgspec.convert(raw, kind)
    if (market := config.market).beat_ms % 1_000:
        raise origin.wrong(
            f"market.beat_ms is {market.beat_ms}; it must be whole seconds, as 1000 or 2000", "market.beat_ms"
        )
    if market.deadline_ms >= market.beat_ms:
        raise origin.wrong(
            f"market.deadline_ms is {market.deadline_ms}; it must be less than a heartbeat ({market.beat_ms} ms)",
            "market.deadline_ms",
        )
    if isinstance(config, BatteryConfig):
        _check_battery(config.battery, origin)
    return LoadedConfig(config, path, role)


def _roles_instead(raw: Mapping[str, Any], role: Role) -> list[Role]:
    """The roles whose files may hold exactly these tables, where this role's may not."""
    return [] if _fits(raw, role) else [other for other in _FILES if _fits(raw, other)]


def _fits(raw: Mapping[str, Any], role: Role) -> bool:
    fields = msgspec.structs.fields(_FILES[role])
    return {field.name for field in fields if field.required} <= raw.keys() <= {field.name for field in fields}
