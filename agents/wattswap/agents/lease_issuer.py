"""The transformer's side of leases: what each charger may draw at worst, and when a grant of more is safe.

A grant that was sent may be in force, on its way or lost. Until a report says which grant the charger has accepted, or
all its leases are certainly over, the transformer counts with the worst of them: the *envelope*. A grant of less is
sent at once. A grant of more, a raise, waits until it fits beside all envelopes. On a sound network that is within the
same instant, as soon as the chargers that draw less have confirmed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from wattswap.protocol.messages import Grant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.agents.rules import Rules
    from wattswap.protocol.messages import Report


class Stamp(NamedTuple):
    """A charger's newest report: its epoch and number, the time on the charger's clock, and when it arrived on ours."""

    epoch: int
    seq: int
    charger_ms: int
    received_ms: int


class _Sent(NamedTuple):
    """A grant that may be in force."""

    seq: int
    import_w: int
    export_w: int
    over_ms: int
    """When its lease is certainly over, on the transformer's clock."""


@dataclass(slots=True)
class _Envelope:
    """The most that one charger may draw, and the least that it may feed, as far as the transformer knows."""

    guaranteed_w: int
    stamp: Stamp | None = None
    aim: tuple[int, int] = (0, 0)
    """The import and export that it is meant to have."""
    sent: list[_Sent] = field(default_factory=list)
    granted_seq: int = 0
    """The newest grant that was sent to it."""
    heard_seq: int = 0
    """The newest grant of ours that the charger has reported as accepted."""
    most_import_w: int = 0
    least_export_w: int = 0

    @property
    def said(self) -> tuple[int, int]:
        """Import and export as the last grant had them; to grant more is a raise."""
        return self.sent[-1][1:3] if self.sent else (self.guaranteed_w, 0)

    @property
    def rises(self) -> bool:
        """Whether its aim is more than the last grant."""
        import_w, export_w = self.said
        return self.aim[0] > import_w or self.aim[1] < export_w

    def keep(self, sent: list[_Sent]) -> None:
        """Only these grants may still be in force; until one of them is confirmed, it may also be none."""
        self.sent = sent
        if sent and sent[0].seq <= self.heard_seq:
            self.most_import_w, self.least_export_w = sent[0].import_w, sent[0].export_w
        else:
            self.most_import_w, self.least_export_w = self.guaranteed_w, 0
        for one in sent:
            self.bear(one)

    def bear(self, one: _Sent) -> None:
        """Count with this grant too."""
        self.most_import_w = max(self.most_import_w, one.import_w)
        self.least_export_w = min(self.least_export_w, one.export_w)


