"""What power each car may have, reckoned by someone who sees all clocks and all messages under way (S2 to S7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wattswap.agents.transformer import Transformer
from wattswap.protocol.effects import Send, SetPower
from wattswap.protocol.events import LimitChanged, PluggedIn, Received, Restarted, Unplugged
from wattswap.protocol.messages import BaseReport, Grant, Report
from wattswap.protocol.units import MOST_MS
from wattswap.runners.audit.audit_error import AuditError
from wattswap.runners.engines.agent_factory import TRANSFORMER

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.loop import SimulatedRun
    from wattswap.runners.recording.record import TickRow

RAMP_MS: Final = 500
"""How long a charger takes to follow."""


@dataclass
class _Station:
    """A charger as it must be: what it has accepted, by the rules of a lease, and what may be on its way to it."""

    guaranteed_w: int
    grace_ms: int
    """How long nobody can know that it has fallen back."""
    epoch: int = 1
    session: int | None = None
    import_w: int = 0
    export_w: int = 0
    expires_ms: int | None = None
    """On its own clock."""
    heard: tuple[int, int] = (0, 0)
    under_way: list[Grant] = field(default_factory=list)
    granted: tuple[int, int] = (0, 0)
    """What the transformer said last; to say more is a raise."""
    granted_until_ms: int = 0
    granted_over_ms: int = 0
    """When that is over on its own clock: what it no longer feeds then it does not lose by being told so."""
    known_epoch: int = 1
    """In which the transformer has heard it beat: what was said to it in an older one is void, and known to be."""
    fed_w: int = 0
    fed_until_ms: int = 0
    """What it fed until it fell back, and until when nobody can know that it did."""

    def fall(self) -> None:
        """Be at the minimum."""
        self.import_w, self.export_w, self.expires_ms = self.guaranteed_w, 0, None

    def may_take(self, grant: Grant, local_ms: int) -> bool:
        """Whether it would obey this grant if it came now."""
        return (
            grant.session == self.session
            and (grant.epoch, grant.seq) > self.heard
            and grant.echo_epoch == self.epoch
            and grant.echo_ms + grant.lease_ms > local_ms
        )

    def take(self, grant: Grant) -> None:
        """Obey it."""
        self.heard = (grant.epoch, grant.seq)
        self.import_w, self.export_w = grant.import_w, grant.export_w
        self.expires_ms = grant.echo_ms + grant.lease_ms

    def worst_w(self, local_ms: int, now_ms: int) -> int:
        """The most the street may have to bear for it, whichever of the messages under way arrive.

        A feeder that breaks down is counted until someone can know of it: nothing can be done about it before.
        """
        self.under_way = [grant for grant in self.under_way if self.may_take(grant, local_ms)]
        over = self.expires_ms is None or self.expires_ms <= local_ms
        fed_w = self.fed_w if now_ms < self.fed_until_ms else 0
        if self.expires_ms is not None and over and local_ms < self.expires_ms + self.grace_ms:
            fed_w = max(fed_w, self.export_w)  # frozen: it has fallen back and does not know it
        now_w = (self.guaranteed_w, 0) if over else (self.import_w, self.export_w)
        import_w = max([now_w[0], *(grant.import_w for grant in self.under_way)])
        export_w = min([now_w[1], *(grant.export_w for grant in self.under_way)])
        return import_w - max(export_w, fed_w)


class PowerAudit:
    """Leases, envelopes, raises, overload."""

    def __init__(self, run: SimulatedRun) -> None:
        self._run, self._rules = run, run.rules
        grace_ms = run.rules.certain_lease_ms + run.rules.tick_ms
        self._stations = {name: _Station(run.rules.guaranteed_w, grace_ms) for name in run.factory.charger_of}
        self._set_w: dict[int, tuple[int, int]] = {}
        """By session: what its hardware was last told to let through."""
        self._base_w: dict[str, int] = {}
        self._metered_ms = dict.fromkeys(run.factory.households, -MOST_MS)
        """By home: when it said what the transformer has heard of it last."""
        self._said: dict[int, tuple[int, BaseReport]] = {}
        """By identity, for two reports may read the same: when each was said."""
        delay_ms = run.street.scenario.faults.delay_ms
        self.oldest_ms = run.rules.lease_ms + 3 * run.rules.tick_ms + delay_ms
        """S11: how old what a raise goes by may be. A home's word holds for a lease from when it is heard, the next
        look is a tick later, and of up to two ticks nobody notices that they were slept through."""
        self._limit_w = run.street.scenario.transformer.limit_w
        self._over = 0
        self.longest_over = 0
        """Ticks of overload in a row, the most so far."""
        rules = run.rules
        bound_ms = rules.lease_ms + rules.certain_lease_ms + 2 * rules.tick_ms + RAMP_MS
        self.most_over = bound_ms // rules.tick_ms + 1
        """S4: what the transformer goes by, a home's meter or a car that feeds, may be one lease T old before it says
        so; what it granted last may hold T (1 + 2 rho) more; it looks and acts once a tick H, and chargers take a
        while to follow: T + T (1 + 2 rho) + 2 H + ramp, 244.1 s. The world moves in whole ticks of 30 s and takes the
        power at a tick's end for all of it, so an interval of that length shows in at most 9 ticks."""

    def look(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        """Check one event."""
        if agent in self._stations:
            self._look_at_charger(now_ms, agent, event, done)
        elif agent == TRANSFORMER:
            self._look_at_transformer(now_ms, event, done)
        else:
            reports = (did.message for did in done if isinstance(did, Send) and isinstance(did.message, BaseReport))
            self._said.update({id(report): (now_ms, report) for report in reports})

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
                "S7 obeys the newest" if does[0] <= may[0] else "S5 lease obeyed",
                f"{name} lets session {station.session} draw and feed {does} W after {event}, "
                f"but by the grants it has had it is {may} W until {station.expires_ms} on its clock, now {local_ms}",
            )
        self._is_expected(name, station, now_ms)

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
            case Received(sender, Grant() as grant) if sender == TRANSFORMER and station.may_take(grant, local_ms):
                station.take(grant)
                fed_w = 0
            case _:
                pass
        if fed_w and not station.export_w:
            station.fed_w = fed_w
            station.fed_until_ms = now_ms + station.grace_ms

    def _is_expected(self, name: str, station: _Station, now_ms: int) -> None:
        """S2: what a charger does lies within what the transformer believes it may be doing."""
        if station.session is None or self._run.is_down(TRANSFORMER):
            return
        transformer = self._run.nodes[TRANSFORMER].agent
        assert isinstance(transformer, Transformer)
        believes_w = transformer.worst_import_w(station.session, now_ms)
        if believes_w is not None and station.import_w > believes_w:
            raise AuditError(
                "S2 envelope sound",
                f"{name} draws up to {station.import_w} W, the transformer believes {believes_w} W at most",
            )

    # -- the transformer ----------------------------------------------------------------------------------------------

    def _look_at_transformer(self, now_ms: int, event: Event, done: list[Effect]) -> None:
        match event:
            case Received(sender, BaseReport(base_w) as report):
                self._base_w[sender] = base_w
                self._metered_ms[sender], _ = self._said[id(report)]
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
        """Whether this grant is more than the last; one for a car that has left raises nobody."""
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
        """S3, S11: after any raise, all that may be in force stays within the target, by what homes said lately."""
        worst_w = sum(
            station.worst_w(self._run.local_ms(name), now_ms)
            for name, station in self._stations.items()
            if station.session is not None or station.fed_w
        )
        base_w, limit_w = sum(self._base_w.values()), self._limit_w
        target_w = limit_w - limit_w * self._rules.margin_ppm // 1_000_000
        if base_w + worst_w > target_w:
            raise AuditError(
                "S3 no raise beyond capacity",
                f"{raised.message} was sent to {raised.to}, but homes of {base_w} W and chargers that may together be "
                f"at {worst_w} W are more than the target of {target_w} W",
            )
        home, metered_ms = min(self._metered_ms.items(), key=lambda said: said[1], default=("nobody", now_ms))
        station, grant = self._stations[raised.to], raised.message
        assert isinstance(grant, Grant)
        if metered_ms + self.oldest_ms < now_ms and station.may_take(grant, self._run.local_ms(raised.to)):
            raise AuditError(
                "S11 no late binding",
                f"{grant} was sent to {raised.to} by what {home} had said at {metered_ms} ms",
            )

    # -- the world ----------------------------------------------------------------------------------------------------

    def tick(self, row: TickRow) -> None:
        """S4, S5, S9: what was really drawn and fed in a tick, by the world's own meters."""
        self._is_granted(row)
        load_w = row.base_w + int(row.import_w.sum()) - int(row.export_w.sum())
        self._over = self._over + 1 if load_w > row.limit_w else 0
        self.longest_over = max(self.longest_over, self._over)
        if self._over > self.most_over:
            raise AuditError(
                "S4 overload bounded",
                f"at tick {row.tick} the load is {load_w} W under a limit of {row.limit_w} W, for {self._over} "
                f"ticks in a row; the leases allow {self.most_over}",
            )

    def _is_granted(self, row: TickRow) -> None:
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
                    "S5 lease obeyed",
                    f"in tick {row.tick} session {session} at {name} drew {import_w} W and fed {export_w} W, but its "
                    f"charger held a grant of {may} W for session {station.session}",
                )
            if export_w and world.stored_ws[session] < fleet.reserve_ws[session]:
                raise AuditError(
                    "S9 reserve held",
                    f"in tick {row.tick} session {session} fed {export_w} W down to {world.stored_ws[session]} ws, "
                    f"below its owner's reserve of {fleet.reserve_ws[session]} ws",
                )
