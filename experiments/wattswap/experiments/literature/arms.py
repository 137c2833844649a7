"""The arms of the experiment: who sets the cars' power, whoever overrides it, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.agents.controllers import NEGOTIATED, controller_named
from wattswap.agents.controllers.overridden import Overridden, overrides
from wattswap.agents.strategies import BUNDLED
from wattswap.experiments.formatting import counted
from wattswap.experiments.growing_tables import GrowingTables
from wattswap.experiments.literature.stalling_world import StallingWorld
from wattswap.experiments.literature.street import virtual_street
from wattswap.protocol.draws import draw, uniform
from wattswap.protocol.units import MS_PER_DAY, NANOS_PER_IOTA, WS_PER_KWH, Purpose
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.recording.metrics import summary
from wattswap.runners.world import fleet_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.runners.recording.time_series import TimeSeries
    from wattswap.runners.scenario import Street

ARMS: Final[Mapping[str, str]] = {
    "none": "uncontrolled",
    "time-of-use": "time-of-use",
    "14a": "dimming",
    "bandwidth": "bandwidth",
    "karma": "karma",
    "negotiated": NEGOTIATED,
}
"""Each arm's controller, by the arm's name."""
VIOLATED_S: Final = 60
"""A transformer's limit is violated on a day on which its load is above it for longer."""
_PAUSE_DRAW: Final = 12
"""Tells this draw from others of sessions."""
TRUTHFUL: Final = "truthful"
KEEP: Final = "keep"
"""How cars answer in the negotiation, and those that do not give way."""


class Design(NamedTuple):
    """What is the same in all arms."""

    transformers: int
    days: int
    override_pct: float
    """So many of the sessions override whatever is decided and charge at full power."""
    no_pause_pct: float
    """So many of the cars cannot pause: once stopped, they do not charge again by themselves."""

    @property
    def told(self) -> str:
        """The design in a line."""
        behind, days = counted(self.transformers, "virtual transformer"), counted(self.days, "day")
        return f"{behind} of ten cars, {days}, a limit drawn for each day"


@dataclass(frozen=True)
class ArmOutcome:
    """What one arm came to with one seed, or in the mean of several; a transformer on a day is a transformer-day."""

    transformer_days: float = 0
    violated_days: float = 0
    """Transformer-days whose limit was violated."""
    moved_days: float = 0
    """Those of them whose limit would have held under no rule at all."""
    over_h: float = 0.0
    over_kwh: float = 0.0
    peak_kw: float = 0.0
    """The mean of the transformer-days' highest loads."""
    sessions: float = 0
    short: float = 0
    waiting_cost_iota: float = 0.0
    paid_iota: float = 0.0
    cannot_pause: float = 0
    """Sessions of cars that cannot pause."""
    stalled: float = 0
    """Those of them that were stopped all the same, and charged no more."""


def drawn(seed: int, keys: NDArray[np.uint64], index: int, pct: float) -> NDArray[np.bool_]:
    """So many per cent of these, by the seed; the same ones in every arm."""
    of_all: NDArray[np.bool_] = uniform(draw(seed, keys, Purpose.SESSION, index=index)) * 100 < pct
    return of_all


def run_arm(arm: str, seed: int, design: Design) -> ArmOutcome:
    """Run the street of this seed under an arm's rule, in the fleet engine.

    In the negotiation a car answers for itself: who overrides and who cannot pause keep charging at every call.
    """
    with TemporaryDirectory() as folder:
        street = virtual_street(Path(folder), design.transformers, design.days, seed, TRUTHFUL)
    tables, fleet = GrowingTables(street), fleet_of(street)
    cannot_pause = drawn(seed, fleet.user_key, _PAUSE_DRAW, design.no_pause_pct)
    rule = controller_named(ARMS[arm])
    if rule is not None and design.override_pct:
        rule = Overridden(rule, seed, design.override_pct)
    world = StallingWorld(street, cannot_pause)
    run = FleetRun(street, rule, observers=(tables,), world=world)
    keepers = cannot_pause | overrides(seed, fleet.key, design.override_pct)
    run.assignment.follow(np.flatnonzero(keepers), KEEP, BUNDLED[KEEP])
    run.begin()
    record = run.run()
    figures = summary(
        street, record, controller=ARMS[arm], strategy=TRUTHFUL, engine="fleet", wall_s=1.0, series=tables.series
    )
    outcome = _of_loads(street, tables.series)
    seen = tables.series.seen
    return ArmOutcome(
        **outcome,
        sessions=figures["sessions"],
        short=figures["sessions_short"],
        waiting_cost_iota=figures["waiting_cost_nanos"] / NANOS_PER_IOTA,
        paid_iota=(figures["paid_nanos"] + figures["rent_open_nanos"]) / NANOS_PER_IOTA,
        cannot_pause=int((cannot_pause & seen).sum()),
        stalled=int((world.stalled & seen).sum()),
    )


def _of_loads(street: Street, series: TimeSeries) -> dict[str, float | int]:
    """Violations and peaks, transformer-day by transformer-day."""
    a_day = MS_PER_DAY // street.tick_ms
    load_w, limit_w, base_line_w = (
        np.stack([part.reshape(-1, a_day) for part in column])
        for column in zip(
            *(
                (feeder.street.load_w, feeder.street.limit_w, feeder.street.base_w + feeder.street.baseline_w)
                for feeder in series.feeders or (series,)
            ),
            strict=True,
        )
    )
    over_w = np.maximum(load_w - limit_w, 0)
    violated = _over_s(load_w, limit_w, series.tick_s) > VIOLATED_S
    had_held = _over_s(base_line_w, limit_w, series.tick_s) <= VIOLATED_S
    return {
        "transformer_days": violated.size,
        "violated_days": int(violated.sum()),
        "moved_days": int((violated & had_held).sum()),
        "over_h": float((over_w > 0).sum()) * series.tick_s / 3_600,
        "over_kwh": float(over_w.sum()) * series.tick_s / WS_PER_KWH,
        "peak_kw": float(load_w.max(axis=2).mean()) / 1_000,
    }


def _over_s(load_w: Ints, limit_w: Ints, tick_s: int) -> Ints:
    over_s: Ints = (load_w > limit_w).sum(axis=2) * tick_s
    return over_s
