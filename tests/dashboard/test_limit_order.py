"""A limit ordered while a run goes on: the agents hear of it, the journal has it, and a replay shows it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import smalltown

from wattswap.experiments.api import run_loaded
from wattswap.experiments.replays import check_run
from wattswap.runners.engines.limit_order import LimitOrder
from wattswap.runners.engines.observer import Observer
from wattswap.runners.recording.replay import read_recorded
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from pathlib import Path

FROM, UNTIL, LIMIT_W = 216, 228, 34_000
"""From 18 to 19 o'clock."""


class OrderAtTick(Observer):
    """Lowers the limit at one tick and gives it back at another."""

    def __init__(self, limits: LimitOrder) -> None:
        self._limits = limits

    def tick_passed(self, tick: int) -> None:
        if tick + 1 in (FROM, UNTIL):
            self._limits.order(0, LIMIT_W if tick + 1 == FROM else None)


def test_an_ordered_limit_holds_from_the_next_tick_and_is_replayed(tmp_path: Path):
    street, limits = load_street(str(smalltown.found(tmp_path))), LimitOrder()
    result = run_loaded(street, operator=limits, observers=[OrderAtTick(limits)], out=tmp_path / "run")
    lowered = result.ticks.street.limit_w
    assert (lowered[FROM:UNTIL] == LIMIT_W).all()
    assert (lowered[:FROM] == street.limit_w[0, :FROM]).all()
    assert (lowered[UNTIL:] == street.limit_w[0, UNTIL:]).all()
    assert any(FROM <= call.tick < UNTIL for call in result.record.rounds)
    assert (result.ticks.street.load_w[FROM + 4 : UNTIL] <= LIMIT_W).all()
    checked = check_run(read_recorded(tmp_path / "run"))
    assert checked.differences == ()


def test_an_operator_who_orders_nothing_changes_nothing(tmp_path: Path):
    street = load_street(str(smalltown.found(tmp_path)))
    steered = run_loaded(street, operator=LimitOrder())
    assert steered.summary["events_hash"] == run_loaded(street).summary["events_hash"]
