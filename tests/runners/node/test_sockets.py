"""Real sockets on this machine: who gets in, who is heard as whom, and what comes back after a fault."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq
from tests.runners.node.people import BEAT_MS, Person, clock, is_linked, link, node, until

from wattswap.protocol.codec import encode
from wattswap.protocol.errors import InputError
from wattswap.protocol.messages import BaseReport, Departed, Grant, Release
from wattswap.runners.node.auth import DOMAIN, Authenticator
from wattswap.runners.node.frames import FRAME_VERSION, Bundle, Envelope, Hello, Reason, Rejection, encode_frame
from wattswap.runners.node.messenger import SILENT_BEATS
from wattswap.runners.node.trust import TrustStore
from wattswap.runners.node.zeromq import Transport

REPORT = Departed(7, 1_000, 0)
RELEASE = Release(0, 3, 7)
DEPARTED = Departed(8, 1, 1)


def street() -> tuple[Person, Person, Person]:
    return Person("transformer", "transformer"), Person("charger/1", "charger"), Person("charger/2", "charger")


def test_messages_go_both_ways_and_name_their_sender():
    transformer, charger, _ = street()
    with node(transformer, [charger], listens=True) as upper, node(charger, [transformer]) as lower:
        link(upper, lower)
        lower.messenger.send("charger/1", "transformer", REPORT)
        until(lambda: upper.heard, upper, lower)
        assert upper.heard == [("charger/1", "transformer", REPORT)]
        upper.messenger.send("transformer", "charger/1", RELEASE)
        until(lambda: lower.heard, upper, lower)
        assert lower.heard == [("transformer", "charger/1", RELEASE)]
        assert upper.gate.counts.total() == lower.gate.counts.total() == 0


def test_all_that_goes_to_one_peer_in_a_turn_is_one_frame():
    transformer, charger, _ = street()
    with node(transformer, [charger], listens=True) as upper, node(charger, [transformer]) as lower:
        link(upper, lower)
        for session in range(500):
            lower.messenger.send("charger/1", "transformer", Departed(session, 0, 0))
        lower.messenger.flush()
        frames: list[bytes] = []
        while not frames:
            frames = [data for _, data in upper.transport.receive(1_000) if len(data) > 1_000]
        [frame] = frames
        judged = upper.gate.judge(charger.key.public, frame, clock())
        assert [message.session for _, _, message in judged.heard] == list(range(500))


def test_a_stranger_a_revoked_key_and_a_client_without_a_key_do_not_get_in():
    transformer, charger, other = street()
    with node(transformer, [charger], listens=True) as upper, node(other, [transformer]) as stranger:
        stranger.messenger.connect(transformer.identity, "127.0.0.1", upper.port)
        until(lambda: "refused-by" in stranger.events() and "stranger" in upper.events(), upper, stranger)
        upper.messenger.trust(TrustStore([charger.identity], [other.identity]))
        told = len(upper.messenger.notices)
        until(lambda: any("revoked" in one.detail for one in upper.messenger.notices[told:]), upper, stranger)
        assert not is_linked(upper, stranger)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        plain = context.socket(zmq.DEALER)
        plain.setsockopt(zmq.LINGER, 0)
        plain.connect(f"tcp://127.0.0.1:{upper.port}")
        plain.send(encode_frame(Hello(FRAME_VERSION, 1, BEAT_MS, ("charger/1",))))
        assert not upper.transport.receive(3 * BEAT_MS)
        context.destroy(0)


def test_whoever_is_not_the_agent_we_take_it_for_is_noticed_before_anything_is_said():
    """The server's own key is checked by the client: a squatter on the transformer's port learns nothing."""
    transformer, charger, squatter = street()
    with node(squatter, [charger], listens=True) as upper, node(charger, [transformer]) as lower:
        lower.messenger.connect(transformer.identity, "127.0.0.1", upper.port)
        lower.messenger.send("charger/1", "transformer", REPORT)
        until(lambda: "waiting" in lower.events(), upper, lower)
        assert not upper.heard
        assert not upper.events()


def test_a_valid_key_cannot_speak_under_another_name():
    """The impostor holds a key that is let in; its hello, its envelopes and its routing identity name the victim."""
    transformer, victim, impostor = street()
    with node(transformer, [victim, impostor], listens=True) as upper, node(victim, [transformer]) as lower:
        link(upper, lower)
        with node(impostor, [transformer]) as liar:
            link(upper, liar)
            forged = Envelope("charger/1", "transformer", encode(REPORT))
            for frame in (
                Bundle(FRAME_VERSION, 1, 1_000, (forged,) * 50),
                Hello(FRAME_VERSION, 1, BEAT_MS, ("charger/1",)),
                Hello(FRAME_VERSION, 9, BEAT_MS, ("charger/2", "charger/1")),
                Bundle(FRAME_VERSION, 1, 1_001, (forged,)),
            ):
                liar.transport.send(transformer.key.public, encode_frame(frame))
            until(lambda: upper.gate.counts.wrong_name >= 53, upper, liar)
            assert not upper.heard
            upper.messenger.send("transformer", "charger/1", RELEASE)
            until(lambda: lower.heard, upper, lower, liar)
            assert lower.heard == [("transformer", "charger/1", RELEASE)]
            assert not liar.heard


def test_a_squatter_on_a_routing_identity_shuts_nobody_out():
    """Identities may be chosen freely; whoever takes the victim's first used to mute it (libzmq, handover 0)."""
    transformer, victim, squatter = street()
    with node(transformer, [victim, squatter], listens=True) as upper, node(squatter, [transformer]) as liar:
        liar.transport.connect(transformer.key.public, "127.0.0.1", upper.port)
        [dealer] = liar.transport._dealers.values()
        dealer.setsockopt(zmq.IDENTITY, b"charger/1")
        dealer.connect(f"tcp://127.0.0.1:{upper.port}")
        with node(victim, [transformer]) as lower:
            link(upper, lower)
            upper.messenger.send("transformer", "charger/1", RELEASE)
            until(lambda: lower.heard, upper, lower, liar)
            assert not liar.heard


