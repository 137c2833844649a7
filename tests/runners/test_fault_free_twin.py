"""What goes wrong is counted, and what it cost is told beside the same street with nothing going wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from tests.streets import random_street

from wattswap.protocol.effects import Send
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import Received, Restarted
from wattswap.runners.engines.launch import faults_of, run_street, start_run
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.observer import Observer
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.network.fault_free_twin import COSTS, with_cost, without_faults
from wattswap.runners.network.fault_schedule import FaultOptions
from wattswap.runners.network.faulty import FaultyNetwork
from wattswap.runners.recording.metrics import summary
from wattswap.runners.scenario import Street
from wattswap.runners.scenario.schema import FaultsTable

ALL = FaultOptions(
    loss_ppm=100_000,
    repeat_ppm=100_000,
    delay_ms=700,
    crashes_per_day=100,
    freezes_per_day=100,
    cuts_per_day=100,
    outage_s=120,
)
TABLE = FaultsTable(loss_pct=10, crashes_per_day=50, cuts_per_day=50)


class Count(Observer):
    """What agents said and heard, counted by someone else."""

    def __init__(self) -> None:
        self.said = self.heard = 0
        self.started_again: Counter[str] = Counter()

    def handled(self, now_ms, agent, event, effects):
        self.heard += isinstance(event, Received)
        self.said += sum(isinstance(did, Send) for did in effects)
        self.started_again[agent] += isinstance(event, Restarted)


def counted(faults: FaultOptions) -> tuple[SimulatedRun, Count]:
    count = Count()
    run = simulated_run(random_street(17, chargers=8, ticks=120), faults=faults, observers=[count])
    run.run()
    return run, count


def on_its_way(run: SimulatedRun) -> int:
    held = [event for node in run.nodes.values() for event in node.held]
    return sum(
        isinstance(event, Received)
        for event in (*held, *(entry[-1] for entries in run._queue._entries.values() for entry in entries))
    )


@pytest.mark.parametrize("faults", [ALL, replace(ALL, freezes_per_day=0, delay_ms=0)], ids=["all", "no delay"])
def test_every_message_is_accounted_for(faults):
    run, count = counted(faults)
    counts = run.record.counts
    assert counts is not None
    assert counts.sent == count.said
    arrived = count.heard + run.record.refused + counts.unheard + on_its_way(run)
    assert counts.sent - counts.lost + counts.repeated == arrived
    assert bool(counts.delayed) == bool(faults.delay_ms)
    assert counts.lost > counts.sent * 0.1, "some were cut off besides"
    assert counts.repeated < counts.sent * 0.1


def test_every_outage_that_was_drawn_happens_and_is_counted_once():
    run, count = counted(ALL)
    counts = run.record.counts
    assert counts is not None
    assert isinstance(run.network, FaultyNetwork)
    outages = run.network.schedule.outages
    kinds = Counter(outage.kind for outage in outages)
    assert all(kinds[kind] for kind in ("crash", "torn crash", "freeze", "cut", "one-way cut"))
    assert counts.crashes == counts.restarts == kinds["crash"] + kinds["torn crash"]
    assert counts.freezes == kinds["freeze"]
    assert counts.partitions == kinds["cut"] + kinds["one-way cut"]
    assert counts.restarts == sum(count.started_again.values())


def test_on_a_perfect_network_nothing_is_counted():
    street = random_street(17, chargers=8, ticks=60)
    figures = told(street)
    assert figures["faults"] is None
    assert with_cost(street, figures) == figures


# -- what it cost -----------------------------------------------------------------------------------------------------


def troubled(table: FaultsTable = TABLE) -> Street:
    street = random_street(17, chargers=8, ticks=120)
    return replace(street, scenario=msgspec.structs.replace(street.scenario, faults=table))


def told(street: Street):
    record = run_street(street)
    return summary(street, record, controller="negotiated", strategy="need", engine="messages", wall_s=1)


def test_the_cost_is_the_difference_to_the_messages_of_a_calm_street():
    street = troubled()
    figures, spared = with_cost(street, told(street)), told(without_faults(street))
    assert {key: figures["faults"][f"more_{key}"] for key in COSTS} == {
        key: figures[key] - spared[key] for key in COSTS
    }
    assert any(figures["faults"][f"more_{key}"] for key in COSTS)


def test_a_calm_street_differs_in_its_faults_and_anchors_alone():
    street = troubled()
    assert not faults_of(without_faults(street)).any
    ledger = msgspec.structs.replace(street.scenario.ledger, anchor="none")
    assert without_faults(street).scenario == msgspec.structs.replace(
        street.scenario, faults=FaultsTable(), ledger=ledger
    )
    assert without_faults(street).sessions is street.sessions


# -- the fleet engine -------------------------------------------------------------------------------------------------


CAUSES = tuple(field.name for field in msgspec.structs.fields(FaultsTable) if field.name not in {"outage_s", "hours"})


@pytest.mark.parametrize("key", CAUSES)
def test_the_fleet_refuses_a_street_in_which_anything_goes_wrong(key):
    street = troubled(FaultsTable(**{key: 5}))
    with pytest.raises(InputError, match=f"faults.{key} = 5: the fleet engine sends no messages.*--engine messages"):
        start_run(street, engine="fleet")
    start_run(without_faults(street), engine="fleet")


def test_how_long_outages_would_last_is_nothing_to_refuse():
    start_run(troubled(FaultsTable(outage_s=900, hours=3)), engine="fleet")
