"""How many functions a reader passes who follows one round of the messages engine, from the call to the award's ack.

    python -m wattswap.experiments.bench.round_walk                 # the first award of a Sunday of b250
    python -m wattswap.experiments.bench.round_walk --street demo --day 0 --list

Counted are the named functions of Wattswap, each once, that are called from the beginning of the tick with the first
award until the transformer has heard of every award's acknowledgement: sensors, agents, network, driver, book and
record alike. Comprehensions belong to the function they stand in, and what a dataclass generates nobody can read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from wattswap.protocol.effects import NoteAward
from wattswap.protocol.events import Received
from wattswap.protocol.messages import AWARD, Ack
from wattswap.runners.engines.launch import start_run
from wattswap.runners.engines.observer import Observer
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.observer import Note
    from wattswap.runners.scenario import Street


class Function(NamedTuple):
    """A function of Wattswap."""

    module: str
    name: str


class FirstAward(Observer):
    """Finds the tick of a run's first award."""

    tick: int | None = None

    def noted(self, transformer: str, note: Note) -> None:  # noqa: ARG002 - whoever made the award
        """Keep the first."""
        if self.tick is None and isinstance(note, NoteAward):
            self.tick = note.tick


class RoundWalk(Observer):
    """Collects the functions that are called, and knows how many there were when the last award was acknowledged."""

    def __init__(self) -> None:
        self._called: dict[Function, None] = {}
        self._until_ack = 0

    @property
    def functions(self) -> list[Function]:
        """In the order in which each was first called."""
        return list(self._called)[: self._until_ack]

    def profile(self, frame: FrameType, happened: str, _: object) -> None:
        """What Python calls at every call."""
        module, name = str(frame.f_globals.get("__name__")), frame.f_code.co_qualname
        is_written = not name.endswith(">") and not frame.f_code.co_filename.startswith("<")
        if happened == "call" and is_written and module.startswith("wattswap.") and module != __name__:
            self._called[Function(module, name)] = None

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:  # noqa: ARG002
        """An acknowledgement that has reached the transformer ends the walk, unless another one follows."""
        if isinstance(event, Received) and isinstance(event.message, Ack) and event.message.kind == AWARD:
            self._until_ack = len(self._called)


def walk(street: Street) -> list[Function]:
    """The functions of the first round in which something is awarded; none if nothing ever is."""
    first = FirstAward()
    run = start_run(street, observers=[first])
    while first.tick is None and run.tick < street.ticks:
        run.step()
    if first.tick is None:
        return []
    steps = RoundWalk()
    run = start_run(street, observers=[steps])
    while run.tick < first.tick:
        run.step()
    before = sys.getprofile()
    sys.setprofile(steps.profile)
    try:
        run.step()
    finally:
        sys.setprofile(before)
    return steps.functions


def main(arguments: Sequence[str] | None = None) -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--street", default="b250", help="a scenario (b250)")
    parser.add_argument("--day", type=int, default=7, help="its day (7, a Sunday); 0 for all of it")
    parser.add_argument("--list", action="store_true", help="name the functions in the order of their first call")
    chosen = parser.parse_args(arguments)
    functions = walk(load_street(chosen.street, day=chosen.day or None))
    if chosen.list:
        for module, name in functions:
            print(f"{module.removeprefix('wattswap.')} {name}")
    print(f"{len(functions)} functions in {len({module for module, _ in functions})} modules")


if __name__ == "__main__":
    main()
