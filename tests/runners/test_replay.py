"""A run told again from its journal: the same rows come of it, and what is otherwise is found and can be read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from tests.smalltown import FAULTS, journal_of, run_into

from wattswap.agents import market
from wattswap.experiments.replays import Checked, check_run, rebuild
from wattswap.experiments.tables import TABLES
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import BaseRead, Event, Metered, Reading
from wattswap.protocol.messages import ReliefCall
from wattswap.runners.recording.journal import Reader
from wattswap.runners.recording.replay import read_recorded
from wattswap.runners.recording.rundir import RunDir, read_run

TICKS = 288


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory; nobody may change it."""
    return run_into(tmp_path_factory.mktemp("once"))


@pytest.fixture(scope="module")
def full_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose journal holds everything; nobody may change it."""
    return run_into(tmp_path_factory.mktemp("full"), journal="full")


@pytest.fixture
def copy(once: Path, tmp_path: Path) -> Path:
    """A copy of the run directory, to be changed."""
    return Path(shutil.copytree(once, tmp_path / "copy"))


def check(run_dir: Path) -> Checked:
    return check_run(read_recorded(run_dir))


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ((), {}),
        (FAULTS, {}),
        ((*FAULTS, "seed=2"), {"journal": "full", "sign": True}),
        (("vehicles.curve=taper", "vehicles.departure=error:2h", "vehicles.disclose=departure"), {"controller": "edf"}),
    ],
    ids=["fault-free", "faults", "faults, signed, full", "tapering, edf"],
)
def test_a_replay_is_identical(tmp_path: Path, settings: tuple[str, ...], options: dict[str, Any]):
    run_dir = run_into(tmp_path, *settings, **options)
    checked = check(run_dir)
    assert checked.differences == ()
    assert checked.replay.whole
    assert checked.compared == ("series", "rounds", "trades", "sessions", "cars", "owed")
    assert checked.figures["rounds"] == read_run(run_dir).figures["rounds"]
    assert checked.replay.record.rounds or options.get("controller") == "edf"


def test_the_street_has_all_that_is_to_be_replayed(once: Path):
    figures = read_run(once).figures
    assert figures["rounds"]
    assert all(figures["choices"].values())


def test_the_world_is_not_asked(once: Path, monkeypatch: pytest.MonkeyPatch):
    """Cars that would draw otherwise today do not matter: what was metered then is what counts."""
    monkeypatch.setattr("wattswap.runners.world.law.charging_state", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr("wattswap.runners.engines.sensor_feed.SensorFeed._readings", lambda *_: pytest.fail("asked"))
    assert check(once).differences == ()


# -- journals that end early ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [1, 230, TICKS])
def test_a_journal_that_ends_early_is_replayed_to_its_end(copy: Path, lines: int):
    cut_after(journal_of(copy), lines, torn=7)
    RunDir(copy).write_figures(dict(read_run(copy).figures), "interrupted")
    checked = check(copy)
    assert checked.differences == ()
    assert (checked.replay.ticks, checked.replay.whole) == (lines, False)
    assert len(checked.replay.record.ticks) == lines - 1
    assert checked.compared == ("series", "rounds", "trades", "sessions", "owed")


def cut_after(journal: Path, lines: int, torn: int = 0) -> None:
    """Let a journal end after so many lines and ``torn`` bytes."""
    with journal.open("rb") as stream:
        unpacker = msgpack.Unpacker(stream)
        for _ in range(1 + lines):
            unpacker.skip()
        ends = unpacker.tell()
    journal.write_bytes(journal.read_bytes()[: ends + torn])


def test_what_a_power_cut_took_is_rebuilt_and_what_is_there_stays(copy: Path, once: Path):
    for name in TABLES:
        (copy / f"{name}.parquet").unlink()
    (copy / "ledger.sqlite").unlink()
    RunDir(copy).write_figures({}, "interrupted")
    assert rebuild(check(copy)) == [
        *(f"{name}.parquet" for name in TABLES),
        "ledger.sqlite",
        "the figures in run.json",
    ]
    for name in TABLES:
        assert read_run(copy).columns(name) == read_run(once).columns(name)
    rebuilt, was = read_run(copy), read_run(once)
    assert rebuilt.status == "complete"
    assert {**rebuilt.figures, "timing": 0} == {**was.figures, "timing": 0}
    assert rebuild(check(copy)) == []


def test_a_run_that_was_cut_off_says_so_when_it_is_rebuilt(copy: Path):
    cut_after(journal_of(copy), 230)
    (copy / "series.parquet").unlink()
    RunDir(copy).write_figures({}, "interrupted")
    assert rebuild(check(copy)) == ["series.parquet", "the figures in run.json"]
    assert read_run(copy).status == "interrupted"
    assert len(read_run(copy).columns("series")["t_ms"]) == 229


# -- differences ------------------------------------------------------------------------------------------------------


def hungrier(call: ReliefCall) -> ReliefCall:
    """Another need than the law's."""
    return msgspec.structs.replace(call, need_w=call.need_w + 1)


