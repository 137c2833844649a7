"""The credit that the licences of the bundled data ask for: of those data that a run used, and of no others."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from wattswap.runners.scenario.bundled import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CREDITS: Final[Mapping[str, str]] = {
    "sessions": "Charging sessions: Sørensen et al. 2021 (CC BY 4.0).",
    "households": "Households: Weigert et al., University of Bamberg 2020 (CC BY-SA 4.0).",
    "cars": "Car models: Open EV Data by Chargeprice (MIT).",
    "grid": "Network: contains information from SimBench, made available under the ODbL 1.0.",
    "weather": "Temperature: contains modified Copernicus Climate Change Service information (2016).",
    "sun": "Sun: contains information from SimBench, made available under the ODbL 1.0.",
}
"""What a picture or a report made from a bundled folder must say (LICENSES.md)."""


def credit(inputs: Iterable[str]) -> str:
    """What must be said of these input files, named as in a resolved scenario; nothing of a user's own."""
    used = {PurePath(name.removeprefix(PREFIX)).parts[0] for name in inputs if name.startswith(PREFIX)}
    return " ".join(text for folder, text in CREDITS.items() if folder in used)
