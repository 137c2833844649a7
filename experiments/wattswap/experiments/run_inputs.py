"""What a stored result was made from: this version, the scenario with its data, and the strategies' sources.

A result is used again only where all of these are as they were.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from wattswap.experiments.strategy_sources import strategy_sources
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.rundir import wattswap_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wattswap.runners.scenario import Scenario


def run_inputs(scenario: Scenario, content: bytes, strategy: str, folder: Path) -> dict[str, Any]:
    """The inputs of runs of a scenario with this strategy, as JSON holds them.

    ``content`` is the scenario in full, with the digests of the data that it names; ``folder`` is where it lies.
    """
    sources: dict[str, str] = {}
    for mix in dict.fromkeys((strategy, *(battery.strategy for battery in scenario.battery))):
        sources |= strategy_sources(mix, folder)
    return {
        "version": wattswap_version(),
        "scenario_sha256": sha256(content).hexdigest(),
        "strategy_sha256": sources,
    }


def refuse_other_inputs(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise unless a file was made from the inputs of now.

    Raises:
        InputError: it was not; the text says which of them changed.
    """
    if changed := sorted(key for key in {*now, *before} if now.get(key) != before.get(key)):
        raise InputError(
            f"{path}: made from other inputs ({', '.join(changed)} changed since); name a new folder with --out,"
            " or delete this one"
        )
