"""Two figures of the market: what a car gains by asking other than its own cost, and what waiting costs under rivals.

    python -m wattswap.experiments.bench.market_figures --scenario c250stress --day 5
    python -m wattswap.experiments.bench.market_figures --scenario a400 --seeds 3 --rivals

The first lets one car at a time ask a multiple of its cost, on a fine grid, everyone else truthful. The second prints
the weighted waiting cost of the truthful market over that of ``edf`` and ``llf``, which are told every departure.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.strategies.manipulators import AsksTimes
from wattswap.experiments.api import run
from wattswap.experiments.games.play import HONEST, run_played
from wattswap.experiments.games.played_street import PlayedStreet
from wattswap.protocol.draws import draw
from wattswap.protocol.units import NANOS_PER_IOTA, Purpose
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.runners.scenario.street import Street

FINE_PERMILLE: Final = (800, 900, 1_100, 1_250, 1_500)
CARS: Final = 18
RIVALS: Final = ("edf", "llf")
_DISCLOSED: Final = ("vehicles.disclose=departure",)


def deviations(street: Street, cars: int = CARS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of so many cars, in IOTA: the utility of each when truthful, and what each ask of the grid adds, a row a car.

    The cars are drawn among those that earn something when everyone is truthful.
    """
    keys = street.sessions.user_key
    nobody = PlayedStreet.honest(street, np.zeros(len(keys), dtype=bool))
    honest = run_played(nobody)
    earning = np.unique(keys[honest.earned_nanos > 0])
    order = np.argsort(draw(street.scenario.seed, earning, Purpose.MANIPULATION))
    utility, added = [], []
    for key in earning[order][:cars].tolist():
        mine = keys == np.uint64(key)
        utility.append(honest.utility_iota(mine, 1))
        tried = (run_played(replace(nobody, asking=mine, asks=AsksTimes(permille))) for permille in FINE_PERMILLE)
        added.append([each.utility_iota(mine, 1) - utility[-1] for each in tried])
    return np.array(utility), np.array(added)


def waiting_cost_iota(scenario: str, controller: str, seed: int, day: int | None) -> float:
    """The weighted waiting cost of a run."""
    settings = _DISCLOSED if controller in RIVALS else ()
    result = run(
        scenario, controller=controller, strategy=HONEST, engine="fleet", seed=seed, day=day, settings=settings
    )
    return float(result.summary["waiting_cost_nanos"]) / NANOS_PER_IOTA


def _print_deviations(scenario: str, day: int | None) -> None:
    utility, added = deviations(load_street(scenario, strategy=HONEST, day=day))
    total = utility.sum()
    shares = zip(FINE_PERMILLE, added.sum(axis=0).tolist(), strict=True)
    print(
        f"{len(utility)} cars, utility {total:.2f} IOTA when truthful. All of them asking so much of their cost gain:"
    )
    print(", ".join(f"x {permille / 1000}: {gain / total:+.2%}" for permille, gain in shares))
    hindsight = np.maximum(added.max(axis=1), 0)
    print(f"Each the best of the grid in hindsight: {hindsight.sum() / total:+.2%}, for {(hindsight > 0).sum()} cars")


def _print_rivals(scenario: str, seeds: int, day: int | None) -> None:
    for seed in range(1, seeds + 1):
        ours = waiting_cost_iota(scenario, "negotiated", seed, day)
        theirs = [waiting_cost_iota(scenario, rival, seed, day) for rival in RIVALS]
        ratios = ", ".join(
            f"{name} {cost:.1f} ({ours / cost:.2f} x)" for name, cost in zip(RIVALS, theirs, strict=True)
        )
        print(f"{scenario} seed {seed}: truthful {ours:.1f} IOTA; {ratios}")


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="c250stress")
    parser.add_argument("--day", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rivals", action="store_true")
    asked = parser.parse_args()
    if asked.rivals:
        _print_rivals(asked.scenario, asked.seeds, asked.day)
    else:
        _print_deviations(asked.scenario, asked.day)


if __name__ == "__main__":
    main()
