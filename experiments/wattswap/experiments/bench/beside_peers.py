"""Other simulators beside ours: which are installed, in this interpreter or another, and what they take for a day.

A peer runs in a process of its own, by one of the programs in ``bench/peers``, for it may want other versions of what
we use too. It tells the processor time of its steps alone: what it imports and reads is not counted, nor is it of ours.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from wattswap.experiments.bench.bench_row import BenchRow
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.engines.side_by_side import SideBySide
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wattswap.runners.scenario import Street

_PROGRAMS: Final = Path(__file__).parent / "peers"
_VERSIONS: Final = """
import importlib.metadata as metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_PATIENCE_S: Final = 600


class Peer(NamedTuple):
    """A simulator that people use in our place."""

    name: str
    package: str
    """As it is installed."""
    measure: Callable[[InstalledPeer, int], BenchRow] | None
    """Puts it beside ours; None where nothing here runs it."""


class PeerFailedError(RuntimeError):
    """A simulator did not come through; why stands in it."""


class InstalledPeer(NamedTuple):
    """A simulator that is here."""

    title: str
    """Name and version."""
    python: str
    """The interpreter that has it."""


def beside_peers(seeds: int, pythons: Sequence[str]) -> tuple[Iterator[BenchRow], list[str]]:
    """The rows of all simulators that one of these interpreters has, as they are measured; and what is not measured.

    The list of these is complete when the rows are at their end, for a simulator may fail.

    Raises:
        InputError: an interpreter cannot be started.
    """
    here = [(python, _versions(python)) for python in pythons]
    measured, told = [], []
    for peer in PEERS:
        has = [(python, found[peer.package]) for python, found in here if peer.package in found]
        if not has:
            told.append(f"{peer.name} (not installed)")
        elif peer.measure is None:
            told.append(f"{peer.name} {has[0][1]} (installed; nothing here runs it)")
        else:
            measured.append((peer.measure, InstalledPeer(f"{peer.name} {has[0][1]}", has[0][0])))

    def rows() -> Iterator[BenchRow]:
        for measure, installed in measured:
            try:
                yield measure(installed, seeds)
            except PeerFailedError as error:
                told.append(f"{installed.title} ({error})")

    return rows(), told


def _versions(python: str) -> dict[str, str]:
    """The versions of the peers that an interpreter has."""
    command = [python, "-I", "-c", _VERSIONS, *(peer.package for peer in PEERS)]
    try:
        said = subprocess.run(command, capture_output=True, check=True, timeout=_PATIENCE_S)  # noqa: S603 - the user's
        found: dict[str, str] = json.loads(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        reason = f"exit code {error.returncode}" if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise InputError(f"--peer-python {python}: not a Python that can be asked ({reason})") from None
    return found


def _run(program: str, peer: InstalledPeer, asked: dict[str, Any]) -> dict[str, Any]:
    """What a peer's program answers.

    Raises:
        PeerFailedError: it failed; the last line it said stands in it.
    """
    command = [peer.python, "-I", str(_PROGRAMS / program)]
    try:
        said = subprocess.run(  # noqa: S603 - an interpreter that the user names, a program of ours
            command, input=json.dumps(asked), capture_output=True, check=False, text=True, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        raise PeerFailedError(f"took more than {_PATIENCE_S} s") from None
    if said.returncode:
        why = (said.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise PeerFailedError(f"failed under {peer.python}: {why}")
    answer: dict[str, Any] = json.loads(said.stdout.strip().splitlines()[-1])
    return answer


def _spent_s(streets: Sequence[Street]) -> tuple[float, int]:
    """Processor seconds of our pass over streets, and how many ticks how many cars were plugged in."""
    passed = SideBySide(streets)
    began = process_time()
    passed.run()
    return process_time() - began, int(passed.idle.car_ticks.sum())


def _beside_acn_sim(peer: InstalledPeer, seeds: int) -> BenchRow:
    """The same sessions in the same steps; ours are negotiated, theirs charge at once."""
    step_min = 5
    streets = [load_street("b250", day=7, settings=[f"reading_s={60 * step_min}"], seed=1 + at) for at in range(seeds)]
    answer = _run("acn_sim.py", peer, {"step_min": step_min, "sessions": _sessions_of(streets[0])})
    return BenchRow(
        what=f"{seeds} Sundays of 67 chargers in steps of {step_min} min, one pass",
        ours=_spent_s(streets)[0],
        unit="s",
        beside=f"{peer.title} with the same sessions, one by one, and nobody in control",
        theirs=answer["spent_s"] * seeds,
    )


def _sessions_of(street: Street) -> list[tuple[str, int, int, float]]:
    """Station, first and last step, and energy in kWh of each session."""
    sessions = street.sessions
    first = np.maximum(sessions.arrival_tick, 0).tolist()
    last = np.minimum(sessions.departure_tick, street.ticks).tolist()
    return list(zip(sessions.station_id, first, last, (sessions.energy_ws / WS_PER_KWH).tolist(), strict=True))


def _beside_ev2gym(peer: InstalledPeer, _seeds: int) -> BenchRow:
    """As many stations in the same steps, each with its own cars; so steps of a plugged car are compared."""
    step_min, stations = 15, 1_000
    settings = [f"reading_s={60 * step_min}", f"window_s={60 * step_min}"]
    streets = [load_street("a400", day=7, settings=settings, seed=seed) for seed in range(1, 6)]
    spent_s, car_steps = _spent_s(streets)
    asked = {"stations": stations, "step_min": step_min, "steps": streets[0].ticks}
    answer = _run("ev2gym.py", peer, asked)
    return BenchRow(
        what=f"steps of a plugged car, {stations:,} stations, a day in steps of {step_min} min",
        ours=car_steps / spent_s,
        unit="1/s",
        beside=f"{peer.title} with as many stations, its own cars, all at full power",
        theirs=answer["car_steps"] / answer["spent_s"],
    )


PEERS: Final = (
    Peer("ACN-Sim", "acnportal", _beside_acn_sim),
    Peer("EV2Gym", "ev2gym", _beside_ev2gym),
    Peer("CityLearn", "citylearn", None),
    Peer("Chargax", "chargax", None),
)
