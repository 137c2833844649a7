"""The same street with nothing going wrong, and what failure cost beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.runners.engines.launch import run_street
from wattswap.runners.recording.metrics import summary
from wattswap.runners.scenario.schema import FaultsTable

if TYPE_CHECKING:
    from wattswap.runners.recording.metrics import Summary
    from wattswap.runners.scenario.street import Street

COSTS: Final = ("overload_s", "unserved_wh", "forced_wh", "paid_nanos", "stops_total")
"""The figures in which failure shows."""
MORE: Final = "more_"
"""What the name of a difference begins with."""


def without_faults(street: Street) -> Street:
    """This street on a perfect network, where nobody crashes and nothing is anchored: one to compare with."""
    ledger = msgspec.structs.replace(street.scenario.ledger, anchor="none")
    scenario = msgspec.structs.replace(street.scenario, faults=FaultsTable(), ledger=ledger)
    return replace(street, scenario=scenario)


def with_cost(street: Street, figures: Summary) -> Summary:
    """These figures of a run that is over; ``faults``, where there were any, says also what they changed.

    The same street without them is run in the fleet engine: on a perfect network both engines come to the same.
    """
    if figures["faults"] is None:
        return figures
    controller, strategy = figures["controller"], figures["strategy"]
    record = run_street(without_faults(street), controller=controller, engine="fleet")
    spared = summary(street, record, controller=controller, strategy=strategy, engine="fleet", wall_s=0)
    more = {f"{MORE}{key}": figures[key] - spared[key] for key in COSTS}
    return {**figures, "faults": {**figures["faults"], **more}}
