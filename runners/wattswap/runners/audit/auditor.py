"""The auditor: it watches every event and effect of a run with faults and stops the run when a rule is broken.

It shares no code with the agents. What each charger may be doing, what each award may be worth and who has been paid
are computed here a second time, from the messages and from the world's own meters, by an observer who sees everything:
all messages that are under way, all clocks, the book. The rules are listed in :mod:`.rules`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from wattswap.agents.charger import Charger
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.effects import Bill, Pay, Reserve
from wattswap.runners.audit.audit_error import AuditError, require
from wattswap.runners.audit.endings import EndingAudit
from wattswap.runners.audit.offers import OfferAudit
from wattswap.runners.audit.power import PowerAudit
from wattswap.runners.audit.rent import RentAudit
from wattswap.runners.audit.rules import Rule
from wattswap.runners.audit.trades import TradeAudit
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.observer import Observer
from wattswap.runners.world import fallback_unsafe_w

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.run import Run
    from wattswap.runners.network.fault_schedule import FaultOptions
    from wattswap.runners.recording.record import TickRow

_MOST_EVENTS_AT_ONCE: Final = 20_000
"""More events within one instant are a loop, not a conversation."""

_RECOVERY_TICKS: Final = 5
"""Ticks after the last fault and the quiet time by which all is normal: mandates and reports are repeated every tick,
and a car whose charger reports holds a grant in the tick after."""


class Auditor(Observer):
    """Watches one run of the messages engine.

    ``sign`` says that the agents of this run sign what they send.
    """

    def __init__(self, faults: FaultOptions | None = None, *, sign: bool = False) -> None:
        self._faults, self._sign = faults, sign
        self._at_once = (0, 0)
        self.events = 0
        """How many events it has seen."""

    def begun(self, run: Run) -> None:
        """Learn which run this is.

        Raises:
            AuditError: the street is not feasible (S1).
        """
        assert isinstance(run, SimulatedRun), "the fleet engine has no events to audit"
        self._run = run
        (self._transformer,) = run.factory.transformers  # the rules are those of one feeder
        self._offers = OfferAudit(run, sign=self._sign)
        self._power, self._trades, self._endings = PowerAudit(run), TradeAudit(run, self._offers), EndingAudit(run)
        self._rent = RentAudit(run)
        self._ticks = 0
        unsafe_w = fallback_unsafe_w(
            run.world.fleet, run.world.base_w.max(axis=1) - run.street.limit_w.min(axis=1), run.world.rules.guaranteed_w
        )
        require(unsafe_w == 0, Rule.FEASIBLE, f"base load and guaranteed minima exceed the limit by {unsafe_w} W")

    @property
    def longest_over(self) -> int:
        """The longest overload so far, in ticks."""
        return self._power.longest_over

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        """An agent has handled an event, and these effects were carried out.

        Raises:
            AuditError: a rule is broken; the error says which, when, and the two facts that contradict each other.
        """
        try:
            self._look(now_ms, agent, event, list(effects))
        except AuditError as broken:
            raise broken.at(self._run.street.scenario.seed, now_ms) from broken.__cause__

    def finished(self, run: Run) -> None:  # noqa: ARG002 - known since it began
        """The run has ended: if its faults ended long enough before, nothing may be open any more.

        Raises:
            AuditError: as ``handled`` does.
        """
        now_ms = self._run.now_ms
        try:
            self._catch_up()
            self._endings.round_ends(now_ms)
            _conserved("at the end of the run", self._run.books[0].audit)
            if self._faults is not None and self._faults.until_ms + self._recovery_ms < now_ms:
                self._nothing_is_open()
        except AuditError as broken:
            raise broken.at(self._run.street.scenario.seed, now_ms) from broken.__cause__

    def _look(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        self.events += 1
        self._catch_up()
        at_ms, count = self._at_once
        self._at_once = (now_ms, count + 1 if at_ms == now_ms else 0)
        require(count < _MOST_EVENTS_AT_ONCE, Rule.BOUNDED, f"{count} events in one instant, the last {event}")
        self._offers.look(agent, event, done)
        self._endings.look(now_ms, agent, event, done)
        self._power.look(now_ms, agent, event, done)
        self._trades.look(now_ms, agent, event, done)
        self._rent.look(agent, done)
        if _moves_money(done):
            _conserved(f"after {event} of {agent}", self._run.books[0].check)
        if not self._run.is_down(agent):
            self._checks_itself(agent)

    def _checks_itself(self, agent: str) -> None:
        """S20: the agent's own check of its state passes."""
        try:
            self._run.nodes[agent].agent.check()
        except AssertionError as error:
            raise AuditError(Rule.IN_ORDER, f"the check of {agent} fails: {error}") from error

    def _catch_up(self) -> None:
        """Audit the ticks that have passed since the last event."""
        ticks = self._run.record.ticks
        while self._ticks < len(ticks):
            row = ticks[self._ticks]
            self._ticks += 1
            self._power.tick(row)
            self._trades.tick(row)
            self._rent.tick(row)
            self._endings.tick(row)
            self._power_returns(row)

    # -- once faults have ceased --------------------------------------------------------------------------------------

    @property
    def _recovery_ms(self) -> int:
        return self._run.rules.quiet_ms + _RECOVERY_TICKS * self._run.rules.tick_ms

    def _power_returns(self, row: TickRow) -> None:
        """L3: once faults have ceased, a car that may draw without an award does draw, if there is room for all."""
        rules = self._run.rules
        if self._faults is None or row.tick * rules.tick_ms < self._faults.until_ms + self._recovery_ms:
            return
        base_w = int(self._run.world.base_w[0, row.tick])
        demand_w = base_w + int(row.charging.firm_w.sum())
        if demand_w > row.limit_w - rules.margin_w - rules.release_w:
            return
        less = row.rows[row.import_w < row.charging.firm_w].tolist()
        require(
            not less,
            Rule.POWER_RETURNS,
            f"homes and cars want {demand_w} W of {row.limit_w} W and nothing has gone wrong since "
            f"{self._faults.until_ms} ms, but in tick {row.tick} sessions {less} draw less",
        )

    def _nothing_is_open(self) -> None:
        """L6, S12, S15, S17: all lots of the gone are settled, and cars, transformer and book agree about money.

        A claim of the last instant may wait for its charger's next count.
        """
        run = self._run
        agents = {name: node.agent for name, node in run.nodes.items()}
        departed_ms = run.world.fleet.departure_tick * run.rules.tick_ms
        long_gone = (departed_ms + self._recovery_ms < run.now_ms).nonzero()[0].tolist()
        self._trades.all_are_closed(self._offers.accepted & set(long_gone))
        parts = (part for agent in agents.values() if isinstance(agent, Charger) for part in agent.held)
        held = Counter(run.factory.vehicle_of[part.session] for part in parts)
        for name, agent in agents.items():
            owes = agent.owes if isinstance(agent, Charger | Transformer | Vehicle) else 0
            findings = f"the run is over, but {name} still owes {owes} messages or payments"
            require(owes <= held[name], Rule.ALL_SETTLED, findings)
        reserved, promised = run.books[0].balance("reserved"), self._trades.held_nanos
        require(
            reserved == promised, Rule.RELEASED, f"open lots hold {promised} nanos, but {reserved} are still reserved"
        )
        self._trades.all_are_billed(self._offers.accepted & set(long_gone))
        transformer = run.nodes[self._transformer].agent
        assert isinstance(transformer, Transformer)
        assumes, has = transformer.uncommitted_nanos, run.books[0].site_uncommitted_nanos
        require(
            assumes == has,
            Rule.BOOKS_AGREE,
            f"the transformer assumes that it may promise {assumes} nanos, its book says {has}",
        )
        for name, agent in agents.items():
            if isinstance(agent, Vehicle):
                paid = self._trades.paid_to(name)
                require(
                    agent.earned_nanos == paid,
                    Rule.NOTHING_FORGOTTEN,
                    f"{name} counts {agent.earned_nanos} nanos, the book says {paid}",
                )


def _moves_money(done: list[Effect]) -> bool:
    return any(isinstance(effect, Reserve | Pay | Bill) for effect in done)


def _conserved(when: str, check: Callable[[], None]) -> None:
    """S15: a check of the book passes."""
    try:
        check()
    except AssertionError as error:
        raise AuditError(Rule.CONSERVED, f"the book's check fails {when}: {error}") from error
