"""One street under several controllers and strategies, over several seeds: a table, a picture, and what they say."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wattswap.experiments.compare_command import Asked
from wattswap.experiments.comparison_report import comparison_page
from wattswap.experiments.formatting import amount
from wattswap.experiments.full_disk import full_disk_told
from wattswap.experiments.markup import table
from wattswap.experiments.paired import PairedDifference, differences, is_meant
from wattswap.experiments.plots.curves import curves
from wattswap.experiments.plots.dots import dots, label_of
from wattswap.experiments.processors import usable_processors
from wattswap.experiments.result_folder import folder_taken, keep_text, unwritable
from wattswap.experiments.run_tables import UNCONTROLLED
from wattswap.experiments.sweep import RUNS, ResultStore, checked_jobs, described, run_all
from wattswap.experiments.vary import axis, short
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.parquet_table import WITHOUT_TABLES
from wattswap.runners.recording.rundir import REPORT, SCENARIO
from wattswap.runners.recording.whole_file import whole_file, write_whole

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd
    from matplotlib.figure import Figure

    from wattswap.runners.scenario.street import Street

Rows = list[dict[str, Any]]

TABLE_CSV: Final = "results.csv"
TABLE_PARQUET: Final = "results.parquet"
DIFFERENCES: Final = "differences.csv"
PICTURE: Final = "comparison.png"
WITHOUT_PICTURE: Final = "pip install 'wattswap[plots]'"


class Measure(NamedTuple):
    """One thing to compare by."""

    key: str
    title: str
    per_unit: float
    places: int


CUT_UNPAID: Final = Measure("forced_wh", "kWh cut by last resort", 1_000, 1)
FEEDING_COST: Final = Measure("feeding_cost_nanos", "feeding cost IOTA", 1e9, 1)
PAID: Final = Measure("paid_nanos", "IOTA paid", 1e9, 1)
RENT_OPEN: Final = Measure("rent_open_nanos", "IOTA rent open", 1e9, 1)
MEASURES: Final = (
    Measure("sessions_short", "sessions left short", 1, 1),
    CUT_UNPAID,
    Measure("overload_s", "min over limit", 60, 1),
    Measure("waiting_cost_nanos", "waiting cost IOTA", 1e9, 1),
    FEEDING_COST,
    PAID,
    RENT_OPEN,
    Measure("sellers_losing", "sellers at loss", 1, 1),
    Measure("stops", "stops per session", 1, 2),
)
"""Who was hurt stands first."""
PAID_EUR: Final = Measure("paid_eur", "EUR paid, at the scenario's rate", 1, 2)
PEAK: Final = Measure("peak_w", "highest load kW", 1_000, 1)


class Spread(NamedTuple):
    """A measure over the seeds."""

    mean: float
    least: float
    most: float


class Group(NamedTuple):
    """What one controller with one strategy came to over the seeds."""

    controller: str
    strategy: str
    runs: int
    failed: int
    spread: dict[str, Spread]
    """By key of ``MEASURES``, in its unit; empty if no run came through."""
    varied: str = ""
    """What was set for these runs alone, such as ``transformer.limit_w=140000``."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """The outcome of :func:`compare`."""

    scenario: str
    rows: Rows
    """One flat row for each run: status, error, and the keys of ``wattswap run --json`` (those with parts as
    ``choices_keep``, ``timing_wall_s``)."""
    out: Path | None = None
    sample: str = "seed"
    """What runs of one number have in common: their seed, or with users drawn anew by it their ``street``."""
    against: str = ""
    """The group that all others are compared with, see :func:`.paired.is_meant`; the first one if it is empty."""
    notes: list[str] = field(default_factory=list)
    """What could not be written, and how to change that; what was found damaged in the folder, and is mended."""

    def __repr__(self) -> str:
        """One line: how many runs of what, and how many failed."""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"<Comparison of {self.scenario!r}: {len(self.rows)} runs in {len(self.groups)} groups{failed}>"

    def _repr_html_(self) -> str:
        """The means, as notebooks show them."""
        head = ("controller", "strategy", "varied", *(measure.title for measure in self.measures))
        rows = [
            [group.controller, group.strategy, group.varied, *_means(group.spread, self.measures)]
            for group in self.groups
        ]
        return table(head, rows, words=3)

    @property
    def results(self) -> pd.DataFrame:
        """The rows as a DataFrame; needs pandas, which the extra ``sim`` brings."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    @property
    def failed(self) -> Rows:
        """The runs that did not come through; ``error`` says why."""
        return [row for row in self.rows if row["status"] == "failed"]

    @property
    def groups(self) -> list[Group]:
        """Each controller with each strategy, in the order they were named."""
        rows: dict[tuple[str, str, str], Rows] = {}
        for row in self.rows:
            rows.setdefault((row["controller"], row["strategy"], row.get("varied", "")), []).append(row)
        return [_group(*name, mine) for name, mine in rows.items()]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What these runs are to be compared by: what is rare, energy cut unpaid say, only where there was any."""
        absent = [
            rare for rare in (CUT_UNPAID, FEEDING_COST, RENT_OPEN) if not any(row.get(rare.key) for row in self.rows)
        ]
        return tuple(measure for measure in MEASURES if measure not in absent)

    @property
    def drawn(self) -> tuple[Measure, ...]:
        """Those of the measures that are not 0 in every run; all of them if nothing is left."""
        return tuple(each for each in self.measures if any(row.get(each.key) for row in self.rows)) or self.measures

    @property
    def hurt(self) -> list[str]:
        """Who was hurt, a line for each group in which anybody was, in the mean of its runs."""
        idle = {group.varied: group.spread for group in self.groups if group.controller == UNCONTROLLED}
        return [
            f"{label_of(group.controller, group.strategy, short(group.varied), ', ')}: {text}"
            for group in self.groups
            if group.spread and (text := _hurt(group.spread, idle.get(group.varied)))
        ]

    @property
    def differences(self) -> list[PairedDifference]:
        """Every group beside the yardstick with the same setting, in pairs of one seed; needs scipy (extra ``sim``)."""
        return differences(self.rows, [measure.key for measure in self.measures], self.against)

    def plot(self) -> Figure:
        """The comparison as a picture; needs matplotlib, which the extra ``plots`` brings."""
        return self._curves() or self._dots()

    def pictures(self) -> list[Figure]:
        """All there is to draw of it, the picture of :meth:`plot` first; needs matplotlib."""
        if not any(group.spread for group in self.groups):
            return []
        over_values = self._curves()
        return [*([over_values] if over_values else []), self._dots()]

    def _curves(self) -> Figure | None:
        """Curves over the values of a key, where one alone is varied and has numbers."""
        groups = [group for group in self.groups if group.spread]
        if len({group.varied for group in groups}) < 2 or not all(axis(group.varied) for group in groups):
            return None
        in_euros = all(PAID_EUR.key in group.spread for group in groups)
        measures = [PEAK, *(PAID_EUR if each is PAID and in_euros else each for each in self.drawn)]
        return curves(self.scenario, groups, measures, self.sample)

    def _dots(self) -> Figure:
        groups = [group for group in self.groups if group.spread]
        paired = self.differences if find_spec("scipy") is not None else []
        keys = {measure.key for measure in self.drawn}
        return dots(self.scenario, groups, self.drawn, [each for each in paired if each.key in keys], self.sample)


class ComparisonError(RuntimeError):
    """No run of a comparison came through; the text has the first one's error."""

    def __init__(self, comparison: Comparison) -> None:
        first = comparison.rows[0]
        who = f"{first['controller']}, {first['strategy']}, seed {first['seed']}"
        super().__init__(f"none of {len(comparison.rows)} runs came through; the first, {who}: {first['error']}")
        self.comparison = comparison


