"""Tells the journals of a street of processes again to fresh agents, and compares what they do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.agents.controllers import controller_named
from wattswap.protocol.errors import InputError, RemoteProtocolError
from wattswap.runners.engines.agent_factory import AgentFactory
from wattswap.runners.recording.difference import Difference, readable
from wattswap.runners.recording.journal import FOLDER, sha256_of
from wattswap.runners.recording.process_journal import read_process_journal
from wattswap.runners.recording.rundir import SCENARIO
from wattswap.runners.scenario import load_street
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from wattswap.agents.base import Agent
    from wattswap.protocol.effects import Effect
    from wattswap.runners.recording.journal import Header
    from wattswap.runners.recording.process_journal import HandledHere

_MOST: Final = 300
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class ProcessesChecked:
    """What came of telling all journals again."""

    processes: int
    agents: int
    events: int
    difference: Difference | None
    """The first, in the order of the processes."""


def process_journals(run_dir: Path) -> list[Path]:
    """The journals of a run by processes, in the order of their numbers; none where it was another run."""
    found = (run_dir / FOLDER).glob("process-*.msgpack")
    return sorted(found, key=lambda path: (len(path.name), path.name))


def check_processes(run_dir: Path, passed: Callable[[int], None] = lambda _process: None) -> ProcessesChecked:
    """Tell every journal of a run again, up to the first difference; nothing is written.

    Raises:
        InputError: a journal or the scenario is damaged, or they do not belong together.
    """
    journals = process_journals(run_dir)
    header, _ = read_process_journal(journals[0])
    factory = _factory(run_dir, header)
    events, agents = 0, set[str]()

    def counted(handled: Iterable[HandledHere]) -> Iterator[HandledHere]:
        nonlocal events
        for one in handled:
            events += 1
            agents.add(one.agent)
            yield one

    for process, path in enumerate(journals):
        _, handled = read_process_journal(path)
        for difference in told_again(factory, counted(handled)):
            named = replace(difference, what=f"{path.name}: {difference.what}")
            return ProcessesChecked(len(journals), len(agents), events, named)
        passed(process)
    return ProcessesChecked(len(journals), len(agents), events, None)


def told_again(factory: AgentFactory, handled: Iterable[HandledHere]) -> Iterator[Difference]:
    """Where fresh agents that are told the same want something else done than was recorded; no tick orders it."""
    agents: dict[str, Agent] = {}
    for one in handled:
        if one.agent not in agents:
            agents[one.agent] = factory.make(one.agent)
        try:
            effects: Sequence[Effect] | None = agents[one.agent].handle(one.event, one.now_ms)
        except RemoteProtocolError:
            effects = None
        if _encode(effects) != _encode(one.effects):
            what = f"{one.agent}, at {one.now_ms} ms, told {readable(one.event)[:_MOST]}"
            yield Difference(0, what, _wanted(one.effects, effects), _wanted(effects, one.effects))


def _wanted(mine: Sequence[Effect] | None, theirs: Sequence[Effect] | None) -> str:
    """The first effect that the other has not, as text."""
    if mine is None:
        return "refused it"
    for place, effect in enumerate(mine):
        if theirs is None or place >= len(theirs) or theirs[place] != effect:
            return f"wanted {readable(effect)[:_MOST]}"
    return "wanted nothing more"


def _factory(run_dir: Path, header: Header) -> AgentFactory:
    file = run_dir / SCENARIO
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{file}: cannot be read; without its scenario a run cannot be replayed") from None
    if sha256_of(text) != header.scenario_sha256:
        raise InputError(f"{file}: not the scenario of these journals (its sha256 differs from the one in the header)")
    street = load_street(str(file))
    return AgentFactory(street, World(street), controller_named(header.controller), sign=header.sign)
