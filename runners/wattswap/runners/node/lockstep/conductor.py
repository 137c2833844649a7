"""The conductor of a lockstep run: it keeps the order.

It knows which process has something to handle at which (instant, rank), orders the lowest one everywhere at once, and
goes on when all have told what came of it. No wall clock orders anything.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from wattswap.runners.node.lockstep.worker import LockstepWorker
from wattswap.runners.node.processes.pool import ProcessPool
from wattswap.runners.node.processes.wire import Done, Order, SensedEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.protocol.events import Event
    from wattswap.runners.node.processes.plan import Plan


class StageKey(NamedTuple):
    """What a stage is known by."""

    at_ms: int
    rank: int


class Conductor:
    """Orders the stages of a run by processes."""

    def __init__(self, plan: Plan) -> None:
        """Start the processes.

        Raises:
            WorkerLostError: one did not come up.
        """
        self._plan = plan
        self._stage, self._sequence = 0, 0
        self._key = StageKey(0, -1)
        self._heap: list[StageKey] = []
        self._due: dict[StageKey, set[int]] = {}
        """Who has something to handle at which stage."""
        self._sensed: dict[StageKey, defaultdict[int, list[SensedEvent]]] = {}
        self._letters = [0] * plan.processes
        """So many letters were sent to each process up to the stage before."""
        self.pool = ProcessPool(plan, LockstepWorker, self._when)

    def _when(self) -> str:
        return f"stage {self._stage} (instant {self._key.at_ms} ms, rank {self._key.rank})" if self._stage else "start"

    def sense(self, at_ms: int, rank: int, to: str, event: Event) -> None:
        """The world tells an agent something."""
        key, process = StageKey(at_ms, rank), self._plan.process_of[to]
        self._sequence += 1
        self._sensed.setdefault(key, defaultdict(list))[process].append(SensedEvent(self._sequence, to, event))
        self._is_due(key, process)

    def next_stage(self, until_ms: int, most_rank: int) -> StageKey | None:
        """The lowest stage, or None if it is not before ``until_ms`` or of a higher rank than ``most_rank``."""
        if not self._heap or self._heap[0].at_ms >= until_ms or self._heap[0].rank > most_rank:
            return None
        return self._heap[0]

    def carry_out(self, key: StageKey) -> list[Done]:
        """Let all that have a part in a stage handle it, side by side; what came of it, by the process's number.

        Raises:
            WorkerLostError: a process died, hung or failed.
        """
        lowest = heappop(self._heap)
        assert lowest == key
        processes = sorted(self._due.pop(key))
        sensed: Mapping[int, list[SensedEvent]] = self._sensed.pop(key, {})
        self._stage, self._key = self._stage + 1, key
        for process in processes:
            told = tuple(sensed.get(process, ()))
            self.pool.tell(process, Order(self._stage, key.at_ms, key.rank, self._letters[process], told))
        done = [one for _, one in sorted(self.pool.answers(Done, set(processes)), key=lambda answer: answer[0])]
        for process, one in zip(processes, done, strict=True):
            assert one.stage == self._stage, f"process {process} tells of stage {one.stage} in stage {self._stage}"
            for at_ms, rank in one.pending:
                self._is_due(StageKey(at_ms, rank), process)
            for sent in one.sent:
                self._letters[sent.worker] += sent.count
                self._is_due(StageKey(key.at_ms, sent.rank), sent.worker)
        return done

    def _is_due(self, key: StageKey, process: int) -> None:
        if (due := self._due.get(key)) is None:
            self._due[key] = {process}
            heappush(self._heap, key)
        else:
            due.add(process)
