"""Mutants of leases: what chargers obey, and what the transformer assumes they may be doing."""

from __future__ import annotations

from tests.runners.mutants.mutant import Mutant, Patch

from wattswap.agents.charger import Charger
from wattswap.agents.lease import Lease
from wattswap.agents.lease_issuer import LeaseIssuer, _Envelope
from wattswap.agents.rules import Rules
from wattswap.agents.transformer import Transformer
from wattswap.protocol.events import LimitChanged
from wattswap.runners.audit.power import PowerAudit
from wattswap.runners.audit.rules import Rule
from wattswap.runners.network.faulty import FaultyNetwork

# -- the charger ------------------------------------------------------------------------------------------------------


def no_expiry(patch: Patch) -> None:
    """A lease never ends by itself, as in OCPP stations whose controller is gone."""
    patch.setattr(Lease, "lapse", lambda _self, _now_ms: False)


def no_sequence(patch: Patch) -> None:
    """A charger obeys the grant that arrived last, however old it is."""
    accept = Lease.accept

    def forgetful(self, grant, epoch, now_ms):
        self.heard = (0, 0)
        return accept(self, grant, epoch, now_ms)

    patch.setattr(Lease, "accept", forgetful)


def no_echo_of_epoch(patch: Patch) -> None:
    """A restarted charger obeys grants that answer its reports from before the restart."""
    accept = Lease.accept
    patch.setattr(Lease, "accept", lambda self, grant, _epoch, now_ms: accept(self, grant, grant.echo_epoch, now_ms))


def charger_keeps_its_epoch(patch: Patch) -> None:
    """A restarted charger reports in epoch 1 again, so grants from before the restart look valid."""
    restarted = Charger._on_restarted

    def forgetful(self, event, now_ms):
        effects = restarted(self, event, now_ms)
        self._epoch = 1
        return effects

    patch.setattr(Charger, "_on_restarted", forgetful)


def no_residual_validity(patch: Patch) -> None:
    """A lease counts from the arrival of its grant, not from the stamp that the grant answers."""

    def late(self, grant, epoch, now_ms):
        if (grant.epoch, grant.seq) <= self.heard or grant.echo_epoch != epoch:
            return False
        self.heard, self.expires_ms = (grant.epoch, grant.seq), now_ms + grant.lease_ms
        self.import_w, self.export_w = grant.import_w, grant.export_w
        return True

    patch.setattr(Lease, "accept", late)


def lease_outlives_its_car(patch: Patch) -> None:
    """The next car draws what the last one was granted."""
    lapse = Lease.lapse

    def lapsing(self, now_ms):
        if self.expires_ms is None or now_ms < self.expires_ms:
            return lapse(self, now_ms)
        self.import_w, self.export_w, self.expires_ms = self._guaranteed_w, 0, None
        return True

    patch.setattr(Lease, "lapse", lapsing)
    patch.setattr(Lease, "end", lambda _self: None)


def no_watchdog(patch: Patch) -> None:
    """The hardware of a charger whose agent is frozen keeps its limit after the lease has ended."""
    patch.setattr(FaultyNetwork, "_watchdog", lambda *_: None)


def loss_is_not_noticed(patch: Patch) -> None:
    """A lease that is over becomes one that never ends; the audit of single grants is off, as L2 needs none of it."""

    def outlive(self, now_ms):
        if self.expires_ms is not None and now_ms >= self.expires_ms:
            self.expires_ms = None
        return False

    patch.setattr(Lease, "lapse", outlive)
    patch.setattr(PowerAudit, "look", lambda *_: None)
    patch.setattr(PowerAudit, "tick", lambda *_: None)


# -- the transformer --------------------------------------------------------------------------------------------------


def no_envelope(patch: Patch) -> None:
    """The transformer assumes that its last grant is in force."""

    def believe(self, one):
        self.most_import_w, self.least_export_w = one.import_w, one.export_w

    patch.setattr(_Envelope, "bear", believe)


def raises_need_no_room(patch: Patch) -> None:
    """Raises are sent at once, before those who give way have confirmed it."""
    patch.setattr(_Envelope, "rises", property(lambda _self: False))


