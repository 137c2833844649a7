"""The law of 2019: one percentage for all, from the load as it is metered.

ElaadNL's and Enexis' proof of concept of an autonomous self-balancing power grid, in which chargers on Raspberry Pis
reduced for IOTA tokens (source code: github.com/tonsmets/SelfbalancingGrid; this is written from its rules). It looks
at the load that is already reduced, takes it for room, and releases: on and off again at every publication.

And once a load is reduced but still too high, as after an arrival between two publications, it never settles: the
percentage is of the reduced load, but cars apply it to their full power, so a load x is followed by
full * available / x and that by x again, both above what is available.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents.law import Grants

if TYPE_CHECKING:
    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars
    from wattswap.agents.rules import Rules


def percentage(limit_w: float, base_w: float, virtual_w: float) -> float | None:
    """By how many percent every charger is to reduce; None releases all to full power.

    Available = limit - base. Nothing available: 100. Chargers ("virtual load") draw more than that:
    100 * (virtual - available) / virtual. A base load of exactly the limit releases, as it did then.
    """
    available_w = limit_w - base_w
    if available_w < 0:
        return 100.0
    if 0 < available_w < virtual_w:
        return 100 * (virtual_w - available_w) / virtual_w
    return None


def poc(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:  # noqa: ARG001
    """Each charger at (1 - %/100) of its full power, the percentage from what cars drew in the last tick.

    Like its model it ignores the 6 A floor, needs and departures; the limit is the target it is given. A tick is
    its publication, report and charge loop in one, so it sees each load once. No award is made and no token moves:
    what the original paid is in ``poc_twin``.
    """
    percent = percentage(target_w, base_w, int(plugged.drawn_w.sum()))
    left_w = plugged.most_w if percent is None else np.floor(plugged.most_w * (1 - percent / 100)).astype(np.int64)
    nothing = np.zeros_like(cars.wanted_w)
    return Grants(np.minimum(cars.wanted_w, left_w), nothing, nothing)
