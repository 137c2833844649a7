"""The post of a node: what its agents say goes out, one frame a peer; what others say comes in through the gate.

It also keeps the connections alive: it says hello until it is welcomed, gives a sign of life when there is nothing to
say, makes a socket anew when a peer was silent for four heartbeats or has moved to another address, and cuts off
whoever is trusted no longer. One thread calls it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from wattswap.runners.node.frames import Reason, Signal
from wattswap.runners.node.gate import MUTED_BEATS, STRIKES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wattswap.protocol.messages import Message
    from wattswap.runners.node.frames import CableEvent
    from wattswap.runners.node.gate import Gate, Judgement
    from wattswap.runners.node.key_directory import PublicIdentity
    from wattswap.runners.node.roles import Role
    from wattswap.runners.node.trust import TrustStore
    from wattswap.runners.node.zeromq import Transport

SILENT_BEATS: Final = 4
"""After so many heartbeats without a word the socket to a peer is made anew."""

TICKS_A_BEAT: Final = 4
"""So often :meth:`Messenger.tick` is called."""
_SUSPECT_BEATS: Final = 2
"""After so many, if another address of the peer was heard of."""
_MOST_ADDRESSES: Final = 8

Said: TypeAlias = "tuple[str, str, Message]"
"""Sender, receiver, message."""
Heard: TypeAlias = "tuple[str, str, Message | CableEvent]"
"""Sender, receiver, and a message or what a charger's cable tells."""


@dataclass(frozen=True)
class LinkNotice:
    """Something about a connection that the log should tell."""

    event: str
    """linked, lost, moved, muted, refused-by, stranger, rejected, revoked, waiting."""
    peer: str
    """A name, or a key where there is none."""
    detail: str
    heard_ms: int | None = None
    """When one that is lost, and that connects to this node, was last heard."""

    @property
    def kind(self) -> str:
        """Whom the log counts it for: strangers have as many keys as they like, so they are one."""
        return "" if self.event == "stranger" else self.peer


@dataclass
class _Uplink:
    """An agent that this node connects to."""

    identity: PublicIdentity
    addresses: list[tuple[str, int]] = field(default_factory=list)
    """Where it may be; the one in use comes first, those that were heard of last at the end."""
    configured: tuple[str, int] | None = None
    """The one that is written down."""
    proven: tuple[str, int] | None = None
    """The one at which it was last."""
    untried: bool = False
    """An address was heard of since the socket was made."""
    on_trial: bool = False
    """The socket is at an address for no better reason than that it was heard of last."""
    since_ms: int = 0
    """When its socket was made."""
    told_ms: int | None = None
    """When it was last said hello to."""
    was_open: bool = False

    @property
    def where(self) -> str:
        """The address in use."""
        host, port = self.addresses[0]
        return f"{host}:{port}"

    def add(self, address: tuple[str, int]) -> None:
        """It may be there too. Where it was, is said to be by the configuration, or is now, nobody's word displaces."""
        if len(self.addresses) == _MOST_ADDRESSES:
            kept = self.addresses[0], self.configured, self.proven
            self.addresses.remove(next(one for one in self.addresses if one not in kept))
        self.addresses.append(address)

    def turn_to_next(self) -> None:
        """Use the address heard of last, if that was not tried; after such a trial each of the others in its turn."""
        first, *others = self.addresses
        self.on_trial = self.untried and not self.on_trial
        self.addresses = [others[-1], *others[:-1], first] if self.on_trial else [*others, first]


