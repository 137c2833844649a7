"""The tables of docs/figures.md and their excerpt in the README: ``python -m wattswap.experiments.figures``.

Two processes side by side; a time is the processor's, from reading the scenario's files to the summary.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from wattswap.agents.controllers import NEED_DEPARTURES
from wattswap.experiments.api import run
from wattswap.experiments.formatting import controller_name
from wattswap.experiments.interrupts import begin_worker
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wattswap.runners.recording.metrics import Summary

STREETS: Final = ("a400", "b250", "c250stress")
SMALLEST: Final = "b250"
SEEDS: Final = (1, 2, 3, 4, 5)
STEPS: Final = ("base.shape=step", "base.noise_pct=0")
"""The quarter-hourly means as they were measured, instead of a load that moves between them and flickers."""
BEGIN: Final = "<!-- figures:begin -->"
END: Final = "<!-- figures:end -->"
EXCERPT: Final = Path("README.md")
ALL: Final = Path("docs", "figures.md")
PROCESSES: Final = 2

CONTROLLERS: Final = ("uncontrolled", "poc", "fcfs", "equal-share", "edf", "llf", "negotiated")
"""What each week is run under; ``poc`` is the law of the 2019 original."""
RIVALS: Final = ("fcfs", "equal-share", "edf", "llf")
"""Those that keep the load below the limit, which they share with the negotiation."""
DISCLOSED: Final = ("vehicles.disclose=departure",)
"""Under controllers that decide by departures cars tell them theirs; the tables say so."""
FEEDING: Final = ("vehicles.disclose=feeding",)
"""Cars tell these controllers besides what they could feed."""
NO_CAR_FEEDS: Final = ("vehicles.feed_w=0",)
NO_BATTERY_FEEDS: Final = {"b250": ("battery.0.strategy=need",)}
"""By street with a battery: as bundled it is a `prosumer`, which is `need` that also feeds back."""
HALF_KEEP: Final = ("vehicles.strategy=need:0.5+keep:0.5",)
UNSURE: Final = ("vehicles.departure=error:2h",)
LOSSY: Final = ("faults.loss_pct=20", "faults.repeat_pct=20", "faults.crashes_per_day=1", "faults.cuts_per_day=2")
HARDSHIPS: Final = (
    ("half of the cars keep charging whatever is called", "fleet", HALF_KEEP),
    ("expected departures are off by 2 h (standard deviation)", "fleet", UNSURE),
    ("20 % of messages lost, 20 % repeated; every agent crashes once and is cut off twice a day", "messages", LOSSY),
)
"""What the negotiation is put through besides; on the network, only the smallest street, for its time."""

_COMMON: Final = (
    "street",
    "peak, nobody in control",
    "min over limit",
    "min over limit, negotiated",
    "peak, % of limit",
    "sessions left short",
)
_MARKET: Final = ("kWh deferred", "IOTA paid", "waiting cost, IOTA", "earned beyond it, IOTA", "sellers that lose, %")
_EXCERPT_HEADER: Final = (
    "street, one week",
    "min over limit, nobody in control",
    "min over limit, negotiated",
    "sessions left short",
    "stops per session",
    "IOTA paid",
    "waiting cost, IOTA",
    "feeding cost, IOTA",
    "waiting cost, best rival",
)
_STEPS_TEXT: Final = (
    "The same weeks with the quarter-hourly means replayed as steps, without noise; what remains over the limit is the"
    " first 30 s after a step, before anyone can know of it:"
)

_OTHERS_TEXT: Final = (
    "The same weeks under rules that ask nobody and pay nobody, beside the negotiation (`poc` is the original of 2019);"
    " *near* is the time above 92 % of the limit, *swings* are the times the load rose above the limit, *waiting cost*"
    " is what waiting costs the cars by each owner's own price. `edf` and `llf` decide by departures, which cars tell"
    " nobody else. Where *cars feed* every car whose battery allows feeds for those ahead of it, unasked and unpaid;"
    " *cost of feeding* is wear, and energy lost on the way in and out. No other rival lets a car feed back; in the"
    " last row of each street nobody feeds under the negotiation either, neither car nor battery, and all else is as in"
    " the row above:"
)


class FigureJob(NamedTuple):
    """One run to be measured."""

    street: str
    controller: str = "negotiated"
    engine: str = "fleet"
    settings: tuple[str, ...] = ()
    seed: int = 1


Results = dict[FigureJob, "Summary"]


def jobs(streets: Sequence[str] = STREETS, seeds: Sequence[int] = SEEDS) -> list[FigureJob]:
    """Every run that the tables need, the longest first, so that two processes end together."""
    return [
        *(FigureJob(street, engine="messages") for street in reversed(streets)),
        *(job for _, job in reversed(hardships(streets))),
        *(FigureJob(street, seed=seed) for street in reversed(streets) for seed in seeds),
        *(FigureJob(street, settings=STEPS) for street in reversed(streets)),
        *(FigureJob(street, "uncontrolled", settings=STEPS) for street in streets),
        *(without_feeding(street) for street in streets),
        *(under(street, controller) for street in streets for controller in CONTROLLERS if controller != "negotiated"),
        *(job for street in streets for job in feeding(street).values()),
    ]


def under(street: str, controller: str, settings: tuple[str, ...] = ()) -> FigureJob:
    """A week under a controller, whom cars tell their departures if it cannot do without."""
    disclosed = DISCLOSED if controller in NEED_DEPARTURES else ()
    return FigureJob(street, controller, settings=(*settings, *disclosed))


def feeding(street: str) -> dict[str, FigureJob]:
    """A week under the controllers that let cars feed, by the name that tables show."""
    rivals = [controller for controller in CONTROLLERS if controller in NEED_DEPARTURES]
    return {
        f"{controller}, cars feed (knows departures and batteries)": FigureJob(street, controller, settings=FEEDING)
        for controller in rivals
    }


def without_feeding(street: str) -> FigureJob:
    """A week negotiated where neither a car nor a battery can feed back; all answer as they otherwise do."""
    return FigureJob(street, settings=(*NO_CAR_FEEDS, *NO_BATTERY_FEEDS.get(street, ())))


def hardships(streets: Sequence[str]) -> list[tuple[str, FigureJob]]:
    """What the negotiation is put through besides, in words and as a run; rivals too where departures are uncertain."""
    found = []
    for what, engine, settings in HARDSHIPS:
        for street in streets:
            if engine == "fleet" or street == SMALLEST:
                found.append((f"{street}: {what}", FigureJob(street, engine=engine, settings=settings)))
            if settings == UNSURE:
                rivals = (under(street, controller, settings) for controller in RIVALS)
                found += [(f"{street}, {controller_name(job.controller)}: {what}", job) for job in rivals]
    return found


def measure(job: FigureJob) -> Summary:
    """Run it and keep the figures, and the processor time that all of it took."""
    began = process_time()
    result = run(job.street, controller=job.controller, engine=job.engine, seed=job.seed, settings=job.settings)
    return result.summary | {"cpu_s": process_time() - began}


def measured(wanted: Sequence[FigureJob]) -> Results:
    """All runs, in processes that start afresh: the same on every system, and no run warms up another."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"), initializer=begin_worker) as pool:
        return dict(zip(wanted, pool.map(measure, wanted), strict=True))


