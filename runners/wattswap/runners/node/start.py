"""Puts a node together from its configuration, and runs it until it is told to stop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from wattswap.agents.award_book import Site
from wattswap.agents.charger import Charger
from wattswap.agents.household import Household
from wattswap.agents.roster import Roster
from wattswap.agents.strategies.mix import parse_mix
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.ledger.book import Book
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.engines.gathering_store import GatheringStore
from wattswap.runners.engines.node import Node
from wattswap.runners.engines.sqlite_store import SqliteStore
from wattswap.runners.engines.strategy_assignment import installed_strategies, strategy_from_file
from wattswap.runners.node.charging_point import ChargingPoint
from wattswap.runners.node.clock import NodeClock
from wattswap.runners.node.config import (
    ChargerConfig,
    DeviceTable,
    HouseholdConfig,
    LoadedConfig,
    TransformerConfig,
    UpstreamTable,
    VehicleConfig,
)
from wattswap.runners.node.discovery import Discovery
from wattswap.runners.node.drivers.device import Device, DeviceError, MeterWithRelay
from wattswap.runners.node.drivers.gpio import GpioRelay
from wattswap.runners.node.drivers.http import HttpDevice
from wattswap.runners.node.drivers.mqtt import MqttDevice
from wattswap.runners.node.drivers.simulated import SimulatedDevice, SteadyMeter
from wattswap.runners.node.drivers.text_lines import FileDevice, StdinDevice
from wattswap.runners.node.gate import Gate
from wattswap.runners.node.key_directory import AgentKeys, read_agent_keys
from wattswap.runners.node.messenger import Messenger
from wattswap.runners.node.node_host import CLOCK_KEY, NodeHost
from wattswap.runners.node.pages import page_of
from wattswap.runners.node.sensors import CarSensor, HouseholdSensor, NoSensor, Sensor
from wattswap.runners.node.trust import TrustDirectory, TrustStore
from wattswap.runners.node.zeromq import SocketOptions, Transport
from wattswap.runners.scenario.schema import ppm

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from structlog.typing import FilteringBoundLogger

    from wattswap.agents.base import Agent
    from wattswap.runners.engines.store import Store
    from wattswap.runners.node.ledger_payments import LedgerPayments
    from wattswap.runners.node.roles import Role

_EPOCH_OF: Final = "epoch/"
"""Under names that begin like this the host remembers the highest epoch heard of a key."""
_FRESH_BEATS: Final = 4
_NO_PORT: Final = 1
"""What a node announces that nobody connects to: it can be found and paired with."""


class _SigningKeys(Mapping[str, bytes]):
    """The signing keys of all who are trusted, as they are now."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust

    def __getitem__(self, name: str) -> bytes:
        if (agent := self._trust.agent(name)) is None:
            raise KeyError(name)
        return agent.signing

    def __iter__(self) -> Iterator[str]:
        return (agent.name for agent in self._trust)

    def __len__(self) -> int:
        return sum(1 for _ in self._trust)


class _TrustedNames(Collection[str]):
    """The names of all who are trusted in one role, as they are now."""

    def __init__(self, trust: TrustStore, role: Role) -> None:
        self._trust, self._role = trust, role

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (agent := self._trust.agent(name)) is not None and agent.role == self._role

    def __iter__(self) -> Iterator[str]:
        return (agent.name for agent in self._trust if agent.role == self._role)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _TrustedChargers(Mapping[str, int]):
    """The most that each charger draws which is trusted now."""

    def __init__(self, trust: TrustStore, max_w: int) -> None:
        self._names, self._max_w = _TrustedNames(trust, "charger"), max_w

    def __getitem__(self, name: str) -> int:
        if name not in self._names:
            raise KeyError(name)
        return self._max_w

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def run_agent(loaded: LoadedConfig, stopped: Callable[[], bool], stream: TextIO) -> None:
    """Run the agent of a configuration; its log goes to ``stream``, one JSON object a line.

    Raises:
        InputError: something in the configuration, the keys or on this machine does not fit.
    """
    config, log = loaded.config, _log_to(stream)
    keys = read_agent_keys(loaded.there(config.keys))
    if keys.identity.role != loaded.role:
        raise InputError(f"{loaded.there(config.keys)} are the keys of a {keys.identity.role}, not of a {loaded.role}")
    with ExitStack() as stack:
        folder = loaded.there(config.state)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the directory {folder}: {error.strerror}") from None
        host_store = stack.enter_context(SqliteStore(folder / "host.sqlite"))
        agent_store = GatheringStore(stack.enter_context(SqliteStore(folder / "agent.sqlite")))
        stack.callback(agent_store.flush)
        trusted = TrustDirectory(loaded.there(config.keys))
        trust = trusted.read()
        options = SocketOptions(beat_ms=config.market.beat_ms)
        transport = stack.enter_context(closing(Transport(keys.transport, trust.allows, options)))
        clock = NodeClock(host_store.remembered().get(CLOCK_KEY))
        messenger = Messenger(
            transport, _gate(loaded, keys, trust, host_store), trust, beat_ms=config.market.beat_ms, clock=clock.now_ms
        )
        port = _listen(loaded, transport)
        discovery = _discovery(loaded, keys, port)
        _connect(loaded, messenger, trust)
        try:
            sensor = _sensor(loaded, keys, host_store, messenger)
        except DeviceError as error:
            raise InputError(f"{loaded.path}: device: {error}") from None
        make, opening = _maker(loaded, keys, trust)
        log.info("listening" if port else "connecting", agent=keys.identity.name, port=port)
        page = page_of(loaded, keys.identity.name, sensor, clock.now_ms, log)
        if page is not None:
            stack.enter_context(closing(page))
        host = NodeHost(
            lambda host: Node(make, host, agent_store, opening),
            messenger,
            sensor,
            clock,
            host_store,
            log,
            beat_ms=config.market.beat_ms,
            phase_ms=config.market.phase_ms if loaded.role == "transformer" else 0,
            trust=trust,
            trusted=trusted,
            upstream="" if (above := _upstream(loaded)) is None else above.name,
            discovery=discovery,
            page=page,
            payments=_payments(loaded, opening, agent_store, host_store, log),
        )
        host.run(stopped)


