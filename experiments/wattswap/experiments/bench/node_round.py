"""How long a round takes on the wire: a transformer in one place, all cars and chargers in another, one socket between.

    python -m wattswap.experiments.bench.node_round                    # 100 and 1,000 cars, unsigned and signed
    python -m wattswap.experiments.bench.node_round --cars 1000 --repeats 3

Real agents, real frames over TCP with CURVE: call, offers, awards, acknowledgements, grants. Beside it the same number
of messages of the same sizes by bare pyzmq, a frame a message, in the same run.
"""

from __future__ import annotations

import argparse
import statistics
from collections import deque
from contextlib import closing
from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.agents.award_book import Site
from wattswap.agents.charger import Charger
from wattswap.agents.roster import Roster
from wattswap.agents.rules import Rules
from wattswap.agents.strategies import BUNDLED
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.protocol.codec import decode, encode
from wattswap.protocol.effects import NoteAward, Send
from wattswap.protocol.events import CarStatus, PluggedIn, Reading, Received, Woken
from wattswap.protocol.identity import seeded_signer
from wattswap.protocol.messages import BaseReport
from wattswap.protocol.units import NANOS_PER_IOTA, WS_PER_KWH
from wattswap.runners.node.bare_frames import bare_ms
from wattswap.runners.node.frames import Bundle, Envelope, decode_frame, encode_frame, parts
from wattswap.runners.node.key_directory import TransportKey
from wattswap.runners.node.zeromq import SocketOptions, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wattswap.agents.base import Agent
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.identity import Signer

MAX_W: Final = 11_000
HOME: Final = "household/0"
_TICK_MS: Final = Rules().tick_ms


class RoundRow(msgspec.Struct, frozen=True):
    """One measured round."""

    cars: int
    signed: bool
    round_ms: float
    bare_ms: float
    """The same messages by bare pyzmq."""
    messages: int
    frames: int
    awards: int

    @property
    def ratio(self) -> float:
        """How many times longer the round takes."""
        return self.round_ms / self.bare_ms


class _WireEnd:
    """Some agents behind one socket."""

    def __init__(self, agents: Iterable[Agent], transport: Transport, other: bytes) -> None:
        self.agents = {agent.name: agent for agent in agents}
        self._transport, self._other = transport, other
        self._out: list[tuple[str, str, bytes]] = []
        self.sizes: list[int] = []
        self.frames = self.awards = self._seq = 0

    def carry_out(self, name: str, effects: Sequence[Effect], now_ms: int) -> None:
        """Bring messages on their way: to agents here at once, to others with the next :meth:`flush`."""
        todo = deque([(name, effects)])
        while todo:
            sender, wanted = todo.popleft()
            for effect in wanted:
                self.awards += isinstance(effect, NoteAward)
                if not isinstance(effect, Send):
                    continue
                if (here := self.agents.get(effect.to)) is not None:
                    todo.append((effect.to, here.handle(Received(sender, effect.message), now_ms)))
                else:
                    self._out.append((sender, effect.to, encode(effect.message)))

    def flush(self) -> int:
        """Send what waits, in so many frames."""
        out, self._out = [Envelope(*each) for each in self._out], []
        self.sizes += [len(one.message) for one in out]
        bundles = parts(out) if out else []
        for part in bundles:
            self._seq += 1
            self.frames += 1
            assert self._transport.send(self._other, encode_frame(Bundle(1, 1, self._seq, part)))
        return len(bundles)

    def receive(self, frames: int, now_ms: int) -> None:
        """Let the agents learn of so many frames, which are on their way."""
        while frames:
            for _, data in self._transport.receive(1_000):
                frame = decode_frame(data)
                assert isinstance(frame, Bundle)
                frames -= 1
                for one in frame.envelopes:
                    event = Received(one.sender, decode(one.message))
                    self.carry_out(one.receiver, self.agents[one.receiver].handle(event, now_ms), now_ms)


