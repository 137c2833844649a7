"""What may go wrong, drawn from one seed: messages lost, repeated, late; agents cut off, frozen, crashed; clocks off.

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

Kind = Literal["crash", "freeze", "cut", "one-way cut"]


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
        return self.kind in {"cut", "one-way cut"}


class FaultSchedule:
    """All that goes wrong in one run."""

    def __init__(self, faults: FaultOptions, seed: int, agents: Sequence[str], ends_ms: int) -> None:
        self.faults, self.counts = faults, FaultCounts()
        self._random = Random(f"faults/{seed}")
        last_ms = min(ends_ms, faults.until_ms)
        self.outages = sorted(self._outages(agents, last_ms), key=lambda outage: (outage.from_ms, outage.agent))
        self._cuts: dict[str, list[Outage]] = {}
        for outage in self.outages:
            if outage.is_cut:
                self._cuts.setdefault(outage.agent, []).append(outage)
        self._drift = {agent: self._random.randint(0, faults.drift_ppm) for agent in agents}

    def _outages(self, agents: Sequence[str], last_ms: int) -> list[Outage]:
        faults, random = self.faults, self._random
        outages: list[Outage] = []
        for agent in agents:
            free_ms = 0
            rates = (
                ("crash", faults.crashes_per_day),
                ("freeze", faults.freezes_per_day),
                ("cut", faults.cuts_per_day),
            )
            for kind, rate in rates:
                for from_ms in sorted(random.randrange(max(last_ms, 1)) for _ in range(self._count(rate, last_ms))):
                    lasts_ms = random.randint(1_000, faults.outage_s * 1_000)
                    to_ms = min(from_ms + lasts_ms, last_ms)
                    one_way = kind == "cut" and random.random() < 1 / 3
                    if kind == "cut" or from_ms >= free_ms:
                        outages.append(Outage("one-way cut" if one_way else kind, agent, from_ms, to_ms))  # type: ignore[arg-type]
                    free_ms = max(free_ms, to_ms + 1)
        return outages

    def _count(self, per_day: float, last_ms: int) -> int:
        """How often something of this rate happens: the whole number below or above its mean."""
        mean = per_day * last_ms / _DAY_MS
        return int(mean) + (self._random.random() < mean - int(mean))

    def arrivals(self, sender: str, to: str, now_ms: int) -> list[int]:
        """When a message sent now arrives: once, twice or never."""
        arrivals, counts = self._arrivals(sender, to, now_ms), self.counts
        counts.sent += 1
        if not arrivals:
            counts.lost += 1
        elif len(arrivals) > 1:
            counts.repeated += 1
        if arrivals and arrivals[0] > now_ms:
            counts.delayed += 1
        return arrivals

    def _arrivals(self, sender: str, to: str, now_ms: int) -> list[int]:
        faults, random = self.faults, self._random
        if now_ms >= faults.until_ms:
            return [now_ms]
        if self._is_cut(sender, now_ms, receiving=False) or self._is_cut(to, now_ms, receiving=True):
            return []
        if random.random() * 1e6 < faults.loss_ppm:
            return []
        copies = 2 if random.random() * 1e6 < faults.repeat_ppm else 1
        return [now_ms + (random.randint(0, faults.delay_ms) if faults.delay_ms else 0) for _ in range(copies)]

    def _is_cut(self, agent: str, now_ms: int, *, receiving: bool) -> bool:
        """Cut off altogether, or cut one way: then it still speaks but does not hear."""
        return any(
            cut.from_ms <= now_ms < cut.to_ms and (receiving or cut.kind == "cut") for cut in self._cuts.get(agent, ())
        )

    def part(self, effects: int) -> int:
        """How many of its effects an agent still carries out before it crashes."""
        return self._random.randint(0, effects)

    def local_ms(self, agent: str, true_ms: int) -> int:
        """What an agent's clock says: fast for ten minutes, slow for the next ten, never backwards."""
        phase_ms = true_ms % _DRIFT_PERIOD_MS
        ahead_ms = min(phase_ms, _DRIFT_PERIOD_MS - phase_ms)
        return true_ms + ahead_ms * self._drift.get(agent, 0) // 1_000_000

    def true_ms(self, agent: str, local_ms: int) -> int:
        """The first instant at which an agent's clock says at least ``local_ms``."""
        drift_ppm = self._drift.get(agent, 0)
        true_ms = local_ms - _DRIFT_PERIOD_MS // 2 * drift_ppm // 1_000_000
        while (left_ms := local_ms - self.local_ms(agent, true_ms)) > 0:
            true_ms += max(1, left_ms * 1_000_000 // (1_000_000 + drift_ppm))
        return true_ms
