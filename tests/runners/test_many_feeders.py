"""Many feeders in one run, of either engine: every feeder's rows are those of a run of that feeder alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from tests.streets import random_street
from tests.test_same_everywhere import differences

from wattswap.experiments.api import run, run_loaded
from wattswap.experiments.replays import check_run
from wattswap.experiments.run_tables import RunTables
from wattswap.experiments.tables import TABLES, table_of
from wattswap.ledger.book import Book
from wattswap.runners.engines.launch import Engine, run_street, start_run
from wattswap.runners.recording.metrics import summary
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.recording.replay import read_recorded
from wattswap.runners.recording.time_series import TimeSeries
from wattswap.runners.scenario import Street, load_street
from wattswap.runners.scenario.schema import FeederTable
from wattswap.runners.scenario.street import Sessions, concatenated

THREE = Path(__file__).with_name("three_feeders.toml")
NAMES = ("a400", "b250", "c250stress")

pytestmark = pytest.mark.usefixtures("without_report")


def neighbours(seed: int, count: int) -> list[Street]:
    """Streets with cars, homes and transformers of their own, under one clock, one seed and one kind of charger."""
    drawn = [random_street(seed + 7_919 * number, 2 + (seed + number) % 7, 90) for number in range(count)]
    first = drawn[0].scenario
    same = {name: getattr(first, name) for name in ("seed", "reading_s", "window_s", "chargers", "vehicles", "market")}
    eager = {"strategy": "need+altruist+truthful+prosumer", "guard_s": 0}
    same["vehicles"] = msgspec.structs.replace(first.vehicles, **eager)
    ticks = min(street.ticks for street in drawn)
    ticks -= ticks % (first.window_s // first.reading_s)
    return [
        replace(
            street,
            scenario=msgspec.structs.replace(street.scenario, **same),
            tick_ms=drawn[0].tick_ms,
            ticks=ticks,
            feeders=tuple(
                replace(
                    feeder,
                    name=f"feeder-{number}",
                    base_w=feeder.base_w[:, : ticks + 1],
                    limit_w=feeder.limit_w[:ticks],
                )
                for feeder in street.feeders
            ),
            sessions=_on_the_clock(street.sessions, street.tick_ms, drawn[0].tick_ms),
        )
        for number, street in enumerate(drawn)
    ]


def _on_the_clock(sessions: Sessions, tick_ms: int, new_tick_ms: int) -> Sessions:
    return replace(sessions, stated_departure_ms=sessions.stated_departure_ms // tick_ms * new_tick_ms)


def joined(streets: list[Street]) -> Street:
    """The street that has all these feeders; sessions, stations and people of one name are on several of them."""
    ends = np.cumsum([0, *(len(each.sessions.session_id) for each in streets)]).tolist()
    feeders = tuple(
        replace(feeder, sessions=slice(ends[number], ends[number + 1]))
        for number, (feeder,) in enumerate(each.feeders for each in streets)
    )
    listed = tuple(FeederTable(name=each.name, transformer=each.transformer) for each in feeders)
    scenario = msgspec.structs.replace(streets[0].scenario, feeder=listed)
    sessions = concatenated([each.sessions for each in streets])
    return replace(streets[0], scenario=scenario, feeders=feeders, sessions=sessions)


def records_of(engine: Engine, street: Street, controller: str = "negotiated") -> tuple[RunRecord, ...]:
    """The record of each feeder of a whole run."""
    begun = start_run(street, engine=engine, controller=controller)
    begun.run()
    return begun.records


def renumbered(record: RunRecord) -> RunRecord:
    """The record as that of the only feeder, whose number is 0."""

    def alone(payment_id: str) -> str:
        return payment_id and f"0.{payment_id.partition('.')[2]}"

    record.trades = [trade._replace(feeder=0, payment_id=alone(trade.payment_id)) for trade in record.trades]
    assert record.book is not None
    record.book = Book.restore(
        (entry[0], alone(entry[1]) if entry[0] in ("reserve", "settle") else entry[1], *entry[2:])
        for entry in record.book.entries
    )
    return record


def differ(streets: list[Street], engine: Engine, controller: str = "negotiated") -> list[str]:
    """In what the feeders of one run differ from runs of each alone."""
    found = []
    for street, record in zip(streets, records_of(engine, joined(streets), controller), strict=True):
        (alone,) = records_of("fleet", street, controller)
        if record.trace_hash_alone() != alone.trace_hash():
            found.append(f"the trace hash of {street.feeders[0].name}")
        found += differences(renumbered(record), alone)
    return found


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.integers(1, 4))
def test_many_feeders_in_one_pass_of_the_fleet_are_as_many_runs(seed, count):
    assert differ(neighbours(seed, count), "fleet") == []


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.integers(2, 4))
def test_many_feeders_in_one_queue_of_messages_are_as_many_runs(seed, count):
    assert differ(neighbours(seed, count), "messages") == []


def test_the_streets_of_this_test_trade():
    records = [record for seed in range(8) for record in records_of("fleet", joined(neighbours(seed, 4)))]
    assert sum(any(trade.kind == "reduce" for trade in record.trades) for record in records) > 4
    assert any(trade.kind == "forced" for record in records for trade in record.trades)


@pytest.mark.parametrize("controller", ["edf", "equal-share", "poc"])
def test_a_controller_rules_each_feeder_by_itself(controller):
    assert differ(neighbours(131, 3), "fleet", controller) == []


@pytest.mark.parametrize(("engine", "reading_s"), [("fleet", 300), ("messages", 600)])
def test_three_feeders_of_a_file_have_the_trades_that_each_has_in_a_file_of_its_own(engine, reading_s):
    """The last day of the three bundled weeks, homes flickering; two of them have the same sessions."""
    ticks = [f"reading_s={reading_s}", "window_s=600"]
    street = load_street(str(THREE), day=7, settings=ticks)
    assert all(feeder.base.noise_pct == 2 for feeder in street.scenario.feeders)
    record = run_street(street, engine=engine)
    alone = [run_street(load_street(name, day=7, settings=ticks), engine="fleet") for name in NAMES]
    hashes = [each.trace_hash() for each in alone]
    assert all(each.trades for each in alone)
    assert [part.trace_hash_alone() for part in record.feeders] == hashes
    assert [sorted(part.sessions) for part in record.feeders] == [sorted(each.sessions) for each in alone]

    figures = summary(street, record, controller="negotiated", strategy="", engine=engine, wall_s=0)
    assert [(each["name"], each["trace_hash"]) for each in figures["feeders"]] == list(zip(NAMES, hashes, strict=True))
    assert figures["trace_hash"] == record.trace_hash()
    assert record.trace_hash() not in hashes
    assert figures["limit_w"] == 380_000 + 2 * 237_500
    assert figures["peak_w"] <= sum(each["peak_w"] for each in figures["feeders"])
    assert all(
        figures[key] == sum(each[key] for each in figures["feeders"])
        for key in ("sessions", "overload_s", "rounds", "paid_nanos", "forced_wh", "stops_total")
    )


def test_a_feeder_taken_out_of_its_street_runs_as_it_did_there():
    street = load_street(str(THREE), day=7, settings=["reading_s=300"])
    (alone,) = records_of("fleet", street.alone(1))
    assert alone.trace_hash() == records_of("fleet", street)[1].trace_hash_alone()
    assert street.alone(1).resolved_toml != street.resolved_toml


def test_the_tables_of_several_feeders_name_each_car_by_its_feeder():
    street = joined(neighbours(131, 3))
    record = run_street(street, engine="fleet")
    series = TimeSeries.of(street, record)
    for name in TABLES:
        found = set(table_of(name, street, record, series)["feeder"].tolist())
        assert found == {0, 1, 2} or (name in {"rounds", "trades"} and found < {0, 1, 2}), name
    sessions = table_of("sessions", street, record, series)
    names, feeders = sessions["session"].tolist(), sessions["feeder"].tolist()
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"feeder-{number}/") for name, number in zip(names, feeders, strict=True))


@pytest.mark.parametrize("engine", ["fleet", "messages"])
def test_the_tables_of_several_feeders_grow_and_are_replayed(tmp_path: Path, monkeypatch, engine: Engine):
    monkeypatch.setattr("wattswap.experiments.growing_tables.PORTION_TICKS", 20)
    street = joined(neighbours(131, 3))
    result = run_loaded(street, engine=engine, out=tmp_path / "out")
    record = run_street(street, engine=engine)
    series = TimeSeries.of(street, record)
    for name in TABLES:
        rows = parquet.read_table(tmp_path / "out" / f"{name}.parquet").to_pandas()
        whole = pd.DataFrame(table_of(name, street, record, series))
        pd.testing.assert_frame_equal(rows.sort_values("feeder", kind="stable", ignore_index=True), whole)
    assert result.summary["stops_total"] == series.stops
    assert [len(part.ticks) for part in result.record.feeders] == [1, 1, 1]


def test_a_run_of_several_feeders_that_wrote_in_portions_replays_from_its_directory(tmp_path, monkeypatch):
    monkeypatch.setattr("wattswap.experiments.growing_tables.PORTION_TICKS", 100)
    scenario = tmp_path / "three.toml"
    text = THREE.read_text(encoding="utf-8").replace("days = 7", "days = 1\nreading_s = 900\nwindow_s = 900")
    scenario.write_text(text, encoding="utf-8")
    result = run(scenario, out=tmp_path / "run")
    books = sorted(path.name for path in (tmp_path / "run").glob("ledger*"))
    assert books == [f"ledger-{name}.sqlite" for name in NAMES]
    checked = check_run(read_recorded(tmp_path / "run"))
    assert (checked.differences, checked.compared) == ((), TABLES)
    shown = RunTables.read(tmp_path / "run")
    assert len(shown.series) == 96, "pictures show the feeders together"
    assert shown.series["load_w"].max() == result.summary["peak_w"]


def test_what_goes_wrong_on_several_feeders_is_counted_for_all_together():
    settings_ = ["reading_s=900", "window_s=900", "faults.loss_pct=3", "faults.crashes_per_day=1"]
    figures = run(THREE, day=7, settings=settings_).summary
    assert figures["faults"]["lost"] > 100
    assert figures["faults"]["crashes"] > 100
    assert len(figures["feeders"]) == 3
