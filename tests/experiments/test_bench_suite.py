"""What ``wattswap bench`` puts side by side does the same work, and its ratios say which side is better."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import smalltown

from wattswap.experiments.bench.suite import PEERS, BenchRow, absent_peers
from wattswap.runners.engines.launch import run_street
from wattswap.runners.scenario import load_street


@pytest.mark.parametrize(
    ("unit", "ours", "theirs", "times"), [("s", 2.0, 8.0, 4.0), ("ms", 30.0, 3.0, 0.1), ("1/s", 50.0, 100.0, 0.5)]
)
def test_fewer_seconds_and_more_a_second_are_better(unit: str, ours: float, theirs: float, times: float):
    assert BenchRow(what="", ours=ours, unit=unit, theirs=theirs).times == pytest.approx(times)
    assert BenchRow(what="", ours=ours, unit=unit).times is None


def test_peers_that_are_not_here_are_named_and_never_measured():
    assert set(absent_peers()) <= set(PEERS.values())


def test_the_plain_model_charges_the_same_cars(tmp_path: Path):
    """With a limit that nobody reaches it draws what our street does with nobody in control."""
    pytest.importorskip("mesa")
    from wattswap.experiments.bench.plain_mesa import PlainStreets

    street = load_street(
        str(smalltown.found(tmp_path)),
        settings=["transformer.rating_va=1_000_000", "transformer.limit_w=1_000_000", "event=[]"],
    )
    plain = PlainStreets([street])
    record = run_street(street, engine="fleet", controller="uncontrolled")
    for row in record.ticks:
        plain.step()
        assert plain.load_w[0] - row.base_w == row.import_w.sum()
    assert plain.rounds == 0


def test_the_plain_model_asks_when_it_is_over_the_limit(tmp_path: Path):
    pytest.importorskip("mesa")
    from wattswap.experiments.bench.plain_mesa import PlainStreets

    street = load_street(str(smalltown.found(tmp_path)))
    plain = PlainStreets([street])
    plain.run_for(street.ticks)
    assert plain.rounds > 0
