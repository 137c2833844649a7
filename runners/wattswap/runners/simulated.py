"""The messages engine: the real agents on a simulated network, in virtual time.

A heap orders what happens by (time, kind, sender, sequence). Within an instant meters come before closings, closings
before calls, calls before awards, awards before grants, so that every party acts on the same picture. Without faults a
message takes no time; faults will enter at one place, ``post``.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.accounts import Site
from wattswap.agents.charger import Charger
from wattswap.agents.household import Household
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Character, Vehicle
from wattswap.protocol import effects, events, messages
from wattswap.protocol.identity import seeded_signer
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.characters import Characters
from wattswap.runners.driver import Driver
from wattswap.runners.money import open_book
from wattswap.runners.record import Record, TickRow, forced_row, round_row, session_row, trade_rows
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from wattswap.agents.base import Agent
    from wattswap.agents.controllers import Controller
    from wattswap.agents.law import Standing
    from wattswap.agents.physics import Ints
    from wattswap.protocol.events import Event
    from wattswap.protocol.identity import Signer
    from wattswap.protocol.messages import Message
    from wattswap.runners.scenario.street import Street

_ORDER: Final = (
    (events.Metered,),
    (messages.Delivery, messages.WitnessedDelivery),
    (messages.Receipt, messages.Noted, events.Paid, events.Billed),
    (events.Unplugged, messages.Departed),
    (events.PluggedIn, messages.Mandate),
    (events.Reading,),
    (messages.Report,),
    (events.BaseRead, events.LimitChanged, messages.BaseReport),
    (events.Woken,),
    (messages.Call,),
    (messages.Offer, messages.CappedOffer),
    (messages.Release,),
    (messages.Award,),
    (messages.Grant,),
)
"""The order in which an instant's events and messages are handled."""

_RANK: Final[Mapping[type, int]] = {kind: rank for rank, kinds in enumerate(_ORDER) for kind in kinds}
_SEALED_RANK: Final = {kind.__struct_config__.tag: _RANK[kind] for kind in messages.SEALED}

WORLD: Final = ""
"""The sender of what no agent said."""
TRANSFORMER: Final = "transformer"


def rank_of(message: Message) -> int:
    """Where in an instant a message is handled."""
    return _SEALED_RANK[message.kind] if isinstance(message, messages.Sealed) else _RANK[type(message)]


