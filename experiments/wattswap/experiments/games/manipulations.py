"""The bundled manipulations: each turns an honest street into one where the chosen cars play a game."""
# ruff: noqa: ARG001 - every manipulation is told the peaks, and uses them or not

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.agents.physics import ceil_div, charging_ms
from wattswap.agents.strategies.bundled import altruist
from wattswap.agents.strategies.manipulators import AsksAlways, AsksTimes
from wattswap.protocol.units import MS_PER_HOUR, WS_PER_KWH
from wattswap.runners.scenario.cars import garage_of
from wattswap.runners.scenario.sessions import keys_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.experiments.games.played_street import PlayedStreet
    from wattswap.runners.scenario.street import Sessions

PHANTOM_WS: Final = 20 * WS_PER_KWH
"""What a car that is not there says it needs."""
INFLATED_BY: Final = 2
"""How many times its need a car states that inflates it."""
HURRY_MS: Final = 2 * MS_PER_HOUR
"""A car in a false hurry says that it leaves so long after it could be full."""
PEAK_MS: Final = 4 * MS_PER_HOUR
"""Who came home no earlier than this before the peak can put off plugging in until then."""


class Manipulation(NamedTuple):
    """One way to play the market."""

    name: str
    does: str
    """What a car does that plays it, in one sentence without a subject."""
    share: float
    """The share of the cars that play it unless told otherwise."""
    play: Callable[[PlayedStreet, Ints], PlayedStreet]
    """From the honest street and the ticks at which each day's need was highest."""


def _phantom(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    rows = np.flatnonzero(honest.plays)
    double = _copies(honest.street.sessions, rows, "phantom")
    stations = tuple(f"{station}+phantom" for station in double.station_id)
    vehicles = tuple(f"{vehicle}+phantom" for vehicle in double.vehicle_id)
    need_ws = np.full(len(rows), PHANTOM_WS, dtype=np.int64)
    double = replace(
        double, station_id=stations, vehicle_id=vehicles, key=keys_of(double.session_id), energy_ws=need_ws
    )
    played = honest.with_more(double, np.zeros_like(rows), np.full_like(rows, -1))
    invented = np.arange(len(played.plays)) >= len(honest.plays)
    return replace(played, asks=altruist, asking=invented)


def _inflated(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    sessions = honest.street.sessions
    energy_ws = np.where(honest.plays, INFLATED_BY * sessions.energy_ws, sessions.energy_ws)
    return honest.saying(replace(sessions, energy_ws=energy_ws))


def _replug(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    sessions = honest.street.sessions
    full_tick = sessions.arrival_tick + _full_ms(honest) // honest.street.tick_ms + 1
    splits = honest.plays & (full_tick > 0) & (sessions.arrival_tick >= 0) & (full_tick < sessions.departure_tick)
    splits &= full_tick < honest.street.ticks
    rows = np.flatnonzero(splits)
    again = replace(_copies(sessions, rows, "again"), arrival_tick=full_tick[rows])
    departure_tick = np.where(splits, full_tick, sessions.departure_tick)
    first = honest.saying(replace(sessions, departure_tick=departure_tick))
    return first.with_more(again, honest.real_ws[rows], rows)


def _stall(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    return replace(honest, stalls=honest.plays)


def _crawl(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    return replace(honest, crawls=honest.plays)


def _false_urgency(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    sessions, tick_ms = honest.street.sessions, honest.street.tick_ms
    full_ms = np.maximum(sessions.arrival_tick, 0) * tick_ms + _full_ms(honest) + HURRY_MS
    said_ms = np.minimum(ceil_div(full_ms, tick_ms) * tick_ms, sessions.stated_departure_ms)
    said_ms = np.where(honest.plays, said_ms, sessions.stated_departure_ms)
    return honest.saying(replace(sessions, stated_departure_ms=said_ms))


def _ring(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    return replace(honest, asks=AsksAlways(honest.street.scenario.market.reserve_nanos_per_kwh_h))


def _asks_more(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    return replace(honest, asks=AsksTimes(1_250))


def _asks_less(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    return replace(honest, asks=AsksTimes(800))


def _at_the_peak(honest: PlayedStreet, peaks: Ints) -> PlayedStreet:
    sessions, tick_ms = honest.street.sessions, honest.street.tick_ms
    arrival = sessions.arrival_tick.copy()
    for peak in peaks.tolist():
        in_time = (peak * tick_ms + _full_ms(honest) + HURRY_MS) // tick_ms < sessions.departure_tick
        waits = (sessions.arrival_tick >= peak - PEAK_MS // tick_ms) & (sessions.arrival_tick < peak)
        arrival[honest.plays & (sessions.arrival_tick >= 0) & in_time & waits] = peak
    return honest.saying(replace(sessions, arrival_tick=arrival))


def _full_ms(honest: PlayedStreet) -> Ints:
    """How long each session takes at full power."""
    sessions = honest.street.sessions
    return charging_ms(
        sessions.energy_ws, garage_of(honest.street.scenario, sessions.user_key, sessions.station_id).max_w
    )


def _copies(sessions: Sessions, rows: NDArray[np.intp], what: str) -> Sessions:
    """These sessions under names of their own."""

    def names(column: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(column[row] for row in rows.tolist())

    return replace(
        sessions,
        session_id=tuple(f"{name}+{what}" for name in names(sessions.session_id)),
        station_id=names(sessions.station_id),
        vehicle_id=names(sessions.vehicle_id),
        user_id=names(sessions.user_id),
        key=sessions.key[rows],
        user_key=sessions.user_key[rows],
        arrival_tick=sessions.arrival_tick[rows],
        departure_tick=sessions.departure_tick[rows],
        stated_departure_ms=sessions.stated_departure_ms[rows],
        energy_ws=sessions.energy_ws[rows],
    )


MANIPULATIONS: Final = (
    Manipulation("phantom", "plugs in a second car that needs nothing, says 20 kWh, and asks 0", 0.1, _phantom),
    Manipulation("inflated need", "says it needs twice as much as it does", 0.1, _inflated),
    Manipulation("replug", "plugs in again when its baseline is over, to have a new one", 0.1, _replug),
    Manipulation("stall", "draws back what it sold as late as it can", 0.1, _stall),
    Manipulation("crawl", "draws back what it sold as slowly as its clock allows, at 6 A", 0.1, _crawl),
    Manipulation("false urgency", "says it leaves two hours after it could be full", 0.1, _false_urgency),
    Manipulation("ring", "asks the reserve, as all in the ring do", 0.5, _ring),
    Manipulation("at the peak", "puts off plugging in until the day's highest need, by up to 4 h", 0.1, _at_the_peak),
    Manipulation("asks more", "asks a quarter more than waiting costs it", 0.1, _asks_more),
    Manipulation("asks less", "asks a fifth less than waiting costs it", 0.1, _asks_less),
)
