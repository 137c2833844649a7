"""Four hosts behind one switch, each with the agents of a Pi: nobody is told an address, keys were exchanged once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.runners.node.hosts import NetworkHost, hosts
from tests.runners.node.street_of_nodes import AgentProcess, StreetOfNodes, running, until


def power_w(charger: AgentProcess) -> int | None:
    powers = charger.events("power")
    return powers[-1]["import_w"] if powers else None


def street_on(places: Sequence[NetworkHost], tmp_path, need_wh: int = 20_000) -> StreetOfNodes:
    return StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=2, need_wh=need_wh, hosts=places)


def test_agents_on_four_hosts_find_each_other_negotiate_deliver_and_settle(tmp_path):
    with hosts(4) as places, running(street_on(places, tmp_path, need_wh=60)) as street:
        trade = until(lambda: [one for one in street.transformer.events("NoteTrade") if sum(one["nanos"])], street)[0]
        assert 0 < trade["returned_ws"] <= sum(trade["delivered_ws"])
        assert not trade["disputed"]


@pytest.mark.long
def test_a_charger_that_is_cut_off_falls_back_and_comes_back(tmp_path):
    with hosts(4) as places, running(street_on(places, tmp_path)) as street:
        until(lambda: all(power_w(charger) for charger in street.chargers), street)
        places[1].unplug()
        until(lambda: power_w(street.chargers[0]) == 0, street)
        assert power_w(street.chargers[1]), "the other one is not touched"
        places[1].plug()
        until(lambda: power_w(street.chargers[0]), street)


@pytest.mark.long
def test_a_charger_whose_address_changes_is_found_again_by_its_car(tmp_path):
    with hosts(4) as places, running(street_on(places, tmp_path)) as street:
        until(lambda: all(power_w(charger) for charger in street.chargers), street)
        linked = len(street.chargers[0].events("linked"))
        places[1].move_to("10.77.0.77")
        until(lambda: [one for one in street.cars[0].events("moved") if "10.77.0.77" in one["detail"]], street)
        until(lambda: len(street.chargers[0].events("linked")) > linked, street)
        until(lambda: power_w(street.chargers[0]), street)
