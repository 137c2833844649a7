"""A street across a link that loses 5 % of its packets and takes 20 ms: rounds clear in time all the same."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from tests.runners.node.hosts import NetworkHost
from tests.runners.node.lossy_link import lossy_hosts
from tests.runners.node.street_of_nodes import FIXED, AgentProcess, befriend, running, until, upstream

from wattswap.runners.node.clock import EPOCH_S
from wattswap.runners.node.config import MarketTable
from wattswap.runners.node.roles import Role

WINDOW_BEATS = 3
MARKET = f"[market]\nwindow_beats = {WINDOW_BEATS}\n"
TABLE = MarketTable(window_beats=WINDOW_BEATS)
CAR_W = 11_000


class StreetAcrossALink:
    """A transformer with its homes on one side; two chargers with their cars, in one process, on the other."""

    def __init__(self, folder: Path, near: NetworkHost, far: NetworkHost) -> None:
        self._folder, port = folder, 9700
        site = "[site]\nlimit_w = 26_000\n"
        self.transformer = self._agent("transformer", site, near)
        home = "[device]\npower_w = 8_000\n"
        homes = self._agent("household/0", upstream("transformer", port, ()) + home, near, self.transformer)
        above = upstream("transformer", port, ()).replace("127.0.0.1", near.address)
        self.chargers = [self._agent("charger/0", above, far)]
        self.chargers.append(self._agent("charger/1", above, far, self.chargers[0]))
        befriend(self.transformer, homes)
        for number, charger in enumerate(self.chargers):
            car = self._agent(f"vehicle/{number}", upstream(f"charger/{number}", port, ()), far, self.chargers[0])
            befriend(charger, car)
            befriend(charger, self.transformer)
            befriend(car, self.transformer)
        self.all = [self.transformer, self.chargers[0]]

    def _agent(self, name: str, text: str, place: NetworkHost, host: AgentProcess | None = None) -> AgentProcess:
        role = cast("Role", name.partition("/")[0])
        folder = self._folder / name.replace("/", "-")
        return AgentProcess(folder, name, role, FIXED + MARKET + text, place.prefix(), host)


def late_ms(cleared: dict[str, Any]) -> float:
    """How long after its call a round was cleared."""
    called_s: float = EPOCH_S + (cleared["tick"] * TABLE.beat_ms + TABLE.phase_ms) / 1_000
    return (datetime.fromisoformat(cleared["timestamp"]).timestamp() - called_s) * 1_000


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=pytest.mark.long)])
def test_rounds_clear_by_their_deadline_though_packets_are_lost(tmp_path, rounds):
    with (
        lossy_hosts(loss=0.05, delay_s=0.02, seed=rounds) as ((near, far), link),
        running(StreetAcrossALink(tmp_path, near, far)) as street,
    ):
        until(lambda: len(street.transformer.events("NoteRound")) > rounds, street, rounds * 10 + 90)
        cleared = street.transformer.events("NoteRound")[1:]
    assert link.lost > link.carried / 50
    in_time = [each for each in cleared if late_ms(each) <= TABLE.deadline_ms + 100]
    answered = [each for each in cleared if each["offered_w"] == each["called"] * CAR_W]

    assert len(in_time) > 0.999 * len(cleared) - 1
    assert len(answered) > 0.9 * len(cleared) - 1
    assert not [each for charger in street.chargers for each in charger.events("lost")]