relief_call = market.relief_call


def test_a_changed_agent_is_found_and_the_row_it_changes_is_named(once: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(market, "relief_call", lambda *figures: hungrier(relief_call(*figures)))
    doing, row = check(once).differences
    rounds = read_run(once).columns("rounds")
    assert doing.tick == row.tick == rounds["tick"][0]
    assert "hash" in doing.what
    assert len(doing.recorded) == len(doing.replayed) == 16
    assert row.what == "rounds, row 0"
    was = rounds["need_w"][0]
    assert row.recorded.startswith(f"need_w {was}")
    assert row.replayed.startswith(f"need_w {was + 1}")


def test_with_everything_journalled_the_first_effect_is_named(full_once: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(market, "relief_call", lambda *figures: hungrier(relief_call(*figures)))
    doing, _ = check(full_once).differences
    assert doing.what.startswith("event ")
    assert doing.recorded.startswith("transformer, at ")
    assert "Call(" in doing.recorded
    assert doing.recorded != doing.replayed
    assert "Sealed(" not in doing.recorded


@pytest.mark.parametrize("more", [True, False])
def test_an_event_too_few_or_too_many_is_named(full_once: Path, tmp_path: Path, *, more: bool):
    run_dir = Path(shutil.copytree(full_once, tmp_path / "copy"))
    reader = Reader(journal_of(run_dir))
    lines = list(reader.lines())
    events = lines[250].events
    lines[250] = msgspec.structs.replace(lines[250], events=[*events, events[0]] if more else events[:-1])
    journal_of(run_dir).write_bytes(b"".join(map(msgspec.msgpack.encode, (reader.header, *lines))))
    altered, doing = check(run_dir).differences
    assert (altered.tick, altered.what) == (250, "the journal's line is not as it was written")
    assert (doing.tick, doing.what) == (250, f"event {len(events) + more} of the tick")
    nothing, something = (doing.replayed, doing.recorded) if more else (doing.recorded, doing.replayed)
    assert nothing.startswith("nothing more happen")
    assert ", told " in something


def test_an_agent_that_fails_is_a_difference(once: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*args: object) -> int:
        raise ZeroDivisionError("a new bug")

    monkeypatch.setattr(market, "relief_call", broken)
    (doing,) = check(once).differences
    assert (doing.recorded, doing.replayed) == ("it passed", "it ends with ZeroDivisionError a new bug")
    assert doing.tick == read_run(once).columns("rounds")["tick"][0]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("series", "drawn_w"),
        ("series", "base_w"),
        ("rounds", "called"),
        ("trades", "nanos"),
        ("sessions", "missing_ws"),
    ],
)
def test_a_falsified_table_is_found(copy: Path, table: str, column: str):
    columns = {key: list(cells) for key, cells in read_run(copy).columns(table).items()}
    columns[column][3] += 1
    rewrite(copy, table, columns)
    (row,) = check(copy).differences
    assert row.what == f"{table}, row 3"
    assert row.recorded == f"{column} {columns[column][3]}"
    assert row.replayed == f"{column} {columns[column][3] - 1}"


def test_a_row_too_few_or_too_many_is_found(copy: Path):
    columns = read_run(copy).columns("trades")
    rewrite(copy, "trades", {key: cells[:-1] for key, cells in columns.items()})
    (row,) = check(copy).differences
    assert row.recorded == "no such row"
    assert row.replayed.startswith("t_ms ")
    rewrite(copy, "trades", {key: [*cells, cells[-1]] for key, cells in columns.items()})
    (row,) = check(copy).differences
    assert row.replayed == "no such row"


