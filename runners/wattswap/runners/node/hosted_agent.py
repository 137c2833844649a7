"""One of the agents of a node: what it has yet to learn, when it wants to be woken, its sensor, its power."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from wattswap.agents.charger import Charger
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Received, Woken
from wattswap.runners.node.drivers.device import DeviceError
from wattswap.runners.node.frames import CableEvent
from wattswap.runners.node.sparing_log import SparingLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from structlog.typing import FilteringBoundLogger

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.errors import LocalProtocolError
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.node import Node
    from wattswap.runners.engines.observer import Note
    from wattswap.runners.node.ledger_payments import LedgerPayments
    from wattswap.runners.node.pages import AgentPage
    from wattswap.runners.node.sensors import Sensor
    from wattswap.runners.node.street_recorder import StreetRecorder


class HostedAgent:
    """An agent with its node, as the host of that node's driver."""

    def __init__(
        self,
        make_node: Callable[[HostedAgent], Node],
        sensor: Sensor,
        log: FilteringBoundLogger,
        *,
        post: Callable[[str, str, Message], None],
        refused: Callable[[str], None],
        beat_ms: int,
        phase_ms: int = 0,
        page: AgentPage | None = None,
        recorder: StreetRecorder | None = None,
        payments: LedgerPayments | None = None,
    ) -> None:
        """``post`` brings a message (sender, receiver, message) on its way; ``refused`` hears whose was not accepted.

        The agent's wake-ups on a beat come ``phase_ms`` after it: by then a transformer has heard what others sensed.
        """
        self._post, self._refused, self._sensor, self._log = post, refused, sensor, log
        self._sparing = SparingLog(log)
        self._beat_ms, self._phase_ms = beat_ms, phase_ms
        self._page, self._recorder, self._payments = page, recorder, payments
        self._powers_w = 0, 0
        self._pending: deque[tuple[Event, str]] = deque()
        """What the agent has yet to learn, and which other agent said it; empty for what this node knows itself."""
        self._wakes: list[tuple[int, int]] = []
        """(when, the instant that was asked for)."""
        self._sensor_trouble = ""
        self._why = ""
        """Why power is set, where that is no grant."""
        self._node = make_node(self)
        self.name = self._node.agent.name

    def start(self) -> None:
        """Start the agent, for the first time or again."""
        first = self._node.start()
        self._know(first or (Woken(),))
        self._log.info("started", agent=self.name, restarted=bool(first))

    def close(self) -> None:
        """Let go of the hardware and of the ledger."""
        try:
            self._sensor.close()
        except DeviceError as error:
            self._log.error("power not set", why=str(error))
        if self._payments is not None:
            self._payments.close()
        self._log.info("stopped", agent=self.name)

    @property
    def due_ms(self) -> int | None:
        """When it wants to be woken next."""
        return self._wakes[0][0] if self._wakes else None

    def hear(self, sender: str, said: Message | CableEvent) -> None:
        """Another agent says something; learned of with the next :meth:`learn`."""
        if not isinstance(said, CableEvent):
            self._pending.append((Received(sender, said), sender))
            return
        try:
            self._pending.append((self._sensor.told(sender, said), sender))
        except RemoteProtocolError as error:
            self._refuse(sender, error)

    def link_opened(self, peer: str) -> None:
        """Another agent has connected anew."""
        self._sensor.link_opened(peer)

    def wake(self, now_ms: int) -> None:
        """Let it learn of the wake-ups that are due."""
        while self._wakes and self._wakes[0][0] <= now_ms:
            self._know((Woken(heappop(self._wakes)[1]),))

    def beat(self, now_ms: int) -> None:
        """Once a heartbeat: what the sensor shows."""
        self._sparing.settle()
        try:
            self._know(self._sensor.beat(now_ms))
        except DeviceError as error:
            self._say_once(str(error))
        else:
            self._say_once(self._sensor.trouble)

    def learn(self, now_ms: int) -> bool:
        """Let the agent learn of all that is pending, in one transaction; whether there was anything."""
        if not self._pending:
            return False
        events, self._pending = self._pending, deque()
        lease_ends_ms = self._lease_ends_ms()
        effects: list[Effect] = []
        handled: list[tuple[Event, Sequence[Effect]]] = []
        for event, sender in events:
            try:
                done = self._node.agent.handle(event, now_ms)
                effects += done
                handled.append((event, done))
            except RemoteProtocolError as error:
                self._refuse(sender, error)
            except Exception as error:
                if not sender:
                    raise
                # whatever others say, and whatever a strategy of one's own makes of it, the node goes on
                said = event.message if isinstance(event, Received) else event
                about = f"{type(said).__name__} of {sender}"
                self._sparing.write("error", "dropped", about, about=about, why=f"{type(error).__name__}: {error}")
        self._tell_recorder(lambda recorder: recorder.handled(handled, now_ms))
        is_over = lease_ends_ms is not None and lease_ends_ms <= now_ms and self._lease_ends_ms() is None
        self._why = "lease over" if is_over else ""
        if effects:
            self._node.driver.carry_out(self.name, effects)
            if self._payments is not None and (book := self._node.driver.book) is not None:
                self._payments.follow(book)
        return True

    def _tell_recorder(self, tell: Callable[[StreetRecorder], None]) -> None:
        """Tell the recorder. It ends no node: one that fails is told nothing more, and the log says so."""
        if self._recorder is None:
            return
        try:
            tell(self._recorder)
        except Exception as error:  # noqa: BLE001 - see above
            self._recorder = None
            self._log.error("dashboard stopped", why=f"{type(error).__name__}: {error}")

    def _lease_ends_ms(self) -> int | None:
        agent = self._node.agent
        return agent.lease_ends_ms if isinstance(agent, Charger) else None

    def show(self, now_ms: int) -> None:
        """Show on its page how the agent stands."""
        if self._page is not None:
            self._page.look(self._node.agent, self._powers_w)
        self._tell_recorder(lambda recorder: recorder.look(self._node.agent, self._node.driver.book, now_ms))

    def _refuse(self, sender: str, error: RemoteProtocolError) -> None:
        """Log what is wrong with what somebody said, and hold it against whoever said it."""
        self._sparing.write("warning", "refused", sender, sender=sender, why=str(error))
        self._refused(sender)

    def _know(self, events: Iterable[Event]) -> None:
        """Let the agent learn what this node itself has found out."""
        self._pending.extend((event, "") for event in events)

    def _say_once(self, trouble: str) -> None:
        """Log what is wrong with the hardware or the driver's file when it begins, and when it is over."""
        if bool(trouble) != bool(self._sensor_trouble):
            if trouble:
                self._log.warning("sensor trouble", why=trouble)
            else:
                self._log.info("sensor well")
        self._sensor_trouble = trouble

    # -- what the driver needs of its host ----------------------------------------------------------------------------

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way."""
        self._post(sender, to, message)

    def tell(self, agent: str, event: Event) -> None:  # noqa: ARG002 - it is this one
        """Let the agent learn of something at once."""
        self._know((event,))

    def wake_at(self, agent: str, at_ms: int) -> None:  # noqa: ARG002 - as above
        """Wake the agent at an instant."""
        is_beat = at_ms % self._beat_ms == 0
        heappush(self._wakes, (at_ms + is_beat * self._phase_ms, at_ms))

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """Set what the car may draw and feed; if that fails, the lease will run out and it is tried again."""
        why = {"why": self._why} if self._why else {}
        self._log.info("power", session=session, import_w=import_w, export_w=export_w, **why)
        self._powers_w = import_w, export_w
        try:
            self._sensor.allow(session, import_w, export_w)
        except DeviceError as error:
            self._log.error("power not set", why=str(error))

    def note(self, agent: str, note: Note) -> None:  # noqa: ARG002 - as above
        """Write it into the log."""
        self._log.info(type(note).__name__, **{field: getattr(note, field) for field in note.__struct_fields__})

    def refused(self, agent: str, error: LocalProtocolError) -> None:  # noqa: ARG002 - as above
        """Write it into the log and go on: one payment that cannot be must not keep all others waiting for ever."""
        self._log.error("not booked", why=str(error))

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """Write it into the log."""
        self._log.info("billed", session=session, billed_nanos=billed_nanos, receivable_nanos=receivable_nanos)
        self._tell_recorder(lambda recorder: recorder.billed(session, billed_nanos, receivable_nanos))
