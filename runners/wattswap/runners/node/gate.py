"""What a node lets in: every frame from outside passes here before an agent hears of it.

The checks run from cheap to dear: is the key still trusted, does the peer keep within its allowance, is it a frame of
ours, did a hello open the link, does the frame's number rise, does each name belong to the key, may the role say
this, is it a message. What fails is dropped and counted; a peer is told why, at most once a
heartbeat. What an agent refuses of what came through is held against whoever said it. No socket in here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from wattswap.protocol.codec import decode, encode
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import DriverWish
from wattswap.runners.node.frames import (
    FRAME_VERSION,
    Bundle,
    CableEvent,
    Envelope,
    FrameVersionError,
    Hello,
    Reason,
    Rejection,
    Signal,
    Signals,
    Welcome,
    decode_frame,
    encode_frame,
    parts,
)
from wattswap.runners.node.roles import may_send
from wattswap.runners.node.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wattswap.protocol.messages import Message
    from wattswap.runners.node.roles import Role
    from wattswap.runners.node.trust import TrustStore

FRAMES_A_BEAT: Final = 50
"""So many frames a heartbeat a peer may send for each agent that speaks through it."""
MESSAGES_A_BEAT: Final = 128
"""And so many messages and signals, for each of them and each agent here: a frame holds many, and each costs."""
BURST_BEATS: Final = 4
STRIKES: Final = 100
"""After so many frames or messages that no honest peer sends, a peer is not listened to for a while. One is forgotten
every second."""
MUTED_BEATS: Final = 60


class _Patience:
    """What is borne of one peer or one agent until it is not listened to."""

    def __init__(self, beat_ms: int) -> None:
        self._muted_ms = MUTED_BEATS * beat_ms
        self._left, self._until_ms = TokenBucket(1, STRIKES - 1), 0

    def strike(self, now_ms: int) -> bool:
        """It has done what no honest one does; whether it is not listened to from now on."""
        if self._left.take(1, now_ms):
            return False
        self._left, self._until_ms = TokenBucket(1, STRIKES - 1), now_ms + self._muted_ms
        return True

    def is_over(self, now_ms: int) -> bool:
        """Whether it is not listened to now."""
        return now_ms < self._until_ms


@dataclass
class GateCounts:
    """What was dropped at the gate, by cause."""

    untrusted: int = 0
    """Frames of a key that is trusted no longer."""
    over_allowance: int = 0
    muted: int = 0
    malformed: int = 0
    """Bytes that are no frame, or a message in a frame that is none."""
    other_version: int = 0
    before_hello: int = 0
    replayed: int = 0
    """Frames whose number did not rise."""
    old_epoch: int = 0
    other_beat: int = 0
    wrong_name: int = 0
    """Names that are not bound to the key."""
    wrong_role: int = 0
    """Messages that the sender's role may not send to the receiver's."""
    unheard: int = 0
    """Messages of an agent that the receiver does not trust, from a peer whose other agents are trusted."""
    misaddressed: int = 0
    """Messages to agents that are not here."""

    def total(self) -> int:
        """All of them."""
        return sum(asdict(self).values())


@dataclass
class _Link:
    """What is known of one peer."""

    frames: TokenBucket
    messages: TokenBucket
    patience: _Patience
    patience_with: dict[str, _Patience] = field(default_factory=dict)
    """By the name of who speaks: one of the peer's agents that is muted takes no other along."""
    epoch: int = 0
    said_names: tuple[str, ...] = ()
    """Who is there, as the peer says."""
    names: frozenset[str] = frozenset()
    """Those of them who are trusted with its key; empty until its hello or welcome was accepted."""
    seq_in: int = 0
    seq_out: int = 0
    heard_ms: int | None = None
    said_ms: int | None = None
    rejected_ms: int | None = None


@dataclass
class Judgement:
    """What came of a frame."""

    heard: list[tuple[str, str, Message | CableEvent]] = field(default_factory=list)
    """(sender, receiver, what it says), in their order."""
    answer: bytes | None = None
    """A frame to send back."""
    opened: bool = False
    """A hello or a welcome was accepted: the peer listens from now on."""
    rejected: Rejection | None = None
    """What the peer said of a frame of ours."""
    muted: bool = False
    """The peer is not listened to from now on, for ``MUTED_BEATS``."""


