"""A node on the wall clock: it drives its agent through the same driver as the simulation.

One thread, one loop: what has come in, the wake-ups that are due, the beat. All that an agent learns in one turn is
made durable in one transaction, and only then is anything sent or any power set.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from wattswap.protocol.errors import InputError, RemoteProtocolError
from wattswap.protocol.events import Received, Woken
from wattswap.runners.node.clock import KEEP_MS
from wattswap.runners.node.drivers.device import DeviceError
from wattswap.runners.node.frames import CableEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from structlog.typing import FilteringBoundLogger

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.node import Node
    from wattswap.runners.engines.observer import Note
    from wattswap.runners.engines.store import Store
    from wattswap.runners.node.clock import NodeClock
    from wattswap.runners.node.discovery import Discovery
    from wattswap.runners.node.ledger_payments import LedgerPayments
    from wattswap.runners.node.messenger import Messenger
    from wattswap.runners.node.pages import AgentPage
    from wattswap.runners.node.sensors import Sensor
    from wattswap.runners.node.trust import TrustDirectory, TrustStore

CLOCK_KEY: Final = "clock"
_TURNS_A_BEAT: Final = 4
_MOST_TURN_EVENTS: Final = 10_000
_CLOCK_JUMP_MS: Final = 5_000


class NodeHost:
    """The host of one agent."""

    def __init__(
        self,
        make_node: Callable[[NodeHost], Node],
        messenger: Messenger,
        sensor: Sensor,
        clock: NodeClock,
        store: Store,
        log: FilteringBoundLogger,
        *,
        beat_ms: int,
        phase_ms: int = 0,
        trust: TrustStore,
        trusted: TrustDirectory,
        upstream: str = "",
        discovery: Discovery | None = None,
        page: AgentPage | None = None,
        payments: LedgerPayments | None = None,
    ) -> None:
        """``store`` is the host's own; the agent's belongs to its node. ``upstream`` is whom the node connects to.

        The agent's wake-ups on a beat come ``phase_ms`` after it: by then a transformer has heard what others sensed.
        """
        self._messenger, self._sensor, self._clock, self._store = messenger, sensor, clock, store
        self._log, self._beat_ms, self._trust, self._trusted = log, beat_ms, trust, trusted
        self._upstream, self._discovery, self._page = upstream, discovery, page
        self._payments = payments
        self._powers_w = 0, 0
        self._pending: deque[tuple[Event, str]] = deque()
        """What the agent has yet to learn, and which other agent said it; empty for what this node knows itself."""
        self._wakes: list[tuple[int, int]] = []
        """(when, the instant that was asked for)."""
        self._phase_ms = phase_ms
        self._next_beat_ms = 0
        self._clock_kept_ms = 0
        self._jump_ms = 0
        self._sensor_trouble = ""
        self._node = make_node(self)
        self.name = self._node.agent.name

    def run(self, stopped: Callable[[], bool]) -> None:
        """Run until told to stop.

        Raises:
            LedgerDownError: the store cannot be written; whatever was said before is in it.
        """
        now_ms = self._clock.now_ms()
        self._keep_clock(now_ms)
        first = self._node.start()
        self._know(first or (Woken(),))
        self._log.info("started", agent=self.name, restarted=bool(first))
        self._next_beat_ms = now_ms // self._beat_ms * self._beat_ms + self._beat_ms
        try:
            while not stopped():
                self._turn()
        finally:
            try:
                self._sensor.close()
            except DeviceError as error:
                self._log.error("power not set", why=str(error))
            if self._payments is not None:
                self._payments.close()
            if self._discovery is not None:
                self._discovery.close()
            self._log.info("stopped", agent=self.name)

    def _turn(self) -> None:
        now_ms = self._clock.now_ms()
        wakes_ms = (due_ms for due_ms, _ in self._wakes[:1])
        due_ms = min(self._next_beat_ms, *wakes_ms, now_ms + self._beat_ms // _TURNS_A_BEAT)
        for sender, receiver, said in self._messenger.receive(max(0, due_ms - now_ms)):
            assert receiver == self.name
            if isinstance(said, CableEvent):
                try:
                    self._pending.append((self._sensor.told(sender, said), sender))
                except RemoteProtocolError as error:
                    self._log.warning("refused", why=str(error))
            else:
                self._pending.append((Received(sender, said), sender))
        now_ms = self._clock.now_ms()
        while self._wakes and self._wakes[0][0] <= now_ms:
            self._know((Woken(heappop(self._wakes)[1]),))
        if now_ms >= self._next_beat_ms:
            self._beat(now_ms)
        self._learn(now_ms)
        if self._page is not None:
            self._page.look(self._node.agent, self._powers_w)
        self._messenger.flush()
        self._messenger.tick()
        self._tell_log()

    def _know(self, events: Iterable[Event]) -> None:
        """Let the agent learn what this node itself has found out."""
        self._pending.extend((event, "") for event in events)

    def _learn(self, now_ms: int) -> None:
        """Let the agent learn of all that is pending, in one transaction; what that brings up waits for the next."""
        for _ in range(_MOST_TURN_EVENTS):
            if not self._pending:
                return
            events, self._pending = self._pending, deque()
            effects: list[Effect] = []
            for event, sender in events:
                try:
                    effects += self._node.agent.handle(event, now_ms)
                except RemoteProtocolError as error:
                    self._log.warning("refused", why=str(error))
                except Exception as error:
                    if not sender:
                        raise
                    # whatever others say, and whatever a strategy of one's own makes of it, the node goes on
                    said = event.message if isinstance(event, Received) else event
                    about = f"{type(said).__name__} of {sender}"
                    self._log.error("dropped", about=about, why=f"{type(error).__name__}: {error}")
            if effects:
                self._node.driver.carry_out(self.name, effects)
                if self._payments is not None and (book := self._node.driver.book) is not None:
                    self._payments.follow(book)

    def _beat(self, now_ms: int) -> None:
        """Once a heartbeat: the sensors, the clock, whom to trust, and where others are."""
        self._next_beat_ms = now_ms // self._beat_ms * self._beat_ms + self._beat_ms
        try:
            self._know(self._sensor.beat(now_ms))
        except DeviceError as error:
            self._say_once(str(error))
        else:
            self._say_once(self._sensor.trouble)
        self._keep_clock(now_ms)
        self._look_at_trust()
        if self._discovery is not None:
            for found in self._discovery.found():
                known = self._trust.agent(found.identity.name)
                if (
                    found.identity.name == self._upstream
                    and known is not None
                    and known.transport == found.identity.transport
                ):
                    self._messenger.connect(known, found.host, found.port)

    def _say_once(self, trouble: str) -> None:
        """Log what is wrong with the hardware or the driver's file when it begins, and when it is over."""
        if bool(trouble) != bool(self._sensor_trouble):
            if trouble:
                self._log.warning("sensor trouble", why=trouble)
            else:
                self._log.info("sensor well")
        self._sensor_trouble = trouble

    def _keep_clock(self, now_ms: int) -> None:
        """Remember what the clock says, and say when somebody has set the wall's."""
        if now_ms >= self._clock_kept_ms + KEEP_MS:
            self._clock_kept_ms = now_ms
            self._store.commit(((CLOCK_KEY, self._clock.record().encode()),), ())
        jump_ms = self._clock.ahead_of_wall_ms()
        if abs(jump_ms - self._jump_ms) > _CLOCK_JUMP_MS:
            self._jump_ms = jump_ms
            self._log.warning("clock differs", ahead_of_wall_ms=jump_ms, advice="leases are not touched by it")

    def _look_at_trust(self) -> None:
        if not self._trusted.changed():
            return
        try:
            self._messenger.trust(self._trusted.read())
        except InputError as error:
            self._log.warning("trust not changed", why=str(error))
        else:
            self._log.info("trust changed", trusted=sorted(agent.name for agent in self._trust))

    def _tell_log(self) -> None:
        for notice in self._messenger.notices:
            self._log.info(notice.event, peer=notice.peer, detail=notice.detail)
            if notice.event == "linked":
                self._sensor.link_opened(notice.peer)
        self._messenger.notices.clear()

    # -- what the driver needs of its host ----------------------------------------------------------------------------

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way."""
        self._messenger.send(sender, to, message)

    def tell(self, agent: str, event: Event) -> None:  # noqa: ARG002 - there is one
        """Let the agent learn of something at once."""
        self._know((event,))

    def wake_at(self, agent: str, at_ms: int) -> None:  # noqa: ARG002 - as above
        """Wake the agent at an instant."""
        is_beat = at_ms % self._beat_ms == 0
        heappush(self._wakes, (at_ms + is_beat * self._phase_ms, at_ms))

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """Set what the car may draw and feed; if that fails, the lease will run out and it is tried again."""
        self._log.info("power", session=session, import_w=import_w, export_w=export_w)
        self._powers_w = import_w, export_w
        try:
            self._sensor.allow(session, import_w, export_w)
        except DeviceError as error:
            self._log.error("power not set", why=str(error))

    def note(self, agent: str, note: Note) -> None:  # noqa: ARG002 - as above
        """Write it into the log."""
        self._log.info(type(note).__name__, **{field: getattr(note, field) for field in note.__struct_fields__})

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """Write it into the log."""
        self._log.info("billed", session=session, billed_nanos=billed_nanos, receivable_nanos=receivable_nanos)
