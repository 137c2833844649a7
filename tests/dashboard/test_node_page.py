"""The page of a real transformer's node in a real browser: what the node does not know, the page does not show."""

from __future__ import annotations

import signal
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.dashboard.browser import MISSING, Browser
from tests.runners.node.street_of_nodes import AgentProcess, StreetOfNodes, until
from tests.runners.node.test_driver_page import PLUG, TOKEN, ServedCar

from wattswap.experiments.dashboard.remote import remote_run
from wattswap.experiments.dashboard.serving import served
from wattswap.protocol.events import Metered, Unplugged

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"there is no {MISSING} here; Debian's package brings it")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreetOfNodes]:
    """One in which only the transformer runs: nobody else is heard of."""
    street = StreetOfNodes(tmp_path_factory.mktemp("street"), limit_w=26_000, base_w=8_000, points=1)
    transformer = street.transformer
    transformer.start()
    try:
        until(lambda: transformer.events("dashboard"), street)
        yield street
    finally:
        assert transformer.process is not None
        transformer.process.send_signal(signal.SIGCONT)
        transformer.process.kill()
        transformer.process.wait()


@pytest.fixture
def page(street: StreetOfNodes, window: Browser) -> Browser:
    window.size(1280, 800)
    window.open(f"http://127.0.0.1:{street.dashboard_port}/")
    window.until("document.body.dataset.tick > 1")
    return window


def state(window: Browser) -> str:
    said: str = window.js("return document.getElementById('state').textContent")
    return said


@contextmanager
def frozen(agent: AgentProcess) -> Iterator[None]:
    assert agent.process is not None
    agent.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        agent.process.send_signal(signal.SIGCONT)


def test_homes_that_were_not_heard_of_draw_nothing_that_is_known_and_nothing_is_expected_of_them(page):
    said = page.until("document.querySelector('h2')?.textContent")
    assert said.startswith("What the homes draw is not heard yet: until it is, the transformer")
    figures = page.js("return [...document.querySelectorAll('.tile b')].map((one) => one.textContent)")
    assert figures[:2] == ["not known", "not known"]
    label = page.js("return document.querySelector('canvas').ariaLabel")
    assert "in an hour, by what is known now, not known" in label


def test_a_node_offers_no_look_ups_and_its_page_asks_for_none(page):
    assert page.js("return document.getElementById('readings').hidden")
    for screen, says in (("readings", "No signed readings here"), ("round/1", "A street of nodes keeps no journal")):
        page.js(f"location.hash = '{screen}'")
        page.until(f"document.body.dataset.screen == '{screen}' && document.body.innerText.includes('{says}')")
        page.until("document.body.innerText.includes('Signed readings come with wattswap run --ledger')")
    assert page.complaints() == []


def test_another_machines_screen_asks_for_no_look_ups_either(street, window):
    with remote_run(f"127.0.0.1:{street.dashboard_port}") as history, served(history, "127.0.0.1", 0) as url:
        window.open(f"{url}#readings")
        window.until("document.body.innerText.includes('No signed readings here')")
        assert window.complaints() == []


def test_the_page_of_a_frozen_node_says_since_when_there_is_no_news_until_there_is_again(street, page):
    page.until("document.getElementById('state').textContent.startsWith('transformer, running')")
    with frozen(street.transformer):
        page.until("document.getElementById('state').textContent.startsWith('No news since ')", within_s=15)
        assert state(page).endswith(": the street may have stopped")
        assert page.js("return document.getElementById('state').classList.contains('bad')")
    page.until("document.getElementById('state').textContent.startsWith('transformer, running')")


def test_a_drivers_page_says_that_nothing_is_known_where_the_charger_has_not_told_it(window):
    car = ServedCar()
    with closing(car.page):
        car.sensor.told("charger/1", Metered(7, 11_000, 0, 11_000, 11_000, 0))
        car.page.look(car.agent, (0, 0))
        window.open(f"http://127.0.0.1:{car.page.port}/#token={TOKEN}")
        window.until("document.getElementById('says').textContent == 'vehicle/1 charges at charger/1'")
        car.page._lease_s = 0.0
        window.until("document.getElementById('says').textContent.includes('no news any more from its charger')")
        shown = "['power', 'missing'].map((id) => document.getElementById(id).textContent)"
        assert window.js(f"return {shown}") == ["not known", "not known"]
        car.page._lease_s = 60.0
        car.sensor.told("charger/1", Unplugged(7, 0, 0))
        car.sensor.told("charger/1", PLUG)
        car.page.look(car.agent, (0, 0))
        window.until("document.getElementById('says').textContent.includes('which has not said yet what it draws')")
    window.until("document.getElementById('says').textContent.includes('does not answer')")
