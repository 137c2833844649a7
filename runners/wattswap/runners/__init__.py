"""What drives the agents: scenarios, the world, the simulated network, the fleet engine, ZeroMQ nodes, records.

``NeighbourhoodModel``, the street as a Mesa model, is loaded when it is asked for: a Pi has no Mesa.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattswap.runners.mesa_model import NeighbourhoodModel

__all__ = ["NeighbourhoodModel"]


def __getattr__(name: str) -> object:
    """Load the Mesa model."""
    if name != "NeighbourhoodModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from wattswap.runners.mesa_model import NeighbourhoodModel
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("wattswap"):
            raise
        raise ImportError(f"NeighbourhoodModel needs {error.name}: pip install 'wattswap[sim]'") from error
    return NeighbourhoodModel
