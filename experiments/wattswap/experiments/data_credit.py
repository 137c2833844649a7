"""The credit that the licences of the bundled data ask for."""

from __future__ import annotations

from typing import Final

CREDIT: Final = (
    "Charging sessions: Sørensen et al. 2021 (CC BY 4.0). Households: Weigert et al., University of Bamberg 2020"
    " (CC BY-SA 4.0).\nSun: contains information from SimBench, made available under the ODbL 1.0."
)
"""What a picture or a report made from the bundled streets must say (LICENSES.md)."""