def a_round(cars: int, *, sign: bool) -> RoundRow:
    """Plug all cars in, tell the beat, and take the time from the transformer's tick until nothing is on its way."""
    keys = TransportKey.new(), TransportKey.new()
    options = SocketOptions(queue=10_000, beat_ms=60_000)
    known = {key.public for key in keys}
    with (
        closing(Transport(keys[0], known.__contains__, options)) as above_wire,
        closing(Transport(keys[1], known.__contains__, options)) as below_wire,
    ):
        port = above_wire.listen("127.0.0.1", 0)
        below_wire.connect(keys[0].public, "127.0.0.1", port)
        while not below_wire.send(keys[0].public, b"here I am"):
            below_wire.receive(20)
        while not above_wire.receive(20):
            pass
        above, below = _places(cars, above_wire, below_wire, keys, sign=sign)
        for row in range(cars):
            for agent, event in _plugged(row):
                below.carry_out(agent, below.agents[agent].handle(event, 0), 0)
        _settle(above, below, 0)
        now_ms = _TICK_MS
        for row in range(cars):
            charger, car = f"charger/{row}", f"vehicle/{row}"
            status = CarStatus(row, MAX_W, MAX_W, drew=True)
            reading = Reading(row, WS_PER_KWH * 10, WS_PER_KWH * 10, 0, MAX_W, MAX_W, MAX_W, 36_000_000, drew=True)
            below.carry_out(charger, below.agents[charger].handle(status, now_ms), now_ms)
            below.carry_out(car, below.agents[car].handle(reading, now_ms), now_ms)
        _settle(above, below, now_ms)
        above.agents["transformer"].handle(Received(HOME, BaseReport(MAX_W * cars // 2)), now_ms)
        above.sizes, below.sizes, above.frames, below.frames = [], [], 0, 0
        began = perf_counter()
        above.carry_out("transformer", above.agents["transformer"].handle(Woken(now_ms), now_ms), now_ms)
        _settle(above, below, now_ms)
        round_ms = (perf_counter() - began) * 1_000
    sizes = [*above.sizes, *below.sizes]
    return RoundRow(cars, sign, round_ms, bare_ms(sizes), len(sizes), above.frames + below.frames, above.awards)


def _places(
    cars: int, above_wire: Transport, below_wire: Transport, keys: Sequence[TransportKey], *, sign: bool
) -> tuple[_WireEnd, _WireEnd]:
    limit_w = MAX_W * cars
    rules, site = Rules(margin_w=limit_w // 25), Site(limit_w, 1_000_000 * NANOS_PER_IOTA, 3_000_000_000, 1, 0)
    names = ["transformer", *(f"{kind}/{row}" for row in range(cars) for kind in ("charger", "vehicle"))]
    signers: dict[str, Signer | None] = {name: seeded_signer(1, name) if sign else None for name in names}
    public = {name: signer.public_key for name, signer in signers.items() if signer is not None} or None
    above_key = None if public is None else public["transformer"]
    profile = VehicleProfile(BUNDLED["need"], "need", 1, 880, 500_000_000, 3_000_000_000)
    roster = Roster(dict.fromkeys(names[1::2], 11_000), frozenset(names[2::2]), [HOME])
    transformer = Transformer("transformer", site, rules, roster, signer=signers["transformer"], trusted=public)
    below: list[Agent] = []
    for row in range(cars):
        charger, car = f"charger/{row}", f"vehicle/{row}"
        signer, own = signers[charger], signers[car]
        below.append(Charger(charger, "transformer", MAX_W, rules, signer=signer, transformer_key=above_key))
        below.append(Vehicle(car, profile, rules, signer=own, transformer_key=above_key))
    one, other = keys
    return _WireEnd([transformer], above_wire, other.public), _WireEnd(below, below_wire, one.public)


def _plugged(row: int) -> Iterable[tuple[str, PluggedIn]]:
    charger, car = f"charger/{row}", f"vehicle/{row}"
    for agent, peer in ((charger, car), (car, charger)):
        yield agent, PluggedIn(row, f"s{row}", peer, WS_PER_KWH * 10, None, MAX_W, 0, WS_PER_KWH * 60, 0)


def _settle(above: _WireEnd, below: _WireEnd, now_ms: int) -> None:
    """Let messages go to and fro until there are none."""
    while True:
        sent = below.flush()
        above.receive(sent, now_ms)
        answered = above.flush()
        below.receive(answered, now_ms)
        if not sent and not answered:
            return


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", type=int, nargs="*", default=[100, 1_000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print("  cars  signed  round ms  bare ms  ratio  messages  frames  awards")
    for sign in (False, True):
        for cars in options.cars:
            rows = [a_round(cars, sign=sign) for _ in range(options.repeats)]
            row = min(rows, key=lambda each: each.round_ms)
            ratio = statistics.median(each.ratio for each in rows)
            print(
                f"{cars:6}  {sign!s:6}  {row.round_ms:8.1f}  {row.bare_ms:7.1f}  {ratio:5.1f}  {row.messages:8}"
                f"  {row.frames:6}  {row.awards:6}"
            )


if __name__ == "__main__":
    main()
