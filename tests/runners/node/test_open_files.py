"""Connections of strangers, who need no key to open one: they end no node, and are hung up on."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import zmq
from tests.runners.node.people import Person, is_linked, link, node
from tests.runners.node.people import until as until_linked
from tests.runners.node.street_of_nodes import FIXED, MARKET, AgentProcess, free_port, running, until

FILES = 120
"""As few as a transformer gets along with."""


class TransformerAlone:
    """A transformer that may open so many files, though it starts with less."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        listens = f'[listen]\nhost = "127.0.0.1"\nport = {self.port}\n'
        prefix = ["prlimit", f"--nofile={FILES // 2}:{FILES}"]
        text = FIXED + MARKET + listens + "[site]\nlimit_w = 20_000\n"
        self.transformer = AgentProcess(folder, "transformer", "transformer", text, prefix)
        self.all = [self.transformer]


def test_connections_of_strangers_end_no_node_and_change_nobodys_trust(tmp_path):
    street = TransformerAlone(tmp_path / "transformer")
    transformer = street.transformer
    with running(street), ExitStack() as strangers:
        until(lambda: transformer.events("started"), street)
        assert transformer.process is not None
        files = Path(f"/proc/{transformer.process.pid}/fd")
        assert f"{FILES} " in _limit(transformer.process.pid), "what its user may, a node may"
        for _ in range(2 * FILES):
            strangers.enter_context(socket.create_connection(("127.0.0.1", street.port), 20))
        until(lambda: len(list(files.iterdir())) >= FILES - 1, street)
        until(lambda: transformer.events("trust file left aside"), street)
        assert "Too many open files" in transformer.events("trust file left aside")[0]["why"]
        strangers.close()
        until(lambda: len(list(files.iterdir())) < FILES // 2, street)
        assert not transformer.events("trust changed")
        assert transformer.end() == 0
    assert transformer.err() == ""


def _limit(pid: int) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(" ".join(line.split()) for line in lines if line.startswith("Max open files")).removeprefix(
        "Max open files "
    )


def test_whoever_shows_no_key_is_hung_up_on_and_who_is_in_stays():
    transformer, charger = Person("transformer", "transformer"), Person("charger/1", "charger")
    with (
        node(transformer, [charger], listens=True, handshake_ms=300) as upper,
        node(charger, [transformer]) as lower,
        closing(socket.create_connection(("127.0.0.1", upper.port), 20)) as stranger,
    ):
        link(upper, lower)
        began = time.monotonic()
        while stranger.recv(64):
            pass
        assert time.monotonic() - began < 5
        assert upper.gate.is_open(charger.key.public)


def test_a_node_without_a_socket_left_connects_later():
    """libzmq refuses a socket beyond its own limit as it does without files: by an error of the same kind."""
    transformer, charger = Person("transformer", "transformer"), Person("charger/1", "charger")
    with node(transformer, [charger], listens=True) as upper, node(charger, [transformer], most_sockets=8) as lower:
        context = lower.transport._context
        taken = []
        with suppress(zmq.ZMQError):
            while True:
                taken.append(context.socket(zmq.PAIR))
        lower.messenger.connect(transformer.identity, "127.0.0.1", upper.port)
        lower.turn()
        assert not lower.transport._dealers
        for one in taken:
            one.close(0)
        until_linked(lambda: is_linked(upper, lower), upper, lower)