class SimulatedRun:
    """One run of a street by its agents."""

    def __init__(
        self,
        street: Street,
        controller: Controller | None = None,
        record: Record | None = None,
        *,
        sign: bool = False,
        check: bool = False,
    ) -> None:
        self.street, self.world = street, World(street)
        self.rules = self.world.rules
        self.record = Record() if record is None else record
        self.record.book = self.book = open_book(street, self.world)
        self._driver = Driver(self, self.book)
        self._heap: list[tuple[int, int, str, int, str, Event]] = []
        self._sequence, self._now_ms = 0, 0
        self._check = check
        self._keys: dict[str, bytes] | None = {} if sign else None
        self._characters = Characters(self.world.fleet, street.scenario.seed, self.rules, street.folder)
        self.agents: dict[str, Agent] = {}
        self._build_agents(controller)
        rows = len(self.world.fleet)
        self._import_w, self._export_w = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
        self._reduce_w, self._forced_w = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
        self._told = _Told(rows)
        self._limit_w = street.scenario.transformer.limit_w
        self._earned = dict.fromkeys(range(rows), 0)
        self._deferred_ws = dict.fromkeys(range(rows), 0)

    # -- who takes part -----------------------------------------------------------------------------------------------

    def _build_agents(self, controller: Controller | None) -> None:
        scenario, fleet = self.street.scenario, self.world.fleet
        signer = self._signer(TRANSFORMER)
        transformer_key = None if signer is None else signer.public_key
        for row in range(len(fleet)):
            self._build_car(row, transformer_key)
        site = Site(
            scenario.transformer.limit_w,
            scenario.transformer.funds_iota * NANOS_PER_IOTA,
            scenario.vehicles.tariff_nanos_per_kwh,
            scenario.seed,
        )
        self._add(Transformer(TRANSFORMER, site, self.rules, controller=controller, signer=signer, trusted=self._keys))
        for number in range(len(self.street.base_w)):
            self._add(Household(household_name(number), TRANSFORMER))

    def _build_car(self, row: int, transformer_key: bytes | None) -> None:
        """The charger and the vehicle of a session, unless an earlier session brought them."""
        fleet, number = self.world.fleet, int(self._characters.number[row])
        charger, vehicle = charger_name(fleet.station_id[row]), vehicle_name(fleet.vehicle_id[row])
        if charger not in self.agents:
            self._add(
                Charger(
                    charger,
                    TRANSFORMER,
                    int(fleet.max_w[row]),
                    self.rules,
                    signer=self._signer(charger),
                    transformer_key=transformer_key,
                )
            )
        if vehicle not in self.agents:
            character = Character(
                strategy=self._characters.strategies[number],
                strategy_name=self._characters.names[number],
                seed=self.street.scenario.seed,
                round_trip_permille=int(fleet.round_trip_permille[row]),
                wear_nanos_per_kwh=int(fleet.wear_nanos_per_kwh[row]),
                tariff_nanos_per_kwh=int(fleet.tariff_nanos_per_kwh[row]),
            )
            self._add(
                Vehicle(vehicle, character, self.rules, signer=self._signer(vehicle), transformer_key=transformer_key)
            )

    def _add(self, agent: Agent) -> None:
        self.agents[agent.name] = agent

    def _signer(self, name: str) -> Signer | None:
        """The agent's key in a run that signs; whoever has one is known to all."""
        if self._keys is None:
            return None
        signer = seeded_signer(self.street.scenario.seed, name)
        self._keys[name] = signer.public_key
        return signer

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self, progress: Callable[[int], None] = lambda _tick: None) -> Record:
        """Every tick of the run, then the closing step of its last instant."""
        self.tell(TRANSFORMER, events.Woken())
        for tick in range(self.street.ticks):
            self._now_ms = tick * self.rules.tick_ms
            self._close(tick)
            standing = self._open(tick)
            self._drain(self._now_ms + self.rules.tick_ms)
            self._move(tick, standing)
            progress(tick)
        self._now_ms = self.street.ticks * self.rules.tick_ms
        self._close(self.street.ticks)
        self._drain(self._now_ms + 1, most_rank=_RANK[events.Unplugged])
        for row in self.world.plugged.tolist():
            self._end_session(row, billed_nanos=0, receivable_nanos=0)
        self.record.events_hash = self._driver.events_hash()
        return self.record

    def _drain(self, until_ms: int, most_rank: int = len(_ORDER)) -> None:
        """Let everything happen that happens before ``until_ms``."""
        heap = self._heap
        while heap and heap[0][0] < until_ms and heap[0][1] <= most_rank:
            self._now_ms, _, _, _, name, event = heappop(heap)
            agent = self.agents[name]
            self._driver.feed(agent, event, self._now_ms)
            if self._check:
                agent.check()

    def _close(self, tick: int) -> None:
        """The meters of the tick that ended, then departures."""
        fleet = self.world.fleet
        self._send_meters(tick)
        for row in self.world.leave(tick).tolist():
            unplugged = events.Unplugged(row, int(self.world.imported_ws[row]), int(self.world.exported_ws[row]))
            self.tell(vehicle_name(fleet.vehicle_id[row]), unplugged)
            self.tell(charger_name(fleet.station_id[row]), unplugged)

    def _send_meters(self, tick: int) -> None:
        """Tell chargers and cars what they metered: whoever is at work, and everyone when a window ends."""
        if not self.record.ticks or self.record.ticks[-1].tick != tick - 1:
            return
        last, fleet = self.record.ticks[-1], self.world.fleet
        columns = np.stack((last.rows, last.import_w, last.export_w, last.standing.baseline_w))
        if self._now_ms % self.rules.window_ms:
            columns = columns[:, columns[1:].any(axis=0)]
        for row, import_w, export_w, baseline_w in columns.T.tolist():
            metered = events.Metered(row, import_w, export_w, baseline_w)
            self.tell(charger_name(fleet.station_id[row]), metered)
            self.tell(vehicle_name(fleet.vehicle_id[row]), metered)

    def _open(self, tick: int) -> Standing:
        """Arrivals, then everyone's readings."""
        for row in self.world.arrive(tick).tolist():
            self._plug_in(row)
        standing = self.world.standing(tick)
        self._send_readings(standing)
        for number, base_w in enumerate(self.street.base_w[:, tick].tolist()):
            self.tell(household_name(number), events.BaseRead(base_w))
        limit_w = int(self.street.limit_w[tick])
        if limit_w != self._limit_w:
            self._limit_w = limit_w
            self.tell(TRANSFORMER, events.LimitChanged(limit_w))
        return standing

    def _plug_in(self, row: int) -> None:
        fleet = self.world.fleet
        charger, vehicle = charger_name(fleet.station_id[row]), vehicle_name(fleet.vehicle_id[row])
        for agent, peer in ((charger, vehicle), (vehicle, charger)):
            plugged_in = events.PluggedIn(
                session=row,
                session_id=fleet.session_id[row],
                peer=peer,
                need_ws=int(self.world.baseline_ws[row]),
                departure_ms=int(fleet.departure_ms[row]),
                max_w=int(fleet.max_w[row]),
                feed_w=int(fleet.feed_w[row]),
                capacity_ws=int(fleet.capacity_ws[row]),
                reserve_ws=int(fleet.reserve_ws[row]),
            )
            self.tell(agent, plugged_in)

    def _send_readings(self, standing: Standing) -> None:
        """Tell chargers and cars where they stand: cars when it changed, chargers also as long as power matters.

        A charger reports with its reading, and only a charger that reports can be granted power.
        """
        world, fleet = self.world, self.world.fleet
        powered = (standing.wanted_w | self._import_w[world.plugged] | self._export_w[world.plugged]) != 0
        columns = np.stack(
            (
                world.remaining_ws[world.plugged],
                world.baseline_ws[world.plugged],
                world.stored_ws[world.plugged],
                standing.wanted_w,
                standing.baseline_w,
                standing.firm_w,
                standing.due_ms,
                world.drew[world.plugged],
            )
        )
        for row, changed, *figures, drew in self._told.news(world.plugged, columns, powered):
            remaining_ws, baseline_ws, stored_ws, wanted_w, baseline_w, firm_w, due_ms = figures
            reading = events.Reading(
                row, remaining_ws, baseline_ws, stored_ws, wanted_w, baseline_w, firm_w, due_ms, bool(drew)
            )
            self.tell(charger_name(fleet.station_id[row]), reading)
            if changed:
                self.tell(vehicle_name(fleet.vehicle_id[row]), reading)

    def _move(self, tick: int, standing: Standing) -> None:
        """The world goes on to the next tick under the grants in force."""
        world = self.world
        rows = world.plugged
        owed_ws = np.maximum(world.remaining_ws[rows] - world.baseline_ws[rows], 0)
        drawn_w, fed_w = world.move(standing, self._import_w[rows], self._export_w[rows])
        self.record.ticks.append(
            TickRow(
                tick,
                int(world.base_w[tick + 1]),
                self._limit_w,
                rows,
                standing,
                drawn_w,
                fed_w,
                self._reduce_w[rows],
                self._forced_w[rows],
                owed_ws,
            )
        )
        self._forced_w[:] = 0

    def _end_session(self, row: int, billed_nanos: int, receivable_nanos: int) -> None:
        strategy = self._characters.names[self._characters.number[row]]
        self.record.sessions.append(
            session_row(
                self.world,
                row,
                self.street.ticks,
                strategy,
                self._deferred_ws[row],
                self._earned[row],
                billed_nanos,
                receivable_nanos,
            )
        )

    # -- what the driver needs of its host ----------------------------------------------------------------------------

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way. Here it arrives at once; here faults will strike."""
        self._push(self._now_ms, rank_of(message), sender, to, events.Received(sender, message))

    def tell(self, agent: str, event: Event) -> None:
        """Let an agent learn of something at this instant."""
        self._push(self._now_ms, _RANK[type(event)], WORLD, agent, event)

    def wake_at(self, agent: str, at_ms: int) -> None:
        """Wake an agent later."""
        self._push(at_ms, _RANK[events.Woken], agent, agent, events.Woken())

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """What the charger lets its car draw and feed from now on."""
        self._import_w[session], self._export_w[session] = import_w, export_w

    def vehicle_of(self, session: int) -> tuple[str, str]:
        """A session's id and its wallet's name."""
        return self.world.fleet.session_id[session], self.world.fleet.vehicle_id[session]

    def note(self, note: effects.NoteRound | effects.NoteAward | effects.NoteTrade | effects.NoteForced) -> None:
        """Write the record's rows."""
        match note:
            case effects.NoteRound():
                self.record.rounds.append(round_row(note))
            case effects.NoteAward():
                self._reduce_w[note.session] = note.reduce_w
            case effects.NoteForced():
                self._forced_w[note.session] = note.forced_w
                self.record.trades.append(
                    forced_row(note.tick, self.world.fleet.session_id[note.session], note.forced_w)
                )
            case effects.NoteTrade():
                self._reduce_w[note.session] = 0
                self._earned[note.session] += sum(note.nanos)
                self._deferred_ws[note.session] += sum(note.delivered_ws[:-1])
                self.record.trades.extend(trade_rows(note, self.world.fleet.session_id[note.session]))

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """A departed session is closed."""
        self._end_session(session, billed_nanos, receivable_nanos)

    def _push(self, at_ms: int, rank: int, sender: str, to: str, event: Event) -> None:
        self._sequence += 1
        heappush(self._heap, (at_ms, rank, sender, self._sequence, to, event))


class _Told:
    """What each row was last told of itself, so that only changes are sent: report by exception."""

    def __init__(self, rows: int) -> None:
        self._last = np.full((8, rows), -1, dtype=np.int64)

    def news(self, plugged: Ints, columns: Ints, powered: NDArray[np.bool_]) -> list[list[int]]:
        """(row, changed, *columns) of the plugged rows that are powered, or differ from what they were last told."""
        changed = (self._last[:, plugged] != columns).any(axis=0)
        told = changed | powered
        rows, columns = plugged[told], columns[:, told]
        self._last[:, rows] = columns
        news: list[list[int]] = np.vstack((rows, changed[told], columns)).T.tolist()
        return news


def charger_name(station_id: str) -> str:
    """The address of a charging point."""
    return f"charger/{station_id}"


def vehicle_name(vehicle_id: str) -> str:
    """The address of a car."""
    return f"vehicle/{vehicle_id}"


def household_name(number: int) -> str:
    """The address of the homes behind one meter."""
    return f"household/{number}"
