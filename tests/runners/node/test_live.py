"""A street of processes on the wall clock: nobody orders it, and it keeps what can be told again."""

from __future__ import annotations

from pathlib import Path

import msgpack
import pytest
from tests.streets import three_cars

from wattswap.protocol.errors import InputError
from wattswap.runners.engines.agent_factory import AgentFactory
from wattswap.runners.node.live.run import live_run
from wattswap.runners.recording.journal import Header
from wattswap.runners.recording.process_journal import journal_name, read_process_journal
from wattswap.runners.recording.process_replay import told_again
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.scenario import Street
from wattswap.runners.world import World

TICKS = 20
BEAT_WALL_MS = 200
PROCESSES = 3


def header_of(street: Street) -> Header:
    return Header(
        wattswap="test",
        scenario=street.name,
        scenario_sha256="",
        seed=street.scenario.seed,
        controller="negotiated",
        engine="messages",
        strategy=street.scenario.vehicles.strategy,
        sign=True,
        contents="full",
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Street, RunRecord, Path]:
    """The street as three processes ran it, its record, and the folder of their journals."""
    street, folder = three_cars(TICKS), tmp_path_factory.mktemp("live")
    speed = street.tick_ms / BEAT_WALL_MS
    run = live_run(street, speed=speed, processes=PROCESSES, sign=True, journals=(folder, header_of(street)))
    return street, run.run(), folder


def test_cars_give_way_and_what_they_are_paid_is_in_the_account(ran):
    _, record, _ = ran
    settled = [trade for trade in record.trades if trade.status in ("paid", "disputed")]
    assert sum(trade.nanos for trade in settled) > 0
    owed = {account: nanos for account, nanos in record.book.balances().items() if account.startswith("payable/")}
    assert sum(owed.values()) == sum(trade.nanos for trade in settled)


def test_charger_and_car_count_the_same_though_nobody_orders_what_they_hear(ran):
    _, record, _ = ran
    assert not [trade for trade in record.trades if trade.status == "disputed"]


def factory_of(street: Street) -> AgentFactory:
    return AgentFactory(street, World(street), sign=True)


def test_every_process_keeps_a_journal_and_its_agents_do_the_same_when_told_again(ran):
    street, _, folder = ran
    agents = set()
    for number in range(PROCESSES):
        handled = list(read_process_journal(folder / journal_name(number))[1])
        assert list(told_again(factory_of(street), handled)) == []
        agents |= {one.agent for one in handled}
    assert agents == set(factory_of(street).names)


def test_an_agent_that_now_does_something_else_is_found(ran, tmp_path: Path):
    street, _, folder = ran
    with (folder / journal_name(0)).open("rb") as file:
        header, *records = msgpack.Unpacker(file)
    place = max(place for place, (_, _, _, effects) in enumerate(records) if effects)
    agent = records[place][1]
    records[place][3] = []
    path = tmp_path / journal_name(0)
    path.write_bytes(b"".join(map(msgpack.packb, (header, *records))))
    first = next(told_again(factory_of(street), read_process_journal(path)[1]))
    assert first.what.startswith(f"{agent}, at ")
    assert first.recorded == "wanted nothing more"
    assert first.replayed.startswith("wanted ")


def test_a_journal_that_was_cut_short_is_told_up_to_there(ran, tmp_path: Path):
    street, _, folder = ran
    whole = (folder / journal_name(1)).read_bytes()
    path = tmp_path / journal_name(1)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    handled = list(read_process_journal(path)[1])
    assert len(handled) > 10
    assert list(told_again(factory_of(street), handled)) == []


def test_a_speed_at_which_no_answer_finds_its_way_is_refused():
    with pytest.raises(InputError, match=r"--speed 900: a beat of 30 s would pass in 33 ms.*at most 300"):
        live_run(three_cars(TICKS), speed=900, processes=2)
