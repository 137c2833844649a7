"""The auditor: it watches every event and effect of a troubled street and stops the run when a rule is broken.

It shares no code with the agents. What each charger may be doing, what each award may be worth and who has been paid
are reckoned here a second time, from what was said and from the world's own meters, by someone who sees everything:
all messages under way, all clocks, the book. The names S1 to S21 and L1 to L7 are those of the invariants in the
design; S16, S18, S19 and S22 are about ledgers, anchors, bytes and logs, which have tests of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle
from wattswap.runners.audit.audit_error import AuditError, require
from wattswap.runners.audit.endings import EndsAudit
from wattswap.runners.audit.offers import OfferAudit
from wattswap.runners.audit.power import PowerAudit
from wattswap.runners.audit.trades import TradeAudit
from wattswap.runners.engines.agent_factory import TRANSFORMER
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.run import Run
    from wattswap.runners.network.fault_schedule import FaultOptions
    from wattswap.runners.recording.record import TickRow

_MOST_AT_ONCE: Final = 20_000
"""More events within one instant are no conversation any more."""

_CALM_TICKS: Final = 5
"""How long after the last fault and the quiet time all is as it should be: mandates and beats are said again each tick,
and a car that beats holds a grant in the tick after."""


class Auditor(Observer):
    """Watches one run of the messages engine.

    ``sign`` says that the agents of this run sign what they say.
    """

    def __init__(self, faults: FaultOptions | None = None, *, sign: bool = False) -> None:
        self._faults, self._sign = faults, sign
        self._at_once = (0, 0)
        self.events = 0
        """How many it has seen."""

    def begun(self, run: Run) -> None:
        """Learn which run this is.

        Raises:
            AuditError: the street is not feasible.
        """
        assert isinstance(run, SimulatedRun), "the fleet engine has no events to audit"
        self._run = run
        self._words = OfferAudit(run, sign=self._sign)
        self._power, self._trades, self._ends = PowerAudit(run), TradeAudit(run, self._words), EndsAudit(run)
        self._ticks = 0
        unsafe_w = run.world.fallback_unsafe_w(int(run.world.base_w.max()), int(run.street.limit_w.min()))
        self._require(unsafe_w == 0, "S1 feasible", f"even at their minima cars and homes are {unsafe_w} W too much")

    @property
    def longest_over(self) -> int:
        """Ticks of overload in a row, the most there were."""
        return self._power.longest_over

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        """Something happened to an agent, and this was done about it.

        Raises:
            AuditError: a rule is broken; says which, when, and the two facts that clash.
        """
        try:
            self._look(now_ms, agent, event, list(effects))
        except AuditError as broken:
            raise broken.at(self._run.street.scenario.seed, now_ms) from None
        except AssertionError as broken:
            raise AuditError("S20 in order", f"{agent} finds itself in disorder: {broken}").at(
                self._run.street.scenario.seed, now_ms
            ) from broken

    def finished(self, run: Run) -> None:  # noqa: ARG002 - known since it began
        """The run has ended: if its faults ended long enough before, nothing may be open any more.

        Raises:
            AuditError: as ``handled`` does.
        """
        now_ms = self._run.now_ms
        try:
            self._catch_up()
            self._ends.round_ends(now_ms)
            self._run.book.audit()
            if self._faults is not None and self._faults.until_ms + self._recovery_ms < now_ms:
                self._nothing_is_open()
        except AuditError as broken:
            raise broken.at(self._run.street.scenario.seed, now_ms) from None

    def _look(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        self.events += 1
        self._catch_up()
        at_ms, count = self._at_once
        self._at_once = (now_ms, count + 1 if at_ms == now_ms else 0)
        self._require(count < _MOST_AT_ONCE, "S20 bounded", f"{count} events in one instant, the last {event}")
        self._words.look(agent, event, done)
        self._ends.look(now_ms, agent, event, done)
        self._power.look(now_ms, agent, event, done)
        self._trades.look(now_ms, agent, event, done)
        if not self._run.is_down(agent):
            self._run.nodes[agent].agent.check()

    def _catch_up(self) -> None:
        """Look at the ticks that have passed since the last event."""
        ticks = self._run.record.ticks
        while self._ticks < len(ticks):
            row = ticks[self._ticks]
            self._ticks += 1
            self._power.tick(row)
            self._trades.tick(row)
            self._ends.tick(row)
            self._calm(row)

    # -- when all is quiet again --------------------------------------------------------------------------------------

    @property
    def _recovery_ms(self) -> int:
        return self._run.rules.quiet_ms + _CALM_TICKS * self._run.rules.tick_ms

    def _calm(self, row: TickRow) -> None:
        """L3, L4, L5, L7: once faults have ceased, whoever may draw unasked does draw, if there is room for all."""
        rules = self._run.rules
        if self._faults is None or row.tick * rules.tick_ms < self._faults.until_ms + self._recovery_ms:
            return
        base_w = int(self._run.world.base_w[row.tick])
        demand_w = base_w + int(row.charging.firm_w.sum())
        if demand_w > row.limit_w - row.limit_w * rules.margin_ppm // 1_000_000 - rules.release_w:
            return
        less = (row.import_w < row.charging.firm_w).nonzero()[0].tolist()
        self._require(
            not less,
            "L3 normal power again",
            f"homes and cars want {demand_w} W of {row.limit_w} W and nothing has gone wrong since "
            f"{self._faults.until_ms} ms, but at tick {row.tick} {[int(row.rows[at]) for at in less]} draw less",
        )

    def _nothing_is_open(self) -> None:
        """L6: every payable is settled, and the cars and the book agree about money."""
        run = self._run
        agents = {name: node.agent for name, node in run.nodes.items()}
        for name, agent in agents.items():
            owes = getattr(agent, "owes", 0)
            self._require(
                not owes, "L6 all is settled", f"the run is over and calm, but {name} still owes {owes} things"
            )
        reserved = run.book.balance("reserved")
        self._require(not reserved, "S12 released", f"no award is open, but {reserved} nanos are still reserved")
        self._trades.agree_in_the_end()
        transformer = run.nodes[TRANSFORMER].agent
        assert isinstance(transformer, Transformer)
        thinks, has = transformer.uncommitted_nanos, run.book.site_uncommitted_nanos
        self._require(
            thinks == has, "S15 one purse", f"the transformer thinks it may promise {thinks} nanos, its book says {has}"
        )
        for name, agent in agents.items():
            if isinstance(agent, Vehicle):
                paid = self._trades.paid_to(name)
                self._require(
                    agent.earned_nanos == paid,
                    "S17 nothing forgotten",
                    f"{name} counts {agent.earned_nanos} nanos, the book says {paid}",
                )

    def _require(self, holds: bool, rule: str, facts: str) -> None:
        require(holds, rule, facts)
