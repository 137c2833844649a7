"""A city as a scenario file: many feeders, each like one of the bundled streets, with homes and cars drawn for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.protocol.draws import draw
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import Purpose
from wattswap.runners.scenario.read import load_scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wattswap.runners.scenario.schema import Battery, Scenario


class StreetKind(NamedTuple):
    """A bundled street that a city's feeders are like."""

    name: str
    homes: int
    """How many homes its file is the sum of."""


KINDS: Final = (StreetKind("a400", 200), StreetKind("b250", 100), StreetKind("c250stress", 150))
"""Each as likely as the others."""
MOST_FEEDERS: Final = 10_000
_KIND_DRAW: Final = 9
"""Tells this draw from others of sessions."""


def city_text(feeders: int, seed: int, name: str) -> str:
    """The scenario of a city of so many feeders, commented, to be changed by hand.

    Raises:
        InputError: there are too few or too many of them.
    """
    if not 1 <= feeders <= MOST_FEEDERS:
        raise InputError(f"a city of {feeders} transformers: choose 1 to {MOST_FEEDERS:_}")
    kinds = draw(seed, np.arange(feeders, dtype=np.uint64), Purpose.SESSION, index=_KIND_DRAW) % np.uint64(len(KINDS))
    scenarios = {kind: load_scenario(kind.name).scenario for kind in KINDS}
    first = scenarios[KINDS[0]]
    return "\n".join((_head(feeders, seed, name, first), *_feeders([KINDS[at] for at in kinds.tolist()], scenarios)))


def _head(feeders: int, seed: int, name: str, like: Scenario) -> str:
    return f"""\
# A city of {feeders:,} transformers with real homes, sun and charging sessions, drawn with seed {seed}.
# All of them, with a row of figures for each: wattswap city THIS_FILE --day 7 --out DIR
# As one run, with all that is recorded:       wattswap run THIS_FILE --day 7 --engine fleet
schema = 1
name = "{name}"
start = {like.start.isoformat()}     # the week that the sun and the sessions were recorded in, or moved to
days = {like.days}
seed = {seed}                              # another one draws all homes, cars, strategies and prices anew

# What a feeder does not say itself it takes from these tables; every key of a scenario may stand here.
[transformer]
margin_pct = {like.transformer.margin_pct}
clearing = "{like.transformer.clearing}"
ambient_csv = "{like.transformer.ambient_csv}"

[base]
noise_pct = {like.base.noise_pct}

[sessions]
resample = "yes"                      # the recorded users of a feeder's file are drawn anew, with replacement

[vehicles]
strategy = "{like.vehicles.strategy}"

# A feeder's own seed tells its draws from those of others: change it, and this feeder alone gets other homes and cars.
"""


def _feeders(kinds: list[StreetKind], scenarios: dict[StreetKind, Scenario]) -> Iterator[str]:
    for number, kind in enumerate(kinds, 1):
        like, name = scenarios[kind], f"{kind.name}-{number}"
        yield f"""\
[[feeder]]
name = "{name}"
seed = {number}
[feeder.transformer]
rating_va = {like.transformer.rating_va:_}
[feeder.base]
homes = {kind.homes}
pv_csv = "{like.base.pv_csv}"
[feeder.sessions]
csv = "{like.sessions.csv}"
"""
        yield from (_battery(battery, name) for battery in like.battery)


def _battery(battery: Battery, feeder: str) -> str:
    return f"""\
[[battery]]
feeder = "{feeder}"
capacity_wh = {battery.capacity_wh:_}
max_w = {battery.max_w:_}
wear_nanos_per_kwh = {battery.wear_nanos_per_kwh:_}
"""