class LeaseIssuer:
    """The leases of all chargers of one transformer."""

    def __init__(self, rules: Rules, epoch: int = 1) -> None:
        self._rules, self._epoch, self._seq = rules, epoch, 0
        self._envelopes: dict[int, _Envelope] = {}
        self.waiting: set[int] = set()
        """Sessions that are meant to have more than there is room for yet."""
        self._base_w = self._bound_w = 0

    def enter(self, session: int) -> None:
        """A car has plugged in: its charger is at the guaranteed minimum."""
        self._envelopes[session] = _Envelope(self._rules.guaranteed_w, most_import_w=self._rules.guaranteed_w)

    def leave(self, session: int) -> None:
        """The car's charger has reported its departure."""
        del self._envelopes[session]
        self.waiting.discard(session)

    def worst_import_w(self, session: int) -> int | None:
        """The most that a session may draw; None for an unknown session."""
        envelope = self._envelopes.get(session)
        return None if envelope is None else envelope.most_import_w

    def worst_w(self) -> int:
        """The most that all chargers together may draw, less what those feed that have confirmed it."""
        return sum(envelope.most_import_w - envelope.least_export_w for envelope in self._envelopes.values())

    def hears(self, report: Report, now_ms: int) -> bool:
        """Take a report and what it confirms; False if a newer one came before."""
        envelope = self._envelopes[report.session]
        before = envelope.stamp
        if before is not None and (report.epoch, report.seq) <= (before.epoch, before.seq):
            return False
        if before is not None and report.epoch > before.epoch:
            envelope.keep([])  # a charger that started anew is at its minimum and takes no grant from before
        envelope.stamp = Stamp(report.epoch, report.seq, report.stamp_ms, now_ms)
        heard_seq = report.heard_seq if report.heard_seq <= envelope.granted_seq else envelope.heard_seq
        if report.heard_epoch == self._epoch and heard_seq != envelope.heard_seq:
            envelope.heard_seq = heard_seq  # the grants before it can no longer come into force
            envelope.keep([one for one in envelope.sent if one.seq >= heard_seq])
        return True

    def _expire(self, now_ms: int) -> None:
        """Drop the grants that are certainly over. Their chargers are at the minimum, so to renew one is a raise."""
        for envelope in self._envelopes.values():
            if envelope.sent and envelope.sent[0].over_ms <= now_ms:
                envelope.keep([one for one in envelope.sent if one.over_ms > now_ms])

    def heard_ms(self, session: int) -> int | None:
        """When its charger last reported it; None if it never has."""
        stamp = self._envelopes[session].stamp
        return None if stamp is None else stamp.received_ms

    def hears_from(self, session: int, now_ms: int) -> bool:
        """Whether its charger has reported lately enough for a grant to be in force; a silent one feeds nothing."""
        heard_ms = self.heard_ms(session)
        return heard_ms is not None and heard_ms + self._rules.lease_ms > now_ms

    def wait(self) -> None:
        """Drop the raises that were decided before, because the room they were to use is no longer known."""
        self.waiting.clear()

    def aim(self, aims: Iterable[tuple[int, int, int]], base_w: int, bound_w: int, now_ms: int) -> list[Grant]:
        """Grants for these (session, import, export): renewals and grants of less at once, raises as far as they fit.

        ``bound_w`` is the most that base load and all envelopes may come to together.
        """
        self._expire(now_ms)
        self._base_w, self._bound_w = base_w, bound_w
        self.waiting.clear()
        grants, raised = list[Grant](), list[int]()
        for session, import_w, export_w in aims:
            envelope = self._envelopes[session]
            envelope.aim = (import_w, export_w)
            if envelope.rises:
                raised.append(session)
            else:
                grants += self._grant(session, envelope, import_w, export_w, now_ms)
        return grants + self._raise(raised, now_ms, renew=True)

    def go_on(self, base_w: int, now_ms: int) -> list[Grant]:
        """The raises that fit by now, after a charger has confirmed that it draws less."""
        self._expire(now_ms)
        self._base_w = base_w
        return self._raise(sorted(self.waiting), now_ms, renew=False)

    def _raise(self, sessions: list[int], now_ms: int, *, renew: bool) -> list[Grant]:
        grants = list[Grant]()
        room_w = self._bound_w - self._base_w - self.worst_w() if sessions else 0
        for session in sessions:
            envelope = self._envelopes[session]
            import_w, export_w = envelope.aim
            more_w = max(import_w - envelope.most_import_w, 0) + max(envelope.least_export_w - export_w, 0)
            if not envelope.rises or more_w <= room_w:
                room_w -= more_w
                self.waiting.discard(session)
                grants += self._grant(session, envelope, import_w, export_w, now_ms)
            else:
                self.waiting.add(session)
                if renew and envelope.sent:
                    same_w = min(import_w, envelope.said[0]), max(export_w, envelope.said[1])
                    grants += self._grant(session, envelope, *same_w, now_ms)
        return grants

    def _grant(self, session: int, envelope: _Envelope, import_w: int, export_w: int, now_ms: int) -> list[Grant]:
        """Answer the charger's newest report; wait for a newer one if the lease would be over already."""
        stamp = envelope.stamp
        if stamp is None or stamp.received_ms + self._rules.lease_ms <= now_ms:
            self.waiting.add(session)
            return []
        self._seq += 1
        envelope.granted_seq = self._seq
        sent = _Sent(self._seq, import_w, export_w, stamp.received_ms + self._rules.certain_lease_ms)
        envelope.sent.append(sent)
        envelope.bear(sent)
        lease_ms = self._rules.lease_ms
        return [Grant(session, import_w, export_w, self._epoch, self._seq, stamp.epoch, stamp.charger_ms, lease_ms)]