def _means(spread: Mapping[str, Spread], measures: Sequence[Measure]) -> list[str]:
    return [f"{spread[m.key].mean:,.{m.places}f}" if spread else "–" for m in measures]


def _hurt(spread: Mapping[str, Spread], idle: Mapping[str, Spread] | None) -> str:
    """What cars lost by a controller, beside nobody in control where that was run; empty if nothing."""
    short = spread["sessions_short"].mean - (idle["sessions_short"].mean if idle else 0)
    texts = [f"{amount(short)} more sessions left short than with nobody in control"] if idle and short > 0 else []
    cut_kwh = spread[CUT_UNPAID.key].mean
    return ", ".join(texts + ([f"{amount(cut_kwh)} kWh cut without pay"] if cut_kwh else []))


def compare(
    scenario: str | Path = "demo",
    *,
    controllers: Sequence[str] = ("uncontrolled", "negotiated"),
    strategies: Sequence[str] = (),
    seeds: int = 1,
    engine: str = "fleet",
    day: int | None = None,
    settings: Sequence[str] = (),
    vary: Sequence[str] = (),
    jobs: int | None = None,
    executor: Executor | None = None,
    out: str | Path | None = None,
    against: str = "",
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Comparison:
    """Run every controller with every strategy over ``seeds`` seeds, counted up from the scenario's own.

    ``vary`` names keys and their values, such as ``transformer.limit_w=140k..240k:20k``; every value is run. Strategies
    matter to ``negotiated`` alone; other controllers run once, with the first of them.

    With ``out`` every finished run is written there at once, and a second call goes on from what is there. ``jobs`` is
    the number of processes, as many as there are processors by default. ``progress`` is called with how many runs are
    over, and of how many.

    ``against`` names the group that differences are taken from: a controller, a strategy of negotiated cars, or
    ``CONTROLLER/STRATEGY``; the first one unless it is given.

    With ``executor`` runs are made in it in place of processes of our own: any executor of ``concurrent.futures``, or
    that of :func:`.cluster.cluster_at`. ``jobs`` is then how many of its workers are to be kept busy.

    Raises:
        ExecutorLostError: the executor broke; finished runs are kept.
        InputError: something that was asked for cannot be, or ``out`` holds runs that were made from other inputs.
        ComparisonError: no run came through; it holds the comparison.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: at least one process is needed")
    street, wanted = checked_jobs(
        str(scenario),
        controllers=controllers,
        strategies=strategies,
        seeds=seeds,
        engine=engine,
        day=day,
        settings=settings,
        vary=vary,
    )
    if against and not any(is_meant(job.controller, job.strategy, against) for job in wanted):
        words = dict.fromkeys(f"{job.controller}/{job.strategy}" for job in wanted)
        raise InputError(f"--against {against}: no such group; there is {', '.join(words)}")
    processes = jobs or usable_processors()
    with ExitStack() as stack:
        store = None if out is None else stack.enter_context(_store_in(Path(out), street))
        stack.enter_context(
            full_disk_told(out, "finished runs stay; make room, and the same command goes on from there")
        )
        done = run_all(store, wanted, processes, lambda count: progress(count, len(wanted)), executor)
        rows = [described(outcome) for outcome in done]
        sample = "street" if street.scenario.sessions.resample == "yes" else "seed"
        notes = store.notes if store else []
        comparison = Comparison(street.name, rows, None if out is None else Path(out), sample, against, notes)
        if comparison.out is not None:
            asked = Asked(
                str(scenario), controllers, strategies, seeds, engine, day, settings, vary, str(comparison.out), against
            )
            _write(comparison, comparison.out, asked, street)
    if len(comparison.failed) == len(comparison.rows):
        raise ComparisonError(comparison)
    return comparison


@contextmanager
def _store_in(out: Path, street: Street) -> Iterator[ResultStore]:
    """The folder, made if need be; nobody else writes there meanwhile."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / RUNS).is_dir())):
        raise InputError(f"--out {out}: there is something else there; name a new folder, or that of a comparison")
    try:
        (out / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from None
    with folder_taken(out):
        store = ResultStore(out, street)
        file = out / SCENARIO
        other = (
            f"--out {out}: its runs are of other inputs (see {file}: the scenario, --set, --day or the data were"
            " not the same); name a new folder"
        )
        if note := keep_text(file, street.resolved_toml, other):
            store.notes.append(note)
        yield store


_HOLDS: Final = {
    TABLE_CSV: "every run as a row, with all its figures",
    TABLE_PARQUET: "the same",
    DIFFERENCES: "the paired differences, in the units that the measures' names say",
    PICTURE: "the first picture",
    RUNS: "a file for each run, from which the same command goes on",
    SCENARIO: "the scenario of all runs, with every key and the hashes of its files",
}


def _write(comparison: Comparison, out: Path, asked: Asked, street: Street) -> None:
    """The table, twice, the picture, and the page."""
    names = list(dict.fromkeys(name for row in comparison.rows for name in row))
    text = StringIO()
    written = csv.DictWriter(text, names, lineterminator="\n")
    written.writeheader()
    written.writerows(comparison.rows)
    write_whole(out / TABLE_CSV, text.getvalue())
    if not _write_parquet(comparison.rows, names, out / TABLE_PARQUET):
        comparison.notes.append(f"{TABLE_PARQUET} was left out, it needs pyarrow: {WITHOUT_TABLES}")
    if find_spec("scipy") is None:
        comparison.notes.append(f"{DIFFERENCES} was left out, it needs scipy: {WITHOUT_TABLES}")
    else:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows((PairedDifference._fields, *comparison.differences))
        write_whole(out / DIFFERENCES, text.getvalue())
    if find_spec("matplotlib") is None:
        comparison.notes.append(f"{PICTURE} was left out, it needs matplotlib: {WITHOUT_PICTURE}")
    elif any(group.spread for group in comparison.groups):
        with whole_file(out / PICTURE) as beside:
            comparison.plot().savefig(beside, dpi=110, format="png")
    holds = {name: text for name, text in _HOLDS.items() if (out / name).exists()}
    write_whole(out / REPORT, comparison_page(comparison, asked, tomllib.loads(street.resolved_toml), holds))


def _write_parquet(rows: Rows, names: Sequence[str], path: Path) -> bool:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        return False
    try:
        table = pa.table({name: [row.get(name) for row in rows] for name in names})
    except pa.ArrowException as error:
        raise InputError(
            f"{path.parent / RUNS}: figures of its runs do not fit one table ({error}); delete the file that was"
            " altered, and its run is made again"
        ) from None
    with whole_file(path) as beside:
        parquet.write_table(table, beside)
    return True


def _group(controller: str, strategy: str, varied: str, rows: Rows) -> Group:
    good = [row for row in rows if row["status"] == "complete"]
    spread = {
        measure.key: _spread(row[measure.key] / measure.per_unit for row in good) for measure in (*MEASURES, PEAK)
    }
    rates = {row.get("eur_per_iota", 0) for row in good}
    if len(rates) == 1 and (rate := rates.pop()):
        spread[PAID_EUR.key] = _spread(row["paid_nanos"] / 1e9 * rate for row in good)
    return Group(controller, strategy, len(rows), len(rows) - len(good), spread if good else {}, varied)


def _spread(values: Iterable[float]) -> Spread:
    known = list(values)
    return Spread(sum(known) / len(known), min(known), max(known)) if known else Spread(0.0, 0.0, 0.0)
