"""A comparison as one page for people: ``report.html`` in its folder, to be read without a network and without scripts.

Whatever comes from a scenario, a strategy or a command line is text and is escaped (:mod:`.markup`).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from wattswap.experiments.formatting import counted, rounded
from wattswap.experiments.markup import element, paragraphs, section, table
from wattswap.experiments.plots.curves import DrawnGroup
from wattswap.experiments.plots.dots import label_of
from wattswap.experiments.plots.picture import svg
from wattswap.experiments.report_inputs import settings, sources
from wattswap.experiments.report_page import embedded, whole_page
from wattswap.experiments.vary import short
from wattswap.runners.recording.rundir import wattswap_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.figure import Figure

    from wattswap.experiments.compare_command import Asked
    from wattswap.experiments.paired import PairedDifference
    from wattswap.experiments.plots.curves import DrawnMeasure, Reach

_NOTHING: Final = "–"
_LEAST_P: Final = 0.001
"""Below this, no more is said of a p-value."""


class ComparedGroup(DrawnGroup, Protocol):
    """What one controller with one strategy came to under one value."""

    @property
    def failed(self) -> int: ...  # noqa: D102 - the names say it, and so in what follows


class Compared(Protocol):
    """A comparison, as far as its page tells of it."""

    @property
    def scenario(self) -> str: ...  # noqa: D102
    @property
    def sample(self) -> str: ...  # noqa: D102
    @property
    def rows(self) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102
    @property
    def groups(self) -> Sequence[ComparedGroup]: ...  # noqa: D102
    @property
    def measures(self) -> Sequence[DrawnMeasure]: ...  # noqa: D102
    @property
    def differences(self) -> Sequence[PairedDifference]: ...  # noqa: D102
    @property
    def hurt(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def failed(self) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102
    @property
    def notes(self) -> Sequence[str]: ...  # noqa: D102
    def pictures(self) -> Sequence[Figure]: ...  # noqa: D102


def comparison_page(compared: Compared, asked: Asked, scenario: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """The whole page.

    ``scenario`` is that of all runs with every key, ``files`` names what else lies in the folder, and what it holds.
    """
    figures = compared.pictures() if find_spec("matplotlib") is not None else ()
    drawn = [embedded(svg(figure), "image/svg+xml", _ALT) for figure in figures]
    found = compared.differences if find_spec("scipy") is not None else ()
    groups, runs = compared.groups, max(group.runs for group in compared.groups)
    what = "rules" if len({group.varied for group in groups}) == 1 else "rules and settings"
    headline = f"{compared.scenario} under {len(groups):,} {what}, {counted(runs, compared.sample)} each"
    return whole_page(
        headline,
        headline,
        " · ".join(_subtitle(compared, asked)),
        warnings=_warnings(compared),
        picture=drawn[0] if drawn else "",
        sections=(
            section("Who was hurt, in the mean of a run", paragraphs(compared.hurt)),
            section("Means", *_means(compared)),
            section("Differences, in pairs", *_paired(compared, found)),
            section("Every value", *drawn[1:]),
            section("What was compared", *_compared(compared, asked)),
            section("Runs that failed", _failed(compared.failed)),
            section("Run it again", *_again(asked)),
            section("In this folder", table(("file", "holds"), [list(each) for each in files.items()], words=2)),
            section("Left out", paragraphs(compared.notes)),
            section("Settings", settings(scenario)),
            section("Data and licences", *sources(scenario)),
        ),
    )


_ALT: Final = "Each rule's mean of each measure, with its range over the runs and the interval of its difference"


def _subtitle(compared: Compared, asked: Asked) -> Iterator[str]:
    yield f"{_seeds(compared)}, engine {asked.engine}"
    if asked.day is not None:
        yield f"day {asked.day}"
    yield f"{counted(len(compared.rows), 'run')}"
    yield f"wattswap {wattswap_version()}"


def _seeds(compared: Compared) -> str:
    seeds = sorted({int(row["seed"]) for row in compared.rows})
    drawn = "streets drawn by seed" if compared.sample == "street" else "seed"
    return f"{drawn} {seeds[0]}" if len(seeds) == 1 else f"{drawn}s {seeds[0]} to {seeds[-1]}"


def _warnings(compared: Compared) -> Iterator[str]:
    if failed := len(compared.failed):
        yield f"{failed:,} of {counted(len(compared.rows), 'run')} failed; everything here is of the others."


# --- figures -----------------------------------------------------------------------------------------------------


def _means(compared: Compared) -> Iterator[str]:
    """The table of the screen: means, and from the least to the most."""
    done = [row for row in compared.rows if row["status"] == "complete"]
    still, all_ = (sum(int(row[key]) for row in done) for key in ("sessions_open", "sessions"))
    text = f"The mean over the {compared.sample}s and, below it, from the least to the most."
    if still:
        text += f" Of {all_:,} sessions {still:,} were plugged in still when their run ended:"
        text += " whether they end short is not known."
    yield element("p", text)
    rows = []
    for group in compared.groups:
        failed = f" ({group.failed:,} of {group.runs:,} failed)" if group.failed else ""
        cells = [_cell(group.spread.get(each.key), each.places) for each in compared.measures]
        rows.append([f"{_label(group.controller, group.strategy, group.varied)}{failed}", *cells])
    yield table(("", *(measure.title for measure in compared.measures)), rows, wrap=True)


def _label(controller: str, strategy: str, varied: str) -> str:
    return label_of(controller, strategy, short(varied), ", ")


def _cell(spread: Reach | None, places: int) -> str:
    if spread is None:
        return _NOTHING
    mean, least, most = (rounded(value, places) for value in (spread.mean, spread.least, spread.most))
    return mean if least == most else f"{mean}\n{least} to {most}"


def _paired(compared: Compared, found: Sequence[PairedDifference]) -> Iterator[str]:
    """What each group has beyond the yardstick with the same setting: mean, interval, and what is left of its p."""
    if not found:
        return
    setting = " with the same setting" if len({each.varied for each in found}) > 1 else ""
    yield element(
        "p",
        f"What each rule has beyond {found[0].against}{setting}, in pairs of one {compared.sample}, of which there are"
        f" {max(each.pairs for each in found):,}: the mean, Student's 95 % interval of it, and the p-value after Holm's"
        " correction over the whole table. A star is a p below 0.05. Where all pairs differ by the same, or none does,"
        " nothing is tested, nor what a rule that pays nobody pays less than the market.",
    )
    measure_of = {measure.key: measure for measure in compared.measures}
    cells: dict[str, dict[str, str]] = {}
    for each in found:
        row = cells.setdefault(_label(each.controller, each.strategy, each.varied), {})
        row[each.key] = _difference(each, measure_of[each.key])
    yield table(
        ("", *(measure.title for measure in compared.measures)),
        ([label, *(row.get(key, _NOTHING) for key in measure_of)] for label, row in cells.items()),
        wrap=True,
    )


def _difference(each: PairedDifference, measure: DrawnMeasure) -> str:
    mean, low, high = (rounded(value / measure.per_unit, measure.places) for value in (each.mean, each.low, each.high))
    if not (each.mean or each.low or each.high):
        return mean
    if each.is_the_same_in_all:
        return f"{mean}\nin each pair"
    if each.p_holm is None:
        return f"{mean}\n{low} to {high}\nnot tested"
    p = f"p < {_LEAST_P}" if each.p_holm < _LEAST_P else f"p {each.p_holm:.3f}"
    return f"{mean}{'*' if each.is_certain else ''}\n{low} to {high}\n{p}"


# --- what was run ------------------------------------------------------------------------------------------------


def _compared(compared: Compared, asked: Asked) -> Iterator[str]:
    """The grid."""
    varied: dict[str, dict[str, None]] = {}
    for row in compared.rows:
        for text in str(row.get("varied") or "").split():
            key, _, value = text.partition("=")
            varied.setdefault(key, {})[value] = None
    grid = [
        ("scenario", asked.scenario),
        ("day", "all" if asked.day is None else str(asked.day)),
        ("controllers", ", ".join(dict.fromkeys(str(row["controller"]) for row in compared.rows))),
        ("strategies where cars are asked", ", ".join(dict.fromkeys(str(row["strategy"]) for row in compared.rows))),
        *((f"{key}, varied", ", ".join(values)) for key, values in varied.items()),
        *(("set", text) for text in asked.own_settings),
        ("runs of each", _seeds(compared)),
        ("engine", asked.engine),
    ]
    yield table(("", "compared"), grid, words=2, wrap=True)


def _failed(rows: Sequence[Mapping[str, Any]]) -> str:
    told = [
        [_label(row["controller"], row["strategy"], row.get("varied") or ""), str(row["seed"]), str(row["error"])]
        for row in rows
    ]
    return table(("", "seed", "error"), told, words=3, wrap=True) if told else ""


def _again(asked: Asked) -> Iterator[str]:
    yield element("p", f"In the folder where it was asked, with wattswap {wattswap_version()}:")
    yield element("pre", asked.command)
    yield element(
        "p",
        "makes the same runs on any machine, and what is finished already is not made again. The trace hash of each run"
        " stands in results.csv: the same trades give the same hash.",
    )
