"""What the guide for a street of Pis hands out: configurations that are read, and a unit whose command there is."""

from __future__ import annotations

import re
import socket
from configparser import ConfigParser
from pathlib import Path
from typing import cast

import click
import pytest
from tests.pages import DOCS

from wattswap import cli
from wattswap.runners.node.config import ChargerConfig, HouseholdConfig, TransformerConfig, VehicleConfig, read_config
from wattswap.runners.node.roles import Role
from wattswap.runners.node.service_manager import EVERY_MS, ServiceManager

DEPLOY = Path(__file__).parents[3] / "deploy"
FOLDERS = sorted((DEPLOY / "street").iterdir())


def role_of(folder: Path) -> Role:
    return cast("Role", (folder / "role").read_text().strip().removeprefix("ROLE="))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_agent_of_the_street_has_a_configuration_that_is_read(folder: Path):
    loaded = read_config(folder / "agent.toml", role_of(folder))
    assert loaded.there(loaded.config.state) == Path("/var/lib/wattswap") / folder.name


def test_whoever_is_named_above_is_there():
    names = {folder.name.replace("-", "/") for folder in FOLDERS}
    for folder in FOLDERS:
        config = read_config(folder / "agent.toml", role_of(folder)).config
        if isinstance(config, ChargerConfig | VehicleConfig | HouseholdConfig):
            assert config.upstream.name in names


def test_the_ledger_of_a_public_network_that_the_guide_shows_is_read(tmp_path):
    [shown] = re.findall(r"```toml\n(\[ledger\].*?)```", (DOCS / "pis.md").read_text(), re.DOTALL)
    (tmp_path / "agent.toml").write_text("[site]\nlimit_w = 26_000\n" + shown)
    config = read_config(tmp_path / "agent.toml", "transformer").config
    assert isinstance(config, TransformerConfig)
    assert (config.ledger.allow, config.ledger.wallets) == ("2304aa97", "wallets")


def test_the_unit_runs_a_command_that_there_is():
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "wattswap@.service")
    program, command, role, *rest = unit["Service"]["ExecStart"].split()
    assert (program, role, rest[0]) == ("/opt/wattswap/bin/wattswap", "${ROLE}", "--config")
    found = cli.wattswap.get_command(click.Context(cli.wattswap), command)
    assert found is not None
    assert "--config" in {option for parameter in found.params for option in parameter.opts}
    assert int(unit["Service"]["WatchdogSec"]) * 1_000 >= 4 * EVERY_MS
    assert unit["Service"]["RestartPreventExitStatus"] == str(cli.BAD_INPUT)


def test_systemd_hears_that_a_node_is_ready_and_now_and_then_that_it_turns(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        service = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        service.ready()
        for now_ms in range(1_000, 1_000 + EVERY_MS + 1, 100):
            service.turned(now_ms)
        assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
    service.turned(10 * EVERY_MS)  # nobody listens any more, and that is nobody's trouble
    ServiceManager({}).ready()
