"""Streets side by side come to what each comes to alone: trades, rounds, sessions, and every tick's sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattswap.ledger.book import SITE, payable, wallet
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.engines.side_by_side import SideBySide, can_run
from wattswap.runners.recording.time_series import TimeSeries
from wattswap.runners.scenario import load_street, load_streets
from wattswap.runners.world import fleet_of


@pytest.mark.parametrize(
    ("scenario", "day", "settings"),
    [
        ("demo", None, ("reading_s=150",)),
        ("b250", 7, ("reading_s=150",)),
        ("c250stress", 5, ("reading_s=150", "vehicles.departure=error:2h")),
        ("c250stress", 5, ("reading_s=150", "transformer.limit_w=120_000", "chargers.guaranteed_w=1380")),
        ("c250stress", 5, ("reading_s=150", "transformer.funds_iota=1")),
        ("demo", None, ("reading_s=150", "vehicles.funds_iota=0", "ledger.pay=each")),
        ("c250stress", 5, ("reading_s=150", "vehicles.strategy=experienced:0.5+prosumer:0.3+keep:0.2")),
    ],
)
def test_each_of_several_seeds_comes_to_what_it_comes_to_alone(
    scenario: str, day: int | None, settings: tuple[str, ...]
) -> None:
    streets = load_streets(scenario, (1, 2), day=day, settings=list(settings))

    passed = SideBySide(streets)
    together = passed.run()

    rows = 0
    for number, (street, (record, series)) in enumerate(zip(streets, together, strict=True)):
        alone = FleetRun(street).run()
        expected = TimeSeries.of(street, alone)
        assert record.trades == alone.trades
        assert record.rounds == alone.rounds
        assert record.sessions == alone.sessions
        for mine, theirs in zip(series.street, expected.street, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(series.owed_ws, expected.owed_ws)
        assert (series.stops, series.car_ticks) == (expected.stops, expected.car_ticks)
        book, vehicles = alone.book, fleet_of(street).vehicle_id
        assert book is not None
        assert int(passed.accounts.site_nanos[number]) == book.balance(SITE)
        cars = passed.car[rows : rows + len(vehicles)]
        for account, nanos in ((wallet, passed.accounts.purse_nanos), (payable, passed.accounts.payable_nanos)):
            assert nanos[cars].tolist() == [book.balance(account(vehicle)) for vehicle in vehicles]
        rows += len(vehicles)


def test_a_street_whose_cars_taper_is_not_run_side_by_side() -> None:
    assert can_run(load_street("demo"))
    assert not can_run(load_street("demo", settings=["vehicles.curve=taper"]))


_NOTES = '''
from wattswap.agents.offers import OfferBook
from pathlib import Path

import numpy as np

heard = {}

def first_wish(call, own, memory, draws):
    """Asks what each car asked when it was first called."""
    wishes = zip(own.key.tolist(), own.waiting_nanos_per_kwh_h.tolist(), strict=True)
    ask = [heard.setdefault(key, wish + call.from_ms % 7 * 1_000_000) for key, wish in wishes]
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=np.array(ask))
'''


def test_what_a_users_strategy_keeps_in_its_module_reaches_no_other_street(tmp_path: Path) -> None:
    (tmp_path / "notes.py").write_text(_NOTES)
    strategy = f"vehicles.strategy={tmp_path / 'notes.py'}:first_wish"
    streets = load_streets("c250stress", (1, 2), day=5, settings=["reading_s=150", strategy])

    together = [record.trace_hash() for record, _ in SideBySide(streets).run()]

    assert together == [FleetRun(street).run().trace_hash() for street in streets]