def markdown(results: Results, streets: Sequence[str] = STREETS, seeds: Sequence[int] = SEEDS) -> str:
    """The tables."""
    parts = [
        _seeds_table(results, streets, seeds),
        _STEPS_TEXT,
        _steps_table(results, streets),
        "What a week takes of a processor, and whether the two engines made the same trades to the last nano:",
        _times_table(results, streets),
        _OTHERS_TEXT,
        _controllers_table(results, streets),
        "And the negotiation under hardship:",
        _hardships_table(results, streets),
    ]
    return "\n\n".join(parts)


def excerpt(results: Results, streets: Sequence[str] = STREETS, seeds: Sequence[int] = SEEDS) -> str:
    """What a newcomer wants to know: a street's hours over its limit, who is hurt, and what it costs."""
    rows = []
    for street in streets:
        runs = [results[FigureJob(street, seed=seed)] for seed in seeds]
        rows.append(
            [
                street,
                f"{results[FigureJob(street, 'uncontrolled')]['overload_s'] / 60:,.1f}",
                _range(runs, lambda of: of["overload_s"] / 60, 1),
                _range(runs, lambda of: of["sessions_short"], 0),
                _range(runs, lambda of: of["stops"], 2),
                _range(runs, lambda of: of["paid_nanos"] / 1e9, 0),
                _range(runs, _waiting_cost_iota, 1),
                _range(runs, _feeding_cost_iota, 1),
                _cheapest_rival(results, street),
            ]
        )
    return table(_EXCERPT_HEADER, rows)


