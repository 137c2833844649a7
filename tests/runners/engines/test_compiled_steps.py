"""The compiled steps come to what the columns of numpy come to, to the last watt-second and nano."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra fast is not installed")

from wattswap.agents import clearing, law
from wattswap.agents.offers import Call, OfferBook, StrategyError
from wattswap.agents.rules import Rules
from wattswap.agents.segments import Segments
from wattswap.agents.strategies.elementwise import sample_cars
from wattswap.protocol.draws import draw
from wattswap.protocol.units import Purpose
from wattswap.runners.engines import compiled_loops
from wattswap.runners.engines.award_table import AwardTable
from wattswap.runners.engines.compiled_steps import CompiledAwardTable, CompiledSteps
from wattswap.runners.engines.side_by_side import SideBySide
from wattswap.runners.engines.steps import Steps
from wattswap.runners.engines.steps_choice import WORTH_COMPILING, steps_for
from wattswap.runners.scenario import load_streets

FEEDERS = 3


@pytest.mark.parametrize(
    ("scenario", "day", "options"),
    [
        ("demo", None, ()),
        ("c250stress", 5, ("vehicles.departure=error:2h",)),
        ("c250stress", 5, ("transformer.limit_w=120_000", "chargers.guaranteed_w=1380")),
        ("c250stress", 5, ("transformer.funds_iota=1",)),
        ("c250stress", 5, ("vehicles.strategy=experienced:0.5+prosumer:0.3+keep:0.2",)),
        ("c250stress", 5, ("transformer.clearing=pay-as-bid", "vehicles.strategy=altruist:0.5+prosumer:0.5")),
    ],
)
def test_a_pass_leaves_the_same_behind(scenario: str, day: int | None, options: tuple[str, ...]) -> None:
    streets = load_streets(scenario, (1, 2), day=day, settings=["reading_s=150", *options])
    columns, compiled = (SideBySide(streets, each) for each in (Steps, CompiledSteps))

    columns.pass_through()
    compiled.pass_through()

    left, other = (_left_behind(each) for each in (columns, compiled))
    assert len(left["closed.tick"])
    for name, column in left.items():
        np.testing.assert_array_equal(column, other[name], err_msg=name)


def _left_behind(passed: SideBySide) -> dict[str, np.ndarray]:
    """Awards, rounds and cuts, the sums of each tick, and where every car and every account ended."""
    record, sums, world, accounts = passed.record, passed.sums, passed.world, passed.accounts
    closed = record.closed
    columns = {f"rounds {at}": column for at, column in enumerate(record.rounds)}
    columns |= {f"forced {at}": column for at, column in enumerate(record.forced)}
    columns |= {"closed.tick": closed.tick, "closed.nanos": closed.nanos, "closed.is_open": closed.is_open}
    columns |= {f"awards.{name}": column for name, column in closed.awards._asdict().items()}
    columns |= {f"sums {tick}": np.array(sums.columns(tick)[1]) for tick in range(passed.ticks)}
    behind_ws, _, stops = sums.columns(0)
    columns |= {"behind": behind_ws, "stops": stops, "drew": world.drew}
    columns |= {name: getattr(world, name) for name in ("remaining_ws", "baseline_ws", "stored_ws")}
    columns |= {"imported": world.imported_ws, "exported": world.exported_ws}
    columns |= {"sites": accounts.site_nanos, "purses": accounts.purse_nanos, "payable": accounts.payable_nanos}
    return columns | {"bills": np.array(record.billed_nanos), "open bills": np.array(record.receivable_nanos)}


@st.composite
def offers(draws: st.DrawFn) -> dict[str, Any]:
    """Tranches of a few cars on three feeders, with asks and draws that are often equal."""
    feeder = np.array(sorted(draws(st.lists(st.integers(0, FEEDERS - 1), max_size=12))), dtype=np.int64)

    def table(most: int, step: int, columns: int = 3) -> np.ndarray:
        numbers = st.lists(st.integers(0, most), min_size=columns * len(feeder), max_size=columns * len(feeder))
        return np.array(draws(numbers), dtype=np.int64).reshape(len(feeder), columns) * step

    relief_w = table(5, 1_000)
    return {
        "relief_w": relief_w,
        "ask": np.cumsum(table(2, 1_000_000), axis=1),
        "admissible": relief_w > 0,
        "ties": table(2, 1, columns=1)[:, 0].astype(np.uint64),
        "segments": Segments.of(feeder, FEEDERS),
        "need_w": np.array(draws(st.lists(st.integers(0, 15_000), min_size=FEEDERS, max_size=FEEDERS))),
    }


@settings(deadline=None)
@given(offers())
def test_the_same_tranches_are_bought(offered: dict[str, Any]) -> None:
    bought = CompiledSteps.cheapest(**offered, amp_w=690)

    np.testing.assert_array_equal(bought, clearing.cheapest(**offered, amp_w=690))


_ANSWER = st.tuples(*(st.sampled_from(range(most, -1, -1)) for most in (2, 3, 1, 1, 2, 2, 2, 2, 2, 3, 3)))
_SLIP = st.tuples(
    st.integers(0, 2), st.sampled_from([0, -9_000, -860, 860, 9_000]), st.sampled_from([-(10**7), 0, 10**19 // 9])
)


@settings(deadline=None)
@given(st.lists(_ANSWER, min_size=1, max_size=4), st.none() | _SLIP)
def test_the_same_offers_may_stand(answers: list[tuple[int, ...]], slip: tuple[int, int, int] | None) -> None:
    firm, laxity, reduces, stops, feeds, *steps, feed, missing, held = np.array(answers, dtype=np.int64).T
    rules, cars = Rules(), sample_cars(len(answers))
    firm_w = 5_000 * firm
    floor_w = np.minimum(firm_w, rules.min_w)
    own = replace(
        cars,
        firm_w=firm_w,
        floor_w=floor_w,
        feed_w=4_000 * feed,
        remaining_ws=3_000_000 * missing,
        stored_ws=cars.reserve_ws + 900_000 * held,
        laxity_ms=rules.wary_guard_ms + rules.window_ms * laxity + laxity,
    )
    to_floor_w = (firm_w - floor_w) * reduces
    relief_w = np.stack((to_floor_w, (firm_w - to_floor_w) * stops, np.minimum(2_000 * feeds, own.feed_w)), axis=1)
    asks = np.cumsum(np.stack(steps, axis=1), axis=1) * 1_500_000
    if slip:  # the first car says what no car may
        tranche, more_w, more_nanos = slip
        relief_w[0, tranche] += more_w
        asks[0, tranche] += more_nanos
    book = OfferBook(own, relief_w, asks)
    call = Call(np.full(len(own), 1_000), from_ms=60_000, until_ms=300_000, feed_h=2)
    try:
        expected = law.admitted(book, call, rules)
    except StrategyError as error:
        with pytest.raises(StrategyError, match=re.escape(error.problem)):
            CompiledSteps.admitted(book, call, rules)
    else:
        np.testing.assert_array_equal(CompiledSteps.admitted(book, call, rules), expected)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, each) for each in (FEEDERS - 1, 3, 3, 1, 3, 2, 3)]), max_size=15), st.data())
def test_the_same_cars_are_given_the_room_that_is_left(cars: list[tuple[int, ...]], data: st.DataObject) -> None:
    feeder, firm, more, drew, owed, price, sold = np.array(sorted(cars), dtype=np.int64).reshape(-1, 7).T
    rules, segments = Rules(), Segments.of(feeder, FEEDERS)
    firm_w = 3_680 * firm
    known = law.Cars(
        key=np.arange(len(feeder), dtype=np.uint64) // 2,
        firm_w=firm_w,
        wanted_w=firm_w + 2_000 * more,
        drew=drew == 1,
        owed_ws=70_000 * owed,
        rent_price=1_000_000 * price * (owed > 0),
        reduce_w=np.where(sold == 1, firm_w, 0),
        feed_w=np.where(sold == 2, 2_000, 0),
    )
    base_w, target_w = np.zeros(FEEDERS, dtype=np.int64), np.array(data.draw(_TARGETS))
    expected = law.grants(base_w, target_w, known, segments, now_ms=0, seed=0, rules=rules)
    import_w, ties = np.empty_like(firm_w), draw(0, known.key, Purpose.TIE)

    enough = compiled_loops.hand_out(
        base_w, target_w, segments.bounds, *known[1:], ties, import_w, rules.min_w, rules.tick_s
    )

    firm_after_sale_w = segments.sum(firm_w - np.minimum(known.reduce_w, firm_w) - known.feed_w)
    assert enough == (firm_after_sale_w <= target_w).all()
    if enough:
        np.testing.assert_array_equal(import_w, expected.import_w)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 4), st.integers(0, 2), min_size=1), max_size=6))
def test_lots_lie_in_the_same_order(rounds: list[dict[int, int]]) -> None:
    """By round: the price at which each car sold something."""
    tables = AwardTable(5, Rules()), CompiledAwardTable(5, Rules())
    for tick, prices in enumerate(rounds):
        rows, price = (np.array(list(each), dtype=np.int64) for each in (prices, prices.values()))
        tranches = np.repeat(price[:, np.newaxis], 3, axis=1)
        for table in tables:
            table.add(rows, tick, np.ones_like(tranches), tranches, tranches, tranches)
            table.end_all()

    columns, compiled = tables
    np.testing.assert_array_equal(compiled._order, columns._order)
    np.testing.assert_array_equal(compiled._car, columns._car)
    places, lots = columns._order, columns._all
    assert sorted(places.tolist(), key=lambda at: (lots.row[at], -lots.price[at, 0], lots.tick[at])) == places.tolist()


_TARGETS = st.lists(st.integers(0, 60_000), min_size=FEEDERS, max_size=FEEDERS)


def test_only_a_pass_that_is_worth_it_is_compiled() -> None:
    assert steps_for(WORTH_COMPILING - 1) is Steps
    assert steps_for(WORTH_COMPILING) is CompiledSteps


def test_without_numba_a_pass_is_made_in_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, CompiledSteps.__module__, None)
    assert steps_for(WORTH_COMPILING) is Steps
