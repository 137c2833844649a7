"""The page in a real browser: it shows what the run's tables hold, while a run goes on and afterwards."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import msgspec
import pytest
from tests.dashboard.browser import MISSING
from tests.dashboard.finished_demo import rows, show
from tests.dashboard.histories import history_of
from tests.dashboard.watched import watched

from wattswap.experiments.api import run
from wattswap.experiments.dashboard.rights import Rights
from wattswap.experiments.dashboard.serving import served
from wattswap.runners.engines.limit_order import LimitOrder
from wattswap.runners.watching.history import FEEDER_COLUMNS

SCREENS = ("street", "transformer", "rounds", "chargers", "charger/C019", "cars", "readings")

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"there is no {MISSING} here; Debian's package brings it")


def test_the_street_is_the_series_table(window, address, finished):
    series, limit_tick = rows(finished, "series"), 2262
    window.open(address)
    window.until(f"document.body.dataset.tick == '{len(series) - 1}'")
    show(window, limit_tick)
    row = series[limit_tick]
    expected = f"The transformer carries {row['load_w'] / 1000:.0f} kW of the {row['limit_w'] / 1000:.0f} kW it may."
    window.until(f"document.querySelector('h2').textContent.startsWith('{expected}')")
    assert window.complaints() == []


def test_the_squares_are_the_cars_that_are_plugged_in(window, address, finished):
    start_ms = rows(finished, "series")[0]["t_ms"]
    at_ms = start_ms + 2262 * 30_000
    plugged = [car for car in rows(finished, "cars") if car["from_ms"] <= at_ms < car["to_ms"]]
    window.open(address)
    window.until("document.body.dataset.tick > 0")
    show(window, 2262)
    window.until(f"document.querySelectorAll('.squares a').length == {len(plugged)}")
    gave = sum(car["activity"] in ("reduced", "paused") for car in plugged)
    assert window.js("return document.querySelectorAll('.squares .a-reduced, .squares .a-paused').length") == gave > 0


def test_after_relief_the_street_says_who_waits_and_whose_rent_runs(window, address, finished):
    tick = 2541
    at_ms = rows(finished, "series")[tick]["t_ms"]
    plugged = [car for car in rows(finished, "cars") if car["from_ms"] <= at_ms < car["to_ms"]]
    waiting = {car["session"] for car in plugged if car["activity"] == "waiting"}
    on_rent = {
        trade["session"]
        for trade in rows(finished, "trades")
        if trade["kind"] == "reduce" and trade["tick"] <= tick < trade["settled_tick"]
    }
    assert 0 < len(waiting & on_rent) < len(waiting)
    window.open(address)
    window.until("document.body.dataset.tick > 0")
    show(window, tick)
    said = f"{len(waiting)} cars wait for room; the rent of {len(waiting & on_rent)} of them is still running."
    window.until(f"document.querySelector('h2').textContent.endsWith('{said}')")
    assert f"{len(waiting)} wait for room" in window.js("return document.querySelector('.tiles').innerText")


def test_rounds_and_awards_are_the_tables_rows(window, address, finished):
    rounds, trades = rows(finished, "rounds"), rows(finished, "trades")
    window.open(f"{address}#rounds")
    window.until("document.body.dataset.tick > 0")
    show(window, 2879)
    window.until(f"document.querySelectorAll('tbody tr').length == {len(rounds)}")
    tick = max(rounds, key=lambda one: one["need_w"])["tick"]
    window.open(f"{address}#round/{tick}")
    sales = {
        (trade["session"], trade["kind"]) for trade in trades if trade["tick"] == tick and trade["kind"] != "forced"
    }
    window.until(f"document.querySelectorAll('tbody tr').length == {len(sales)}")


def test_a_car_knows_its_choice_and_its_wallet(window, address, finished):
    session = max(rows(finished, "sessions"), key=lambda one: one["earned_nanos"])
    window.open(f"{address}#car/{session['session']}")
    window.until("document.body.dataset.tick > 0")
    show(window, 2879)
    earned = f"{session['earned_nanos'] / 1e9:.3f} IOTA"
    window.until(f"document.querySelector('section .tiles')?.innerText.includes('{earned}')")
    assert re.search("Waiting|Netted", window.js("return document.querySelector('section .tiles').innerText"))


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (800, 480), (390, 844)])
@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_cut_off_on_any_screen(window, address, width, height, screen):
    window.size(width, height)
    window.open(f"{address}#{screen}")
    window.until("document.body.dataset.tick > 0")
    assert window.until("document.documentElement.scrollWidth") <= width


def test_on_a_phone_no_column_of_a_round_hides_behind_a_scroll(window, address, finished):
    tick = rows(finished, "rounds")[0]["tick"]
    window.size(390, 844)
    window.open(f"{address}#round/{tick}")
    window.until("document.querySelectorAll('tbody tr').length > 0")
    hidden = "[...document.querySelectorAll('.wide')].filter((one) => one.scrollWidth > one.clientWidth)"
    assert window.js(f"return {hidden}.length") == 0
    seen = window.js("return getComputedStyle(document.querySelector('td[data-title=Payment]'), '::before').content")
    assert "Payment" in seen


@pytest.mark.parametrize("screen", SCREENS)
def test_the_keyboard_reaches_every_control(window, address, screen):
    window.size(1280, 800)
    window.open(f"{address}#{screen}")
    window.until("document.querySelector('main h2')?.textContent")
    unreachable = window.js(
        "return [...document.querySelectorAll('a, button, select, input, canvas, summary')]"
        ".filter(one => one.offsetParent && one.tabIndex < 0).length"
    )
    assert unreachable == 0
    unnamed = window.js(
        "return [...document.querySelectorAll('a, button, select, input, canvas, summary')]"
        ".filter(one => one.offsetParent"
        " && !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length)).length"
    )
    assert unnamed == 0


def test_an_untouched_slider_stands_at_the_limit_in_force(window):
    history = history_of(3)
    limit_w = FEEDER_COLUMNS.index("limit_w")

    def set_limit(watts: int) -> None:
        history.add(ticks=[[watts if place == limit_w else 0 for place in range(len(FEEDER_COLUMNS))]])

    with served(history, "127.0.0.1", 0, rights := Rights.new(LimitOrder(), None)) as url:
        window.open(f"{url}#operator={rights.operator_token}")
        for watts in (250_000, 180_000):
            set_limit(watts)
            window.until(f"document.getElementById('limit')?.value == {watts}")
        window.js("const s = document.getElementById('limit'); s.value = 99000; s.dispatchEvent(new Event('input'))")
        set_limit(150_000)
        window.until("document.querySelector('.tiles').innerText.includes('limit 150 kW')")
        assert window.js("return document.getElementById('limit').value") == "99000"


@pytest.mark.parametrize("address_of", ["car/%E0%A4%A", "constructor", "__proto__", "driver=a&car=%E0%A4%A", "round/x"])
def test_an_address_that_nobody_made_shows_a_screen_all_the_same(window, address, address_of):
    window.open(f"{address}#{address_of}")
    window.until("document.body.dataset.tick > 0 && document.querySelector('main h2, main .notice')?.textContent")
    assert [text for text in window.complaints() if "transcript" not in text] == []


def test_a_name_is_a_name_whatever_it_holds(window):
    history, name = history_of(3), '"><img src=x onerror="document.title=1"><script>document.title=1</script>'
    assert history.head is not None
    cars = [msgspec.structs.replace(card, station=name, vehicle=name, strategy=name) for card in history.cards]
    history.begin(msgspec.structs.replace(history.head, name=name), cars)
    history.add(ticks=[[0] * len(FEEDER_COLUMNS)] * 3)
    history.add(cars=[[0, row, 0, 5_000, 0, 0, 0] for row in range(len(cars))])
    with served(history, "127.0.0.1", 0) as url:
        for screen in ("street", "transformer", "chargers", "cars", "car/S0", "charger/" + quote(name, safe="")):
            window.open(f"{url}#{screen}")
            window.until("document.body.dataset.tick > 0 && document.querySelector('main h2')?.textContent")
            assert window.js("return document.querySelectorAll('img, main script').length") == 0
            assert window.complaints() == []


@pytest.mark.parametrize(("limit_w", "then_w"), [(100_000, 10_000), (14_000, 14_000)])
def test_the_next_hour_is_what_homes_draw_and_cars_still_need(window, limit_w, then_w):
    """Homes of 10 kW, two cars of 5 kW that lack 2.5 kWh each: full in half an hour, unless the limit leaves 4 kW."""
    history = history_of(0)
    assert history.head is not None
    history.begin(
        history.head,
        [msgspec.structs.replace(card, need_ws=2_500 * 3_600, departure_tick=999) for card in history.cards],
    )
    history.add(ticks=[[10_000, limit_w, 10_000, 0, 10_000, 0]], cars=[[0, row, 0, 5_000, 0, 0, 0] for row in range(2)])
    with served(history, "127.0.0.1", 0) as url:
        window.open(url)
        said = window.until(
            "document.querySelector('canvas')?.getAttribute('aria-label')?.includes('in an hour') "
            "&& document.querySelector('canvas').getAttribute('aria-label')"
        )
    assert f"in an hour, by what is known now, {then_w / 1_000:.1f} kW" in said


def test_a_page_without_eventsource_says_so(window, address):
    script = "delete window.EventSource"
    added = window.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
    try:
        window.open(address)
        assert "EventSource" in window.until("document.querySelector('.notice')?.textContent")
    finally:
        window.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])


def test_the_slider_moves_the_limit_of_a_running_street(window, tmp_path):
    with watched("--speed", "1200", "--out", str(tmp_path / "run")) as (_, (page, operator)):
        window.open(page)
        window.until("document.body.dataset.tick > 5")
        assert not window.js("return document.getElementById('limit')")
        window.open(operator)
        window.until("document.getElementById('limit')")
        assert "operator" not in window.js("return location.href")
        window.js("document.getElementById('limit').value = 150000; document.getElementById('order').click()")
        window.until("document.querySelector('.tiles').innerText.includes('limit 150 kW')")
        window.open(f"{page}#rounds")
        window.until("document.querySelectorAll('tbody tr').length > 0")


def test_watching_changes_no_trade(window):
    with watched("--set", "reading_s=60", "--json") as (process, (page, _)):
        window.open(page)
        window.until("document.body.dataset.tick > 0")
        output, _ = process.communicate(timeout=300)
    assert (
        json.loads(output)["trace_hash"] == run("demo", engine="fleet", settings=["reading_s=60"]).summary["trace_hash"]
    )


def test_a_car_that_somebody_looks_at_stays_the_same_when_the_history_begins_anew(window):
    """The cars that have left are not among those of the new history, so all others have other rows."""
    history = history_of(3)
    head = history.head
    assert head is not None
    history.begin(msgspec.structs.replace(head, is_reckoned=True), history.cards)
    history.add(ticks=[[0] * len(FEEDER_COLUMNS)] * 3, cars=[[0, row, 0, 0, 0, 0, 0] for row in range(2)])
    with served(history, "127.0.0.1", 0) as address:
        window.open(f"{address}#car/S1")
        window.until("document.querySelector('h2')?.textContent.includes('C1')")
        history.begin(msgspec.structs.replace(head, is_reckoned=True, start_ms=90_000), history.cards[1:])
        history.add(ticks=[[0] * len(FEEDER_COLUMNS)] * 9, cars=[[0, 0, 0, 0, 0, 0, 0]])
        window.until("document.body.dataset.tick == '8'")
        window.until("document.querySelector('h2').textContent.startsWith('↓The car at C1')")
        window.js("location.hash = '#charger/C1'")
        window.until("document.querySelector('#screen').innerText.includes('Since')")
        assert "Current" not in window.js("return document.querySelector('#screen').innerText"), (
            "nobody told its phases"
        )
    assert window.complaints() == []