def test_a_role_sends_only_its_messages():
    transformer, charger, _ = street()
    home = Person("household/0", "household")
    with node(transformer, [charger, home], listens=True) as upper, node(home, [transformer]) as meter:
        link(upper, meter)
        for message in (REPORT, RELEASE, Grant(7, 11_000, 0, 1, 1, 1, 0, 5_000)):
            meter.messenger.send("household/0", "transformer", message)
        meter.messenger.send("household/0", "charger/1", BaseReport(5))
        meter.messenger.send("household/0", "transformer", BaseReport(5))
        until(lambda: upper.heard, upper, meter)
        assert upper.heard == [("household/0", "transformer", BaseReport(5))]
        assert upper.gate.counts.wrong_role == 3


def test_what_was_recorded_once_is_not_heard_twice():
    transformer, charger, _ = street()
    with node(transformer, [charger], listens=True) as upper, node(charger, [transformer]) as lower:
        link(upper, lower)
        [frame] = lower.gate.bundle(transformer.key.public, [("charger/1", "transformer", REPORT)], clock())
        for _ in range(20):
            lower.transport.send(transformer.key.public, frame)
        until(lambda: upper.gate.counts.replayed == 19, upper, lower)
        assert upper.heard == [("charger/1", "transformer", REPORT)]


def test_revoking_a_key_cuts_its_live_connection_and_only_that_one():
    transformer, charger, other = street()
    with (
        node(transformer, [charger, other], listens=True) as upper,
        node(charger, [transformer]) as bad,
        node(other, [transformer]) as good,
    ):
        link(upper, bad)
        link(upper, good)
        upper.messenger.trust(TrustStore([other.identity], [charger.identity]))
        bad.messenger.send("charger/1", "transformer", REPORT)
        until(lambda: "refused-by" in bad.events(), upper, bad, good)
        good.messenger.send("charger/2", "transformer", REPORT)
        good.messenger.flush()
        until(lambda: upper.heard or good.messenger.send("charger/2", "transformer", REPORT), upper, bad, good)
        assert {sender for sender, _, _ in upper.heard} == {"charger/2"}