def rewrite(run_dir: Path, table: str, columns: dict[str, list[Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), run_dir / f"{table}.parquet")


def test_a_falsified_figure_is_found(copy: Path):
    figures = read_run(copy).figures
    RunDir(copy).write_figures({**figures, "paid_nanos": 7}, "complete")
    (figure,) = check(copy).differences
    assert (figure.what, figure.recorded) == ("run.json, paid_nanos", "7")
    assert figure.replayed == str(figures["paid_nanos"])


def test_whatever_byte_of_a_journal_is_falsified_it_is_found(copy: Path):
    journal = journal_of(copy)
    written = journal.read_bytes()
    begins = written.index(b"\x98\xa4tick")
    for place in [*range(begins, len(written), len(written) // 7), len(written) - 3]:
        changed = bytearray(written)
        changed[place] ^= 1
        journal.write_bytes(changed)
        try:
            checked = check(copy)
        except InputError:
            continue
        assert checked.differences, f"byte {place}"


@pytest.mark.parametrize("kind", [Metered, Reading, BaseRead])
def test_an_altered_sensor_is_found_even_where_no_agent_minds(copy: Path, kind: type[Event]):
    """The line that follows knows what stood there; all checksums after it are made to fit."""
    path = journal_of(copy)
    reader = Reader(path)
    lines = list(reader.lines())
    at = next(at for at, line in enumerate(lines) if any(isinstance(event, kind) for _, event in line.told))
    told = [(who, _altered(event) if isinstance(event, kind) else event) for who, event in lines[at].told]
    lines[at] = msgspec.structs.replace(lines[at], told=told)
    end = path.read_bytes()[path.read_bytes().rindex(b"\x93\xa3end") :]
    path.write_bytes(b"".join(map(msgspec.msgpack.encode, (reader.header, *lines))) + end)
    found = check(copy).differences[0]
    assert (found.tick, found.what) == (at, "the journal's line is not as it was written")


def _altered(event: Event) -> Event:
    name = next(name for name in event.__struct_fields__ if name.endswith(("_w", "_ws")))
    return msgspec.structs.replace(event, **{name: getattr(event, name) + 1})


@pytest.mark.parametrize("more", [b"\0", b"\x01\x02", b"garbage\xc1\xc1", b"\x93\xa3end"])
def test_whatever_follows_the_end_of_a_journal_is_found(copy: Path, more: bytes):
    with journal_of(copy).open("ab") as file:
        file.write(more)
    (found,) = check(copy).differences
    assert (found.tick, found.recorded) == (TICKS + 1, "the journal's end")


@pytest.mark.parametrize("lines", [1, TICKS, TICKS + 1])
def test_a_complete_run_whose_journal_was_cut_short_is_found(copy: Path, lines: int):
    cut_after(journal_of(copy), lines)
    found = check(copy).differences[0]
    assert (found.tick, found.what) == (lines, "the journal ends too early")


# -- input that cannot be used ----------------------------------------------------------------------------------------


def refused(run_dir: Path) -> str:
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as why:
        check(run_dir)
    assert before == {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    assert "\n" not in str(why.value)
    return str(why.value)


def test_a_changed_scenario_is_refused(copy: Path):
    with (copy / "scenario.toml").open("a", encoding="utf-8") as file:
        file.write("# a note\n")
    assert "not the scenario of this journal" in refused(copy)
    (copy / "scenario.toml").unlink()
    assert "cannot be read" in refused(copy)


def test_a_run_without_a_journal_is_refused(copy: Path, tmp_path: Path):
    journal_of(copy).unlink()
    assert "this run has no journal" in refused(copy)
    figures = read_run(copy).figures
    RunDir(copy).write_figures({**figures, "engine": "fleet"}, "complete")
    assert "a run of the fleet engine has no journal" in refused(copy)
    assert "no such run directory" in refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "this is no run directory" in refused(tmp_path / "empty")


def test_a_journal_without_a_tick_is_refused(copy: Path):
    cut_after(journal_of(copy), 0, torn=5)
    assert "ends before its first tick" in refused(copy)


def test_a_journal_of_another_version_is_refused(copy: Path):
    journal = journal_of(copy)
    journal.write_bytes(journal.read_bytes().replace(b"format_version\x03", b"format_version\x01"))
    assert "journal of format version 1, this version reads 3; use wattswap" in refused(copy)


def test_a_journal_that_is_torn_in_the_middle_is_refused(copy: Path):
    journal = journal_of(copy)
    written = journal.read_bytes()
    journal.write_bytes(written[:9_000] + written[9_050:])
    assert "damaged after tick" in refused(copy)


def test_a_journal_of_another_seed_is_refused(copy: Path):
    journal = journal_of(copy)
    assert Reader(journal).header.seed == 1
    journal.write_bytes(journal.read_bytes().replace(b"\xa4seed\x01", b"\xa4seed\x05"))
    assert "does not fit scenario.toml" in refused(copy)
