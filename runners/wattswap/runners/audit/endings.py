"""Whether what must end does end: rounds, power that nobody renews, sessions (L1, L2, S12).

It goes by messages and their times, not by the agents' state: when the transformer noted a round's end, when a grant
last reached a charger, whose departure was acknowledged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.agents.transformer import Transformer
from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import NoteRound, Send
from wattswap.protocol.events import Received, Restarted
from wattswap.protocol.messages import DEPARTED, Ack, Grant, ReliefCall, Sealed
from wattswap.runners.audit.audit_error import AuditError, require
from wattswap.runners.audit.power import RAMP_MS
from wattswap.runners.audit.rules import Rule

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.loop import SimulatedRun
    from wattswap.runners.recording.record import TickRow


class EndingAudit:
    """Follows the open round, the time of each charger's last grant, and the sessions that have left."""

    def __init__(self, run: SimulatedRun) -> None:
        (self._transformer,) = run.factory.transformers
        self._run, self._rules = run, run.rules
        self._call: ReliefCall | None = None
        """The call of the open round, as far as its messages tell; None between rounds."""
        self._granted_ms: dict[str, int] = {}
        """By charger: when the last grant reached it."""
        self._left: set[int] = set()
        """Sessions whose departure the transformer has acknowledged."""
        self.lost_ms = run.rules.certain_lease_ms + 2 * run.rules.tick_ms + RAMP_MS
        """L2: a charger that hears nothing draws its minimum after D = T (1 + 2 rho) + 2 H + ramp, which is 154.1 s."""

    def look(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        """Audit one event."""
        self.round_ends(now_ms)
        if agent == self._transformer:
            self._look_at_transformer(event, done)
        elif isinstance(event, Received) and isinstance(event.message, Grant) and event.sender == self._transformer:
            self._granted_ms[agent] = now_ms

    def _look_at_transformer(self, event: Event, done: list[Effect]) -> None:
        if isinstance(event, Restarted):
            self._call = None
        for effect in done:
            match effect:
                case Send(_, Sealed(4) as sealed):
                    self._calls(sealed)
                case NoteRound(tick) if self._call is not None and tick == self._call.tick:
                    self._call = None
                case Send(_, Ack(kind, session)) if kind == DEPARTED:
                    self._left.add(session)
                case _:
                    pass

    # -- rounds -------------------------------------------------------------------------------------------------------

    def _calls(self, sealed: Sealed) -> None:
        """L1: a round ends before the next one opens."""
        call, before = unseal(sealed), self._call
        assert isinstance(call, ReliefCall)
        require(before is None or before == call, Rule.ROUNDS_END, f"{call} was sent while {before} was still open")
        self._call = call

    def round_ends(self, now_ms: int) -> None:
        """L1: a round ends within a tick of its deadline, whoever does not answer, unless its transformer is down."""
        call = self._call
        if call is None:
            return
        if self._run.is_down(self._transformer):
            self._call = None
        elif now_ms > call.offers_due_ms + self._rules.tick_ms:
            raise AuditError(
                Rule.ROUNDS_END, f"{call} had its deadline at {call.offers_due_ms} ms and has not been cleared since"
            )

    # -- power and sessions -------------------------------------------------------------------------------------------

    def tick(self, row: TickRow) -> None:
        """L2, S12: a charger without grants draws its minimum, and no power is reserved for a session that has left."""
        ended_ms = (row.tick + 1) * self._rules.tick_ms - 1
        for session, import_w, export_w in zip(
            row.rows.tolist(), row.import_w.tolist(), row.export_w.tolist(), strict=True
        ):
            if import_w <= self._rules.guaranteed_w and not export_w:
                continue
            name = self._run.factory.charger_of[session]
            heard_ms = self._granted_ms.get(name)
            if heard_ms is None or heard_ms + self.lost_ms < ended_ms:
                raise AuditError(
                    Rule.LOSS_NOTICED,
                    f"in tick {row.tick} session {session} drew {import_w} W and fed {export_w} W, but the last grant "
                    f"came to {name} at {heard_ms} ms",
                )
        self._left_for_good()

    def _left_for_good(self) -> None:
        if self._run.is_down(self._transformer):
            return
        transformer = self._run.nodes[self._transformer].agent
        assert isinstance(transformer, Transformer)
        back = [session for session in self._left if transformer.worst_import_w(session, self._run.now_ms) is not None]
        require(
            not back,
            Rule.RELEASED,
            f"the transformer has acknowledged that sessions {back} left, and reserves power for them again",
        )