def _cheapest_rival(results: Results, street: str) -> str:
    """The least waiting cost of the rules that hold the limit without asking, and how many sessions it left short."""
    runs = {controller: results[under(street, controller)] for controller in RIVALS}
    controller, of = min(runs.items(), key=lambda run: _waiting_cost_iota(run[1]))
    short = f", {of['sessions_short']} short" if of["sessions_short"] else ""
    return f"{_waiting_cost_iota(of):,.1f} ({controller}{short})"


def _waiting_cost_iota(of: Mapping[str, float]) -> float:
    return of["waiting_cost_nanos"] / 1e9


def _feeding_cost_iota(of: Mapping[str, float]) -> float:
    return of["feeding_cost_nanos"] / 1e9


def _seeds_table(results: Results, streets: Sequence[str], seeds: Sequence[int]) -> str:
    rows: list[list[str]] = []
    for street in streets:
        alone = results[FigureJob(street, "uncontrolled")]
        runs = [results[FigureJob(street, seed=seed)] for seed in seeds]
        rows.append(
            [
                street,
                f"{alone['peak_w'] / 1000:.1f} kW",
                f"{alone['overload_s'] / 60:,.1f}",
                _range(runs, lambda of: of["overload_s"] / 60, 1),
                _range(runs, lambda of: 100 * of["peak_w"] / of["limit_w"], 1),
                _range(runs, lambda of: of["sessions_short"], 0),
                _range(runs, _forced_pct, 2),
                _range(runs, lambda of: of["stops"], 2),
                *(_range(runs, figure, places) for figure, places in _MARKET_FIGURES),
            ]
        )
    header = [*_COMMON, "forced, % of relief", "stops per session", *_MARKET]
    return f"Seeds {seeds[0]} to {seeds[-1]}:\n\n" + table(header, rows)


def _steps_table(results: Results, streets: Sequence[str]) -> str:
    rows = []
    for street in streets:
        alone, ours = (
            results[FigureJob(street, "uncontrolled", settings=STEPS)],
            results[FigureJob(street, settings=STEPS)],
        )
        rows.append(
            [
                street,
                f"{alone['peak_w'] / 1000:.1f} kW",
                f"{alone['overload_s'] / 60:,.1f}",
                f"{ours['overload_s'] / 60:,.1f}",
                f"{100 * ours['peak_w'] / ours['limit_w']:.1f}",
                f"{ours['sessions_short']}",
                *(f"{figure(ours):,.{places}f}" for figure, places in _MARKET_FIGURES),
            ]
        )
    header = [*_COMMON, *_MARKET]
    return table(header, rows)


def _times_table(results: Results, streets: Sequence[str]) -> str:
    rows = []
    for street in streets:
        fleet, messages = results[FigureJob(street)], results[FigureJob(street, engine="messages")]
        same = "yes" if fleet["trace_hash"] == messages["trace_hash"] else "**no**"
        rows.append([street, *(f"{of['cpu_s']:.1f} s" for of in (fleet, messages)), same])
    return table(["street, one week", "fleet", "messages", "same trades"], rows)


