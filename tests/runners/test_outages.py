"""Outages are events of a run: they begin and end at their own millisecond, whether or not anything else happens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from tests.streets import Stay, street_of

from wattswap.agents.charger import Charger
from wattswap.protocol.effects import Effect
from wattswap.protocol.events import Event, Restarted
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.engines.launch import faults_of
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.node import Running
from wattswap.runners.engines.observer import Observer
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.network.fault_scenario import fault_street
from wattswap.runners.network.fault_schedule import FaultOptions, FaultSchedule, Outage
from wattswap.runners.network.faulty import FaultyNetwork

FAULTS = FaultOptions(drift_ppm=1)
"""Nothing goes wrong by itself, but a clock that is off by next to nothing: the network is one with faults."""
TICK_MS = 30_000


class Handled(Observer):
    """What one agent learned of, and when."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.events: list[tuple[int, Event]] = []

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        if agent == self.agent:
            self.events.append((now_ms, event))

    def between(self, from_ms: int, to_ms: int) -> list[Event]:
        return [event for at_ms, event in self.events if from_ms <= at_ms < to_ms]


def a_run(*outages: Outage, ticks: int = 20, watching: str = "transformer") -> tuple[SimulatedRun, Handled]:
    """One car that charges, and these outages."""
    watch = Handled(watching)
    street = street_of([Stay(0, 10 * ticks, 30 * WS_PER_KWH, "home")], ticks)
    run = simulated_run(street, faults=FAULTS, observers=[watch])
    assert isinstance(run.network, FaultyNetwork)
    for outage in outages:
        run.network.strike(outage)
    return run, watch


def states(run: SimulatedRun, agent: str, *instants_ms: int) -> list[Running]:
    """How the agent is at each of these instants, which are looked at before anything else happens there."""
    seen: list[Running] = []
    for at_ms in instants_ms:
        run.at(at_ms, lambda: seen.append(run.nodes[agent].state))
    run.run()
    return seen


@pytest.mark.parametrize(
    ("kind", "state"), [("crash", Running.CRASHED), ("freeze", Running.FROZEN), ("torn crash", Running.FAILS_NEXT)]
)
def test_an_agent_is_down_from_and_to_the_millisecond_in_the_middle_of_a_quiet_tick(kind, state):
    """Nothing happens between two ticks; an outage that was looked for when something does would be missed."""
    run, _ = a_run(Outage(kind, "transformer", 100_001, 107_003))
    seen = states(run, "transformer", 100_001 - 1, 100_002, 107_003 - 1, 107_004)
    assert seen == [Running.RUNS, state, state, Running.RUNS]


def test_a_crash_restarts_its_agent_at_once_with_the_next_epoch():
    run, watch = a_run(
        Outage("crash", "transformer", 100_001, 107_003), Outage("crash", "transformer", 200_001, 200_002)
    )
    run.run()
    assert [(at_ms, event.epoch) for at_ms, event in watch.events if isinstance(event, Restarted)] == [
        (107_003, 2),
        (200_002, 3),
    ]
    assert run.record.counts is not None
    assert (run.record.counts.crashes, run.record.counts.restarts) == (2, 2)


def test_a_torn_crash_strikes_in_the_middle_of_the_next_event():
    run, watch = a_run(Outage("torn crash", "transformer", 100_001, 131_000))
    seen = states(run, "transformer", 119_999, 120_001)
    assert seen == [Running.FAILS_NEXT, Running.CRASHED]
    assert len(watch.between(100_001, 131_000)) == 1


def test_a_torn_crash_that_meets_no_event_is_a_crash_all_the_same():
    run, _ = a_run(Outage("torn crash", "transformer", 100_001, 107_003))
    run.run()
    assert run.record.counts is not None
    assert (run.record.counts.crashes, run.record.counts.restarts) == (1, 1)


def test_a_frozen_agent_reads_what_has_happened_when_it_thaws():
    run, watch = a_run(Outage("freeze", "transformer", 100_001, 155_000))
    run.run()
    assert watch.between(100_001, 155_000) == []
    assert len(watch.between(155_000, 155_001)) > 1


