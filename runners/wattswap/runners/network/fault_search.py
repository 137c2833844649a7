"""Searching for a seed that breaks a rule: many seeds of the fault scenario, each audited from end to end."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from wattswap.protocol.errors import InputError
from wattswap.runners.audit.audit_error import AuditError
from wattswap.runners.audit.auditor import Auditor
from wattswap.runners.audit.rules import Rule
from wattswap.runners.engines.launch import faults_of
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.network.fault_scenario import fault_street

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from wattswap.runners.engines.loop import SimulatedRun

_AT_ONCE = 4
"""Seeds handed to a process at a time."""


class SeedResult(NamedTuple):
    """What came of one seed."""

    seed: int
    events: int
    rounds: int
    longest_over: int
    """Ticks of overload in a row, at most."""
    rule: str = ""
    """The rule that broke; nothing if none did."""
    found: str = ""


def run_seed(seed: int, settings: Sequence[str] = (), *, sign: bool = False) -> tuple[SimulatedRun, Auditor]:
    """One seed of the fault scenario, audited from end to end; ``settings`` change its scenario.

    With ``sign`` the agents sign what they say.

    Raises:
        AuditError: a rule is broken.
    """
    street = fault_street(seed, settings)
    faults = faults_of(street)
    auditor = Auditor(faults, sign=sign)
    run = simulated_run(street, sign=sign, faults=faults, observers=[auditor])
    run.run()
    return run, auditor


def seed_result(seed: int, settings: Sequence[str] = (), *, sign: bool = False) -> SeedResult:
    """What comes of one seed; an agent that stumbles is as much a finding as a broken rule."""
    try:
        run, auditor = run_seed(seed, settings, sign=sign)
    except InputError:
        raise
    except AuditError as broken:
        return SeedResult(seed, 0, 0, 0, broken.rule, str(broken))
    except Exception as error:  # noqa: BLE001 - whatever an agent or the book trips over is what is looked for here
        return SeedResult(seed, 0, 0, 0, Rule.NO_EXCEPTION, f"seed {seed}: {type(error).__name__}: {error}")
    return SeedResult(seed, auditor.events, len(run.record.rounds), auditor.longest_over)


def seed_results(
    seeds: Iterable[int],
    settings: Sequence[str] = (),
    processes: int = 1,
    progress: Callable[[int], None] = lambda _done: None,
    *,
    sign: bool = False,
) -> Iterator[SeedResult]:
    """What comes of each of these seeds, in their order."""
    judge = partial(seed_result, settings=settings, sign=sign)
    if processes == 1:
        for done, seed in enumerate(seeds):
            yield judge(seed)
            progress(done)
        return
    with ProcessPoolExecutor(processes) as pool:
        for done, judged in enumerate(pool.map(judge, seeds, chunksize=_AT_ONCE)):
            yield judged
            progress(done)
