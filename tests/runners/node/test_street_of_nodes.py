"""Agents as commands of their own, with keys, encrypted sockets and the wall's clock: what a street of Pis does.

The heartbeat is a second and a window ten; nothing here is timed but for patience.
"""

from __future__ import annotations

import json
import shutil
import signal
import time
import urllib.request
from datetime import datetime
from typing import Any

import pytest
from tests.runners.node.street_of_nodes import StreetOfNodes, running, until

from wattswap.ledger.book import wallet
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.runners.engines.sqlite_store import SqliteStore
from wattswap.runners.node.messenger import SILENT_BEATS
from wattswap.runners.node.trust import TrustDirectory

LEASE_S = 5


def power_w(charger) -> int | None:
    """What a charger last set, or nothing."""
    powers = charger.events("power")
    return powers[-1]["import_w"] if powers else None


@pytest.fixture
def street(tmp_path) -> StreetOfNodes:
    """8 kW of homes and two cars of 11 kW under a limit of 26 kW: somebody has to give way."""
    return StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=2)


def allowed(port: int) -> dict[str, Any] | None:
    """What a charger's page says while its car may draw something."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
        said: dict[str, Any] = json.load(answer)
    return said if said["maxconsumptionpower"] else None


def awards(street: StreetOfNodes) -> list[dict[str, Any]]:
    return street.transformer.events("NoteAward")


def test_a_car_gives_way_is_paid_and_all_end_when_told(tmp_path):
    ledger = '[ledger]\nwhere = "sqlite:tokens.sqlite"\npay = "each"\n'
    street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=2, need_wh=30, ledger=ledger)
    with running(street):
        until(lambda: power_w(street.chargers[0]), street)
        said = until(lambda: allowed(street.page_port), street)
        assert said["maxconsumptionpower"] <= 11_000
        assert 0 < said["lease_left_ms"] <= LEASE_S * 1_000
        trade = until(lambda: street.transformer.events("NoteTrade"), street)[0]
        assert sum(trade["nanos"]) > 0
        assert 0 < trade["returned_ws"] <= sum(trade["delivered_ws"])
        assert not trade["disputed"]
        assert trade["session"] >= 1 << 31, "numbers are minted by the charger, 52 bits wide"
        until(lambda: street.transformer.events("paid"), street)
        powers = [power["import_w"] for charger in street.chargers for power in charger.events("power")]
        assert any(0 < each < 11_000 for each in powers), "somebody shared"
        codes = {agent.name: agent.end(signal.SIGTERM) for agent in street.all[1:]}
        assert set(codes.values()) == {0}
        assert street.transformer.end(signal.SIGINT) == 130
    assert [agent.err() for agent in street.all] == [""] * len(street.all)
    trades = street.transformer.events("NoteTrade")
    with SqliteLedger(street.transformer.folder / "tokens.sqlite", reads_only=True) as tokens:
        earned = sum(tokens.balance(wallet(car.name)) for car in street.cars)
    assert earned == sum(sum(each["nanos"]) for each in trades), "every reward lies in its car's wallet"
    everything = "".join((agent.folder / "log").read_text() for agent in street.all)
    for agent in street.all:
        secret = json.loads((agent.folder / "keys/transport.key").read_text())["secret_key"]
        assert secret not in everything
        assert json.loads((agent.folder / "keys/signing.key").read_text())["secret_seed"] not in everything


MOODY = """
from wattswap.agents.offers import OfferBook


def moody(call, own, memory, draws):
    if call.from_ms > 10_000_000_000:  # by the clock of a node: not when it is tried
        raise RuntimeError("not in the mood")
    return OfferBook.keep(own)
