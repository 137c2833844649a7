"""Four hosts behind one switch, each with the agents of a Pi: nobody is told an address, keys were exchanged once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from tests.runners.node.hosts import NetworkHost, hosts
from tests.runners.node.street_of_nodes import MARKET, AgentProcess, StreetOfNodes, befriend, running, until

from wattswap.runners.node.roles import Role

DEPLOYED = Path(__file__).parents[3] / "deploy/street"


def power_w(charger: AgentProcess) -> int | None:
    powers = charger.events("power")
    return powers[-1]["import_w"] if powers else None


def street_on(places: Sequence[NetworkHost], tmp_path) -> StreetOfNodes:
    return StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=2, hosts=places)


class DeployedStreet:
    """The street of the guide for Raspberry Pis: its configurations, with shorter windows and a smaller need."""

    def __init__(self, folder: Path, places: Sequence[NetworkHost]) -> None:
        trafo, north, south, cars = places
        self.transformer = self._agent(folder, "transformer", trafo)
        household = self._agent(folder, "household", trafo)
        self.all = [self.transformer, household]
        befriend(self.transformer, household)
        for side, place in (("north", north), ("south", south)):
            charger, car = self._agent(folder, f"charger-{side}", place), self._agent(folder, f"vehicle-{side}", cars)
            befriend(charger, car)
            befriend(charger, self.transformer)
            befriend(car, self.transformer)
            self.all += [charger, car]

    @staticmethod
    def _agent(folder: Path, name: str, place: NetworkHost) -> AgentProcess:
        text = (DEPLOYED / name / "agent.toml").read_text() + MARKET
        text = text.replace("/var/lib/wattswap/", str(folder / "state-")).replace(
            "[point]\n", "[point]\nneed_wh = 30\n"
        )
        role = cast("Role", name.partition("-")[0])
        return AgentProcess(folder / name, name.replace("-", "/"), role, text, place.prefix())


def test_a_street_as_the_guide_for_pis_sets_it_up_finds_itself_negotiates_delivers_and_settles(tmp_path):
    with hosts(4) as places, running(DeployedStreet(tmp_path, places)) as street:
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