def no_margin(patch: Patch) -> None:
    """Raises may use twice the target."""
    aim = LeaseIssuer.aim
    patch.setattr(
        LeaseIssuer, "aim", lambda self, aims, base_w, bound_w, now_ms: aim(self, aims, base_w, 2 * bound_w, now_ms)
    )


def feeding_needs_no_confirmation(patch: Patch) -> None:
    """Others are raised because a car was told to feed, before it has confirmed that."""
    hears = LeaseIssuer.hears

    def trusting(self, report, now_ms):
        self._envelopes[report.session].heard_seq = 1 << 30
        return hears(self, report, now_ms)

    def bear(self, one):
        self.most_import_w = max(self.most_import_w, one.import_w)
        self.least_export_w = max(self.least_export_w, one.export_w)

    patch.setattr(LeaseIssuer, "hears", trusting)
    patch.setattr(_Envelope, "bear", bear)


def no_quiet_time(patch: Patch) -> None:
    """A restarted transformer grants at once, beside grants from before its crash."""
    patch.setattr(Rules, "quiet_ms", property(lambda _self: 0))


def transformer_keeps_its_epoch(patch: Patch) -> None:
    """A restarted transformer numbers its grants from 1 in epoch 1 again, and chargers ignore them as old."""
    start = LeaseIssuer.__init__
    patch.setattr(LeaseIssuer, "__init__", lambda self, rules, _epoch=1: start(self, rules, 1))


def envelopes_end_too_soon(patch: Patch) -> None:
    """The transformer counts a lease on its own clock from the moment it sent the grant, and ignores drift."""
    patch.setattr(Rules, "certain_lease_ms", property(lambda self: self.lease_ms // 2))


def room_of_long_ago(patch: Patch) -> None:
    """Raises that wait are sent even when it is no longer known what room there is."""
    patch.setattr(LeaseIssuer, "wait", lambda _self: None)


def a_lowered_limit_is_ignored(patch: Patch) -> None:
    """The transformer goes on with the limit it had at the start."""
    handle = Transformer.handle
    patch.setattr(
        Transformer,
        "handle",
        lambda self, event, now_ms: [] if isinstance(event, LimitChanged) else handle(self, event, now_ms),
    )


LEASES = (
    Mutant(no_expiry, Rule.LEASE_OBEYED, before=(Rule.BOUNDED,)),
    Mutant(no_sequence, Rule.NEWEST_OBEYED, seeds=(11,)),
    Mutant(no_echo_of_epoch, Rule.LEASE_OBEYED, before=(Rule.NEWEST_OBEYED,)),
    Mutant(charger_keeps_its_epoch, Rule.LEASE_OBEYED, before=(Rule.NEWEST_OBEYED,)),
    Mutant(no_residual_validity, Rule.LEASE_OBEYED),
    Mutant(lease_outlives_its_car, Rule.LEASE_OBEYED, seeds=(1,)),
    Mutant(no_watchdog, Rule.LEASE_OBEYED),
    Mutant(loss_is_not_noticed, Rule.LOSS_NOTICED),
    Mutant(no_envelope, Rule.ROOM_TO_RAISE, before=(Rule.ENVELOPE_SOUND,)),
    Mutant(raises_need_no_room, Rule.ROOM_TO_RAISE),
    Mutant(no_margin, Rule.ROOM_TO_RAISE),
    Mutant(feeding_needs_no_confirmation, Rule.ROOM_TO_RAISE),
    Mutant(no_quiet_time, Rule.ENVELOPE_SOUND, seeds=(2,)),
    Mutant(transformer_keeps_its_epoch, Rule.POWER_RETURNS, before=(Rule.ROOM_TO_RAISE,), seeds=(7,)),
    Mutant(envelopes_end_too_soon, Rule.ROOM_TO_RAISE, before=(Rule.ENVELOPE_SOUND,)),
    Mutant(room_of_long_ago, Rule.ROOM_TO_RAISE, before=(Rule.NO_LATE_BINDING,), seeds=(14,)),
    Mutant(a_lowered_limit_is_ignored, Rule.ROOM_TO_RAISE),
)
