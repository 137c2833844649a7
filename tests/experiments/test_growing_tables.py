"""Tables that are written while the run goes on, and what is there of them at any moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from tests.smalltown import found

from wattswap.experiments import growing_tables, run
from wattswap.experiments.api import run_loaded
from wattswap.experiments.growing_tables import GrowingTables
from wattswap.experiments.tables import TABLES, table_of
from wattswap.runners.engines.launch import run_street, start_run
from wattswap.runners.recording.parquet_table import ParquetTable
from wattswap.runners.recording.time_series import TimeSeries
from wattswap.runners.scenario import load_street

COARSE = ["reading_s=300"]
ENGINES = ("fleet", "messages")
GROWING = ("series", "rounds", "trades", "sessions")

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(growing_tables, "PORTION_TICKS", 50)
    return 50


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_tables_that_grew_are_those_that_are_written_at_once(tmp_path: Path, small_portions):
    street = load_street("demo", settings=COARSE)
    result = run_loaded(street, engine="fleet", out=tmp_path / "out")
    record = run_street(street, engine="fleet")
    for name in TABLES:
        columns = table_of(name, street, record, TimeSeries.of(street, record))
        assert parquet.read_table(tmp_path / "out" / f"{name}.parquet").to_pydict() == {
            key: column.tolist() for key, column in columns.items()
        }, name
    assert parquet.ParquetFile(tmp_path / "out" / "series.parquet").num_row_groups > street.ticks // small_portions
    assert not list((tmp_path / "out").glob(".*.part"))
    assert result.record.trace_hash() == record.trace_hash()


def test_both_engines_write_the_same_tables(tmp_path: Path):
    """Byte for byte, whatever comes first within an instant: on this day two cars leave at one tick, twice."""
    for engine in ENGINES:
        run("b250", day=7, engine=engine, settings=["reading_s=150"], out=tmp_path / engine)
    for name in TABLES:
        fleet, messages = ((tmp_path / engine / f"{name}.parquet").read_bytes() for engine in ENGINES)
        assert fleet == messages, name


def test_the_record_keeps_one_tick_and_the_figures_are_the_same(small_portions):
    street = load_street("demo", settings=COARSE)
    result, record = run_loaded(street, engine="fleet"), run_street(street, engine="fleet")
    assert [row.tick for row in result.record.ticks] == [street.ticks - 1]
    assert len(record.ticks) == street.ticks
    np.testing.assert_array_equal(result.ticks.street.load_w, TimeSeries.of(street, record).street.load_w)


def test_no_more_ticks_than_a_portion_are_held(small_portions):
    street = load_street("demo", settings=COARSE)
    run_ = start_run(street, engine="fleet")
    tables, held = GrowingTables(street), []
    tables.begun(run_)
    for tick in range(street.ticks):
        run_.step()
        tables.tick_passed(tick)
        held.append(len(run_.record.ticks))
    assert max(held) == small_portions
    tables.catch_up()
    assert len(tables.series) == street.ticks


def test_a_portion_is_full_of_cars_before_it_is_full_of_ticks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(growing_tables, "PORTION_CAR_TICKS", 100)
    street = load_street("demo", settings=COARSE)
    run_ = start_run(street, engine="fleet")
    tables = GrowingTables(street)
    tables.begun(run_)
    for tick in range(street.ticks):
        run_.step()
        tables.tick_passed(tick)
        assert sum(len(row.rows) for row in run_.record.ticks[1:]) < 100


def test_while_a_run_goes_on_no_half_table_is_in_the_place_of_a_whole_one(tmp_path: Path, small_portions):
    street = load_street("demo", settings=COARSE)
    run_ = start_run(street, engine="fleet")
    tables = GrowingTables(street, tmp_path)
    tables.begun(run_)
    for tick in range(120):
        run_.step()
        tables.tick_passed(tick)
    assert names(tmp_path) == {f".{name}.parquet.part" for name in GROWING}
    tables.close()
    assert names(tmp_path) == {f"{name}.parquet" for name in GROWING}
    assert parquet.read_table(tmp_path / "series.parquet").num_rows == 120


def test_a_run_that_fails_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(growing_tables, "PORTION_TICKS", 10)

    def explode(tick: int) -> None:
        if tick == 100:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(found(tmp_path), engine="fleet", out=tmp_path / "out", progress=explode)
    assert names(tmp_path / "out") == {"run.json", "scenario.toml", "log.jsonl"}


def test_an_interrupted_run_leaves_what_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(growing_tables, "PORTION_TICKS", 30)

    def interrupt(tick: int) -> None:
        if tick == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(found(tmp_path), engine="fleet", out=tmp_path / "out", progress=interrupt)
    assert parquet.read_table(tmp_path / "out" / "series.parquet").num_rows == 101
    assert names(tmp_path / "out") >= {f"{name}.parquet" for name in TABLES}


# -- one table --------------------------------------------------------------------------------------------------------


def test_a_table_of_no_rows_has_its_columns(tmp_path: Path):
    table = ParquetTable(tmp_path, "empty")
    table.append({"watts": np.zeros(0, dtype=np.int64), "name": np.zeros(0, dtype=object)})
    table.close()
    assert parquet.read_table(tmp_path / "empty.parquet").to_pydict() == {"watts": [], "name": []}


def test_a_table_that_is_discarded_leaves_what_was_there(tmp_path: Path):
    old = ParquetTable(tmp_path, "one")
    old.append({"watts": np.array([1])})
    old.close()
    new = ParquetTable(tmp_path, "one")
    new.append({"watts": np.array([2])})
    new.discard()
    assert parquet.read_table(tmp_path / "one.parquet").to_pydict() == {"watts": [1]}
    assert names(tmp_path) == {"one.parquet"}


def test_closing_a_table_twice_or_without_rows_changes_nothing(tmp_path: Path):
    table = ParquetTable(tmp_path, "none")
    table.close()
    table.discard()
    assert not names(tmp_path)
