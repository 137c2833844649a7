"""The transformer's side of grants: what each charger may be doing at worst, and when a raise is safe.

A grant that was sent may be in force, under way or lost; until a report says which one was heard, or all leases are
certainly over, the transformer reckons with the worst of them: the *envelope*. Lowering is sent at once. Raising waits
until it fits beside all envelopes, which on a sound network is in the same instant, as soon as those who give way have
confirmed it.
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
    """A charger's newest report: its epoch and number, its clock, and when it came in on ours."""

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
    """When it is certainly over, on the transformer's clock."""


@dataclass(slots=True)
class _Envelope:
    """What one charger may be doing at worst."""

    guaranteed_w: int
    stamp: Stamp | None = None
    aim: tuple[int, int] = (0, 0)
    """Import and export it is meant to have."""
    sent: list[_Sent] = field(default_factory=list)
    heard_seq: int = 0
    """The grant of ours that the charger last said it had heard."""
    most_import_w: int = 0
    least_export_w: int = 0

    @property
    def worst_w(self) -> int:
        """The most the street may have to bear for it."""
        return self.most_import_w - self.least_export_w

    @property
    def said(self) -> tuple[int, int]:
        """Import and export as the last grant had them; to say more is a raise."""
        return self.sent[-1][1:3] if self.sent else (self.guaranteed_w, 0)

    @property
    def rises(self) -> bool:
        """Whether its aim is more than what was said last."""
        import_w, export_w = self.said
        return self.aim[0] > import_w or self.aim[1] < export_w

    def add(self, one: _Sent) -> None:
        """One grant more that may be in force."""
        self.sent.append(one)
        self.bear(one)

    def confirm(self, seq: int) -> None:
        """The charger has heard this grant of ours, so those before it can no longer come into force."""
        self.heard_seq = seq
        self.keep([one for one in self.sent if one.seq >= seq])

    def keep(self, sent: list[_Sent]) -> None:
        """Only these may be in force still; until one of them is confirmed, it may also be none."""
        self.sent = sent
        if sent and sent[0].seq <= self.heard_seq:
            self.most_import_w, self.least_export_w = sent[0].import_w, sent[0].export_w
        else:
            self.most_import_w, self.least_export_w = self.guaranteed_w, 0
        for one in sent:
            self.bear(one)

    def bear(self, one: _Sent) -> None:
        """Reckon with this grant too."""
        self.most_import_w = max(self.most_import_w, one.import_w)
        self.least_export_w = min(self.least_export_w, one.export_w)


