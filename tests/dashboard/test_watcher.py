"""What a run tells while it goes on is what its tables hold afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.dashboard.histories import lists_of

from wattswap.experiments.api import run_loaded
from wattswap.experiments.dashboard.finished import finished_run
from wattswap.experiments.dashboard.watcher import Watcher
from wattswap.runners.engines.observer import Observer
from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.runners.watching.history import History

HALVES = "feeder=[{name = 'north', sessions = {share = 0.5}}, {name = 'south', sessions = {share = 0.5}}]"


def told(history: History) -> dict[str, list[Any]]:
    """Everything that a page would be told; rows that have no order of their own, sorted."""
    rows = lists_of(history)
    for name in ("rounds", "trades", "sessions"):
        rows[name].sort(key=str)
    return rows


@pytest.mark.parametrize("engine", ["messages", "fleet"])
@pytest.mark.parametrize("settings", [(), (HALVES,)], ids=["one feeder", "two"])
def test_a_run_tells_what_its_tables_hold(tmp_path: Path, engine, settings):
    street = load_street("a400", day=7, settings=["reading_s=300", *settings])
    watcher = Watcher(street, "negotiated")
    run_loaded(street, engine=engine, observers=[watcher], out=tmp_path / "run", journal="none")
    watcher.history.end("complete")
    finished = finished_run(tmp_path / "run")
    live, afterwards = told(watcher.history), told(finished)
    for name in ("ticks", "rounds", "trades", "sessions"):
        assert live[name] == afterwards[name] != [], name
    assert {card.session for card in afterwards["cards"]} <= {card.session for card in live["cards"]}


def test_a_run_that_was_broken_off_shows_the_cars_that_were_there(tmp_path: Path):
    class Interruption(Observer):
        def tick_passed(self, tick: int) -> None:
            if tick == 100:
                raise KeyboardInterrupt

    street = load_street("a400", day=7, settings=["reading_s=300"])
    with pytest.raises(KeyboardInterrupt):
        run_loaded(street, engine="fleet", observers=[Interruption()], out=tmp_path / "run")
    finished = lists_of(finished_run(tmp_path / "run"))
    written = {row[0] for row in finished["sessions"]}
    here = [card for card in finished["cards"] if card.session not in written]
    assert written
    assert here
    names = dict(zip(street.sessions.session_id, street.sessions.station_id, strict=True))
    assert all(names[card.session] == card.station for card in here)
    arrival = dict(zip(street.sessions.session_id, street.sessions.arrival_tick.tolist(), strict=True))
    assert all(card.arrival_tick == max(arrival[card.session], 0) for card in here)


def test_a_cars_meter_is_the_sessions_meter(tmp_path: Path):
    street = load_street("demo", settings=["reading_s=300"])
    watcher = Watcher(street, "negotiated")
    result = run_loaded(street, engine="fleet", observers=[watcher])
    last = {row[1]: row for row in told(watcher.history)["cars"]}
    number = {card.session: row for row, card in enumerate(watcher.history.cards)}
    for session in result.record.sessions:
        _, _, activity, _, _, imported_ws, exported_ws = last[number[session.session]]
        if activity == -1:
            assert (imported_ws, exported_ws) == (session.imported_ws, session.exported_ws)
        else:
            assert ACTIVITIES[int(activity)]
            assert int(imported_ws) <= session.imported_ws
