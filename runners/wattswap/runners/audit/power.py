"""Whether chargers keep to their grants and the transformer grants no more than fits (S2 to S5, S7, S9, S11).

The audit sees all clocks and all messages that are under way, so it knows exactly what each charger may be doing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wattswap.agents.transformer import Transformer
from wattswap.protocol.effects import Send, SetPower
from wattswap.protocol.events import LimitChanged, PluggedIn, Received, Restarted, Unplugged
from wattswap.protocol.messages import BaseReport, Grant, Report
from wattswap.protocol.units import MOST_MS
from wattswap.runners.audit.audit_error import AuditError
from wattswap.runners.audit.rules import Rule

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.loop import SimulatedRun
    from wattswap.runners.recording.record import TickRow

RAMP_MS: Final = 500
"""How long a charger's hardware takes to reach a new limit."""


@dataclass
class _Station:
    """A charger as the lease's rules say it must be: the grant in force and the grants that are under way to it."""

    guaranteed_w: int
    grace_ms: int
    """How long after a charger falls back the transformer may still assume that it feeds."""
    epoch: int = 1
    session: int | None = None
    import_w: int = 0
    export_w: int = 0
    expires_ms: int | None = None
    """When the grant in force ends, on the charger's clock; None while none is in force."""
    heard: tuple[int, int] = (0, 0)
    """Epoch and number of the newest grant it has accepted."""
    under_way: list[Grant] = field(default_factory=list)
    """Grants that were sent and may still be accepted."""
    granted: tuple[int, int] = (0, 0)
    """Import and export of the last grant that was sent; a grant of more is a raise."""
    granted_until_ms: int = 0
    """When that grant has certainly ended, on the true clock."""
    granted_over_ms: int = 0
    """When that grant ends on the charger's own clock. A grant of less export after that takes nothing away."""
    known_epoch: int = 1
    """The epoch of the last report that reached the transformer. It knows that grants of older epochs are void."""
    fed_w: int = 0
    fed_until_ms: int = 0
    """The export that ended when it fell back, and until when the transformer may still count on it."""

    def fall(self) -> None:
        """Fall back to the guaranteed minimum."""
        self.import_w, self.export_w, self.expires_ms = self.guaranteed_w, 0, None

    def must_obey(self, grant: Grant, local_ms: int) -> bool:
        """Whether the charger must obey this grant if it arrives now."""
        return (
            grant.session == self.session
            and (grant.epoch, grant.seq) > self.heard
            and grant.echo_epoch == self.epoch
            and grant.echo_ms + grant.lease_ms > local_ms
        )

    def obey(self, grant: Grant) -> None:
        """Put the grant in force."""
        self.heard = (grant.epoch, grant.seq)
        self.import_w, self.export_w = grant.import_w, grant.export_w
        self.expires_ms = grant.echo_ms + grant.lease_ms

    def worst_w(self, local_ms: int, now_ms: int) -> int:
        """The highest net import of this charger in watts, whichever of the messages under way arrive.

        A car that stops feeding is counted as feeding until the transformer can know of it: before that it cannot act.
        """
        self.under_way = [grant for grant in self.under_way if self.must_obey(grant, local_ms)]
        over = self.expires_ms is None or self.expires_ms <= local_ms
        fed_w = self.fed_w if now_ms < self.fed_until_ms else 0
        if self.expires_ms is not None and over and local_ms < self.expires_ms + self.grace_ms:
            fed_w = max(fed_w, self.export_w)  # a frozen agent: its hardware has fallen back
        now_w = (self.guaranteed_w, 0) if over else (self.import_w, self.export_w)
        import_w = max([now_w[0], *(grant.import_w for grant in self.under_way)])
        export_w = min([now_w[1], *(grant.export_w for grant in self.under_way)])
        return import_w - max(export_w, fed_w)


