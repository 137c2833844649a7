"""Strategies that learn from every round do the same in both engines."""

from __future__ import annotations

import pytest
from tests.checked import checked_run
from tests.streets import Stay, street_of

from wattswap.agents.strategies.literature import LITERATURE
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.engines.fleet import FleetRun


@pytest.mark.parametrize("name", LITERATURE)
def test_a_car_asks_and_learns_the_same_in_both_engines(name):
    stays = [Stay(-5, 400, 10 * WS_PER_KWH) for _ in range(5)]
    transformer = {"rating_va": 63_000, "limit_w": 60_000, "margin_pct": 0}
    street = street_of(stays, 60, base_w=[[30_000] * 61], transformer=transformer, vehicles={"strategy": name})
    fleet, messages = FleetRun(street).run(), checked_run(street).run()
    assert len(fleet.trades) > 2
    assert sorted(fleet.trades) == sorted(messages.trades)
    assert fleet.trace_hash() == messages.trace_hash()