class Gate:
    """Judges frames from peers, and makes frames for them."""

    def __init__(
        self,
        agents: Mapping[str, Role],
        trust: TrustStore,
        *,
        epoch: int,
        beat_ms: int,
        epochs: Mapping[bytes, int] | None = None,
        remember: Callable[[bytes, int], None] = lambda _key, _epoch: None,
        hears: Callable[[str, str], bool] = lambda _receiver, _sender: True,
    ) -> None:
        """``agents`` are those here. ``epochs`` are the highest heard of each key before; ``remember`` keeps one.

        ``hears`` says whether an agent here listens to another that the node trusts.
        """
        self._agents, self._names, self._hears = agents, tuple(agents), hears
        self._trust, self._epoch, self._beat_ms, self._remember = trust, epoch, beat_ms, remember
        self._epochs = dict(epochs or {})
        self._links: dict[bytes, _Link] = {}
        self.counts = GateCounts()

    def hello(self, peer: bytes, now_ms: int) -> bytes:
        """The frame that opens a link to a peer; whatever was open before is closed until it answers."""
        link = self._link(peer)
        link.names, link.said_ms = frozenset(), now_ms
        return encode_frame(Hello(FRAME_VERSION, self._epoch, self._beat_ms, self._names))

    def is_open(self, peer: bytes) -> bool:
        """Whether the peer's hello or welcome was accepted."""
        return (link := self._links.get(peer)) is not None and bool(link.names)

    def spoke(self, peer: bytes) -> frozenset[str]:
        """Who was last heard through the connection of a key, also after it was closed."""
        return frozenset() if (link := self._links.get(peer)) is None else self._known(peer, link.said_names)

    def speaks(self, peer: bytes) -> frozenset[str]:
        """Who is heard through the connection of a key, by name."""
        return frozenset() if (link := self._links.get(peer)) is None else link.names

    def renew(self) -> None:
        """After a change of trust: a peer says hello again if others of its agents are trusted now than before."""
        for peer, link in self._links.items():
            if link.names and self._known(peer, link.said_names) != link.names:
                link.names = frozenset()

    def _known(self, peer: bytes, names: Iterable[str]) -> frozenset[str]:
        """Those of the names that are trusted with this key."""
        found = (self._trust.agent(name) for name in names)
        return frozenset(agent.name for agent in found if agent is not None and agent.transport == peer)

    def heard_ms(self, peer: bytes) -> int | None:
        """When something acceptable last came from a peer."""
        return None if (link := self._links.get(peer)) is None else link.heard_ms

    def quiet(self, now_ms: int) -> list[bytes]:
        """Peers with an open link that were told nothing for a heartbeat: each is due a sign of life."""
        due_ms = now_ms - self._beat_ms
        return [peer for peer, link in self._links.items() if link.names and (link.said_ms or 0) <= due_ms]

    def forget(self, peer: bytes) -> None:
        """Close the link to a peer that is trusted no longer.

        How far the numbers of frames have come is kept: should it be trusted again, they go on rising on both sides.
        """
        if (link := self._links.get(peer)) is not None:
            link.names, link.said_names, link.heard_ms = frozenset(), (), None

    def bundle(self, peer: bytes, messages: Iterable[tuple[str, str, Message]], now_ms: int) -> list[bytes]:
        """Frames with these messages (sender, receiver, message), as few as the limits allow; one for none."""
        link = self._link(peer)
        link.said_ms = now_ms
        envelopes = [Envelope(sender, receiver, encode(message)) for sender, receiver, message in messages]
        frames = []
        for part in parts(envelopes):
            link.seq_out += 1
            frames.append(encode_frame(Bundle(FRAME_VERSION, self._epoch, link.seq_out, part)))
        return frames

    def signals(self, peer: bytes, signals: Iterable[Signal], now_ms: int) -> bytes:
        """A frame with these signals."""
        link = self._link(peer)
        link.said_ms = now_ms
        link.seq_out += 1
        return encode_frame(Signals(FRAME_VERSION, self._epoch, link.seq_out, tuple(signals)))

    def judge(self, peer: bytes, data: bytes, now_ms: int) -> Judgement:
        """What comes of a frame that arrived through the connection of a key."""
        if not self._trust.allows(peer):
            self.counts.untrusted += 1
            return Judgement()
        link = self._link(peer)
        if link.patience.is_over(now_ms):
            self.counts.muted += 1
            return Judgement()
        if not link.frames.take(1, now_ms):
            self.counts.over_allowance += 1
            return Judgement()
        judgement = self._on_frame(peer, link, data, now_ms)
        judgement.muted = link.patience.is_over(now_ms)
        return judgement

    def _on_frame(self, peer: bytes, link: _Link, data: bytes, now_ms: int) -> Judgement:
        try:
            frame = decode_frame(data)
        except FrameVersionError as error:
            self.counts.other_version += 1
            return self._reject(link, Reason.VERSION, str(error), now_ms)
        except RemoteProtocolError:
            self.counts.malformed += 1
            link.patience.strike(now_ms)
            return Judgement()
        match frame:
            case Bundle() | Signals():
                return self._on_content(link, frame, now_ms)
            case Rejection():
                return self._on_rejection(link, frame)
            case Hello() | Welcome():
                return self._on_opening(peer, link, frame, now_ms)

    def _on_opening(self, peer: bytes, link: _Link, frame: Hello | Welcome, now_ms: int) -> Judgement:
        """Accept who speaks through the connection; a hello is answered by a welcome.

        Agents of the peer that nobody here trusts are left out. One that is trusted with another key is an impostor.
        """
        names = self._known(peer, frame.names)
        for name in frame.names:
            if name not in names and (self._trust.agent(name) is not None or not names):
                self.counts.wrong_name += 1
                link.patience.strike(now_ms)
                return self._reject(link, Reason.NAME, f"{name} is not bound to this key", now_ms)
        if frame.epoch < (known_epoch := self._epochs.get(peer, 0)):
            self.counts.old_epoch += 1
            return self._reject(link, Reason.EPOCH, f"epoch {frame.epoch} is over, {known_epoch} was here", now_ms)
        if frame.beat_ms != self._beat_ms:
            self.counts.other_beat += 1
            return self._reject(link, Reason.BEAT, f"beat {frame.beat_ms} ms, here {self._beat_ms} ms", now_ms)
        if frame.epoch > known_epoch:
            self._remember(peer, frame.epoch)
            self._epochs[peer] = frame.epoch
        if frame.epoch > link.epoch:
            link.epoch, link.seq_in = frame.epoch, 0
        link.said_names, link.names, link.heard_ms = frame.names, names, now_ms
        link.frames.resize(*self._rate(FRAMES_A_BEAT * len(names)))
        link.messages.resize(*self._rate(MESSAGES_A_BEAT * len(names) * len(self._agents)))
        if isinstance(frame, Welcome):
            return Judgement(opened=True)
        link.said_ms = now_ms
        return Judgement(
            answer=encode_frame(Welcome(FRAME_VERSION, self._epoch, self._beat_ms, self._names)), opened=True
        )

    def _on_content(self, link: _Link, frame: Bundle | Signals, now_ms: int) -> Judgement:
        if not link.names or frame.epoch != link.epoch:
            self.counts.before_hello += 1
            link.names = frozenset()
            return self._reject(link, Reason.HELLO_FIRST, "say hello first", now_ms)
        if frame.seq <= link.seq_in:
            self.counts.replayed += 1
            return Judgement()
        link.seq_in, link.heard_ms = frame.seq, now_ms
        judged = Judgement()
        said = frame.envelopes if isinstance(frame, Bundle) else frame.signals
        if not link.messages.take(len(said), now_ms):
            self.counts.over_allowance += 1
            link.patience.strike(now_ms)
            return judged
        for one in said:
            if (patience := link.patience_with.get(one.sender)) is not None and patience.is_over(now_ms):
                self.counts.muted += 1
                continue
            if one.sender in link.said_names and not self._is_heard(link, one):
                self.counts.unheard += 1
                continue
            content = self._content(link, one)
            if content is not None:
                judged.heard.append((one.sender, one.receiver, content))
            else:
                link.patience.strike(now_ms)
        return judged

    def refused(self, peer: bytes, sender: str, now_ms: int) -> bool:
        """An agent here refuses what this one of the peer's agents said; whether it is not listened to from now on."""
        if (link := self._links.get(peer)) is None or sender not in link.names:
            return False
        return link.patience_with.setdefault(sender, _Patience(self._beat_ms)).strike(now_ms)

    def _is_heard(self, link: _Link, envelope: Envelope | Signal) -> bool:
        """Whether the receiver listens to this agent of the peer: an honest peer need not know that it does not."""
        if envelope.sender not in link.names:
            return False
        return envelope.receiver not in self._agents or self._hears(envelope.receiver, envelope.sender)

    def _content(self, link: _Link, envelope: Envelope | Signal) -> Message | CableEvent | None:
        """What is said, unless it may not be said or cannot be read."""
        sender, receiver_role = self._trust.agent(envelope.sender), self._agents.get(envelope.receiver)
        if sender is None or envelope.sender not in link.names:
            self.counts.wrong_name += 1
            return None
        if receiver_role is None:
            self.counts.misaddressed += 1
            return None
        if isinstance(envelope, Signal):
            may = ("vehicle", "charger") if isinstance(envelope.event, DriverWish) else ("charger", "vehicle")
            if (sender.role, receiver_role) != may:
                self.counts.wrong_role += 1
                return None
            return envelope.event
        try:
            message = decode(envelope.message)
        except RemoteProtocolError:
            self.counts.malformed += 1
            return None
        if not may_send(sender.role, receiver_role, message):
            self.counts.wrong_role += 1
            return None
        return message

    def _on_rejection(self, link: _Link, frame: Rejection) -> Judgement:
        if frame.reason == Reason.HELLO_FIRST:
            link.names = frozenset()  # the other side has started anew
        return Judgement(rejected=frame)

    def _reject(self, link: _Link, reason: Reason, text: str, now_ms: int) -> Judgement:
        """Tell a peer why, at most once a heartbeat: what is rejected never causes more traffic than it brought."""
        if link.rejected_ms is not None and now_ms - link.rejected_ms < self._beat_ms:
            return Judgement()
        link.rejected_ms = now_ms
        return Judgement(answer=encode_frame(Rejection(FRAME_VERSION, reason, text[:200])))

    def _link(self, peer: bytes) -> _Link:
        link = self._links.get(peer)
        if link is None:
            frames = TokenBucket(*self._rate(FRAMES_A_BEAT))
            messages = TokenBucket(*self._rate(MESSAGES_A_BEAT * len(self._agents)))
            link = self._links[peer] = _Link(frames, messages, _Patience(self._beat_ms))
        return link

    def _rate(self, a_beat: int) -> tuple[int, int]:
        """So much a second, and so much at once."""
        return max(1, a_beat * 1_000 // self._beat_ms), a_beat * BURST_BEATS