def test_an_agent_that_is_trusted_while_the_node_runs_gets_in():
    transformer, charger, _ = street()
    with node(transformer, [], listens=True) as upper, node(charger, [transformer]) as lower:
        lower.messenger.connect(transformer.identity, "127.0.0.1", upper.port)
        until(lambda: "stranger" in upper.events(), upper, lower)
        upper.messenger.trust(TrustStore([charger.identity]))
        until(lambda: is_linked(upper, lower), upper, lower)


def test_after_the_listener_started_anew_those_who_were_connected_are_heard_again():
    transformer, charger, _ = street()
    with node(charger, [transformer]) as lower:
        with node(transformer, [charger], listens=True) as upper:
            link(upper, lower)
            port = upper.port
        with node(transformer, [charger], listens=True, epoch=2, port=port) as upper:
            until(lambda: is_linked(upper, lower), upper, lower)
            until(
                lambda: upper.heard or lower.messenger.send("charger/1", "transformer", REPORT),
                upper,
                lower,
            )


def test_an_agent_found_at_another_address_is_connected_to_there():
    transformer, charger, _ = street()
    with node(charger, [transformer]) as lower:
        with node(transformer, [charger], listens=True) as upper:
            link(upper, lower)
        with node(transformer, [charger], listens=True, epoch=2) as upper:
            lower.messenger.connect(transformer.identity, "127.0.0.1", upper.port)
            until(lambda: is_linked(upper, lower), upper, lower)
            assert "moved" in lower.events()


def test_an_address_that_anybody_announced_takes_no_living_connection_away():
    transformer, charger, squatter = street()
    with (
        node(transformer, [charger], listens=True) as upper,
        node(charger, [transformer]) as lower,
        node(squatter, [charger], listens=True) as elsewhere,
    ):
        link(upper, lower)
        lower.messenger.connect(transformer.identity, "127.0.0.1", elsewhere.port)
        end = clock() + 6 * BEAT_MS
        while clock() < end:
            for one in (upper, lower, elsewhere):
                one.turn(5)
        assert is_linked(upper, lower)
        assert lower.events() == ["linked"]


FROZEN = """
import sys, time
from tests.runners.node.people import Person, node
from wattswap.runners.node.key_directory import TransportKey
keys = [TransportKey.of(bytes.fromhex(word)) for word in sys.stdin.readline().split()]
me, other = Person("transformer", "transformer", keys[0]), Person("charger/1", "charger", keys[1])
with node(me, [other], listens=True) as one:
    print(one.port, flush=True)
    while True:
        one.turn(20)
"""


