"""The sensor of an agent, and the meter and relay behind it, as its configuration names them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import WS_PER_WH
from wattswap.runners.node.charging_point import ChargingPoint
from wattswap.runners.node.config import BatteryConfig, ChargerConfig, HouseholdConfig, PointTable, VehicleConfig
from wattswap.runners.node.drivers.device import DeviceError, MeterWithRelay
from wattswap.runners.node.drivers.gpio import GpioRelay
from wattswap.runners.node.drivers.http import HttpDevice
from wattswap.runners.node.drivers.mqtt import MqttDevice
from wattswap.runners.node.drivers.simulated import SimulatedDevice, SteadyMeter
from wattswap.runners.node.drivers.text_lines import FileDevice, StdinDevice
from wattswap.runners.node.sensors import CarSensor, HouseholdSensor, NoSensor
from wattswap.runners.scenario.schema import ppm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wattswap.runners.node.agent_setup import AgentSetup
    from wattswap.runners.node.config import DeviceTable, LoadedConfig
    from wattswap.runners.node.drivers.device import Device
    from wattswap.runners.node.node_host import NodeHost
    from wattswap.runners.node.sensors import Sensor

_FRESH_BEATS: Final = 4


def sensors_of(setups: Sequence[AgentSetup], host: NodeHost) -> dict[str, Sensor]:
    """The sensor of each agent of a node, by name.

    Raises:
        InputError: a device cannot be used.
    """
    points: dict[str, ChargingPoint] = {}

    def linked(charger: str) -> list[str]:
        """The cars that may be plugged in at a charger: one that is at another one's cable is not."""
        taken = {point.vehicle for name, point in points.items() if name != charger}
        return [vehicle for vehicle in host.linked(charger, "vehicle") if vehicle not in taken]

    found: dict[str, Sensor] = {}
    for setup in setups:
        try:
            found[setup.name] = sensor = _sensor(setup, partial(linked, setup.name), host)
        except DeviceError as error:
            raise InputError(f"{setup.loaded.path}: device: {error}") from None
        if isinstance(sensor, ChargingPoint):
            points[setup.name] = sensor
    return found


def _sensor(setup: AgentSetup, linked: Callable[[], Sequence[str]], host: NodeHost) -> Sensor:
    loaded = setup.loaded
    match loaded.config:
        case ChargerConfig() as config:
            point = config.point
            device = device_of(loaded, config.device, SimulatedDevice(point.max_w, point.need_wh * WS_PER_WH))
            return _point(setup, point, device, linked, host)
        case BatteryConfig() as config if setup.identity.role == "charger":
            permille = ppm(config.battery.round_trip_pct) // 1_000
            simulated = SimulatedDevice(config.battery.max_w, 0, round_trip_permille=permille)
            device = device_of(loaded, config.device, simulated)
            return _point(setup, PointTable(max_w=config.battery.max_w), device, linked, host, permille)
        case BatteryConfig() as config:
            full_permille = ppm(config.battery.initial_pct) // 1_000
            return CarSensor(config.battery.car, setup.host_store, partial(host.signal, setup.name), full_permille)
        case VehicleConfig() as config:
            return CarSensor(config.car, setup.host_store, partial(host.signal, setup.name))
        case HouseholdConfig() as config:
            return HouseholdSensor(device_of(loaded, config.device, SteadyMeter(config.device.power_w)))
        case _:
            return NoSensor()


def _point(
    setup: AgentSetup,
    point: PointTable,
    device: Device,
    linked: Callable[[], Sequence[str]],
    host: NodeHost,
    round_trip_permille: int | None = None,
) -> ChargingPoint:
    return ChargingPoint(
        point,
        setup.loaded.rules,
        device,
        setup.host_store,
        charger=setup.name,
        key_hash=int.from_bytes(setup.identity.signing[:4], "big"),
        driver_file=setup.loaded.there(point.driver_file),
        linked=linked,
        signal=partial(host.signal, setup.name),
        round_trip_permille=round_trip_permille,
    )


def device_of(loaded: LoadedConfig, table: DeviceTable, simulated: Device) -> Device:
    """The meter that a table of a configuration names, with its relay; ``simulated`` if it names none.

    Raises:
        InputError: the table lacks something.
        DeviceError: what it names is not on this machine.
    """
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
                allow_method=table.allow_method,
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
