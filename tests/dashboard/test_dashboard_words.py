"""What the page says and draws of a street that is made up for it, row by row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.dashboard.browser import MISSING, Browser
from tests.dashboard.histories import CARS, history_of

from wattswap.experiments.dashboard.rights import Rights
from wattswap.experiments.dashboard.serving import served
from wattswap.runners.engines.driver_wishes import DriverWishes
from wattswap.runners.engines.limit_order import LimitOrder
from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.recording.record import ROUND_COLUMNS, TradeRow
from wattswap.runners.watching.columns import ASK, PRICE
from wattswap.runners.watching.history import FEEDER_COLUMNS, HOMES, History

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"there is no {MISSING} here; Debian's package brings it")

TICKS = 20


def street(*, ticks: int = TICKS, activity: str = "charging", **watts: int) -> History:
    """Two cars that do the same all the time."""
    history = history_of(0)
    history.add(
        ticks=[[watts.get(name, 0) for name in FEEDER_COLUMNS]] * ticks,
        cars=[[0, row, ACTIVITIES.index(activity), 5_000, 0, 0, 0] for row in range(2)],
    )
    return history


def headline(window: Browser) -> str:
    said: str = window.until("document.querySelector('main h2')?.textContent")
    return said


def test_where_cars_feed_more_than_they_draw_homes_end_at_the_load_and_what_is_fed_stands_above(window):
    history = street(base_w=20_000, export_w=15_000, limit_w=30_000, activity="feeding")
    history.end("complete")
    with served(history, "127.0.0.1", 0) as url:
        window.size(1280, 800)
        window.open(url)
        window.until("document.body.dataset.tick > 0")
        window.until("document.querySelector('.legend').innerText.includes('fed by cars')")
        column: list[list[int]] = window.js(
            "const one = document.querySelector('canvas'), x = Math.round(one.width / 2);"
            "const data = one.getContext('2d').getImageData(x, 0, 12, one.height).data, rows = [];"
            "for (let y = 0; y < one.height; y++) for (let x = 0; x < 12; x++)"
            " rows.push([y, ...data.slice((y * 12 + x) * 4, (y * 12 + x) * 4 + 3)]);"
            "return rows"
        )
    homes = {y for y, *colour in column if colour == [0xB8, 0xBC, 0xC2]}
    fed = {y for y, *colour in column if colour == [0x00, 0x7A, 0x58]}
    assert max(fed) < min(homes), "what is fed is drawn over the homes"
    assert (max(homes) - min(homes)) / (max(homes) - min(fed)) == pytest.approx(5 / 20, abs=0.05)


def test_a_transformer_without_room_says_who_waits(window):
    with served(street(base_w=9_000, limit_w=9_000, activity="waiting"), "127.0.0.1", 0) as url:
        window.open(f"{url}#transformer")
        assert headline(window) == "The transformer asks nobody now. 2 cars wait for room."


@pytest.mark.parametrize(
    ("why", "says"),
    [
        ("unheard", "its charger has not said yet what it wants and does"),
        ("silent", "Its charger is not heard of any more"),
        ("quiet", "it grants nothing until 00:10:00, when every grant from before is certainly over"),
    ],
)
def test_of_a_car_of_which_nothing_is_known_the_page_says_why_and_shows_no_figure(window, why, says):
    history = street(base_w=9_000, limit_w=90_000, activity="full")
    assert history.head is not None
    history.begin(msgspec.structs.replace(history.head, quiet_ticks=TICKS if why == "quiet" else 0), history.cards)
    history.add(ticks=[[9_000, 90_000, 0, 0, 0, 0]] * TICKS, unknown=[[0, row, why] for row in range(2)])
    with served(history, "127.0.0.1", 0) as url:
        window.open(f"{url}#car/S1")
        window.until(f"document.body.innerText.includes('{says}')")
        shown = window.js("return document.querySelector('.tile').innerText.split('\\n')")
        assert shown[:2] == ["Power now", "not known"]
        window.js("location.hash = 'cars'")
        window.until("document.querySelector('table')?.ariaLabel == 'Cars'")
        assert "full" not in window.js("return document.querySelector('table').innerText")
        window.js("location.hash = 'transformer'")
        window.until("document.querySelector('main section').ariaLabel == 'Transformer'")
        assert "room for everyone" not in headline(window)


def test_a_car_waits_for_the_homes_where_those_are_not_heard_of_and_not_for_room(window):
    history = street(base_w=9_000, limit_w=9_000, activity="waiting")
    history.add(unknown=[[10, HOMES, "silent"]])
    with served(history, "127.0.0.1", 0) as url:
        window.open(f"{url}#car/S1")
        window.until("document.body.innerText.includes('does not hear what the homes draw')")
        window.js("location.hash = 'street'")
        window.until("document.querySelector('h2').textContent.startsWith('What the homes draw is not heard any more')")


def test_moments_at_which_the_homes_were_not_heard_of_are_not_averaged_into_the_next_hour(window):
    history = street(ticks=10, limit_w=90_000)
    history.add(ticks=[[8_000, 90_000, 0, 0, 0, 0]] * 2, unknown=[[0, HOMES, "unheard"], [10, HOMES, ""]])
    with served(history, "127.0.0.1", 0) as url:
        window.open(url)
        window.until("document.querySelector('canvas')?.ariaLabel.endsWith('by what is known now, 8.0 kW.')")


def test_a_street_that_stands_still_is_said_to_though_its_server_goes_on(window):
    history = street(base_w=9_000, limit_w=90_000)
    assert history.head is not None
    history.begin(msgspec.structs.replace(history.head, beat_ms=100), history.cards)
    history.add(ticks=[[9_000, 90_000, 0, 0, 0, 0]] * TICKS)
    with served(history, "127.0.0.1", 0) as url:
        window.open(url)
        said = "document.getElementById('state').textContent == 'No news since 00:09:30: the street may have stopped'"
        window.until(said, within_s=15)
        history.add(ticks=[[9_000, 90_000, 0, 0, 0, 0]])
        window.until("document.getElementById('state').textContent.startsWith('lane, running')", within_s=5)


def test_a_call_that_bought_nothing_has_no_price(window):
    history = street(base_w=9_000, limit_w=8_000)
    assert history.head is not None
    given = {"tick": 3, "feeder": 0, "need_w": 1_000, "called": 2, "kept": 2}
    history.add(rounds=[[given.get(name, 0) for name in history.head.round_columns]])
    with served(history, "127.0.0.1", 0) as url:
        window.open(f"{url}#rounds")
        cells = "[...document.querySelectorAll('tbody td')].map((one) => [one.dataset.title, one.textContent])"
        window.until(f"{cells}.length > 0")
        assert window.js(f"return {cells}.at(-1)") == ["Highest price, IOTA per kWh and hour", "–"]


def test_a_car_says_why_it_charges_and_what_its_driver_wants(window):
    history = street(ticks=100, base_w=9_000, limit_w=90_000)
    stated_ms, tick_ms = 90 * 30_000, 30_000
    with served(history, "127.0.0.1", 0) as url:
        window.open(f"{url}#car/S1")
        window.until("document.body.innerText.includes('It has not given way so far.')")
        for tick, wish, said, why in (
            (10, [0, 10 * tick_ms, 0], "charge at once, and sell nothing", "wants it charged at once"),
            (20, [0, 80 * tick_ms, 0], "be full by 00:40, and sell nothing", "wants it to sell nothing"),
            (30, [0, stated_ms, 0], "sell nothing", "wants it to sell nothing"),
            (40, [1, stated_ms, 18_000], "keep 18.0 kWh in the battery", "wants 18.0 kWh kept in the battery"),
            (50, [1, stated_ms, 0], "decide by itself again", "It has not given way so far."),
        ):
            history.add(wishes=[[tick, 1, *wish]])
            window.until(f"document.body.innerText.includes('its driver said: {said}.')")
            window.until(f"document.body.innerText.includes('{why}')")


def test_an_address_with_a_token_counts_in_a_window_that_shows_the_page_already(window):
    history = street(base_w=9_000, limit_w=90_000)
    assert history.head is not None
    history.begin(msgspec.structs.replace(history.head, hears_drivers=True), history.cards)
    history.add(ticks=[[0] * len(FEEDER_COLUMNS)] * TICKS, cars=[[0, row, 0, 5_000, 0, 0, 0] for row in range(2)])
    rights = Rights.new(LimitOrder(), DriverWishes())
    with served(history, "127.0.0.1", 0, rights) as url:
        window.open(url)
        window.until("document.body.dataset.tick > 0")
        assert not window.js("return document.getElementById('limit')")
        window.js(f"location.hash = 'operator={rights.operator_token}'")
        window.until("document.getElementById('limit')")
        assert window.js("return location.hash") == "#street"
        window.js(f"location.hash = 'driver={rights.driver_token('car-1')}&car=car-1'")
        window.until("document.getElementById('veto')?.textContent == 'Charge now, sell nothing'")
        assert window.js("return location.hash") == "#driven/car-1"


def a_call_that_one_car_answered() -> History:
    """One of everything: a car, a charger, a call, an offer, a sale that is settled."""
    one, history = msgspec.structs.replace, History()
    head = history_of(0).head
    assert head is not None
    history.begin(one(head, name="one", is_live=True), [one(CARS[0], need_ws=36_000_000)])
    call = {
        "tick": 2,
        "need_w": 4_000,
        "called": 1,
        "offered_w": 4_000,
        "awarded_w": 3_000,
        PRICE: 10**9,
        "reduce_awards": 1,
    }
    trade: dict[str, int | str] = {
        "tick": 2,
        "settled_tick": 9,
        "session": "S0",
        "kind": "reduce",
        "tranche": 1,
        "awarded_w": 3_000,
    }
    trade |= {
        "offered_w": 4_000,
        "nanos": 10**9,
        "delivered_ws": 3_600_000,
        PRICE: 10**9,
        ASK: 5 * 10**8,
        "status": "paid",
    }
    history.add(
        ticks=[[1_000] * len(FEEDER_COLUMNS)] * TICKS,
        cars=[[0, 0, ACTIVITIES.index("charging"), 5_000, 0, 0, 0]],
        grants=[[0, 0, 11_000, 60_000]],
        rounds=[[call.get(name, 0) for name in ROUND_COLUMNS]],
        offers=[[2, 0, 0, 1, 4_000, 5 * 10**8]],
        awards=[[2, 0, 0, 1, 3_000, 10**9]],
        trades=[[trade.get(name, 0) for name in TradeRow._fields]],
    )
    return history


COUNTED = {"Cars asked", "Kept charging", "Cars that draw less", "Cars that feed"}
"""Columns of figures that have no unit, for they count what they are named after."""


@pytest.fixture
def screens_of_one(window) -> Iterator[dict[str, str]]:
    """The text of each screen of a street with one of everything, by its address; their tables stay in the page."""
    with served(a_call_that_one_car_answered(), "127.0.0.1", 0) as url:
        window.open(url)
        window.until("document.querySelector('.squares a')")
        window.js("window.columns = []")
        texts: dict[str, str] = {}
        for screen in ("street", "transformer", "rounds", "round/2", "chargers", "charger/C0", "cars", "car/S0"):
            window.js(f"location.hash = '{screen}'")
            window.until(f"document.body.dataset.screen == '{screen}'")
            texts[screen] = window.js("return document.body.innerText")
            window.js(FIGURES)
        yield texts


FIGURES = """
for (const table of document.querySelectorAll('main table')) for (const head of table.tHead.rows[0].cells) {
  const cells = [...table.tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent);
  if (head.className === 'n') window.columns.push([head.textContent, ...cells]);
}
"""
"""Keep the columns of figures of all tables that the screen has."""


def test_one_of_a_thing_is_not_told_as_several(screens_of_one):
    several = re.compile(
        r"\b1 (?:of 1 )?(cars|chargers|calls|offers|records|sales|sessions|messages)\b|\b1 (have|are|were)\b"
    )
    assert {screen: found[0] for screen, text in screens_of_one.items() if (found := several.search(text))} == {}
    assert "1 car plugged in" in screens_of_one["cars"]
    assert "1 of 1 charger has a car" in screens_of_one["chargers"]
    assert "1 call until" in screens_of_one["rounds"]


def test_every_column_of_figures_says_what_it_is_counted_in(window, screens_of_one):
    columns: list[list[str]] = window.js("return window.columns")
    titles = {title for title, *_ in columns}
    assert {"Asks, IOTA per kWh and hour", "Price, IOTA per kWh and hour", "Asked, IOTA per kWh and hour"} <= titles
    bare = [
        title
        for title, *cells in columns
        if title not in COUNTED and "IOTA" not in title and any(re.fullmatch(r"[\d.,]+", cell) for cell in cells)
    ]
    assert bare == []


def test_a_screen_reader_is_told_what_changes_and_not_each_tick(window):
    history = street(base_w=9_000, limit_w=90_000)
    with served(history, "127.0.0.1", 0) as url:
        window.open(url)
        window.until("document.querySelector('.squares a')")
        assert window.js("return document.querySelector('[role=status]').textContent") == "lane, running"
        assert window.js("return document.getElementById('clock').ariaLive") == "off"
        titles = set()
        for screen in ("street", "transformer", "rounds", "chargers", "charger/C1", "cars", "car/S1", "readings"):
            window.js(f"location.hash = '{screen}'")
            titles.add(window.until(f"document.body.dataset.screen == '{screen}' && document.title"))
        assert len(titles) == 8
        window.js("location.hash = 'cars'")
        window.until("document.querySelector('table')?.ariaLabel == 'Cars'")
        window.js("const one = document.querySelector('tbody a'); one.focus(); one.click()")
        window.until("document.querySelector('main section').ariaLabel == 'Car'")
        assert window.js("return document.activeElement.id") == "screen"