class PowerAudit:
    """Follows leases, envelopes, raises and overloads."""

    def __init__(self, run: SimulatedRun) -> None:
        (self._transformer,) = run.factory.transformers
        self._run, self._rules = run, run.rules
        grace_ms = run.rules.certain_lease_ms + run.rules.tick_ms
        self._stations = {name: _Station(run.rules.guaranteed_w, grace_ms) for name in run.factory.charger_of}
        self._set_w: dict[int, tuple[int, int]] = {}
        """By session: the import and export limits that its charger's hardware was last set to."""
        self._base_w: dict[str, int] = {}
        self._metered_ms = dict.fromkeys(run.factory.households, -MOST_MS)
        """By household: when it sent the report that the transformer received last."""
        self._reported: dict[int, tuple[int, BaseReport]] = {}
        """By identity, because two reports may be equal: when it was sent, and the report, which keeps the identity."""
        delay_ms = run.street.scenario.faults.delay_ms
        self.oldest_ms = run.rules.lease_ms + 3 * run.rules.tick_ms + delay_ms
        """S11: the greatest age of a meter reading that a raise may rest on. A report counts for a lease after its
        arrival, the transformer decides up to a tick later, and it cannot notice a freeze of up to two ticks."""
        self._limit_w = run.street.scenario.transformer.limit_w
        self._over = 0
        self.longest_over = 0
        """Ticks of overload in a row, the most so far."""
        rules = run.rules
        bound_ms = rules.lease_ms + rules.certain_lease_ms + 2 * rules.tick_ms + RAMP_MS
        self.most_over = bound_ms // rules.tick_ms + 1
        """S4: the most ticks of overload in a row. A meter reading, or a car that feeds, counts for one lease T after
        it fell silent; the last grants hold T (1 + 2 rho) more; the transformer decides once a tick H, and chargers
        take a ramp to follow: T + T (1 + 2 rho) + 2 H + ramp, 244.1 s by default. The world moves in whole ticks of
        30 s and uses the power at a tick's end for all of the tick, so an interval of that length covers 9 ticks."""

    def look(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        """Audit one event."""
        if agent in self._stations:
            self._look_at_charger(now_ms, agent, event, done)
        elif agent == self._transformer:
            self._look_at_transformer(now_ms, event, done)
        else:
            reports = (did.message for did in done if isinstance(did, Send) and isinstance(did.message, BaseReport))
            self._reported.update({id(report): (now_ms, report) for report in reports})

    # -- chargers -----------------------------------------------------------------------------------------------------

    def _look_at_charger(self, now_ms: int, name: str, event: Event, done: list[Effect]) -> None:
        station, local_ms = self._stations[name], self._run.local_ms(name)
        self._happens(station, event, local_ms, now_ms)
        for effect in done:
            if isinstance(effect, SetPower):
                self._set_w[effect.session] = effect.import_w, effect.export_w
        if self._run.is_down(name) or station.session is None:
            return
        does, may = self._set_w.get(station.session, (0, 0)), (station.import_w, station.export_w)
        if does != may:
            raise AuditError(
                Rule.NEWEST_OBEYED if does[0] <= may[0] else Rule.LEASE_OBEYED,
                f"{name} limits session {station.session} to {does} W of import and export after {event}, but its "
                f"grants say {may} W until {station.expires_ms} ms on its clock, which is at {local_ms} ms",
            )
        self._within_envelope(name, station, now_ms)

    def _happens(self, station: _Station, event: Event, local_ms: int, now_ms: int) -> None:
        fed_w = station.export_w
        if station.expires_ms is not None and local_ms >= station.expires_ms:
            station.fall()
        match event:
            case Restarted(epoch):
                station.fall()
                if station.session is not None:
                    self._set_w.pop(station.session, None)
                station.epoch, station.session, station.heard = epoch, None, (0, 0)
            case PluggedIn(session):
                station.session = session
                self._set_w.setdefault(session, (self._rules.guaranteed_w, 0))
            case Unplugged(session) if session == station.session:
                station.fall()
                station.granted, station.granted_until_ms = (self._rules.guaranteed_w, 0), 0
                station.session = None
            case Received(sender, Grant() as grant) if sender == self._transformer and station.must_obey(
                grant, local_ms
            ):
                station.obey(grant)
                fed_w = 0
            case _:
                pass
        if fed_w and not station.export_w:
            station.fed_w = fed_w
            station.fed_until_ms = now_ms + station.grace_ms

    def _within_envelope(self, name: str, station: _Station, now_ms: int) -> None:
        """S2: the charger's limit is at most what the transformer assumes for it."""
        if station.session is None or self._run.is_down(self._transformer):
            return
        transformer = self._run.nodes[self._transformer].agent
        assert isinstance(transformer, Transformer)
        assumed_w = transformer.worst_import_w(station.session, now_ms)
        if assumed_w is not None and station.import_w > assumed_w:
            raise AuditError(
                Rule.ENVELOPE_SOUND,
                f"{name} may draw {station.import_w} W, the transformer assumes {assumed_w} W at most",
            )

    # -- the transformer ----------------------------------------------------------------------------------------------

    def _look_at_transformer(self, now_ms: int, event: Event, done: list[Effect]) -> None:
        match event:
            case Received(sender, BaseReport(base_w) as report):
                self._base_w[sender] = base_w
                self._metered_ms[sender], _ = self._reported[id(report)]
            case Received(sender, Report() as report) if report.epoch > self._stations[sender].known_epoch:
                self._stations[sender].known_epoch = report.epoch
                self._stations[sender].granted_until_ms = 0
            case LimitChanged(limit_w):
                self._limit_w = limit_w
            case Restarted():
                for station in self._stations.values():
                    station.granted_until_ms = 0
            case _:
                pass
        raised = None
        for effect in done:
            if isinstance(effect, Send) and isinstance(effect.message, Grant):
                self._stations[effect.to].under_way.append(effect.message)
                if self._raises(effect.to, effect.message, now_ms):
                    raised = effect
        if raised is not None:
            self._fits(raised, now_ms)

    def _raises(self, name: str, grant: Grant, now_ms: int) -> bool:
        """Whether this grant allows more than the last one; a grant for a car that has left raises nobody."""
        station = self._stations[name]
        if grant.session != station.session:
            return False
        before = station.granted if now_ms < station.granted_until_ms else (self._rules.guaranteed_w, 0)
        feeds_w = before[1] if self._run.local_ms(name) < station.granted_over_ms else 0
        station.granted_over_ms = grant.echo_ms + grant.lease_ms
        station.granted = grant.import_w, grant.export_w
        station.granted_until_ms = now_ms + self._rules.certain_lease_ms
        return grant.import_w > before[0] or grant.export_w < feeds_w

    def _fits(self, raised: Send, now_ms: int) -> None:
        """S3, S11: after a raise, all that may be in force fits under the target, by recent meter readings."""
        worst_w = sum(
            station.worst_w(self._run.local_ms(name), now_ms)
            for name, station in self._stations.items()
            if station.session is not None or station.fed_w
        )
        base_w, limit_w = sum(self._base_w.values()), self._limit_w
        target_w = limit_w - limit_w * self._rules.margin_ppm // 1_000_000
        if base_w + worst_w > target_w:
            raise AuditError(
                Rule.ROOM_TO_RAISE,
                f"{raised.message} was sent to {raised.to}, but a base load of {base_w} W and chargers that may "
                f"together draw {worst_w} W exceed the target of {target_w} W",
            )
        home, metered_ms = min(self._metered_ms.items(), key=lambda metered: metered[1], default=("nobody", now_ms))
        station, grant = self._stations[raised.to], raised.message
        assert isinstance(grant, Grant)
        if metered_ms + self.oldest_ms < now_ms and station.must_obey(grant, self._run.local_ms(raised.to)):
            raise AuditError(
                Rule.NO_LATE_BINDING,
                f"{grant} was sent to {raised.to} on a reading that {home} had sent at {metered_ms} ms",
            )

    # -- the world ----------------------------------------------------------------------------------------------------

    def tick(self, row: TickRow) -> None:
        """S4, S5, S9: audit what was drawn and fed in a tick, by the world's own meters."""
        self._within_grants(row)
        load_w = row.base_w + int(row.import_w.sum()) - int(row.export_w.sum())
        self._over = self._over + 1 if load_w > row.limit_w else 0
        self.longest_over = max(self.longest_over, self._over)
        if self._over > self.most_over:
            raise AuditError(
                Rule.OVERLOAD_BOUNDED,
                f"at tick {row.tick} the load is {load_w} W under a limit of {row.limit_w} W, for {self._over} "
                f"ticks in a row; the leases allow {self.most_over}",
            )

    def _within_grants(self, row: TickRow) -> None:
        powers = zip(row.rows.tolist(), row.import_w.tolist(), row.export_w.tolist(), strict=True)
        world, fleet = self._run.world, self._run.world.fleet
        for session, import_w, export_w in powers:
            if not import_w and not export_w:
                continue
            name = self._run.factory.charger_of[session]
            station = self._stations[name]
            ended_ms = (row.tick + 1) * self._rules.tick_ms - 1
            live = station.expires_ms is not None and self._run.local_ms(name, ended_ms) < station.expires_ms
            may = (station.import_w, station.export_w) if live else (self._rules.guaranteed_w, 0)
            if station.session != session or import_w > may[0] or export_w > may[1]:
                raise AuditError(
                    Rule.LEASE_OBEYED,
                    f"in tick {row.tick} session {session} at {name} drew {import_w} W and fed {export_w} W, but its "
                    f"charger held a grant of {may} W for session {station.session}",
                )
            if export_w and world.stored_ws[session] < fleet.reserve_ws[session]:
                raise AuditError(
                    Rule.RESERVE_HELD,
                    f"in tick {row.tick} session {session} fed {export_w} W down to {world.stored_ws[session]} ws, "
                    f"below its owner's reserve of {fleet.reserve_ws[session]} ws",
                )
