"""Three-phase power flows of a network, all ticks in one call of power-grid-model; needs the extra ``feeder``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.experiments.feeder.network import GridNetwork

    Floats = NDArray[np.float64]

NOMINAL_V: Final = 230.0
"""Between a phase and neutral, as are all volts here."""
_LINE_V: Final = 400.0
_MEDIUM_V: Final = 20_000.0
_ZERO_SEQUENCE: Final = 4.0
"""A cable's zero-sequence impedance over its positive one: the return goes through a fourth core of the same size."""
_GRID_VA: Final = 100e6
"""Short-circuit power of the medium-voltage grid (an assumption); its voltage is taken as steady."""
_SHORT_CIRCUIT, _COPPER, _IRON, _NO_LOAD = 0.06, 0.012, 0.003, 0.003
"""Of the transformer, per unit of its rating: SimBench's 0.4 MVA 20/0.4 kV Dyn5."""
WITHOUT_FEEDER: Final = "pip install 'wattswap[feeder]'"


class Flows(NamedTuple):
    """What the network carries at each tick."""

    volts: Floats
    """Shape (ticks, buses, 3)."""
    unbalance_pct: Floats
    """Negative over positive sequence, shape (ticks, buses)."""
    amperes: Floats
    """Shape (ticks, cables, 3)."""
    transformer_w: Floats
    """By phase, into the feeder, shape (ticks, 3)."""
    loss_w: Floats
    """In cables and transformer, shape (ticks,)."""


def power_flows(network: GridNetwork, load_w: Floats, load_var: Floats, rating_va: float) -> Flows:
    """The flows under these loads, shape (ticks, loads, 3): watts and vars drawn by phase at each of ``load_bus``.

    Raises:
        InputError: power-grid-model is not there, or it finds no solution: the feeder cannot carry the load at all.
    """
    try:
        import power_grid_model as pgm
        from power_grid_model.errors import PowerGridBatchError
    except ModuleNotFoundError:
        raise InputError(f"power flows need power-grid-model: {WITHOUT_FEEDER}") from None
    grid, load_ids = _grid(pgm, network, rating_va)
    update = pgm.initialize_array("update", "asym_load", load_w.shape[:2])
    update["id"], update["p_specified"], update["q_specified"] = load_ids, load_w, load_var
    wanted = {"node": ["u", "u_angle"], "line": ["i_from", "p_from", "p_to"], "transformer": ["p_from", "p_to"]}
    try:
        found = pgm.PowerGridModel(grid).calculate_power_flow(
            symmetric=False,
            update_data={"asym_load": update},
            output_component_types=wanted,
            calculation_method=pgm.CalculationMethod.iterative_current,
            threading=0,
        )
    except PowerGridBatchError as error:
        failed = f"{len(error.failed_scenarios)} of {len(load_w)} ticks"
        raise InputError(f"the feeder cannot carry this load: there is no power flow in {failed}") from None
    low = slice(1, None)  # the first node is the medium-voltage one
    volts, angle = found["node"]["u"][:, low], found["node"]["u_angle"][:, low]
    lost = sum((found[part]["p_from"] + found[part]["p_to"]).sum(axis=(1, 2)) for part in ("line", "transformer"))
    into_w = -found["transformer"]["p_to"][:, 0]
    return Flows(volts, _unbalance_pct(volts, angle), found["line"]["i_from"], into_w, lost)


def _grid(pgm: Any, network: GridNetwork, rating_va: float) -> tuple[dict[str, Any], NDArray[np.int32]]:
    """The network as power-grid-model wants it, and the ids of its loads."""
    buses, cables, loads = len(network.buses), len(network.ends), len(network.load_bus)
    ids = np.arange(buses + cables + loads + 3, dtype=np.int32)
    node_ids, line_ids, load_ids = ids[: buses + 1], ids[buses + 1 : buses + 1 + cables], ids[buses + 1 + cables : -2]
    node = pgm.initialize_array("input", "node", buses + 1)
    node["id"], node["u_rated"] = node_ids, [_MEDIUM_V, *[_LINE_V] * buses]
    line = pgm.initialize_array("input", "line", cables)
    line["id"], line["from_status"], line["to_status"] = line_ids, 1, 1
    line["from_node"], line["to_node"] = (network.ends + 1).T
    line["r1"], line["x1"], line["i_n"] = network.r_ohm, network.x_ohm, network.rated_a
    line["r0"], line["x0"] = _ZERO_SEQUENCE * network.r_ohm, _ZERO_SEQUENCE * network.x_ohm
    line["c1"] = line["tan1"] = line["c0"] = line["tan0"] = 0  # of no weight in cables this short
    transformer = pgm.initialize_array("input", "transformer", 1)
    delta, star = pgm.WindingType.delta, pgm.WindingType.wye_n
    values = (
        *(("id", ids[-2]), ("from_node", 0), ("to_node", 1), ("from_status", 1), ("to_status", 1)),
        *(("u1", _MEDIUM_V), ("u2", _LINE_V), ("sn", rating_va), ("uk", _SHORT_CIRCUIT), ("pk", _COPPER * rating_va)),
        *(("i0", _NO_LOAD), ("p0", _IRON * rating_va), ("winding_from", delta), ("winding_to", star), ("clock", 5)),
        *(("tap_side", 0), ("tap_pos", 0), ("tap_min", -2), ("tap_max", 2), ("tap_size", 500.0)),
    )
    for name, value in values:
        transformer[name] = value
    source = pgm.initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"], source["sk"] = ids[-1], 0, 1, 1.0, _GRID_VA
    load = pgm.initialize_array("input", "asym_load", loads)
    load["id"], load["node"], load["status"] = load_ids, network.load_bus + 1, 1
    load["type"], load["p_specified"], load["q_specified"] = pgm.LoadGenType.const_power, 0.0, 0.0
    grid = {"node": node, "line": line, "transformer": transformer, "source": source, "asym_load": load}
    return grid, load_ids


def _unbalance_pct(volts: Floats, angle: Floats) -> Floats:
    """Negative over positive sequence voltage (Fortescue), in percent, as EN 50160 counts it."""
    phasors, turn = volts * np.exp(1j * angle), np.exp(2j * np.pi / 3)
    first, second, third = np.moveaxis(phasors, -1, 0)
    positive, negative = first + turn * second + turn**2 * third, first + turn**2 * second + turn * third
    share: Floats = 100 * np.abs(negative) / np.abs(positive)
    return share