def test_a_frozen_peer_is_noticed_and_back_when_it_thaws():
    """SIGSTOP leaves the TCP connection up: only missing signs of life tell."""
    transformer, charger, _ = street()
    other = subprocess.Popen(
        [sys.executable, "-c", FROZEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert other.stdin
    assert other.stdout
    try:
        other.stdin.write(f"{transformer.key.secret.hex()} {charger.key.secret.hex()}\n")
        other.stdin.flush()
        port = int(other.stdout.readline())
        with node(charger, [transformer]) as lower:
            lower.messenger.connect(transformer.identity, "127.0.0.1", port)
            until(lambda: lower.gate.is_open(transformer.key.public), lower)
            other.send_signal(signal.SIGSTOP)
            until(lambda: "lost" in lower.events(), lower)
            other.send_signal(signal.SIGCONT)
            until(lambda: lower.gate.is_open(transformer.key.public), lower)
    finally:
        other.kill()
        other.communicate()


def test_a_listener_notices_who_falls_silent_once_and_who_is_heard_again():
    transformer, charger, other = street()
    with (
        node(transformer, [charger, other], listens=True) as upper,
        node(charger, [transformer]) as frozen,
        node(other, [transformer]) as well,
    ):
        link(upper, frozen)
        link(upper, well)
        before = clock()
        until(lambda: "lost" in upper.events(), upper, well)
        until(lambda: clock() > before + 2 * SILENT_BEATS * BEAT_MS, upper, well)
        [lost] = [notice for notice in upper.messenger.notices if notice.event == "lost"]
        assert lost.peer == "charger/1"
        assert lost.heard_ms is not None
        assert lost.heard_ms <= before + BEAT_MS
        told = len(upper.messenger.notices)
        until(lambda: upper.messenger.notices[told:], upper, well, frozen)
        assert {(one.event, one.peer) for one in upper.messenger.notices[told:]} == {("linked", "charger/1")}


def test_whoever_is_not_listened_to_is_told_so_and_counts_as_lost():
    transformer, charger, _ = street()
    with node(transformer, [charger], listens=True) as upper, node(charger, [transformer]) as lower:
        link(upper, lower)
        lower.transport.send(transformer.key.public, encode_frame(Rejection(FRAME_VERSION, Reason.HELLO_FIRST, "")))
        while upper.gate.counts.muted == 0:
            lower.transport.send(transformer.key.public, b"\xc1")
            upper.turn()
        until(lambda: "lost" in upper.events(), upper, lower)
        told = [(one.event, one.peer) for one in upper.messenger.notices if one.event in ("muted", "lost")]
        assert told == [("muted", "charger/1"), ("lost", "charger/1")]


def test_a_port_that_is_taken_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        transport = Transport(Person("t", "transformer").key, lambda _key: True)
        try:
            with pytest.raises(InputError, match=rf"port {port} of 127.0.0.1 is taken"):
                transport.listen("127.0.0.1", port)
            with pytest.raises(InputError, match="name an address of this machine"):
                transport.listen("203.0.113.7", 0)
            with pytest.raises(InputError, match="no address to connect to"):
                transport.connect(b"k" * 32, "not a host", 1)
            assert transport.listen("127.0.0.1", 0) > 0
        finally:
            transport.close()


def test_nobody_gets_in_where_the_handler_of_keys_does_not_run():
    """Without the enforced domain libzmq would let any key in."""
    transformer, charger, _ = street()
    with node(transformer, [charger], listens=True) as upper, node(charger, [transformer]) as lower:
        upper.transport._authenticator.close()
        lower.messenger.connect(transformer.identity, "127.0.0.1", upper.port)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            upper.turn()
            lower.turn()
        assert not is_linked(upper, lower)
        upper.transport._authenticator = Authenticator(upper.transport._context, upper.trust.allows)
        until(lambda: is_linked(upper, lower), upper, lower)


def test_the_handler_of_keys_answers_what_is_no_request():
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    authenticator = Authenticator(context, lambda _key: True)
    asking = context.socket(zmq.REQ)
    asking.connect("inproc://zeromq.zap.01")

    def ask(*parts: bytes) -> bytes:
        asking.send_multipart(parts)
        return asking.recv_multipart()[2]

    try:
        key = b"k" * 32
        assert ask(b"1.0", b"1", DOMAIN.encode(), b"127.0.0.1", b"", b"CURVE", key) == b"200"
        assert ask(b"1.0", b"1", b"other", b"127.0.0.1", b"", b"CURVE", key) == b"400"
        assert ask(b"1.0", b"1", DOMAIN.encode(), b"127.0.0.1", b"", b"NULL", key) == b"400"
        assert ask(b"1.0", b"1", DOMAIN.encode(), b"127.0.0.1", b"", b"CURVE", b"short") == b"400"
        assert ask(b"1.0") == b"400"
    finally:
        asking.close(0)
        authenticator.close()
        context.term()
