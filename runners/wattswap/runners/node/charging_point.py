"""A charging point with its cable and its meter: what its charger and the car at it learn at each heartbeat.

The session's number is minted here: counted on from the time in seconds of the first, so that none comes again
where the count was lost. Need and departure are the driver's, from a file. What the car still needs, and
what it would need had it never given way, follow from the meter by the functions of the law.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct

from wattswap.agents.law import charging_state
from wattswap.protocol.errors import InputError, RemoteProtocolError
from wattswap.protocol.events import CarStatus, DriverWish, Metered, PluggedIn, Reading, Unplugged
from wattswap.protocol.units import MOST_W, MS_PER_HOUR, NEVER_MS, PERMILLE, WS_PER_WH
from wattswap.runners.node.clock import EPOCH_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wattswap.agents.rules import Rules
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.store import Store
    from wattswap.runners.node.config import PointTable
    from wattswap.runners.node.drivers.device import Device, DeviceReading
    from wattswap.runners.node.frames import CableEvent

_STAY: Final = "stay"
_COUNT: Final = "sessions"
_COUNT_BITS: Final = 20
_MOST_MISSED: Final = 10
"""After a longer silence the meters of the heartbeats in between are not told one by one."""


class DriverFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the driver has said: the file ``driver.json``."""

    need_wh: Annotated[int, Meta(ge=1, le=1_000_000)]
    departure: datetime


class _Stay(Struct, kw_only=True):
    """A car at the cable; kept in the node's store from the moment it is plugged in."""

    session: int
    session_id: str
    vehicle: str
    need_ws: int
    plugged_ms: int
    departure_ms: int
    imported_before_ws: int
    exported_before_ws: int
    wished_ms: int | None = None
    """When its driver wants it to be full, since that was said anew."""