class Messenger:
    """Sends and receives messages for the agents of one node."""

    def __init__(
        self, transport: Transport, gate: Gate, trust: TrustStore, *, beat_ms: int, clock: Callable[[], int]
    ) -> None:
        """``trust`` is the store that ``transport`` and ``gate`` ask; ``clock`` gives monotonic milliseconds."""
        self._transport, self._gate, self._trust = transport, gate, trust
        self._beat_ms, self._clock = beat_ms, clock
        self._uplinks: dict[bytes, _Uplink] = {}
        self._lost: set[bytes] = set()
        """Peers that connect to this node and have fallen silent."""
        self._outgoing: defaultdict[bytes, list[Said]] = defaultdict(list)
        self.notices: list[LinkNotice] = []
        """What happened since whoever writes the log took them out."""
        self.unsent = 0
        """Messages that could not be sent for want of a link; agents repeat what matters."""

    def connect(self, agent: PublicIdentity, host: str, port: int, *, configured: bool = False) -> None:
        """Keep a connection to an agent, which is said to be at this address.

        Anybody can say where an agent is. So a connection that lives is kept, and the address is tried once the agent
        has fallen silent; one that is ``configured`` is never forgotten.

        Raises:
            InputError: this is no address.
        """
        uplink = self._uplinks.setdefault(agent.transport, _Uplink(agent))
        if configured:
            uplink.configured = host, port
        if (host, port) in uplink.addresses:
            return
        uplink.add((host, port))
        if len(uplink.addresses) == 1:
            self._make_anew(uplink, self._clock())
        else:
            uplink.untried = True

    def send(self, sender: str, receiver: str, message: Message) -> None:
        """Let a message go out with the next :meth:`flush`; one to a stranger is dropped and counted."""
        agent = self._trust.agent(receiver)
        if agent is None:
            self.unsent += 1
        else:
            self._outgoing[agent.transport].append((sender, receiver, message))

    def signal(self, sender: str, receiver: str, events: Iterable[CableEvent]) -> None:
        """Tell a car at once what its cable tells, or a charger what its driver wants; lost if there is no link."""
        agent, now_ms = self._trust.agent(receiver), self._clock()
        if agent is not None and receiver in self._gate.speaks(agent.transport):
            signals = [Signal(sender, receiver, event) for event in events]
            self._transport.send(agent.transport, self._gate.signals(agent.transport, signals, now_ms))

    def linked(self, role: Role) -> list[str]:
        """The agents of a role that are connected now, by name."""
        return sorted(
            agent.name
            for agent in self._trust
            if agent.role == role and agent.name in self._gate.speaks(agent.transport)
        )

    def refused(self, sender: str) -> None:
        """An agent here refuses what this agent said."""
        agent = self._trust.agent(sender)
        if agent is not None and self._gate.refused(agent.transport, sender, self._clock()):
            self._muted([sender])

    def flush(self) -> None:
        """Send what is waiting: all that goes to one peer in one frame, or in as few as the limits allow."""
        now_ms = self._clock()
        for peer, said in self._outgoing.items():
            there = self._gate.speaks(peer)
            to_say = [one for one in said if one[1] in there]
            self.unsent += len(said) - len(to_say)
            for frame in self._gate.bundle(peer, to_say, now_ms) if to_say else ():
                self._transport.send(peer, frame)
        self._outgoing.clear()

    def receive(self, timeout_ms: int) -> list[Heard]:
        """Wait for what comes, at most so long; all that is there, in its order."""
        found: list[Heard] = []
        arrived = self._transport.receive(timeout_ms)
        now_ms = self._clock()
        for peer, data in arrived:
            judgement = self._gate.judge(peer, data, now_ms)
            if judgement.answer is not None:
                self._transport.send(peer, judgement.answer)
            self._mind(peer, judgement, now_ms)
            found.extend(judgement.heard)
        return found

    def tick(self) -> None:
        """``TICKS_A_BEAT`` times a heartbeat: hellos, signs of life, and sockets that have to be made anew."""
        now_ms = self._clock()
        for uplink in self._uplinks.values():
            self._tend(uplink, now_ms)
        for peer in {agent.transport for agent in self._trust} - self._uplinks.keys():
            self._miss(peer, now_ms)
        for peer in self._gate.quiet(now_ms):
            for frame in self._gate.bundle(peer, (), now_ms):
                self._transport.send(peer, frame)
        for key, address in self._transport.refused():
            what = "its key is revoked" if self._trust.is_revoked(key) else "nobody here trusts its key"
            self._notice("stranger", key.hex(), f"{address} wants to connect, and {what}")

    def trust(self, store: TrustStore) -> None:
        """Trust what this store does from now on, and cut off whoever is not in it."""
        for peer in self._trust.become(store):
            self._gate.forget(peer)
            self._transport.cut(peer)
            self._uplinks.pop(peer, None)
            self._lost.discard(peer)
            self._outgoing.pop(peer, None)
            self._notice("revoked", peer.hex(), "its connection is cut")
        self._gate.renew()

    def _tend(self, uplink: _Uplink, now_ms: int) -> None:
        peer, name = uplink.identity.transport, uplink.identity.name
        if self._transport.is_refused(peer):
            self._notice(
                "refused-by", name, f"{uplink.where} turned our key away or is not {name}: do they trust each other?"
            )
        if self._gate.is_open(peer):
            uplink.was_open, uplink.on_trial, uplink.proven = True, False, uplink.addresses[0]
        elif uplink.told_ms is None or now_ms - uplink.told_ms >= self._beat_ms:
            self._say_hello(uplink, now_ms)
        silent_ms = now_ms - max(uplink.since_ms, self._gate.heard_ms(peer) or 0)
        beats = _SUSPECT_BEATS if uplink.untried else SILENT_BEATS
        if silent_ms > beats * self._beat_ms - self._beat_ms // TICKS_A_BEAT:  # at the next tick it would be later
            event = "lost" if uplink.was_open else "waiting"
            uplink.was_open = False
            self._notice(event, name, f"silent for {silent_ms} ms at {uplink.where}; trying again")
            self._try_next(uplink, now_ms)

    def _miss(self, peer: bytes, now_ms: int) -> None:
        """Note that a peer that connects to this node has fallen silent, or is heard again."""
        heard_ms = self._gate.heard_ms(peer)
        if heard_ms is None:
            return
        silent_ms = now_ms - heard_ms
        if (is_lost := silent_ms > SILENT_BEATS * self._beat_ms) == (peer in self._lost):
            return
        self._lost ^= {peer}
        event, detail = ("lost", f"silent for {silent_ms} ms") if is_lost else ("linked", "heard again")
        for name in sorted(self._gate.spoke(peer)):
            self.notices.append(LinkNotice(event, name, detail, heard_ms if is_lost else None))

    def _try_next(self, uplink: _Uplink, now_ms: int) -> None:
        """Make the socket anew, at the next address."""
        before = uplink.where
        uplink.turn_to_next()
        if uplink.where != before:
            self._notice("moved", uplink.identity.name, f"{before} -> {uplink.where}")
        self._make_anew(uplink, now_ms)

    def _make_anew(self, uplink: _Uplink, now_ms: int) -> None:
        uplink.since_ms, uplink.told_ms, uplink.untried = now_ms, None, False
        self._transport.connect(uplink.identity.transport, *uplink.addresses[0])
        self._say_hello(uplink, now_ms)

    def _say_hello(self, uplink: _Uplink, now_ms: int) -> None:
        if self._transport.send(uplink.identity.transport, self._gate.hello(uplink.identity.transport, now_ms)):
            uplink.told_ms = now_ms

    def _mind(self, peer: bytes, judgement: Judgement, now_ms: int) -> None:
        """Note what a frame did to the link."""
        if judgement.muted:
            self._muted(sorted(self._gate.spoke(peer)) or [self._name(peer)])
        if judgement.opened:
            self._lost.discard(peer)
            for name in sorted(self._gate.speaks(peer)):
                self._notice("linked", name, "hello and welcome")
        if judgement.rejected is None:
            return
        uplink = self._uplinks.get(peer)
        if uplink is not None and judgement.rejected.reason == Reason.HELLO_FIRST:
            self._say_hello(uplink, now_ms)
        else:
            self._notice("rejected", self._name(peer), judgement.rejected.text)

    def _muted(self, names: Iterable[str]) -> None:
        for name in names:
            beyond = f"{STRIKES} frames or messages that no honest peer sends"
            self._notice("muted", name, f"not listened to for {MUTED_BEATS * self._beat_ms / 1_000:g} s: {beyond}")

    def _name(self, peer: bytes) -> str:
        names = [agent.name for agent in self._trust if agent.transport == peer]
        return names[0] if names else peer.hex()

    def _notice(self, event: str, peer: str, detail: str) -> None:
        self.notices.append(LinkNotice(event, peer, detail))
