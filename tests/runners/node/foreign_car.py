"""A car that knows nothing of this project but docs/wire.md: ZeroMQ, MessagePack, Ed25519 and BLAKE2b, no line of ours.

It always gives way for next to nothing, counts with its own meter, and prints what it is paid.

    python foreign_car.py KEYS HOST PORT BEAT_MS
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgpack
import zmq
from nacl.signing import SigningKey, VerifyKey

HELLO, WELCOME, BUNDLE, SIGNALS = 1, 2, 4, 5
MANDATE, CALL, OFFER, AWARD, RELEASE, DELIVERY, RECEIPT, SEALED, ACK = 1, 4, 5, 6, 7, 9, 10, 12, 15
PLUGGED_IN, UNPLUGGED, METERED, READING = 3, 4, 5, 6
ASK_NANOS_PER_KWH_H = 1_000_000
LEAST_W = 4_140


def digest(payload: bytes) -> bytes:
    """What is signed of a payload."""
    text = b"wattswap/1" + bytes([len(b"local")]) + b"local" + payload
    length = bytes([len(text)]) if len(text) < 128 else bytes([len(text) & 0x7F | 0x80, len(text) >> 7])
    return hashlib.blake2b(b"\x03\x00\x00" + length + text, digest_size=32).digest()


class ForeignCar:
    """One car at one charger."""

    def __init__(self, keys: Path, host: str, port: int, beat_ms: int) -> None:
        mine = json.loads((keys / "public.json").read_text())
        trusted = [json.loads(path.read_text()) for path in (keys / "trusted").iterdir() if path.suffix == ".json"]
        charger = next(one for one in trusted if one["role"] == "charger")
        above = next(one for one in trusted if one["role"] == "transformer")
        self.name, self.charger = mine["name"], charger["name"]
        self.signing = SigningKey(bytes.fromhex(json.loads((keys / "signing.key").read_text())["secret_seed"]))
        self.transformer = VerifyKey(bytes.fromhex(above["signing_key"]))
        self.epoch, self.seq, self.beat_ms = int(time.time()), 0, beat_ms
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.CURVE_SERVERKEY, bytes.fromhex(charger["transport_key"]))
        self.socket.setsockopt(zmq.CURVE_PUBLICKEY, bytes.fromhex(mine["transport_key"]))
        secret = json.loads((keys / "transport.key").read_text())["secret_key"]
        self.socket.setsockopt(zmq.CURVE_SECRETKEY, bytes.fromhex(secret))
        self.socket.connect(f"tcp://{host}:{port}")
        self.is_welcome = False
        self.session: int | None = None
        self.wanted_w = 0
        self.owed_messages: dict[Any, list[Any]] = {}
        """What is repeated each beat until it is acknowledged."""
        self.lots: list[dict[str, Any]] = []

    def run(self) -> None:
        """Until the process is ended."""
        beat_s = self.beat_ms / 1_000
        next_beat = time.monotonic()
        while True:
            if self.socket.poll(max(0, int((next_beat - time.monotonic()) * 1_000))):
                self.hear(msgpack.unpackb(self.socket.recv()))
            if time.monotonic() >= next_beat:
                next_beat += beat_s
                if self.is_welcome:
                    self.say(*self.owed_messages.values())
                else:
                    self.socket.send(msgpack.packb([HELLO, 1, self.epoch, self.beat_ms, [self.name]]))

    def say(self, *messages: list[Any]) -> None:
        """One bundle; without messages it is a sign of life."""
        self.seq += 1
        envelopes = [[self.name, self.charger, msgpack.packb([1, message])] for message in messages]
        self.socket.send(msgpack.packb([BUNDLE, 1, self.epoch, self.seq, envelopes]))

    def sealed(self, message: list[Any]) -> list[Any]:
        payload = msgpack.packb([1, message])
        return [SEALED, message[0], payload, self.signing.sign(digest(payload)).signature]

    def hear(self, frame: list[Any]) -> None:
        match frame:
            case [1 | 2, 1, *_]:
                self.is_welcome = True
            case [3, 1, *_]:
                self.is_welcome = False
            case [4, 1, _, _, envelopes]:
                for _, _, message in envelopes:
                    self.on_message(msgpack.unpackb(message)[1])
            case [5, 1, _, _, signals]:
                for _, _, event in signals:
                    self.on_event(event)

    def on_event(self, event: list[Any]) -> None:
        match event:
            case [3, session, session_id, _, need_ws, _, max_w, *_]:
                self.session = session
                mandate = [MANDATE, session, session_id, need_ws, max_w, self.name, None]
                self.owed_messages[MANDATE] = self.sealed(mandate)
                self.say(self.owed_messages[MANDATE])
            case [4, session, *_] if session == self.session:
                self.session = None
                self.deliver([lot for lot in self.lots if not lot["told"]])
            case [5, session, import_w, _, baseline_w, _, tick] if session == self.session:
                self.count(import_w, baseline_w, tick)
            case [6, session, _, _, _, wanted_w, *_] if session == self.session:
                self.wanted_w = wanted_w

    def on_message(self, message: list[Any]) -> None:
        match message:
            case [12, _, payload, signature]:
                self.transformer.verify(digest(payload), signature)
                self.on_sealed(msgpack.unpackb(payload)[1])
            case [15, 1, *_]:
                self.owed_messages.pop(MANDATE, None)
            case [7, _, tick, session]:
                for lot in self.lots:
                    lot["runs"] &= lot["part"][1:] != [tick, session]

    def on_sealed(self, message: list[Any]) -> None:
        match message:
            case [4, feeder, tick, *_] if self.session is not None:
                relief_w = max(0, self.wanted_w - LEAST_W)
                tranches = [[relief_w, ASK_NANOS_PER_KWH_H]] if relief_w else []
                self.say(self.sealed([OFFER, feeder, tick, self.session, tranches]))
            case [6, feeder, tick, session, until_ms, award_w, *_]:
                self.say([ACK, AWARD, session, tick])
                part = [feeder, tick, session]
                if all(lot["part"] != part for lot in self.lots):
                    for lot in self.lots:
                        lot["runs"] = False
                    ends = until_ms // self.beat_ms
                    fresh = {"part": part, "ends": ends, "award_w": award_w, "runs": True, "told": False}
                    self.lots.append({**fresh, "sold": 0, "owed": 0, "baseline": 0, "rent": 0})
            case [10, feeder, tick, session, nanos]:
                if self.owed_messages.pop((feeder, tick, session), None):
                    sys.stdout.write(json.dumps({"event": "receipt", "nanos": nanos}) + "\n")
                    sys.stdout.flush()

    def count(self, import_w: int, baseline_w: int, tick: int) -> None:
        """A tick of the meter: what was given up under an award, and what came back, to the oldest lot first."""
        second = self.beat_ms // 1_000
        back = max(0, import_w - baseline_w) * second
        for lot in (lot for lot in self.lots if not lot["told"]):
            if lot["runs"]:
                given_up = min(lot["award_w"][0], max(0, baseline_w - import_w)) * second
                lot["sold"] += given_up
                lot["owed"] += given_up
                lot["baseline"] += baseline_w * second
                lot["runs"] = tick + 1 < lot["ends"]
            returned = min(back, lot["owed"])
            back -= returned
            lot["owed"] -= returned
            lot["rent"] += returned * max(0, tick - lot["part"][1])
        self.deliver([lot for lot in self.lots if not (lot["runs"] or lot["told"]) and lot["owed"] < second])

    def deliver(self, lots: list[dict[str, Any]]) -> None:
        """Report lots that are over, until there is a receipt."""
        for lot in lots:
            lot["told"] = True
            delivered = [lot["sold"]] + [0] * (len(lot["award_w"]) - 1)
            back = lot["sold"] - lot["owed"]
            delivery = [DELIVERY, *lot["part"], delivered, lot["baseline"], back, lot["rent"]]
            self.owed_messages[tuple(lot["part"])] = self.sealed(delivery)
            self.say(self.owed_messages[tuple(lot["part"])])


if __name__ == "__main__":
    folder, host, port, beat_ms = sys.argv[1:]
    ForeignCar(Path(folder), host, int(port), int(beat_ms)).run()
