"""The proof of concept of 2019 as a whole, with its clocks, its payments and its defects, to be measured against.

Back end and chargers as in github.com/tonsmets/SelfbalancingGrid (2019, written here from its rules): every 30 s the
back end publishes a percentage, every 20 s a charger reports its load, every 10 s it sets its current to what was
published last, and every 10 min the back end pays. Kept as they were:

- a reduced load looks like room, so the next publication releases it (``poc.percentage``);
- the stamp of the last payment is reset inside the loop over the chargers, so only the first one is paid;
- 15 reports, 5 min, are kept, and payment looks back 10 min;
- a base load of exactly the limit releases, but reports are still stamped with the old percentage;
- any fall of the load is paid, also that of a session that ends; how far it fell and for how long does not matter.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from wattswap.agents.controllers.poc import percentage

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLISH_S: Final = 30
REPORT_S: Final = 20
LOOP_S: Final = 10
PAY_S: Final = 600
STALE_S: Final = 30
METERINGS_AVERAGED: Final = 5
REPORTS_KEPT: Final = 15


class Published(NamedTuple):
    """What the back end made known."""

    at_s: int
    load_w: float
    """Base and virtual load together."""
    percent: float | None
    """None: no need to reduce."""


class TwinReport(NamedTuple):
    """A charger's load as the back end noted it."""

    at_s: int
    load_w: float
    percent: float
    """The percentage in force in the back end when the report came in: what a fall would be paid."""


@dataclass(slots=True)
class TwinCharger:
    """A charging point that is its own car: a current and a voltage, power without the square root of three."""

    most_a: float
    volts: int
    charging: bool = True
    report_phase_s: int = 0
    """Seconds by which its clocks run after the multiples of their periods."""
    loop_phase_s: int = 1
    silent: bool = False
    """Its reports no longer reach the back end."""
    current_a: float = field(init=False)

    def __post_init__(self) -> None:
        self.current_a = self.most_a

    @property
    def load_w(self) -> float:
        """What it draws."""
        return self.current_a * self.volts if self.charging else 0.0

    def follow(self, percent: float | None) -> None:
        """Set the current, in hundredths of an ampere."""
        self.current_a = self.most_a if percent is None else round(self.most_a * (1 - percent / 100), 2)


class Twin:
    """One back end, its chargers, and the seconds that pass."""

    def __init__(
        self,
        limit_w: int,
        chargers: Sequence[TwinCharger],
        *,
        publish_phase_s: int = 0,
        pay_phase_s: int = 0,
        resets_inside_loop: bool = True,
    ) -> None:
        self.limit_w, self.chargers = limit_w, chargers
        self._publish_phase_s, self._pay_phase_s = publish_phase_s, pay_phase_s
        self._resets_inside_loop = resets_inside_loop
        self.now_s = 0
        self.published: list[Published] = []
        self.paid_iota = [0] * len(chargers)
        self._metered_w: deque[float] = deque(maxlen=METERINGS_AVERAGED)
        self._reports: dict[int, deque[TwinReport]] = {}
        self._percent = 0.0
        self._paid_at_s = 0

    def meter(self, base_w: float) -> None:
        """A reading of the base load; the mean of the last five counts."""
        self._metered_w.append(base_w)

    def run(self, seconds: int) -> None:
        """Let time pass. At the same instant reports come first, then publication, charge loops, payment."""
        for _ in range(seconds):
            self.now_s += 1
            for number, charger in enumerate(self.chargers):
                if self._due(REPORT_S, charger.report_phase_s) and not charger.silent:
                    self._report(number, charger)
            if self._due(PUBLISH_S, self._publish_phase_s):
                self._publish()
            for charger in self.chargers:
                if self._due(LOOP_S, charger.loop_phase_s) and charger.charging and self.published:
                    charger.follow(self.published[-1].percent)
            if self._due(PAY_S, self._pay_phase_s):
                self._pay()

    def _due(self, period_s: int, phase_s: int) -> bool:
        return (self.now_s - phase_s) % period_s == 0

    def _report(self, number: int, charger: TwinCharger) -> None:
        kept = self._reports.setdefault(number, deque(maxlen=REPORTS_KEPT))
        kept.append(TwinReport(self.now_s, charger.load_w, self._percent))

    def _publish(self) -> None:
        if not self._metered_w:
            return
        base_w, virtual_w = sum(self._metered_w) / len(self._metered_w), self._virtual_w()
        percent = percentage(self.limit_w, base_w, virtual_w)
        if base_w != self.limit_w:
            self._percent = percent or 0.0
        self.published.append(Published(self.now_s, base_w + virtual_w, percent))

    def _virtual_w(self) -> float:
        """The sum of the chargers' latest reports; a charger silent for over 30 s is forgotten with all it reported."""
        for number in list(self._reports):
            if self.now_s - self._reports[number][-1].at_s > STALE_S:
                del self._reports[number]
        return sum(reports[-1].load_w for reports in self._reports.values())

    def _pay(self) -> None:
        """Floor(%) iota for each two successive reports since the last payment of which the second is lower."""
        for number, reports in self._reports.items():
            unpaid = [report for report in reports if report.at_s > self._paid_at_s]
            falls = (after for before, after in pairwise(unpaid) if after.load_w < before.load_w)
            self.paid_iota[number] += sum(int(after.percent) for after in falls)
            if self._resets_inside_loop:
                self._paid_at_s = self.now_s
        self._paid_at_s = self.now_s