class ChargingPoint:
    """Senses for a charger, tells its car by signals, and sets the power."""

    def __init__(
        self,
        point: PointTable,
        rules: Rules,
        device: Device,
        store: Store,
        *,
        charger: str,
        key_hash: int,
        driver_file: Path,
        linked: Callable[[], Sequence[str]],
        signal: Callable[[str, Sequence[CableEvent]], None],
        round_trip_permille: int | None = None,
    ) -> None:
        """``linked`` names the cars that are connected now; ``signal`` tells a car something.

        ``key_hash`` are 32 bits of the charger's key, for the numbers of its sessions. ``round_trip_permille`` is that
        of a stationary battery, if one stands here: it has no driver, never leaves, and needs only what it has fed.
        """
        self._is_battery, self._round_trip_permille = round_trip_permille is not None, round_trip_permille or PERMILLE
        self._point, self._rules, self._device, self._store = point, rules, device, store
        self._charger, self._key_hash, self._driver_file = charger, key_hash, driver_file
        self._linked, self._signal = linked, signal
        self._stay = _remembered_stay(store)
        self._told_to_car = False
        self._resumes = self._stay is not None
        self._last: DeviceReading | None = None
        self._imported_ws = self._exported_ws = 0
        """Counted from power where the meter has no totals."""
        self._before: tuple[int, int] = (0, 0)
        self._baseline_w = self._granted_w = 0
        """What the car would draw had it never given way, and what this charger lets it draw."""
        self.trouble = ""
        """What is wrong with the driver's file."""
        self.allow(0, rules.guaranteed_w, 0)

    @property
    def vehicle(self) -> str | None:
        """The car at the cable."""
        return None if self._stay is None else self._stay.vehicle

    def beat(self, now_ms: int) -> list[Event]:
        """What the charger learns; the car learns the same by a signal.

        Raises:
            DeviceError: the meter does not answer.
        """
        reading = self._device.read()
        before, self._last = self._last, reading
        self._count(before, reading)
        is_plugged = reading.plugged is not False
        if self._stay is None:
            return self._plug_in(now_ms) if is_plugged else []
        metered = self._metered(before, reading, now_ms)
        if not is_plugged:
            return [*metered, *self._unplug(metered)]
        events: list[Event] = []
        if self._resumes:
            self._resumes = False
            events.append(self._cable(self._stay, self._stay.vehicle))
        return [*events, *metered, *self._tell(self._stay, metered, now_ms)]

    def told(self, sender: str, event: CableEvent) -> Event:
        """Reckon with what the driver of the car at this cable wants; of the cable itself nobody tells a charger."""
        stay = self._stay
        at_hand = None if stay is None else (stay.vehicle, stay.session)
        if stay is None or not isinstance(event, DriverWish) or (sender, event.session) != at_hand:
            raise RemoteProtocolError(f"{sender} speaks for session {event.session}, which is not at this cable")
        if stay.wished_ms != event.departure_ms:
            stay.wished_ms = event.departure_ms
            self._store.commit(((_STAY, msgspec.msgpack.encode(stay)),), ())
        return event

    def allow(self, session: int, import_w: int, export_w: int) -> None:  # noqa: ARG002 - there is one cable
        """Set what may flow."""
        self._granted_w = import_w
        self._device.allow(import_w, export_w)

    def close(self) -> None:
        """Let nothing flow, and let go of the hardware."""
        self._device.close()

    def link_opened(self, peer: str) -> None:  # noqa: ARG002 - as all sensors
        """The car is told of the cable again: it may not know of it, or the transformer, if it has lost its state.

        A car that is told of its cable gives its mandate, which is acknowledged if it is known already.
        """
        self._told_to_car = False

    # -- the cable ----------------------------------------------------------------------------------------------------

    def _plug_in(self, now_ms: int) -> list[Event]:
        """Begin a session with the car that is connected; without one the cable waits."""
        vehicles = self._linked()
        if not vehicles:
            return []
        need_ws, departure_ms = self._wish(now_ms)
        kept = self._store.remembered().get(_COUNT)
        count = now_ms // 1_000 if kept is None else int.from_bytes(kept, "big") + 1
        session = self._key_hash << _COUNT_BITS | count % (1 << _COUNT_BITS)
        self._stay = stay = _Stay(
            session=session,
            session_id=f"{self._charger}#{count}",
            vehicle=vehicles[0],
            need_ws=need_ws,
            plugged_ms=now_ms,
            departure_ms=departure_ms,
            imported_before_ws=self._imported_ws,
            exported_before_ws=self._exported_ws,
        )
        self._before, self._baseline_w, self._told_to_car = (0, 0), 0, False
        self._store.commit(((_COUNT, count.to_bytes(8, "big")), (_STAY, msgspec.msgpack.encode(stay))), ())
        return [self._cable(stay, stay.vehicle), *self._tell(stay, [], now_ms)]

    def _unplug(self, metered: list[Metered]) -> list[Event]:
        assert self._stay is not None
        stay, self._stay = self._stay, None
        self._store.commit(((_STAY, None),), ())
        unplugged = Unplugged(stay.session, *self._totals(stay))
        self._signal(stay.vehicle, [*metered, unplugged])
        return [unplugged]

    def _cable(self, stay: _Stay, peer: str) -> PluggedIn:
        """What is learned when the cable goes in; the car adds what it knows of itself."""
        return PluggedIn(
            session=stay.session,
            session_id=stay.session_id,
            peer=peer,
            need_ws=stay.need_ws,
            departure_ms=stay.departure_ms,
            max_w=self._point.max_w,
            feed_w=0,
            capacity_ws=0,
            reserve_ws=0,
        )

    def _tell(self, stay: _Stay, metered: list[Metered], now_ms: int) -> list[Event]:
        """What the car may draw, to the charger; where it stands, and the cable if it does not know it, to the car."""
        reading = self._reading(stay, now_ms)
        cable = [] if self._told_to_car else [self._cable(stay, self._charger)]
        if stay.vehicle in self._linked():
            self._signal(stay.vehicle, [*cable, *metered, reading])
            self._told_to_car = True
        return [CarStatus(stay.session, reading.firm_w, reading.wanted_w, reading.drew)]

    # -- the meter ----------------------------------------------------------------------------------------------------

    def _count(self, before: DeviceReading | None, reading: DeviceReading) -> None:
        """Keep totals; a meter without any is counted by its power."""
        if before is not None:
            passed_ms = reading.at_ms - before.at_ms
            self._imported_ws += max(before.power_w, 0) * passed_ms // 1_000
            self._exported_ws += max(-before.power_w, 0) * passed_ms // 1_000
        if reading.imported_ws is not None:
            self._imported_ws = reading.imported_ws
        if reading.exported_ws is not None:
            self._exported_ws = reading.exported_ws

    def _totals(self, stay: _Stay) -> tuple[int, int]:
        """What the session drew and fed; never negative, also where a meter's totals began anew."""
        return (
            max(0, self._imported_ws - stay.imported_before_ws),
            max(0, self._exported_ws - stay.exported_before_ws),
        )

    def _metered(self, before: DeviceReading | None, reading: DeviceReading, now_ms: int) -> list[Metered]:
        """The mean powers of the heartbeats that have passed, one each."""
        assert self._stay is not None
        totals = self._totals(self._stay)
        (imported_ws, exported_ws), self._before = (
            (max(0, now - then) for now, then in zip(totals, self._before, strict=True)),  # a meter may begin anew
            totals,
        )
        if before is None:
            return []
        beats = min(max(1, round((reading.at_ms - before.at_ms) / self._rules.tick_ms)), _MOST_MISSED)
        span_s = beats * self._rules.tick_s
        import_w, export_w = (min(passed_ws // span_s, MOST_W) for passed_ws in (imported_ws, exported_ws))
        powers_w = import_w, export_w, self._baseline_w, self._granted_w
        this_tick = now_ms // self._rules.tick_ms
        return [Metered(self._stay.session, *powers_w, tick) for tick in range(this_tick - beats, this_tick)]

    def _reading(self, stay: _Stay, now_ms: int) -> Reading:
        """Where the session stands now."""
        imported_ws, exported_ws = self._totals(stay)
        remaining_ws = max(0, stay.need_ws - imported_ws + self._drained_ws(exported_ws))
        unhindered_ws = self._point.max_w * (now_ms - stay.plugged_ms) // 1_000
        baseline_ws = max(0, stay.need_ws - unhindered_ws)
        max_w, needs_ws, held_ws = (np.array([figure]) for figure in (self._point.max_w, remaining_ws, baseline_ws))
        departure_ms = np.array([stay.departure_ms if stay.wished_ms is None else stay.wished_ms])
        state = charging_state(needs_ws, held_ws, max_w, max_w, max_w, departure_ms, now_ms, self._rules)
        self._baseline_w = int(state.baseline_w[0])
        drew = self._last is not None and self._last.power_w > 0
        return Reading(
            session=stay.session,
            remaining_ws=remaining_ws,
            baseline_remaining_ws=baseline_ws,
            stored_ws=0,
            wanted_w=int(state.wanted_w[0]),
            baseline_w=self._baseline_w,
            firm_w=int(state.firm_w[0]),
            due_ms=int(state.due_ms[0]),
            drew=drew,
        )

    def _drained_ws(self, fed_ws: int) -> int:
        """What feeding has taken out of the car or the battery, as far as this point knows."""
        return -(-fed_ws * PERMILLE // self._round_trip_permille)

    def _wish(self, now_ms: int) -> tuple[int, int]:
        """What the driver needs and when it leaves; the settings' own figures where nothing can be read."""
        self.trouble = ""
        if self._is_battery:
            return 0, NEVER_MS
        try:
            wish = read_wish(self._driver_file)
        except InputError as error:
            self.trouble = str(error)
            wish = None
        if wish is None:
            return self._point.need_wh * WS_PER_WH, now_ms + self._point.stay_h * MS_PER_HOUR
        departure_ms = round((wish.departure.timestamp() - EPOCH_S) * 1_000)
        return wish.need_wh * WS_PER_WH, max(departure_ms, now_ms)


def read_wish(path: Path) -> DriverFile | None:
    """What a driver's file says; None if there is none.

    Raises:
        InputError: it cannot be read, or does not say what it must.
    """
    try:
        wish = msgspec.json.decode(path.read_bytes(), type=DriverFile)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(
            f'{path}: {error}; write {{"need_wh": 20000, "departure": "2026-01-31T07:00:00+01:00"}}'
        ) from None
    if wish.departure.tzinfo is None:
        raise InputError(f"{path}: the departure has no offset from UTC; write 2026-01-31T07:00:00+01:00")
    return wish


def _remembered_stay(store: Store) -> _Stay | None:
    value = store.remembered().get(_STAY)
    return None if value is None else msgspec.msgpack.decode(value, type=_Stay)