class LeaseIssuer:
    """The leases of all chargers of one transformer."""

    def __init__(self, rules: Rules, epoch: int = 1) -> None:
        self._rules, self._epoch, self._seq = rules, epoch, 0
        self._envelopes: dict[int, _Envelope] = {}
        self._waiting: set[int] = set()
        self._base_w = self._bound_w = 0

    def enter(self, session: int) -> None:
        """A car plugged in: its charger is at the guaranteed minimum."""
        self._envelopes[session] = _Envelope(self._rules.guaranteed_w, most_import_w=self._rules.guaranteed_w)

    def leave(self, session: int) -> None:
        """Its charger says the car is gone."""
        del self._envelopes[session]
        self._waiting.discard(session)

    def worst_import_w(self, session: int) -> int | None:
        """What a session may be drawing at worst; None if it is not known."""
        envelope = self._envelopes.get(session)
        return None if envelope is None else envelope.most_import_w

    def worst_w(self) -> int:
        """What the street may have to bear for all of them at worst."""
        return sum(envelope.worst_w for envelope in self._envelopes.values())

    def hears(self, report: Report, now_ms: int) -> bool:
        """Note a beat and what it confirms; False if a newer one came before."""
        envelope = self._envelopes[report.session]
        before = envelope.stamp
        if before is not None and (report.epoch, report.seq) <= (before.epoch, before.seq):
            return False
        if before is not None and report.epoch > before.epoch:
            envelope.keep([])  # a charger that started anew is at its minimum and takes no grant from before
        envelope.stamp = Stamp(report.epoch, report.seq, report.stamp_ms, now_ms)
        if report.heard_epoch == self._epoch and report.heard_seq != envelope.heard_seq:
            envelope.confirm(report.heard_seq)
        return True

    def _expire(self, now_ms: int) -> None:
        """Strike out the grants that are certainly over. Whoever held one is at its minimum: to renew it is a raise."""
        for envelope in self._envelopes.values():
            if envelope.sent and envelope.sent[0].over_ms <= now_ms:
                envelope.keep([one for one in envelope.sent if one.over_ms > now_ms])

    def hears_from(self, session: int, now_ms: int) -> bool:
        """Whether its charger beat lately enough for a grant to be in force; one that is silent feeds nothing."""
        stamp = self._envelopes[session].stamp
        return stamp is not None and stamp.received_ms + self._rules.lease_ms > now_ms

    def wait(self) -> None:
        """Raise nobody any more on what was decided before: it is not known what room there is."""
        self._waiting.clear()

    def aim(self, aims: Iterable[tuple[int, int, int]], base_w: int, bound_w: int, now_ms: int) -> list[Grant]:
        """Grants for these (session, import, export): renewals and lowerings at once, raises as far as they fit.

        ``bound_w`` is what base load and all envelopes may come to together.
        """
        self._expire(now_ms)
        self._base_w, self._bound_w = base_w, bound_w
        self._waiting.clear()
        grants, raised = list[Grant](), list[int]()
        for session, import_w, export_w in aims:
            envelope = self._envelopes[session]
            envelope.aim = (import_w, export_w)
            if envelope.rises:
                raised.append(session)
            else:
                grants += self._grant(session, envelope, import_w, export_w, now_ms)
        return grants + self._raise(raised, now_ms, renew=True)

    @property
    def waits(self) -> bool:
        """Whether there are raises that did not fit yet."""
        return bool(self._waiting)

    def go_on(self, base_w: int, now_ms: int) -> list[Grant]:
        """The raises that fit by now: someone has confirmed that it gives way."""
        self._expire(now_ms)
        self._base_w = base_w
        return self._raise(sorted(self._waiting), now_ms, renew=False)

    def _raise(self, sessions: list[int], now_ms: int, *, renew: bool) -> list[Grant]:
        grants = list[Grant]()
        room_w = self._bound_w - self._base_w - self.worst_w() if sessions else 0
        for session in sessions:
            envelope = self._envelopes[session]
            import_w, export_w = envelope.aim
            more_w = max(import_w - envelope.most_import_w, 0) + max(envelope.least_export_w - export_w, 0)
            if not envelope.rises or more_w <= room_w:
                room_w -= more_w
                self._waiting.discard(session)
                grants += self._grant(session, envelope, import_w, export_w, now_ms)
            else:
                self._waiting.add(session)
                if renew and envelope.sent:
                    held_w = min(import_w, envelope.said[0]), max(export_w, envelope.said[1])
                    grants += self._grant(session, envelope, *held_w, now_ms)
        return grants

    def _grant(self, session: int, envelope: _Envelope, import_w: int, export_w: int, now_ms: int) -> list[Grant]:
        """Answer the charger's newest stamp; if that is so old that the lease would be over, wait for a newer one."""
        stamp = envelope.stamp
        if stamp is None or stamp.received_ms + self._rules.lease_ms <= now_ms:
            self._waiting.add(session)
            return []
        self._seq += 1
        envelope.add(_Sent(self._seq, import_w, export_w, stamp.received_ms + self._rules.certain_lease_ms))
        lease_ms = self._rules.lease_ms
        return [Grant(session, import_w, export_w, self._epoch, self._seq, stamp.epoch, stamp.charger_ms, lease_ms)]
