"""A driver's screen in a real browser: what is said there reaches the car, and the screens show what agents hold."""

from __future__ import annotations

import pytest
from tests.dashboard.browser import MISSING
from tests.dashboard.watched import watched

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"there is no {MISSING} here; Debian's package brings it")


def test_a_veto_reaches_its_car_and_only_its_driver_can_say_it(window, tmp_path):
    window.size(1280, 800)
    with watched("--speed", "2400", "--out", str(tmp_path / "run")) as (_, (page, operator)):
        window.open(page)
        car = window.until("document.querySelector('.squares a')?.getAttribute('href')")
        window.open(page + car)
        window.until("document.querySelectorAll('.tile').length > 0")
        assert not window.js("return document.getElementById('veto') || document.getElementById('address')")
        window.open(operator)
        window.until("document.getElementById('limit')")
        window.open(page + car)
        window.until("document.getElementById('address')")
        window.js("document.getElementById('address').click()")
        address = window.until("/^http.*/.exec(document.querySelector('.address').textContent)?.[0]")
        window.js("sessionStorage.clear()")
        window.open(address)
        window.until("document.getElementById('veto')")
        assert "driver=" not in window.js("return location.href")
        unnamed = "one => !one.textContent && !one.labels?.length"
        assert window.js(f"return ![...document.querySelectorAll('form button, form input')].some({unnamed})")
        window.js("document.getElementById('veto').click()")
        window.until("document.body.innerText.includes('its driver said: charge at once, and sell nothing')")
        window.js("document.getElementById('by').value = '23:00'; document.getElementById('full-by').click()")
        window.until("document.body.innerText.includes('its driver said: be full by Sun 23:00, and sell nothing')")
        window.js("document.getElementById('sell').click()")
        window.until("document.body.innerText.includes('its driver said: decide by itself again.')")
        window.js("document.getElementById('range').value = '100'; document.getElementById('at-least').click()")
        window.until("document.body.innerText.includes('said: keep 18.0 kWh in the battery')")
        assert window.complaints() == []


def test_screens_of_a_running_street_show_offers_grants_leases_and_the_account(window, tmp_path):
    with watched("--speed", "2400", "--out", str(tmp_path / "run")) as (_, (_, operator)):
        window.open(operator)
        window.until("document.getElementById('limit')")
        window.js("document.getElementById('limit').value = 150000; document.getElementById('order').click()")
        window.js("location.hash = 'transformer'")
        window.until("document.querySelectorAll('tbody tr').length > 3")
        shown = window.js("return document.querySelector('.tiles').innerText")
        assert all(word in shown for word in ("Free to promise", "Reserved", "in force", "°C"))
        window.js("location.hash = 'chargers'")
        charger = window.until(
            "[...document.querySelectorAll('tbody tr')].find(one => one.querySelector('.a-charging, .a-catching-up'))"
            "?.querySelector('a').getAttribute('href')"
        )
        window.js(f"location.hash = '{charger}'")
        window.until("document.querySelector('main').innerText.includes('Lease left')")
        assert "granted" in window.js("return document.querySelector('main').innerText")
