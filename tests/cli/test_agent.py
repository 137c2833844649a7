"""``wattswap agent``: what keeps an agent from starting is one clear line. How agents run: tests/runners/node."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import cast

import pytest
from tests.pages import DOCS

from wattswap.runners.engines.sqlite_store import SqliteStore
from wattswap.runners.node.config import ChargerConfig, TransformerConfig, VehicleConfig, read_config
from wattswap.runners.node.roles import Role

UPSTREAM = '[upstream]\nname = "transformer"\n'


def written(tmp_path: Path, text: str) -> str:
    (tmp_path / "agent.toml").write_text(text)
    return "agent.toml"


@pytest.mark.parametrize(
    ("role", "text", "what"),
    [
        ("charger", "keyz = 'k'\n" + UPSTREAM, "there is no key keyz; did you mean keys?"),
        ("charger", UPSTREAM + "[point]\nmax_kw = 11\n", "there is no key point.max_kw; did you mean point.max_w?"),
        ("charger", UPSTREAM + "[point]\nmax_w = 'much'\n", "point.max_w must be a"),
        ("charger", UPSTREAM + "[point]\nphases = 4\n", "point.phases is 4; choose 1 to 3"),
        (
            "charger",
            UPSTREAM + "[car]\nfeed_w = 1\n",
            "this is the configuration of a vehicle, not of a charger: wattswap",
        ),
        (
            "transformer",
            UPSTREAM,
            "this is the configuration of a charger or a vehicle or a household, not of a transf",
        ),
        ("charger", UPSTREAM + "[car]\n[point]\n", "there is no key car"),
        ("charger", "", "upstream is missing; it must be a table"),
        ("transformer", "", "site is missing; it must be a table"),
        ("transformer", "[site]\n", "site.limit_w is missing"),
        ("vehicle", UPSTREAM + "[market]\nbeat_ms = 1500\n", "it must be whole seconds"),
        ("vehicle", UPSTREAM + "[market]\ndeadline_ms = 1000\n", "it must be less than a heartbeat"),
        ("vehicle", UPSTREAM + "[upstrem]\n", "did you mean upstream?"),
        ("battery", UPSTREAM + "[battery]\ncapacity_wh = 1\nmax_w = 11_000\n", "empties 1 Wh within a minute"),
        (
            "battery",
            UPSTREAM + "[battery]\ncapacity_wh = 9_000\nmax_w = 5_000\nreserve_pct = 90\n",
            "battery.reserve_pct is 90, above battery.initial_pct (80)",
        ),
        ("vehicle", "name = ", "not valid TOML"),
        ("vehicle", UPSTREAM, "`wattswap keys new keys --agent NAME --role ROLE`"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_line_with_path_and_nearest_name(say, tmp_path, role, text, what):
    code, out, err = say("agent", role, "--config", written(tmp_path, text))
    assert (code, out, err.count("\n"), what in err) == (2, "", 1, True), err
    assert "agent.toml" in err or "keys" in err


def test_a_file_that_is_not_there_and_a_role_that_is_none(say):
    assert "cannot be read (No such file or directory)" in say("agent", "charger", "--config", "none.toml")[2]
    assert "'chrger' is not one of" in say("agent", "chrger", "--config", "none.toml")[2]


def keys(say, name: str = "charger/7", role: str = "charger") -> None:
    say("keys", "new", "./keys", "--agent", name, "--role", role)


def test_keys_of_another_role_are_refused(say, tmp_path):
    keys(say, "vehicle/1", "vehicle")
    code, out, err = say("agent", "charger", "--config", written(tmp_path, UPSTREAM))
    assert (code, out, "are the keys of a vehicle, not of a charger" in err) == (2, "", True), err


def test_an_upstream_that_is_not_trusted_is_named_with_what_to_do(say, tmp_path):
    keys(say)
    listen = '[listen]\nhost = "127.0.0.1"\nport = 0\n[discovery]\nuse = "no"\n'
    code, out, err = say("agent", "charger", "--config", written(tmp_path, UPSTREAM + listen))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "upstream.name is transformer, which this agent does not trust: wattswap keys trust" in err


def test_a_key_that_others_can_read_and_a_port_that_is_taken(say, tmp_path):
    keys(say)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = f'{UPSTREAM}[listen]\nhost = "127.0.0.1"\nport = {port}\n[discovery]\nuse = "no"\n'
        code, _, err = say("agent", "charger", "--config", written(tmp_path, text))
    assert (code, f"port {port} of 127.0.0.1 is taken" in err) == (2, True), err
    (tmp_path / "keys/signing.key").chmod(0o644)
    code, _, err = say("agent", "charger", "--config", "agent.toml")
    assert (code, "chmod 600" in err) == (2, True), err


def test_an_agent_that_runs_already_is_named_before_its_port(say, tmp_path):
    keys(say)
    (tmp_path / "state").mkdir()
    with SqliteStore(tmp_path / "state/host.sqlite"):
        code, _, err = say("agent", "charger", "--config", written(tmp_path, UPSTREAM))
    assert (code, "agent.toml: charger/7 runs already" in err, "a port of its own" in err) == (2, True, True), err


def test_the_configurations_that_the_page_shows_can_be_read(tmp_path):
    roles = {
        "transformer": "transformer",
        "point": "charger",
        "car": "vehicle",
        "home": "household",
        "cellar": "battery",
    }
    page = (DOCS / "nodes.md").read_text()
    shown = re.findall(r"```toml\n# (\w+)/agent\.toml\n(.*?)```", page, re.DOTALL)
    assert {place for place, _ in shown} == set(roles)
    for place, text in shown:
        path = tmp_path / f"{place}.toml"
        path.write_text(text)
        assert read_config(path, cast("Role", roles[place])).rules.tick_ms == 1_000


@pytest.mark.parametrize(
    ("role", "text", "usual"),
    [("transformer", "[site]\nlimit_w = 1\n", 8_090), ("charger", UPSTREAM, 8_080), ("vehicle", UPSTREAM, 8_081)],
)
def test_whoever_writes_a_page_gets_one_at_the_usual_port_and_nobody_else(tmp_path, role, text, usual):
    def port(page: str) -> int:
        config = read_config(tmp_path / written(tmp_path, text + page), role).config
        assert isinstance(config, TransformerConfig | ChargerConfig | VehicleConfig)
        return config.page.port

    assert port('[page]\nhost = "0.0.0.0"\n') == port("[page]\n") == usual
    assert port("[page]\nport = 9000\n") == 9_000
    assert port("") == port('[page]\nhost = "0.0.0.0"\nport = 0\n') == 0
