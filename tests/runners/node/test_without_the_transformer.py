"""Twenty times each the transformer is killed, frozen, cut off: how soon chargers are safe, and all is well again."""

from __future__ import annotations

import signal
import time
from datetime import datetime
from typing import Any

import pytest
from tests.runners.node.hosts import NetworkHost, hosts
from tests.runners.node.street_of_nodes import AgentProcess, StreetOfNodes, running, until

from wattswap.runners.node.config import MarketTable

TIMES = 20
BEAT_S = MarketTable().beat_ms / 1_000
LEASE_S = MarketTable().lease_beats * BEAT_S
DRIFT = 0.02
BUSY_S = 0.5
"""What a busy machine may add to each bound."""
START_S = 10.0
"""What a process may take until it has loaded what it needs; a transformer then keeps quiet for a lease and a beat."""


def at_s(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


def since(agent: AgentProcess, event: str, then_s: float) -> list[dict[str, Any]]:
    return [line for line in agent.events(event) if at_s(line) > then_s]


def power_w(charger: AgentProcess) -> int:
    powers = charger.events("power")
    return int(powers[-1]["import_w"]) if powers else 0


def take_away(transformer: AgentProcess, how: str, place: NetworkHost) -> None:
    if how == "killed":
        transformer.end(signal.SIGKILL)
    elif how == "frozen":
        assert transformer.process
        transformer.process.send_signal(signal.SIGSTOP)
    else:
        place.unplug()


def give_back(transformer: AgentProcess, how: str, place: NetworkHost) -> None:
    if how == "killed":
        transformer.start()
    elif how == "frozen":
        assert transformer.process
        transformer.process.send_signal(signal.SIGCONT)
    else:
        place.plug()


@pytest.mark.long
@pytest.mark.parametrize("how", ["killed", "frozen", "cut off"])
def test_every_charger_is_at_its_minimum_when_its_lease_is_over_and_all_is_well_soon_after(tmp_path, how):
    with hosts(4) as places:
        street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=2, hosts=places)
        transformer, chargers = street.transformer, street.chargers
        with running(street):
            for number in range(TIMES):
                until(lambda: all(power_w(charger) for charger in chargers), street)
                time.sleep(BEAT_S * (number % 4) / 4)  # at another moment of the beat each time
                gone_s = time.time()
                take_away(transformer, how, places[0])
                until(lambda: not any(power_w(charger) for charger in chargers), street)
                until(lambda: all(since(charger, "lost", gone_s) for charger in chargers), street)  # noqa: B023
                for charger in chargers:
                    assert at_s(charger.events("power")[-1]) - gone_s <= LEASE_S * (1 + DRIFT) + BUSY_S
                    assert at_s(since(charger, "lost", gone_s)[0]) - gone_s <= 4 * BEAT_S + BUSY_S
                back_s = time.time()
                give_back(transformer, how, places[0])
                until(lambda: all(power_w(charger) for charger in chargers), street)
                until(lambda: since(transformer, "NoteRound", back_s), street)  # noqa: B023
                quiet_s = START_S + LEASE_S + BEAT_S if how == "killed" else 0.0
                for charger in chargers:
                    fresh = next(line for line in since(charger, "power", back_s) if line["import_w"])
                    assert at_s(fresh) - back_s <= 3 * BEAT_S + quiet_s + BUSY_S
                assert at_s(since(transformer, "NoteRound", back_s)[0]) - back_s <= 6 * BEAT_S + quiet_s + BUSY_S
