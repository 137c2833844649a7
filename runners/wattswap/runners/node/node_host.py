"""A node on the wall clock: it drives its agents through the same driver as the simulation.

One thread, one loop: what has come in, the wake-ups that are due, the beat. All that an agent learns in one turn is
made durable in one transaction, and only then is anything sent or any power set. What agents of one node say to each
other never leaves it; what they say to one peer leaves in one frame.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from wattswap.runners.node.clock import KEEP_MS, utc_text
from wattswap.runners.node.messenger import TICKS_A_BEAT
from wattswap.runners.node.service_manager import ServiceManager
from wattswap.runners.node.sparing_log import SparingLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.store import Store
    from wattswap.runners.node.clock import NodeClock
    from wattswap.runners.node.discovery import Discovery
    from wattswap.runners.node.frames import CableEvent
    from wattswap.runners.node.hosted_agent import HostedAgent
    from wattswap.runners.node.messenger import LinkNotice, Messenger
    from wattswap.runners.node.roles import Role
    from wattswap.runners.node.trust import NodeTrust

CLOCK_KEY: Final = "clock"
_MOST_TURN_EVENTS: Final = 10_000
_CLOCK_JUMP_MS: Final = 5_000


class NodeHost:
    """The loop of a process with its agents; :meth:`host` each before it runs."""

    def __init__(
        self,
        messenger: Messenger,
        clock: NodeClock,
        stores: Sequence[Store],
        log: FilteringBoundLogger,
        *,
        roles: Mapping[str, Role],
        beat_ms: int,
        lease_ms: int,
        trust: NodeTrust,
        upstreams: Iterable[str] = (),
        discovery: Discovery | None = None,
    ) -> None:
        """``stores`` are the host's own, one for each agent; ``roles`` are those of the agents here, by name.

        ``lease_ms`` is how long after its last word a charger may still draw what it was granted. ``upstreams`` are
        those whom the node connects to.
        """
        self._messenger, self._clock, self._stores, self._log = messenger, clock, stores, log
        self._sparing = SparingLog(log)
        self._roles, self._beat_ms, self._trust = roles, beat_ms, trust
        self._lease_ms = lease_ms
        self._upstreams, self._discovery = frozenset(upstreams), discovery
        self._agents: dict[str, HostedAgent] = {}
        self._next_beat_ms = 0
        self._clock_kept_ms = 0
        self._jump_ms = 0
        self._trust_troubles: tuple[str, ...] = ()
        self._service = ServiceManager(os.environ)

    def host(self, agent: HostedAgent) -> None:
        """Run this agent too."""
        assert agent.name in self._roles
        self._agents[agent.name] = agent

    def run(self, stopped: Callable[[], bool]) -> None:
        """Run until told to stop.

        Raises:
            LedgerDownError: a store cannot be written; whatever was said before is in it.
        """
        now_ms = self._clock.now_ms()
        self._keep_clock(now_ms)
        for agent in self._agents.values():
            agent.start()
        self._next_beat_ms = now_ms // self._beat_ms * self._beat_ms + self._beat_ms
        self._service.ready()
        try:
            while not stopped():
                self._turn()
                self._service.turned(self._clock.now_ms())
        finally:
            for agent in self._agents.values():
                agent.close()
            if self._discovery is not None:
                self._discovery.close()

    # -- what agents here may ask -------------------------------------------------------------------------------------

    def post(self, sender: str, receiver: str, message: Message) -> None:
        """Bring a message on its way: to an agent here at once, to any other with the end of the turn."""
        if (agent := self._agents.get(receiver)) is not None:
            agent.hear(sender, message)
        else:
            self._messenger.send(sender, receiver, message)

    def signal(self, sender: str, receiver: str, events: Sequence[CableEvent]) -> None:
        """Tell a car at once what the cable and the meter of its charger tell."""
        if (agent := self._agents.get(receiver)) is None:
            self._messenger.signal(sender, receiver, events)
            return
        for event in events:
            agent.hear(sender, event)

    def refused(self, sender: str) -> None:
        """An agent here refuses what another said."""
        if sender not in self._agents:
            self._messenger.refused(sender)

    def linked(self, agent: str, role: Role) -> list[str]:
        """Those of a role whom an agent here trusts and who can be told something now, by name."""
        here = [name for name, own in self._roles.items() if own == role]
        return sorted(name for name in {*here, *self._messenger.linked(role)} if self._trust.hears(agent, name))

    # -- the loop -----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        agents = self._agents.values()
        now_ms = self._clock.now_ms()
        wakes_ms = (due_ms for agent in agents if (due_ms := agent.due_ms) is not None)
        due_ms = min(self._next_beat_ms, *wakes_ms, now_ms + self._beat_ms // TICKS_A_BEAT)
        for sender, receiver, said in self._messenger.receive(max(0, due_ms - now_ms)):
            self._agents[receiver].hear(sender, said)
        now_ms = self._clock.now_ms()
        for agent in agents:
            agent.wake(now_ms)
        if now_ms >= self._next_beat_ms:
            self._beat(now_ms)
        self._learn(now_ms)
        for agent in agents:
            agent.show(now_ms)
        self._messenger.flush()
        self._messenger.tick()
        self._tell_log()

    def _learn(self, now_ms: int) -> None:
        """Let all learn of what is pending, and of what that brings up."""
        for _ in range(_MOST_TURN_EVENTS):
            learned = [agent.learn(now_ms) for agent in self._agents.values()]
            if not any(learned):
                return

    def _beat(self, now_ms: int) -> None:
        """Once a heartbeat: the sensors, the clock, whom to trust, and where others are."""
        self._next_beat_ms = now_ms // self._beat_ms * self._beat_ms + self._beat_ms
        for agent in self._agents.values():
            agent.beat(now_ms)
        self._keep_clock(now_ms)
        self._look_at_trust()
        if self._discovery is not None:
            for found in self._discovery.found():
                known = self._trust.all.agent(found.identity.name)
                if (
                    found.identity.name in self._upstreams
                    and known is not None
                    and known.transport == found.identity.transport
                ):
                    self._messenger.connect(known, found.host, found.port)

    def _keep_clock(self, now_ms: int) -> None:
        """Remember what the clock says, and say when somebody has set the wall's."""
        if now_ms >= self._clock_kept_ms + KEEP_MS:
            self._clock_kept_ms = now_ms
            record = self._clock.record().encode()
            for store in self._stores:
                store.commit(((CLOCK_KEY, record),), ())
        jump_ms = self._clock.ahead_of_wall_ms()
        if abs(jump_ms - self._jump_ms) > _CLOCK_JUMP_MS:
            self._jump_ms = jump_ms
            self._log.warning("clock differs", ahead_of_wall_ms=jump_ms, advice="leases are not touched by it")

    def _look_at_trust(self) -> None:
        if not self._trust.changed():
            return
        before = self._trust.everybody()
        self._messenger.trust(self._trust.read())
        if self._trust.everybody() != before:
            self._log.info("trust changed", trusted=sorted(agent.name for agent in self._trust.all))
        for trouble in self._trust.troubles:
            if trouble not in self._trust_troubles:
                self._log.warning("trust file left aside", why=trouble)
        self._trust_troubles = self._trust.troubles

    def _tell_log(self) -> None:
        for notice in self._messenger.notices:
            said = {"peer": notice.peer, "detail": notice.detail, **self._reckoning(notice)}
            self._sparing.write("info", notice.event, notice.kind, **said)
            if notice.event == "linked":
                for agent in self._agents.values():
                    agent.link_opened(notice.peer)
        self._messenger.notices.clear()
        self._sparing.settle()

    def _reckoning(self, notice: LinkNotice) -> dict[str, str]:
        """Until when a transformer here reckons with what a charger that has fallen silent was granted."""
        if notice.heard_ms is None or "transformer" not in self._roles.values():
            return {}
        peer = self._trust.all.agent(notice.peer)
        if peer is None or peer.role != "charger":
            return {}
        return {"reckoned_with_until": utc_text(notice.heard_ms + self._lease_ms)}
