"""From a scenario file to arrays: schema, reading, profiles, sessions and the bundled weeks."""

from __future__ import annotations

from wattswap.runners.scenario.bundled import bundled_names, bundled_text, template_text
from wattswap.runners.scenario.emit import resolved_toml
from wattswap.runners.scenario.read import Source, load_scenario
from wattswap.runners.scenario.schema import Scenario
from wattswap.runners.scenario.street import Sessions, Street, build_street, load_street, load_streets

__all__ = [
    "Scenario",
    "Sessions",
    "Source",
    "Street",
    "build_street",
    "bundled_names",
    "bundled_text",
    "load_scenario",
    "load_street",
    "load_streets",
    "resolved_toml",
    "template_text",
]
