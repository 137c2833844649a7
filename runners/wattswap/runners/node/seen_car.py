"""A car as its transformer's node sees it: what it is granted and says it wants, and what of it is not known."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wattswap.agents.parties import Session
    from wattswap.protocol.messages import Grant, Report
    from wattswap.runners.recording.record import TradeRow
    from wattswap.runners.watching.history import Row, Unknown

MOST_SALES: Final = 1_000
"""So many rows of what a car has sold are told again when the history begins anew."""
GONE: Final = -1
"""What a car does that is not plugged in, or not told of yet."""


@dataclass(slots=True)
class SeenCar:
    """A car that is plugged in, or has left and is not billed yet, as far as it is known."""

    session: Session
    is_whole: bool = True
    """Whether all was seen since it came; else what it drew and sold before is not known."""
    row: int = 0
    """Its place among the cards."""
    arrival_tick: int = 0
    report: Report | None = None
    heard_ms: int = 0
    """When the report came."""
    grant: Grant | None = None
    granted_ms: int = 0
    forced_w: int = 0
    """What the last resort took from it in this tick."""
    earned_nanos: int = 0
    imported_ws: int = 0
    exported_ws: int = 0
    told: tuple[int, int, int] = (GONE, 0, 0)
    """Activity and powers, as they were told last."""
    told_grant: tuple[int, int] = (GONE, GONE)
    told_unknown: Unknown = ""
    """Why it was said last that it is not known what it does."""
    awards: deque[Row] = field(default_factory=lambda: deque(maxlen=MOST_SALES))
    """As rows, in ticks of the node's clock; so are its trades."""
    trades: deque[TradeRow] = field(default_factory=lambda: deque(maxlen=MOST_SALES))

    def unknown(self, now_ms: int, lease_ms: int, *, is_quiet: bool) -> Unknown:
        """Why it is not known what it does; empty if it is.

        ``is_quiet``: the transformer has just started again. What was granted before may still be in force then.
        """
        if self.report is None:
            return "unheard"
        if self.heard_ms + lease_ms <= now_ms:
            return "silent"
        return "quiet" if is_quiet and self.wanted_w else ""

    @property
    def wanted_w(self) -> int:
        """What it says it wants; nobody wants more than the most that the car can."""
        return 0 if self.report is None else min(self.report.wanted_w, self.session.max_w)

    @property
    def firm_w(self) -> int:
        """What it says it may draw unasked, likewise."""
        return 0 if self.report is None else min(self.report.firm_w, self.session.max_w)

    @property
    def owed_ws(self) -> int:
        """What it says it has put off; that is no more than it came for."""
        return 0 if self.report is None else min(self.report.owed_ws, self.session.need_ws)

    def lease_left_ms(self, now_ms: int) -> int:
        """How long its charger may go on with the last grant, as far as is known here."""
        return 0 if self.grant is None else max(self.granted_ms + self.grant.lease_ms - now_ms, 0)

    def powers_w(self, guaranteed_w: int, now_ms: int) -> tuple[int, int]:
        """What it draws and feeds by its grant, or without one by what is guaranteed, as far as it wants it."""
        if self.grant is None or not self.lease_left_ms(now_ms):
            return min(guaranteed_w, self.wanted_w), 0
        return min(self.grant.import_w, self.wanted_w), self.grant.export_w