def test_the_hardware_of_a_frozen_charger_falls_back_when_its_lease_is_over():
    """To the millisecond: it does not wait for the tick to end, nor for anything else to happen."""
    charger = "charger/home"
    run, _ = a_run(Outage("freeze", charger, 100_001, 400_000), watching=charger)
    while run.tick * TICK_MS < 100_000:
        run.step()
    agent = run.nodes[charger].agent
    assert isinstance(agent, Charger)
    assert agent.lease_ends_ms is not None
    ends_ms = run.nodes[charger].true_ms(agent.lease_ends_ms)
    powers: list[int] = []
    for at_ms in (ends_ms - 1, ends_ms + 1):
        run.at(at_ms, lambda: powers.append(run.power_w(0)[0]))
    run.run()
    assert ends_ms > 100_001
    assert powers[0] > powers[1] == run.rules.guaranteed_w


def test_a_cut_begins_and_ends_at_its_millisecond_and_cuts_may_overlap():
    run, _ = a_run(Outage("cut", "charger/home", 50, 90), Outage("one-way cut", "charger/home", 70, 120))
    heard: list[tuple[bool, bool]] = []
    node = run.nodes["charger/home"]
    for at_ms in (49, 51, 89, 91, 119, 121):
        run.at(at_ms, lambda: heard.append((node.hears, node.speaks)))
    run.run()
    assert heard == [(True, True), (False, False), (False, False), (False, True), (False, True), (True, True)]


def test_an_outage_of_an_agent_that_is_down_begins_when_that_is_over():
    run, _ = a_run(
        Outage("crash", "transformer", 100, 200),
        Outage("freeze", "transformer", 150, 300),
        Outage("freeze", "transformer", 160, 190),
    )
    seen = states(run, "transformer", 199, 201, 299, 301)
    assert seen == [Running.CRASHED, Running.FROZEN, Running.FROZEN, Running.RUNS]
    assert run.record.counts is not None
    assert (run.record.counts.crashes, run.record.counts.freezes) == (1, 1)


def test_an_outage_may_be_scheduled_while_the_run_goes_on():
    run, watch = a_run()
    for _ in range(3):
        run.step()
    assert isinstance(run.network, FaultyNetwork)
    run.network.strike(Outage("crash", "transformer", 0, 95_000))
    run.step()
    assert any(isinstance(event, Restarted) for event in watch.between(95_000, 95_001))


def test_a_crash_is_torn_as_often_as_not_and_every_step_may_be_the_last():
    faults = FaultOptions(crashes_per_day=100, freezes_per_day=0)
    schedule = FaultSchedule(faults, 1, [f"agent-{number}" for number in range(20)], 86_400_000)
    torn = [outage.kind for outage in schedule.outages].count("torn crash")
    assert 0.4 < torn / len(schedule.outages) < 0.6
    assert {schedule.part(30) for _ in range(2_000)} == set(range(31))


def test_every_outage_that_is_drawn_happens():
    """Freezes and crashes of one agent never meet, whichever was drawn first."""
    drawn, felt = 0, 0
    for seed in range(6):
        street = fault_street(seed, ["faults.crashes_per_day=60", "faults.freezes_per_day=60", "faults.loss_pct=0"])
        run = simulated_run(street, faults=faults_of(street))
        assert isinstance(run.network, FaultyNetwork)
        drawn += len(run.network.schedule.outages)
        counts = run.run().counts
        assert counts is not None
        felt += counts.crashes + counts.freezes + counts.partitions
    assert felt == drawn > 300


def test_there_are_as_many_outages_of_each_kind_as_its_rate_says():
    """Freezes were once left out before an agent's last crash."""
    faults = FaultOptions(crashes_per_day=48, freezes_per_day=72, cuts_per_day=24)
    schedule = FaultSchedule(faults, 3, ["one", "other"], 86_400_000)
    kinds = [outage.kind.split()[-1] for outage in schedule.outages]
    assert (kinds.count("crash"), kinds.count("freeze"), kinds.count("cut")) == (96, 144, 48)


@pytest.mark.parametrize("last_ms", [0, 1, 5_000, 3_600_000])
def test_more_outages_than_there_is_time_for_are_shorter_and_apart(last_ms):
    faults = FaultOptions(crashes_per_day=50_000, freezes_per_day=50_000)
    spans = [outage[2:] for outage in FaultSchedule(faults, 1, ["one"], last_ms).outages]
    assert len(spans) >= 2 * (50_000 * last_ms // 86_400_000)
    assert all(0 <= begins_ms <= ends_ms <= last_ms for begins_ms, ends_ms in spans)
    assert all(before_ms < begins_ms for (_, before_ms), (begins_ms, _) in pairwise(spans))
