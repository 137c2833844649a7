"""As much of an MQTT 3.1.1 broker as the tests need: one thread a client, QoS 0 and 1, retained messages."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from threading import Lock, Thread


class Broker:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.retained: dict[str, bytes] = {}
        self._subscribed: list[tuple[socket.socket, str]] = []
        self._clients: list[socket.socket] = []
        self._lock = Lock()
        Thread(target=self._accept, daemon=True).start()

    def publish(self, topic: str, payload: bytes) -> None:
        with self._lock:
            targets = [client for client, wanted in self._subscribed if wanted == topic]
        name = topic.encode()
        for client in targets:
            with suppress(OSError):
                client.sendall(_packet(0x30, struct.pack(">H", len(name)) + name + payload))

    @property
    def topics(self) -> list[str]:
        with self._lock:
            return [topic for _, topic in self._subscribed]

    def close(self) -> None:
        self._listener.close()
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError), client.makefile("rb") as stream:
            while True:
                [first] = _exactly(stream, 1)
                length, shift = 0, 0
                while True:
                    [digit] = _exactly(stream, 1)
                    length |= (digit & 0x7F) << shift
                    shift += 7
                    if not digit & 0x80:
                        break
                self._on(client, first, _exactly(stream, length))

    def _on(self, client: socket.socket, first: int, body: bytes) -> None:
        match first >> 4:
            case 1:
                client.sendall(_packet(0x20, b"\0\0"))
            case 8:
                size = struct.unpack(">H", body[2:4])[0]
                client.sendall(_packet(0x90, body[:2] + b"\0"))
                with self._lock:
                    self._subscribed.append((client, body[4 : 4 + size].decode()))
            case 3:
                size = struct.unpack(">H", body[:2])[0]
                topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
                if first & 0x06:
                    client.sendall(_packet(0x40, rest[:2]))
                    rest = rest[2:]
                self.retained[topic] = rest
            case 12:
                client.sendall(_packet(0xD0, b""))


def _packet(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((first, len(body))) + body


def _exactly(stream, count: int) -> bytes:
    data: bytes = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
