"""What must come to an end: rounds, power that nobody renews, sessions (L1, L2, S12).

Only what was said and when is looked at, whatever the agents have in mind: that the transformer noted a round's end,
when a grant last came to a charger, whose departure was confirmed.
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
from wattswap.runners.engines.agent_factory import TRANSFORMER

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.loop import SimulatedRun
    from wattswap.runners.recording.record import TickRow


class EndsAudit:
    """Follows the round that is open, the last grant of each charger, and who has left."""

    def __init__(self, run: SimulatedRun) -> None:
        self._run, self._rules = run, run.rules
        self._call: ReliefCall | None = None
        """Of the round that is open, as far as anyone outside can tell."""
        self._granted_ms: dict[str, int] = {}
        """By charger: when a grant came to it last."""
        self._left: set[int] = set()
        """Sessions whose departure the transformer has confirmed."""
        self.lost_ms = run.rules.certain_lease_ms + 2 * run.rules.tick_ms + RAMP_MS
        """L2: D = T (1 + 2 rho) + 2 H + ramp, 154.1 s: by then whoever hears nothing draws its minimum."""

    def look(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        """Check one event."""
        self.round_ends(now_ms)
        if agent == TRANSFORMER:
            self._look_at_transformer(event, done)
        elif isinstance(event, Received) and isinstance(event.message, Grant) and event.sender == TRANSFORMER:
            self._granted_ms[agent] = now_ms

    def _look_at_transformer(self, event: Event, done: list[Effect]) -> None:
        if isinstance(event, Restarted):
            self._call = None
        for effect in done:
            match effect:
                case Send(_, Sealed(4) as sealed):
                    self._called(sealed)
                case NoteRound(tick) if self._call is not None and tick == self._call.tick:
                    self._call = None
                case Send(_, Ack(kind, session)) if kind == DEPARTED:
                    self._left.add(session)
                case _:
                    pass

    # -- rounds -------------------------------------------------------------------------------------------------------

    def _called(self, sealed: Sealed) -> None:
        """A round ends before the next one opens."""
        call, before = unseal(sealed), self._call
        assert isinstance(call, ReliefCall)
        require(before is None or before == call, "L1 rounds end", f"{call} was sent while {before} was still open")
        self._call = call

    def round_ends(self, now_ms: int) -> None:
        """L1: a round ends by its deadline and a tick, whoever keeps silent, unless its transformer is out of order."""
        call = self._call
        if call is None:
            return
        if self._run.is_down(TRANSFORMER):
            self._call = None
        elif now_ms > call.offers_due_ms + self._rules.tick_ms:
            raise AuditError(
                "L1 rounds end", f"{call} had its deadline at {call.offers_due_ms} ms and has not been cleared since"
            )

    # -- power and sessions -------------------------------------------------------------------------------------------

    def tick(self, row: TickRow) -> None:
        """L2: whoever has heard no grant for so long draws its minimum. S12: nobody is reckoned with who has left."""
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
                    "L2 loss is noticed",
                    f"in tick {row.tick} session {session} drew {import_w} W and fed {export_w} W, but the last grant "
                    f"came to {name} at {heard_ms} ms",
                )
        self._nobody_comes_back()

    def _nobody_comes_back(self) -> None:
        if self._run.is_down(TRANSFORMER):
            return
        transformer = self._run.nodes[TRANSFORMER].agent
        assert isinstance(transformer, Transformer)
        back = [session for session in self._left if transformer.worst_import_w(session, self._run.now_ms) is not None]
        require(
            not back,
            "S12 released",
            f"the transformer has confirmed that sessions {back} left, and reckons with their power again",
        )