def _payments(
    loaded: LoadedConfig, opening: Book | None, agents: Store, hosts: Store, log: FilteringBoundLogger
) -> LedgerPayments | None:
    """The way of a transformer's book to its ledger, if its configuration names one."""
    config = loaded.config
    if not isinstance(config, TransformerConfig) or not config.ledger.where or opening is None:
        return None
    from wattswap.runners.node.ledger_payments import LedgerPayments

    where, outbox = config.ledger.where, loaded.there(config.state) / "outbox.sqlite"
    if where.startswith("sqlite:"):
        where = f"sqlite:{loaded.there(where.removeprefix('sqlite:'))}"
    elif not where.startswith(("http://", "https://")):
        raise InputError(
            f"{loaded.path}: ledger.where is {where!r}; write sqlite:tokens.sqlite, or the URL of a devnet's node"
        )
    return LedgerPayments(where, agents.entries() or opening.entries, store=hosts, outbox=outbox, log=log)


def _log_to(stream: TextIO) -> FilteringBoundLogger:
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ]
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream), processors, wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    return logger


def _gate(loaded: LoadedConfig, keys: AgentKeys, trust: TrustStore, store: Store) -> Gate:
    heard = {
        bytes.fromhex(name.removeprefix(_EPOCH_OF)): int.from_bytes(value, "big")
        for name, value in store.remembered().items()
        if name.startswith(_EPOCH_OF)
    }

    def remember(key: bytes, epoch: int) -> None:
        store.commit(((_EPOCH_OF + key.hex(), epoch.to_bytes(8, "big")),), ())

    return Gate(
        {keys.identity.name: keys.identity.role},
        trust,
        epoch=store.next_epoch(),
        beat_ms=loaded.config.market.beat_ms,
        epochs=heard,
        remember=remember,
    )


def _listen(loaded: LoadedConfig, transport: Transport) -> int:
    config = loaded.config
    if isinstance(config, TransformerConfig | ChargerConfig):
        return transport.listen(config.listen.host, config.listen.port)
    return 0


def _discovery(loaded: LoadedConfig, keys: AgentKeys, port: int) -> Discovery | None:
    table = loaded.config.discovery
    if table.use == "no":
        return None
    return Discovery([(keys.identity, port or _NO_PORT)], table.interfaces.split())


def _upstream(loaded: LoadedConfig) -> UpstreamTable | None:
    config = loaded.config
    return config.upstream if isinstance(config, ChargerConfig | VehicleConfig | HouseholdConfig) else None


def _connect(loaded: LoadedConfig, messenger: Messenger, trust: TrustStore) -> None:
    """Connect to the agent above, if its address is written down; else it has to be found."""
    upstream = _upstream(loaded)
    if upstream is None:
        return
    known = trust.agent(upstream.name)
    if known is None:
        raise InputError(
            f"{loaded.path}: upstream.name is {upstream.name}, which this agent does not trust:"
            f" wattswap keys trust {loaded.there(loaded.config.keys)} FILE"
        )
    if upstream.host:
        messenger.connect(known, upstream.host, upstream.port)
    elif loaded.config.discovery.use == "no":
        raise InputError(
            f"{loaded.path}: upstream.host is empty and discovery.use is no: {upstream.name} cannot be found"
        )


