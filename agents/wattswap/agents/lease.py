"""The charger's side of a lease: which grant is in force, and until when.

The charger's report carries a stamp of its own clock, the grant echoes it, and the lease is counted from that stamp on
the same clock. So no two clocks are compared, a grant that was on its way for long is short or void when it arrives,
and a charger that hears nothing falls back by itself. Whatever a grant says, the charger stays within its own bounds:
no more power than it is rated for, and no longer than the longest lease after a stamp that it has made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattswap.agents.rules import Rules
    from wattswap.protocol.messages import Grant


class Lease:
    """The grant in force at one charger, or the guaranteed minimum without one."""

    def __init__(self, rules: Rules, max_w: int) -> None:
        self._guaranteed_w, self._longest_ms = rules.guaranteed_w, rules.lease_ms
        self._max_w = max(max_w, rules.guaranteed_w)
        # The law counts 6 A on three phases, also where car or charger has one: it draws what it can, and whether it
        # could have drawn is told by what it was granted.
        self._most_import_w = max(self._max_w, rules.min_w)
        self.import_w, self.export_w = self._guaranteed_w, 0
        self.expires_ms: int | None = None
        self.heard = (0, 0)
        """Epoch and number of the newest grant that was accepted."""

    def accept(self, grant: Grant, epoch: int, now_ms: int) -> bool:
        """Put a grant in force, as far as this charger's bounds allow.

        False if it is older than another, from before a restart, over, or answers a stamp that is still to come.
        """
        newer = (grant.epoch, grant.seq) > self.heard
        expires_ms = grant.echo_ms + min(grant.lease_ms, self._longest_ms)
        if not newer or grant.echo_epoch != epoch or not grant.echo_ms <= now_ms < expires_ms:
            return False
        self.heard = (grant.epoch, grant.seq)
        self.import_w, self.export_w = min(grant.import_w, self._most_import_w), min(grant.export_w, self._max_w)
        self.expires_ms = expires_ms
        return True

    def end(self) -> None:
        """The car has left; what it was granted is not for the next one."""
        self.import_w, self.export_w, self.expires_ms = self._guaranteed_w, 0, None

    def lapse(self, now_ms: int) -> bool:
        """Fall back to the guaranteed minimum once the lease is over; True if it just did."""
        if self.expires_ms is None or now_ms < self.expires_ms:
            return False
        self.end()
        return True
