"""Several agents in one process, and a stationary battery, which is two of them: one socket, one key, one frame."""

from __future__ import annotations

import errno
import io
import socket
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from tests.runners.node.street_of_nodes import (
    FIXED,
    MARKET,
    AgentProcess,
    befriend,
    free_port,
    listen,
    running,
    until,
    upstream,
)

from wattswap.protocol.errors import InputError
from wattswap.runners.node.config import read_config
from wattswap.runners.node.key_directory import TransportKey, new_agent_keys, read_identity
from wattswap.runners.node.roles import Role
from wattswap.runners.node.start import listen_port, run_agent
from wattswap.runners.node.trust import NodeTrust, TrustDirectory
from wattswap.runners.node.zeromq import Transport


class SharedStreet:
    """A transformer, a household and a battery of 11 kW in one process, two chargers in another, two cars in a third.

    8 kW of homes and two cars of 11 kW under a limit of 17 kW: as one car keeps its power, the other has to give way
    and the battery to feed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, ports = folder, [free_port(), free_port()]
        above, below = upstream("transformer", ports[0], ()), listen(ports[1], ())
        ledger = '[ledger]\nwhere = "sqlite:tokens.sqlite"\npay = "each"\n'
        self.transformer = self._agent("transformer", listen(ports[0], ()) + "[site]\nlimit_w = 17_000\n" + ledger)
        household = self._agent("household/0", above + "[device]\npower_w = 8_000\n", self.transformer)
        battery = "[battery]\ncapacity_wh = 50_000\nmax_w = 11_000\nwear_nanos_per_kwh = 50_000_000\n"
        self.battery = self._agent("battery/1", above + battery, self.transformer)
        point = "[point]\nneed_wh = 20\n"
        self.chargers = [self._agent("charger/0", above + below + point)]
        self.chargers += [self._agent("charger/1", above + point, self.chargers[0])]
        self.cars = [self._agent("vehicle/0", upstream("charger/0", ports[1], ()))]
        stubborn = '[car]\nstrategy = "keep"\n'
        self.cars += [self._agent("vehicle/1", upstream("charger/1", ports[1], ()) + stubborn, self.cars[0])]
        self.all = [self.transformer, self.chargers[0], self.cars[0]]
        for one in (household, self.battery, *self.chargers, *self.cars):
            befriend(self.transformer, one)
        for charger, car in zip(self.chargers, self.cars, strict=True):
            befriend(charger, car)

    def _agent(self, name: str, text: str, host: AgentProcess | None = None) -> AgentProcess:
        return AgentProcess(
            self._folder / name.replace("/", "-"), name, role_of(name), FIXED + MARKET + text, host=host
        )


def role_of(name: str) -> Role:
    return cast("Role", name.partition("/")[0])


def test_agents_that_share_processes_and_a_battery_give_way_feed_and_are_paid(tmp_path):
    with running(SharedStreet(tmp_path)) as street:

        def paid() -> set[str]:
            """Whose sessions were paid for."""
            return {
                "battery" if sum(each["delivered_ws"][2:]) else "car"
                for each in street.transformer.events("NoteTrade")
                if sum(each["nanos"])
            }

        until(lambda: paid() == {"battery", "car"}, street)
        linked = {each["peer"] for each in street.chargers[0].events("linked")}
        assert linked == {"transformer", "vehicle/0", "vehicle/1"}, (
            "a battery is nobody's neighbour but the transformer's"
        )
        powers = street.transformer.events("power")
        assert {each["agent"] for each in powers} == {"battery/1~inverter"}
        assert max(each["export_w"] for each in powers) > 0
        assert not [each for each in street.transformer.events("NoteTrade") if each["disputed"]]
        at = {each["agent"]: each["session"] for each in street.chargers[0].events("power")}
        assert len(set(at.values())) == 2, "each car is at a cable of its own"
        assert {agent.name: agent.end() for agent in street.all} == {agent.name: 0 for agent in street.all}
    assert [agent.err() for agent in street.all] == [""] * len(street.all)


def two(tmp_path: Path, *, beside: bool = True, second: str = "") -> Path:
    """The file of a car in whose process a second one shall run."""
    first, other = tmp_path / "first", tmp_path / "other"
    new_agent_keys(first / "keys", "vehicle/1", "vehicle")
    new_agent_keys(other / "keys", "vehicle/2", "vehicle", beside=first / "keys" if beside else None)
    above = '[upstream]\nname = "charger/1"\n'
    (other / "agent.toml").write_text(second + above)
    (first / "agent.toml").write_text(above + '[[also]]\nrole = "vehicle"\nconfig = "../other/agent.toml"\n')
    return first / "agent.toml"


@pytest.mark.parametrize(
    ("second", "beside", "what"),
    [
        ("", False, "vehicle/2 has another connection key than vehicle/1, and shares its socket"),
        ("[market]\nlease_beats = 7\n", True, "agents of one process share it"),
        ('[[also]]\nrole = "vehicle"\nconfig = "third.toml"\n', True, "name all further agents there"),
        ('state = "../first/state"\n', True, "its state directory is that of"),
        ("strategy = 1\n", True, "there is no key strategy"),
    ],
)
def test_agents_that_cannot_share_a_process_are_refused_in_one_line(tmp_path, second, beside, what):
    config = two(tmp_path, beside=beside, second=second)
    with pytest.raises(InputError) as refused:
        run_agent(read_config(config, "vehicle"), lambda: True, io.StringIO())
    assert what in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_agent_here_trusts_by_its_own_directory_and_the_node_lets_in_all(tmp_path):
    config = read_config(two(tmp_path), "vehicle")
    folders = [one.there(one.config.keys) for one in (config, *config.others)]
    charger = new_agent_keys(tmp_path / "charger", "charger/1", "charger").identity
    trust = NodeTrust([(read_identity(folder / "public.json"), folder) for folder in folders])
    TrustDirectory(folders[1]).add(charger)
    assert trust.changed()
    trust.all.become(trust.read())
    assert trust.all.allows(charger.transport)
    assert (trust.hears("vehicle/1", "charger/1"), trust.hears("vehicle/2", "charger/1")) == (False, True)


def test_agents_here_that_take_two_others_for_the_same_are_refused(tmp_path):
    config = read_config(two(tmp_path), "vehicle")
    folders = [one.there(one.config.keys) for one in (config, *config.others)]
    for number, folder in enumerate(folders):
        TrustDirectory(folder).add(new_agent_keys(tmp_path / str(number), "charger/1", "charger").identity)
    with pytest.raises(InputError, match="two agents called 'charger/1'"):
        NodeTrust([(read_identity(folder / "public.json"), folder) for folder in folders])


def test_what_one_agent_here_cannot_read_keeps_no_other_from_revoking(tmp_path):
    config = read_config(two(tmp_path), "vehicle")
    folders = [one.there(one.config.keys) for one in (config, *config.others)]
    known, other = (new_agent_keys(tmp_path / place, "charger/1", "charger").identity for place in ("known", "other"))
    second = new_agent_keys(tmp_path / "second", "charger/2", "charger").identity
    first_trusts, other_trusts = (TrustDirectory(folder) for folder in folders)
    other_trusts.add(known)
    first_trusts.add(second)
    trust = NodeTrust([(read_identity(folder / "public.json"), folder) for folder in folders])
    first_trusts.add(other)  # who stands for another's name here has no say for anybody
    first_trusts.revoke("charger/2")
    assert {agent.name: agent for agent in trust.read()} == {"charger/1": known}
    assert "two agents called 'charger/1'" in trust.troubles[0]
    assert (trust.hears("vehicle/1", "charger/1"), trust.hears("vehicle/2", "charger/1")) == (False, True)
    other_trusts.revoke("charger/1")
    assert trust.read().agent("charger/1") == other, "once nobody means the other one"


def test_a_card_that_belongs_to_another_user_is_named_with_what_to_do(tmp_path, monkeypatch):
    """A key directory is its owner's alone; the guide for Pis makes them as another user than the one who reads it."""

    def closed(*_args: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(InputError, match=r"it is another user's; run this as that user \(sudo -u NAME\), or"):
        read_identity(tmp_path / "public.json")


def test_a_node_without_a_port_takes_the_usual_one_or_if_it_is_announced_a_free_one(tmp_path):
    """Two chargers on one machine need no ports written down."""
    (tmp_path / "agent.toml").write_text('[upstream]\nname = "transformer"\n')
    loaded = read_config(tmp_path / "agent.toml", "charger")
    taken = socket.create_server(("0.0.0.0", 0))
    usual = taken.getsockname()[1]
    transport = Transport(TransportKey.new(), lambda _key: True)
    try:
        assert listen_port(loaded, transport, usual) not in (0, usual)
    finally:
        transport.close()
        taken.close()
    fixed = read_config(two(tmp_path / "fixed"), "vehicle")
    transport = Transport(TransportKey.new(), lambda _key: True)
    try:
        assert listen_port(fixed, transport, usual) == 0, "nobody connects to a car"
    finally:
        transport.close()


def test_a_log_loads_nothing_that_a_pi_has_no_use_for():
    code = "import io, sys; from wattswap.runners.node.json_log import json_log; json_log(io.StringIO()).info('x');"
    said = subprocess.run(
        [sys.executable, "-c", code + "print('rich' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "False\n"


def test_the_card_of_a_battery_stands_for_a_vehicle_and_its_charger(tmp_path):
    card = new_agent_keys(tmp_path / "battery", "battery/1", "battery").identity
    TrustDirectory(tmp_path).add(card)
    found = {(one.name, one.role) for one in TrustDirectory(tmp_path).read()}
    assert found == {("battery/1", "vehicle"), ("battery/1~inverter", "charger")}
    with pytest.raises(InputError, match="is no name for an agent"):
        new_agent_keys(tmp_path / "long", "b" * 75, "battery")
