"""What a finished run means on a feeder: volts by phase and place, unbalance, the busiest cable, losses.

A run knows what the homes draw together, and what each car draws. Homes are shared out as the network's loads are,
evenly over three phases; each charging station has a place, drawn by seed with the homes' shares as weights, and a
phase for cars that charge on one. EN 50160 judges means of ten minutes; so do all figures here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wattswap.experiments.feeder.flow import NOMINAL_V, Flows, power_flows
from wattswap.experiments.feeder.network import read_network
from wattswap.experiments.run_tables import DAY_MS
from wattswap.protocol.draws import agent_key, draw, uniform
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from wattswap.experiments.feeder.network import GridNetwork
    from wattswap.experiments.run_tables import RunTables

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

MEAN_S: Final = 600
LEAST_V, MOST_V = 0.9 * NOMINAL_V, 1.1 * NOMINAL_V
"""EN 50160: 95 % of the ten-minute means of a week lie between these."""
_PHASES: Final = 3
_AT, _PHASE, _ALONE = range(3)
"""Which draw it is: of a station's place, of its phase, of whether a car charges on one."""


@dataclass(frozen=True)
class Voltages:
    """Means over ten minutes of a run's flows, from ``t_ms`` on each."""

    network: GridNetwork
    t_ms: Ints
    flows: Flows
    energy_kwh: float
    """That went into the feeder."""

    @cached_property
    def load_buses(self) -> Ints:
        """The buses at which somebody is connected."""
        return np.unique(self.network.load_bus)

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each bus and phase: its least and greatest volts, and the minutes outside of EN 50160."""
        import pandas as pd

        volts = self.flows.volts
        outside = ((volts < LEAST_V) | (volts > MOST_V)).sum(axis=0) * (MEAN_S / 60)
        buses = np.repeat(self.network.buses, _PHASES)
        return pd.DataFrame(
            {
                "bus": buses,
                "phase": np.tile(["L1", "L2", "L3"], len(self.network.buses)),
                "least_v": volts.min(axis=0).ravel().round(2),
                "most_v": volts.max(axis=0).ravel().round(2),
                "outside_min": outside.ravel(),
                "unbalance_pct": np.repeat(self.flows.unbalance_pct.max(axis=0).round(3), _PHASES),
            }
        )

    @property
    def figures(self) -> dict[str, Any]:
        """The extremes with place, phase and instant, as ``wattswap voltages --json`` prints them."""
        volts, loads = self.flows.volts[:, self.load_buses], self.load_buses
        low, high = (np.unravel_index(at(volts), volts.shape) for at in (np.argmin, np.argmax))
        used = self.flows.amperes / self.network.rated_a[:, np.newaxis]
        busy = np.unravel_index(np.argmax(used), used.shape)
        skew = np.unravel_index(np.argmax(self.flows.unbalance_pct), self.flows.unbalance_pct.shape)
        phase = np.unravel_index(np.argmax(self.flows.transformer_w), self.flows.transformer_w.shape)
        outside = (volts < LEAST_V) | (volts > MOST_V)
        loss_kwh = float(self.flows.loss_w.sum()) * MEAN_S / 3.6e6
        return {
            "least_v": self._extreme(volts[low], loads[low[1]], low[0], low[2], 2),
            "most_v": self._extreme(volts[high], loads[high[1]], high[0], high[2], 2),
            "outside_min": float(outside.any(axis=(1, 2)).sum() * MEAN_S / 60),
            "outside_pct": round(100 * float(outside.mean(axis=0).max()), 3),
            "unbalance_pct": self._extreme(self.flows.unbalance_pct[skew], skew[1], skew[0], None, 3),
            "cable_pct": {
                "value": round(100 * float(used[busy]), 2),
                "cable": self.network.cable(int(busy[1])),
                "phase": f"L{int(busy[2]) + 1}",
                "t_ms": int(self.t_ms[busy[0]]),
            },
            "phase_w": self._extreme(self.flows.transformer_w[phase], 0, phase[0], phase[1], 0),
            "loss_kwh": round(loss_kwh, 3),
            "loss_pct": round(100 * loss_kwh / self.energy_kwh, 3) if self.energy_kwh > 0 else 0.0,
        }

    def _extreme(self, value: Any, bus: Any, tick: Any, phase: Any, places: int) -> dict[str, Any]:
        about = {"value": round(float(value), places), "bus": self.network.buses[int(bus)]}
        return {**about, **({} if phase is None else {"phase": f"L{int(phase) + 1}"}), "t_ms": int(self.t_ms[tick])}


def voltages(
    tables: RunTables, *, day: int | None = None, single_phase_pct: float = 30, network: GridNetwork | None = None
) -> Voltages:
    """The flows of a run, or of one day of it; so many percent of the cars charge on one phase (an assumption).

    Raises:
        InputError: the run has several feeders or no such day, or its feeder cannot carry it.
    """
    if not 0 <= single_phase_pct <= 100:
        raise InputError(f"--single-phase {single_phase_pct}: it is a share of the cars, 0 to 100 percent")
    if tables.scenario.get("feeder"):
        raise InputError(f"{tables.scenario['name']} has several feeders; run the one in question in a file of its own")
    network = network or read_network()
    series, rating_va = _shown(tables, day), float(tables.scenario["transformer"]["rating_va"])
    base_w, load_w = series["base_w"].to_numpy(np.float64), _cars_w(tables, series, network, single_phase_pct)
    homes_w = base_w[:, np.newaxis, np.newaxis] * network.share[:, np.newaxis] / _PHASES
    load_w += homes_w
    load_var = np.broadcast_to(np.maximum(homes_w, 0) * network.q_per_p, load_w.shape)
    flows = power_flows(network, load_w, load_var, rating_va)
    per_mean = max(MEAN_S * 1_000 // tables.tick_ms, 1)
    t_ms = series["t_ms"].to_numpy(np.int64)[::per_mean]
    energy_kwh = float(flows.transformer_w.sum()) * tables.tick_ms / 3.6e9
    return Voltages(network, t_ms, Flows(*(_means(column, per_mean) for column in flows)), energy_kwh)


def _shown(tables: RunTables, day: int | None) -> pd.DataFrame:
    series = tables.series
    if day is not None:
        at = (series["t_ms"] - tables.start_ms) // DAY_MS + 1
        series = series[at == day]
    if not len(series):
        what = "this run has no ticks" if day is None else f"--day {day}: this run has no such day"
        raise InputError(f"{what}; see series.parquet in its directory")
    return series


def _cars_w(tables: RunTables, series: pd.DataFrame, network: GridNetwork, single_phase_pct: float) -> Floats:
    """What cars draw at each load and phase, shape (ticks, loads, 3).

    A car's power is the mean of its stretch; each tick's is scaled so that all together draw what they really drew.
    """
    ticks, loads, seed = len(series), len(network.share), int(tables.summary.get("seed", 1))
    cars = tables.cars
    first_ms, tick_ms = int(series["t_ms"].iloc[0]), tables.tick_ms
    begin, end = (
        np.clip((cars[name].to_numpy(np.int64) - first_ms) // tick_ms, 0, ticks) for name in ("from_ms", "to_ms")
    )
    power_w = (cars["import_w"] - cars["export_w"]).to_numpy(np.float64)
    station, vehicle = (
        np.array([agent_key(str(name)) for name in cars[of]], dtype=np.uint64) for of in ("station", "vehicle")
    )
    place = uniform(draw(seed, station, Purpose.PLACE, index=_AT))
    at: NDArray[np.intp] = np.searchsorted(np.cumsum(network.share)[:-1], place, "right")
    phase = draw(seed, station, Purpose.PLACE, index=_PHASE).astype(np.int64) % _PHASES
    alone = uniform(draw(seed, vehicle, Purpose.PLACE, index=_ALONE)) * 100 < single_phase_pct
    steps = np.zeros((ticks + 1, loads, _PHASES))
    for on in range(_PHASES):
        here_w = power_w * np.where(alone, phase == on, 1 / _PHASES)
        np.add.at(steps[:, :, on], (begin, at), here_w)
        np.add.at(steps[:, :, on], (end, at), -here_w)
    drawn_w = np.cumsum(steps, axis=0)[:-1]
    told_w = (series["import_w"] - series["export_w"]).to_numpy(np.float64)
    sum_w = drawn_w.sum(axis=(1, 2))
    scale = np.divide(told_w, sum_w, out=np.ones(ticks), where=np.abs(sum_w) > 1)
    scaled: Floats = drawn_w * np.clip(scale, 0, 2)[:, np.newaxis, np.newaxis]
    return scaled


def _means(column: Floats, count: int) -> Floats:
    """Means of so many rows each; the last one of what is left."""
    starts = np.arange(0, len(column), count)
    sizes = np.diff(np.append(starts, len(column)))
    sums: Floats = np.add.reduceat(column, starts, axis=0)
    return sums / sizes.reshape(-1, *[1] * (column.ndim - 1))