def _controllers_table(results: Results, streets: Sequence[str]) -> str:
    rows = []
    for street in streets:
        jobs = {controller_name(controller): under(street, controller) for controller in CONTROLLERS}
        ours = jobs.pop("negotiated")
        jobs |= feeding(street) | {"negotiated": ours}
        jobs["negotiated, nobody feeds"] = without_feeding(street)
        for name, job in jobs.items():
            of = results[job]
            near_h = of["near_limit_s"] / 3_600
            costs = (f"{_waiting_cost_iota(of):,.1f}", f"{_feeding_cost_iota(of):,.1f}")
            rows.append([f"{street}, {name}", *_hard_facts(of), f"{near_h:,.1f}", *costs])
    return table(["street, controller", *_HARD_FACTS, "near, h", "waiting cost, IOTA", "cost of feeding, IOTA"], rows)


def _hardships_table(results: Results, streets: Sequence[str]) -> str:
    rows = []
    for what, job in hardships(streets):
        of = results[job]
        rows.append([what, *_hard_facts(of), f"{_forced_pct(of):.2f}"])
    return table(["street", *_HARD_FACTS, "forced, % of relief"], rows)


_HARD_FACTS: Final = (
    "sessions left short",
    "kWh missing",
    "min over limit",
    "peak, % of limit",
    "swings",
    "stops per session",
)


def _hard_facts(of: Summary) -> list[str]:
    return [
        f"{of['sessions_short']}",
        f"{of['unserved_wh'] / 1000:,.1f}",
        f"{of['overload_s'] / 60:,.1f}",
        f"{100 * of['peak_w'] / of['limit_w']:.1f}",
        f"{of['oscillations']}",
        f"{of['stops']:.2f}",
    ]


def _losing_pct(of: Mapping[str, float]) -> float:
    """Those who earned less than waiting cost them, as a share of those who sold."""
    return 100 * of["sellers_losing"] / of["sellers"] if of["sellers"] else 0.0


_MARKET_FIGURES: Final[tuple[tuple[Callable[[Mapping[str, float]], float], int], ...]] = (
    (lambda of: of["deferred_wh"] / 1000, 0),
    (lambda of: of["paid_nanos"] / 1e9, 0),
    (_waiting_cost_iota, 1),
    (lambda of: of["sellers_gain_nanos"] / 1e9, 1),
    (_losing_pct, 1),
)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replaced(text: str, block: str) -> str:
    """A document with what stands between the two marks replaced.

    Raises:
        InputError: the marks are not there, once each and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise InputError(f"the figures stand between {BEGIN} and {END}; write each of these lines once")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def _range(runs: Sequence[Summary], figure: Callable[[Mapping[str, float]], float], places: int) -> str:
    """The least and the most of a figure, or the one there is."""
    least, most = (f"{bound(figure(of) for of in runs):,.{places}f}" for bound in (min, max))
    return least if least == most else f"{least} to {most}"


def _forced_pct(of: Mapping[str, float]) -> float:
    """What the last resort took, as a share of all relief."""
    relief_wh = of["forced_wh"] + of["deferred_wh"] + of["fed_back_wh"]
    return 100 * of["forced_wh"] / relief_wh if relief_wh else 0.0


@click.command(epilog="Example: python -m wattswap.experiments.figures --write .")
@click.option(
    "--write",
    "project",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Replace the tables of README.md and docs/figures.md in this folder of the project.",
)
def main(project: Path | None) -> None:
    """Measure the tables of README.md and docs/figures.md, and print them as Markdown."""
    folder = project or Path()
    try:
        pages = {page: (folder / page).read_text(encoding="utf-8") for page in (EXCERPT, ALL)} if project else {}
        for text in pages.values():
            replaced(text, "")  # a page without marks is told so now, not after minutes of measuring
    except (OSError, InputError) as error:
        click.echo(f"figures: {error}", err=True)
        sys.exit(2)
    results = measured(jobs())
    blocks = {EXCERPT: excerpt(results), ALL: markdown(results)}
    for page, text in pages.items():
        (folder / page).write_text(replaced(text, blocks[page]), encoding="utf-8")
    click.echo("\n\n".join(blocks.values()))


if __name__ == "__main__":
    main()
