"""What may go wrong, and what will: the outages and clocks of one run, drawn from a seed.

A run with the same street, options and seed goes wrong in the same way, so a seed is a bug report.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY_MS: Final = 86_400_000
_DRIFT_PERIOD_MS: Final = 1_200_000

_Draw = Literal["crash", "freeze", "cut"]
Kind = Literal["crash", "torn crash", "freeze", "cut", "one-way cut"]
"""A torn crash strikes in the middle of the next event that the agent handles: a part of what it wants done is done."""


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """How much goes wrong. Rates are per agent and day; nothing goes wrong after ``until_ms``."""

    loss_ppm: int = 0
    repeat_ppm: int = 0
    delay_ms: int = 0
    """Each message takes up to so long, so later ones overtake earlier ones."""
    crashes_per_day: float = 0
    freezes_per_day: float = 0
    cuts_per_day: float = 0
    """How often an agent is cut off from all others; every third time in one direction only."""
    outage_s: int = 180
    """How long these last at most."""
    drift_ppm: int = 0
    """How fast or slow chargers' clocks run, for ten minutes at a time."""
    until_ms: int = 1 << 62

    @property
    def any(self) -> bool:
        """Whether anything can go wrong at all."""
        rates = (self.crashes_per_day, self.freezes_per_day, self.cuts_per_day)
        return bool(self.loss_ppm or self.repeat_ppm or self.delay_ms or self.drift_ppm or any(rates))


@dataclass(slots=True)
class FaultCounts:
    """What has gone wrong so far."""

    sent: int = 0
    """Messages that agents sent."""
    lost: int = 0
    """Those that never arrived: lost on the way, or one side was cut off."""
    repeated: int = 0
    """Those that arrived twice."""
    delayed: int = 0
    """Those that took a while."""
    unheard: int = 0
    """Arrivals at an agent that had crashed."""
    crashes: int = 0
    restarts: int = 0
    freezes: int = 0
    partitions: int = 0
    """How often an agent was cut off from all others."""


class Outage(NamedTuple):
    """One agent out of order for a while."""

    kind: Kind
    agent: str
    from_ms: int
    to_ms: int

    @property
    def is_cut(self) -> bool:
        """Whether the agent itself is well, and only its messages do not pass."""
        return self.kind in ("cut", "one-way cut")


class FaultSchedule:
    """What goes wrong in one run by itself: its outages, its clocks, and the luck of its messages."""

    def __init__(self, faults: FaultOptions, seed: int, agents: Sequence[str], ends_ms: int) -> None:
        self.faults = faults
        self.random = Random(f"faults/{seed}")
        self._tearing = Random(f"tearing/{seed}")
        last_ms = min(ends_ms, faults.until_ms)
        self.outages = sorted(self._outages(agents, last_ms), key=lambda outage: (outage.from_ms, outage.agent))
        self.drift_ppm = {agent: self.random.randint(0, faults.drift_ppm) for agent in agents}
        """How much faster than right each agent's clock may run."""

    def part(self, steps: int) -> int:
        """How many of so many steps an agent still takes before it crashes: none, all, or any number between."""
        return self._tearing.randint(0, steps)

    def _outages(self, agents: Sequence[str], last_ms: int) -> list[Outage]:
        """All outages of all agents; a crash or freeze begins only when its agent is over the one before."""
        faults, outages = self.faults, list[Outage]()
        for agent in agents:
            crashes: list[_Draw] = ["crash"] * self._count(faults.crashes_per_day, last_ms)
            down = crashes + ["freeze"] * self._count(faults.freezes_per_day, last_ms)
            self.random.shuffle(down)
            for kind, (from_ms, to_ms) in zip(down, self._apart(len(down), last_ms), strict=True):
                outages.append(Outage(self._kind(kind), agent, from_ms, to_ms))
            for _ in range(self._count(faults.cuts_per_day, last_ms)):
                from_ms = self.random.randrange(max(last_ms, 1))
                to_ms = min(from_ms + self._lasts_ms(), last_ms)
                outages.append(Outage(self._kind("cut"), agent, from_ms, to_ms))
        return outages

    def _lasts_ms(self) -> int:
        return self.random.randint(1_000, self.faults.outage_s * 1_000)

    def _apart(self, number: int, last_ms: int) -> list[tuple[int, int]]:
        """So many outages of one agent anywhere before ``last_ms``, of which no two touch.

        Their lengths are drawn first, each at most its share of the time there is; then what is left of that time is
        divided among the gaps. So all of them happen, however many were drawn.
        """
        most_ms = last_ms // max(number, 1) - 1
        lengths_ms = [max(min(self._lasts_ms(), most_ms), 0) for _ in range(number)]
        free_ms = max(last_ms - sum(lengths_ms) - number, 0)
        spans, passed_ms = list[tuple[int, int]](), 0
        for at_ms, length_ms in zip(
            sorted(self.random.randint(0, free_ms) for _ in lengths_ms), lengths_ms, strict=True
        ):
            from_ms = at_ms + passed_ms
            spans.append((from_ms, from_ms + length_ms))
            passed_ms += length_ms + 1
        return spans

    def _kind(self, kind: _Draw) -> Kind:
        """Every third cut is in one direction only, and every other crash is torn."""
        if kind == "cut" and self.random.random() < 1 / 3:
            return "one-way cut"
        if kind == "crash" and self._tearing.random() < 1 / 2:
            return "torn crash"
        return kind

    def _count(self, per_day: float, last_ms: int) -> int:
        """How often something of this rate happens: the whole number below or above its mean."""
        mean = per_day * last_ms / _DAY_MS
        return int(mean) + (self.random.random() < mean - int(mean))


class DriftingClock:
    """A clock that is fast for ten minutes and slow for the next ten, and never goes backwards."""

    def __init__(self, drift_ppm: int) -> None:
        self._drift_ppm = drift_ppm

    def local_ms(self, true_ms: int) -> int:
        """What it says at an instant."""
        phase_ms = true_ms % _DRIFT_PERIOD_MS
        ahead_ms = min(phase_ms, _DRIFT_PERIOD_MS - phase_ms)
        return true_ms + ahead_ms * self._drift_ppm // 1_000_000

    def true_ms(self, local_ms: int) -> int:
        """The first instant at which it says at least ``local_ms``."""
        drift_ppm = self._drift_ppm
        true_ms = local_ms - _DRIFT_PERIOD_MS // 2 * drift_ppm // 1_000_000
        while (left_ms := local_ms - self.local_ms(true_ms)) > 0:
            true_ms += max(1, left_ms * 1_000_000 // (1_000_000 + drift_ppm))
        return true_ms
