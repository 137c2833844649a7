"""A round can be followed from function to function, and the path that a reader goes does not grow unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import smalltown

from wattswap.experiments.bench.round_walk import walk
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from pathlib import Path

MOST_FUNCTIONS = 195
"""In this street. Who needs more finds functions that only forward, and takes them out."""


def test_a_walk_goes_from_the_meters_to_the_acknowledged_award(tmp_path: Path) -> None:
    names = [function.name for function in walk(load_street(str(smalltown.found(tmp_path))))]
    stops = ["SimulatedRun.step", "assess", "Transformer._open_round", "Vehicle._on_call", "buy", "AwardBook.ack"]
    assert [name for name in names if name in stops] == stops
    assert len(names) <= MOST_FUNCTIONS