def _sensor(loaded: LoadedConfig, keys: AgentKeys, store: Store, messenger: Messenger) -> Sensor:
    config, name = loaded.config, keys.identity.name
    match config:
        case ChargerConfig():
            device = _device(loaded, config.device, SimulatedDevice(config.point.max_w, config.point.need_wh * 3_600))
            return ChargingPoint(
                config.point,
                loaded.rules,
                device,
                store,
                charger=name,
                key_hash=int.from_bytes(keys.identity.signing[:4], "big"),
                driver_file=loaded.there(config.point.driver_file),
                linked=lambda: messenger.linked("vehicle"),
                signal=partial(messenger.signal, name),
            )
        case VehicleConfig():
            return CarSensor(config.car, store, partial(messenger.signal, name))
        case HouseholdConfig():
            return HouseholdSensor(_device(loaded, config.device, SteadyMeter(config.device.power_w)))
        case _:
            return NoSensor()


def _device(loaded: LoadedConfig, table: DeviceTable, simulated: Device) -> Device:
    """The meter that the table names, with its relay."""
    market, rules = loaded.config.market, loaded.rules
    fresh_ms = _FRESH_BEATS * market.beat_ms
    if table.kind not in ("simulated", "stdin") and not table.source:
        raise InputError(f"{loaded.path}: device.source is missing: where does the {table.kind} meter stand?")
    match table.kind:
        case "simulated":
            meter = simulated
        case "file":
            allow = loaded.there(table.allow) if table.allow else None
            meter = FileDevice(loaded.there(table.source), allow, table.fields)
        case "stdin":
            meter = StdinDevice(fresh_ms, table.fields)
        case "http":
            meter = HttpDevice(
                table.source,
                allow_url=table.allow,
                every_ms=market.beat_ms // 2,
                watts_an_ampere=rules.amp_w,
                fields=table.fields,
            )
        case "mqtt":
            meter = MqttDevice(
                table.source,
                table.topic,
                port=table.port,
                allow_topic=table.allow,
                fresh_ms=fresh_ms,
                fields=table.fields,
            )
    return MeterWithRelay(meter, GpioRelay(table.relay_pin, least_w=rules.min_w)) if table.relay_pin >= 0 else meter


def _maker(loaded: LoadedConfig, keys: AgentKeys, trust: TrustStore) -> tuple[Callable[[], Agent], Book | None]:
    """What makes the agent, the first time and after a crash; and a transformer's opening account."""
    config, name, rules = loaded.config, keys.identity.name, loaded.rules
    match config:
        case TransformerConfig():
            table = config.site
            chargers, vehicles = _TrustedChargers(trust, table.charger_max_w), _TrustedNames(trust, "vehicle")
            roster = Roster(chargers, vehicles, _TrustedNames(trust, "household"))
            funds_nanos = table.funds_iota * NANOS_PER_IOTA
            site = Site(
                limit_w=table.limit_w,
                funds_nanos=funds_nanos,
                tariff_nanos_per_kwh=table.tariff_nanos_per_kwh,
                seed=table.seed,
                feeder=0,
            )
            make = partial(Transformer, name, site, rules, roster, signer=keys.signer, trusted=_SigningKeys(trust))
            return make, Book(funds_nanos, config.ledger.pay)
        case ChargerConfig():
            above = config.upstream.name
            key = _signing_key(loaded, trust, above)
            return partial(
                Charger, name, above, config.point.max_w, rules, signer=keys.signer, transformer_key=key
            ), None
        case VehicleConfig():
            key = _signing_key(loaded, trust, config.transformer)
            profile = _profile(loaded, config)
            return partial(Vehicle, name, profile, rules, signer=keys.signer, transformer_key=key), None
        case HouseholdConfig():
            return partial(Household, name, config.upstream.name), None
        case _:
            raise AssertionError(config)


def _signing_key(loaded: LoadedConfig, trust: TrustStore, transformer: str) -> bytes:
    if (agent := trust.agent(transformer)) is None:
        raise InputError(
            f"{loaded.path}: the transformer is {transformer}, which this agent does not trust:"
            f" wattswap keys trust {loaded.there(loaded.config.keys)} FILE"
        )
    return agent.signing


def _profile(loaded: LoadedConfig, config: VehicleConfig) -> VehicleProfile:
    car, folder = config.car, loaded.path.parent
    mix = parse_mix(car.strategy, lambda name: strategy_from_file(name, folder), installed_strategies)
    if len(mix.strategies) != 1:
        raise InputError(f"{loaded.path}: car.strategy is {car.strategy!r}: a car has one strategy, not a mix")
    return VehicleProfile(
        strategy=mix.strategies[0],
        strategy_name=mix.names[0],
        seed=car.seed,
        round_trip_permille=ppm(car.round_trip_pct) // 1_000,
        wear_nanos_per_kwh=car.wear_nanos_per_kwh,
        tariff_nanos_per_kwh=car.tariff_nanos_per_kwh,
    )