"""


def test_a_car_whose_strategy_fails_goes_on_charging_and_the_others_negotiate(tmp_path):
    (tmp_path / "moody.py").write_text(MOODY)
    strategies = [f"{tmp_path / 'moody.py'}:moody"]
    street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=2, strategies=strategies)
    with running(street):
        dropped = until(lambda: street.cars[0].events("dropped"), street)[0]
        assert dropped["about"] == "Sealed of charger/0"
        assert "RuntimeError: not in the mood" in dropped["why"]
        until(lambda: awards(street), street)
        assert street.cars[0].process is not None
        assert street.cars[0].process.poll() is None
        until(lambda: power_w(street.chargers[0]) == 11_000, street)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param([signal.SIGSTOP], id="frozen"),
        pytest.param([signal.SIGKILL], id="killed", marks=pytest.mark.long),
        pytest.param([signal.SIGKILL, signal.SIGSTOP] * 20, id="40 times", marks=pytest.mark.long),
    ],
)
def test_without_the_transformer_every_charger_falls_back_and_comes_back_with_it(street, how):
    with running(street):
        for signal_sent in how:
            until(lambda: all(power_w(charger) for charger in street.chargers), street)
            lose_and_give_back(street, signal_sent)
        done = len(awards(street))
        until(lambda: len(awards(street)) > done, street)


def lose_and_give_back(street: StreetOfNodes, how: signal.Signals) -> None:
    """Take the transformer away until every charger has fallen back, and wait until all have grants again."""
    transformer = street.transformer
    assert transformer.process
    if how is signal.SIGKILL:
        transformer.end(how)
    else:
        transformer.process.send_signal(how)
    lost = time.monotonic()
    until(lambda: all(power_w(charger) == 0 for charger in street.chargers), street)
    assert time.monotonic() - lost < LEASE_S + 5, "the lease, and room for a slow machine"
    assert all(charger.events("power")[-1]["why"] == "lease over" for charger in street.chargers)
    before = [len(charger.events("power")) for charger in street.chargers]
    if how is signal.SIGKILL:
        transformer.start()
    else:
        transformer.process.send_signal(signal.SIGCONT)
    until(lambda: all(power_w(charger) for charger in street.chargers), street)
    assert all(len(charger.events("power")) > n for charger, n in zip(street.chargers, before, strict=True))


def test_the_transformer_says_which_charger_is_lost_and_until_when_it_reckons_with_it(tmp_path):
    street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=1)
    transformer, charger = street.all = [street.transformer, street.chargers[0]]
    with running(street):
        until(lambda: transformer.events("linked"), street)
        assert charger.process is not None
        charger.process.send_signal(signal.SIGSTOP)
        lost = until(lambda: transformer.events("lost"), street)[0]
        assert lost["peer"] == "charger/0"
        with pytest.raises(TimeoutError):  # its page answers nothing: whoever reads it has to fall back by itself
            urllib.request.urlopen(f"http://127.0.0.1:{street.page_port}/", timeout=0.5)
        silent_s = datetime.fromisoformat(lost["timestamp"]) - datetime.fromisoformat(lost["reckoned_with_until"])
        assert abs(silent_s.total_seconds() + LEASE_S - SILENT_BEATS) < 3, "a lease after it was last heard"
        told = len(transformer.events("linked"))
        charger.process.send_signal(signal.SIGCONT)
        until(lambda: transformer.events("linked")[told:], street)


@pytest.mark.long
def test_a_charger_that_crashes_goes_on_with_its_session(street):
    with running(street):
        until(lambda: awards(street), street)
        charger = street.chargers[0]
        [session] = {power["session"] for power in charger.events("power")}
        charger.end(signal.SIGKILL)
        told = len(charger.events("power"))
        charger.start()
        until(lambda: len(charger.events("power")) > told, street)
        assert {power["session"] for power in charger.events("power")} == {session}
        assert charger.events("started")[-1]["restarted"]


def test_a_node_whose_state_is_lost_is_heard_again_at_once(tmp_path):
    """It cannot know how often it has started, and others remember it."""
    street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=0)
    home = street.household
    state = home.folder / "state"
    state.mkdir(mode=0o700)
    with SqliteStore(state / "host.sqlite") as earlier:
        earlier.next_epoch()
    with running(street):
        until(lambda: home.events("linked"), street)
        home.end(signal.SIGKILL)
        shutil.rmtree(state)
        home.start()
        until(lambda: len(home.events("linked")) > 1 or home.events("rejected"), street)
        assert not home.events("rejected")


METERED = """
[device]
kind = "file"
source = "meter"
fields = { power = "power_w", imported = "imported", energy_unit = "Wh", plugged = "plugged" }
"""


@pytest.mark.long
def test_a_charger_whose_state_is_lost_charges_its_car_in_another_session_which_is_billed(tmp_path):
    street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=1)
    [charger] = street.chargers
    with (charger.folder / "agent.toml").open("a") as file:
        file.write(METERED)

    def show(imported_wh: int, *, plugged: bool) -> None:
        (charger.folder / "new").write_text(json.dumps({"power_w": 0, "imported": imported_wh, "plugged": plugged}))
        (charger.folder / "new").replace(charger.folder / "meter")

    show(0, plugged=True)
    with running(street):
        until(lambda: power_w(charger), street)
        charger.end(signal.SIGKILL)
        shutil.rmtree(charger.folder / "state")
        told = len(charger.events("power"))
        charger.start()
        until(lambda: any(power["import_w"] for power in charger.events("power")[told:]), street)
        before, after = (
            {power["session"] for power in powers if power["import_w"]}
            for powers in (charger.events("power")[:told], charger.events("power")[told:])
        )
        assert before
        assert not before & after
        show(10, plugged=True)
        time.sleep(2)
        show(10, plugged=False)
        billed = until(lambda: street.transformer.events("billed"), street)[0]
        assert {billed["session"]} == after
        assert billed["billed_nanos"] == 10 * 3_000_000, "10 Wh at 3 tokens a kWh"


@pytest.mark.long
def test_a_transformer_whose_state_is_lost_learns_of_the_plugged_cars_again(tmp_path):
    street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=1)
    with running(street):
        until(lambda: power_w(street.chargers[0]), street)
        street.transformer.end(signal.SIGKILL)
        shutil.rmtree(street.transformer.folder / "state")
        until(lambda: not power_w(street.chargers[0]), street)
        street.transformer.start()
        until(lambda: power_w(street.chargers[0]), street)


@pytest.mark.long
def test_a_car_that_is_revoked_is_cut_off_and_another_stays(street):
    with running(street):
        until(lambda: all(power_w(charger) for charger in street.chargers), street)
        TrustDirectory(street.chargers[0].folder / "keys").revoke("vehicle/0")
        until(lambda: street.chargers[0].events("revoked"), street)
        until(lambda: street.cars[0].events("refused-by"), street)
        until(lambda: [one for one in street.chargers[0].events("stranger") if "revoked" in one["detail"]], street)
        assert not street.cars[1].events("lost")


@pytest.mark.long
def test_a_driver_says_not_today_on_the_cars_page_and_the_other_car_gives_way(street):
    car, charger = street.cars[0], street.chargers[0]
    with running(street):
        until(lambda: car.events("linked") and power_w(charger), street)
        url = (car.folder / "state" / "driver.url").read_text().strip()
        page, _, token = url.partition("#token=")
        sent = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        wish = urllib.request.Request(f"{page}wish", b'{"wish": "veto"}', sent)
        assert urllib.request.urlopen(wish, timeout=20).status == 200
        until(lambda: power_w(charger) == 11_000, street)
        said = len(awards(street))
        until(lambda: len(awards(street)) > said, street)
        session = charger.events("power")[-1]["session"]
        assert session not in {award["session"] for award in awards(street)[said:]}
        assert token not in (car.folder / "log").read_text()
