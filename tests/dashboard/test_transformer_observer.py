"""What stands behind the trades is told as it is: grants and leases, accounts, offers; of processes too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.dashboard.histories import lists_of
from tests.streets import Stay, street_of, three_cars

from wattswap.experiments.api import run_loaded
from wattswap.experiments.dashboard.transformer_observer import TransformerObserver
from wattswap.experiments.dashboard.watcher import Watcher
from wattswap.runners.engines.observer import Observer
from wattswap.runners.node.live.run import live_run
from wattswap.runners.watching.funds import Funds
from wattswap.runners.watching.history import CAR_COLUMNS, GRANT_COLUMNS, OFFER_COLUMNS

if TYPE_CHECKING:
    from wattswap.runners.engines.observer import Moved
    from wattswap.runners.engines.run import Run
    from wattswap.runners.scenario import Street

TICKS = 20
SLOW_TICKS = 60
BEAT_WALL_MS = 200
MOST_STEP_W = 250


class Truth(Observer):
    """What the world knows at each tick."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.power_w: dict[tuple[int, int], int] = {}
        self.granted_w: dict[tuple[int, int], int] = {}

    def begun(self, run: Run) -> None:
        self.run = run

    def moved(self, moved: Moved) -> None:
        keys = [(moved.tick, row) for row in moved.rows.tolist()]
        self.power_w |= dict(zip(keys, moved.import_w.tolist(), strict=True))
        self.granted_w |= dict(zip(keys, moved.granted_w.tolist(), strict=True))


def watched(street: Street) -> tuple[Watcher, Truth, tuple[Observer, ...]]:
    watcher, truth = Watcher(street, "negotiated"), Truth()
    return watcher, truth, (truth, TransformerObserver(street, watcher.history), watcher)


def latest(rows: list[list[Any]], columns: tuple[str, ...], name: str) -> dict[tuple[int, int], Any]:
    """What a page shows of a column, by tick and row: the last row told until then."""
    tick, row, value = (columns.index(one) for one in ("tick", "row", name))
    found: dict[tuple[int, int], Any] = {}
    last: dict[int, Any] = {}
    by_tick: dict[int, list[list[Any]]] = {}
    for one in rows:
        by_tick.setdefault(one[tick], []).append(one)
    for at in range(SLOW_TICKS):
        last |= {one[row]: one[value] for one in by_tick.get(at, [])}
        found |= {(at, which): told for which, told in last.items()}
    return found


def test_no_car_is_shown_to_draw_more_than_it_may():
    """The homes need a little more in each tick, so grants change in steps too small to be told.

    A car is told when it does something else, too: alone, it was shown to draw more than it may.
    """
    street = street_of(
        [Stay(0, 400, energy_ws) for energy_ws in (6_000_000, 4_000_000, 4_000_000)],
        SLOW_TICKS,
        base_w=[[9_000 + 30 * tick for tick in range(SLOW_TICKS + 1)]],
        window_s=120,
        transformer={"rating_va": 22_000},
        vehicles={"strategy": "need"},
    )
    watcher, truth, observers = watched(street)
    run_loaded(street, engine="messages", observers=observers)
    told = lists_of(watcher.history)
    powers = latest(told["cars"], CAR_COLUMNS, "import_w")
    grants = latest(told["grants"], GRANT_COLUMNS, "granted_w")
    assert truth.power_w.keys() <= powers.keys() & grants.keys()
    assert not [at for at in truth.power_w if powers[at] > grants[at]]
    assert all(abs(powers[at] - power_w) < MOST_STEP_W for at, power_w in truth.power_w.items())
    assert all(abs(grants[at] - granted_w) < MOST_STEP_W for at, granted_w in truth.granted_w.items())


@pytest.fixture(scope="module")
def live() -> tuple[Watcher, Truth]:
    """Run by three processes on the wall clock."""
    street = three_cars(TICKS)
    watcher, truth, observers = watched(street)
    live_run(street, speed=street.tick_ms / BEAT_WALL_MS, processes=3, observers=observers).run()
    return watcher, truth


def test_offers_that_reached_a_transformer_of_another_process_are_told(live):
    told = lists_of(live[0].history)
    key = [OFFER_COLUMNS.index(name) for name in ("tick", "row", "tranche")]
    offered = {tuple(row[place] for place in key): row for row in told["offers"]}
    assert len(offered) == len(told["offers"])
    assert told["awards"]
    power = OFFER_COLUMNS.index("offered_w")
    for award in told["awards"]:
        assert award[power] <= offered[tuple(award[place] for place in key)][power]


def test_the_account_of_a_process_is_told(live):
    watcher, truth = live
    told = lists_of(watcher.history)["accounts"]
    assert truth.run is not None
    in_all = sum(Funds.of(truth.run.books[0]))
    assert {sum(row[2:]) for row in told} == {in_all}, "no car has been billed, so nothing has left the account"
    assert max(row[3] for row in told) > 0, "awards under way"
    assert Funds(*told[-1][2:]) == Funds.of(truth.run.books[0]), "free, reserved and earned at the end"


def test_leases_of_chargers_in_other_processes_are_told(live):
    watcher, _ = live
    leases = latest(lists_of(watcher.history)["grants"], GRANT_COLUMNS, "lease_ms")
    head = watcher.history.head
    assert head is not None
    held = [left_ms for left_ms in leases.values() if left_ms > 0]
    assert len(held) > len(leases) / 2
    assert all(left_ms % head.tick_ms == 0 and left_ms < head.lease_ms for left_ms in held)
