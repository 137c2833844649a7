"""The cars that a picture shows, in order: who was cut, fed back, deferred energy, waited or kept charging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.runners.recording.activities import CHARGING, WAITING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

MOST_ROWS: Final = 32
"""More cannot be told apart on a page."""
_MOST_WHO_KEPT: Final = 5
"""Beside others: they did nothing but charge, and a few show what that looks like."""
_MOST_ALONE: Final = 20

GROUPS: Final = ("forced", "feed", "reduce", "waited", "kept")
_TITLES: Final[Mapping[str, str]] = {
    "forced": "cut by the last resort",
    "feed": "fed power back",
    "reduce": "deferred energy",
    "waited": "had to wait",
    "kept": "kept charging",
}


class CarRow(NamedTuple):
    """A car in the picture."""

    session: str
    label: str
    group: str
    title: str
    """What the group is called, with how many of it are shown."""


def car_rows(cars: pd.DataFrame, trades: pd.DataFrame, rounds: pd.DataFrame, window: tuple[int, int]) -> list[CarRow]:
    """The cars that matter between two instants, group by group, each in the order in which it was first touched.

    A group too large is cut down to the cars that gave most; the title then says "20 of 43 cars".
    """
    here = cars[(cars["to_ms"] > window[0]) & (cars["from_ms"] < window[1])]
    groups = _groups(here, _between(trades, window), _between(rounds, window))
    sizes = _fit({name: len(members) for name, members in groups.items()})
    labels = dict(zip(here["session"], here["vehicle"], strict=True))
    rows: list[CarRow] = []
    for name in GROUPS:
        members = groups[name]
        chosen = sorted(sorted(members, key=lambda session: (-members[session][1], session))[: sizes[name]])
        chosen.sort(key=lambda session: members[session][0])
        words = "charged, nobody was asked" if name == "kept" and not len(rounds) else _TITLES[name]
        title = _title(words, len(chosen), len(members))
        rows += [CarRow(session, str(labels[session]), name, title) for session in chosen]
    return rows


def _between(table: pd.DataFrame, window: tuple[int, int]) -> pd.DataFrame:
    return table[(table["t_ms"] >= window[0]) & (table["t_ms"] < window[1])]


def _groups(here: pd.DataFrame, trades: pd.DataFrame, rounds: pd.DataFrame) -> dict[str, dict[str, tuple[int, int]]]:
    """Of each group its sessions: when each was first touched, and how much of it there was to see."""
    groups: dict[str, dict[str, tuple[int, int]]] = {}
    plugged: set[str] = set(here["session"])
    taken: set[str] = set()
    for name in ("forced", "feed", "reduce"):
        kind = trades[trades["kind"] == name]
        sold = kind.groupby("session").agg(first=("t_ms", "min"), ws=("delivered_ws", "sum"), rows=("t_ms", "size"))
        sold["much"] = sold["ws"].where(sold["ws"] > 0, sold["rows"])  # of forced cuts only the number is known
        members = _members(sold, "much")
        groups[name] = {session: seen for session, seen in members.items() if session in plugged - taken}
        taken |= set(groups[name])
    free = here[~here["session"].isin(list(taken))]
    groups["waited"] = _waited(free)
    groups["kept"] = _kept(free[~free["session"].isin(list(groups["waited"]))], rounds)
    return groups


def _waited(free: pd.DataFrame) -> dict[str, tuple[int, int]]:
    waiting = free[free["activity"] == WAITING]
    waiting = waiting.assign(waited_ms=waiting["to_ms"] - waiting["from_ms"])
    return _members(waiting.groupby("session").agg(first=("from_ms", "min"), ms=("waited_ms", "sum")), "ms")


def _kept(free: pd.DataFrame, rounds: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Who charged on while others were called: the more calls, the more there is to see."""
    charging = free[free["activity"] == CHARGING]
    called_ms = np.sort(rounds["t_ms"].to_numpy(dtype=np.int64))
    heard = np.searchsorted(called_ms, charging["to_ms"]) - np.searchsorted(called_ms, charging["from_ms"])
    charging = charging.assign(heard=heard)
    if len(called_ms):
        charging = charging[charging["heard"] > 0]
    seen = charging.groupby("session").agg(first=("from_ms", "min"), heard=("heard", "sum"))
    return _members(seen, "heard")


def _members(table: pd.DataFrame, much: str) -> dict[str, tuple[int, int]]:
    names, first, weight = table.index.tolist(), table["first"].tolist(), table[much].tolist()
    return {str(name): (int(at), int(by)) for name, at, by in zip(names, first, weight, strict=True)}


def _fit(sizes: dict[str, int]) -> dict[str, int]:
    """Shrink the largest groups until all rows fit."""
    alone = sum(sizes.values()) == sizes["kept"]
    fitted = {**sizes, "kept": min(sizes["kept"], _MOST_ALONE if alone else _MOST_WHO_KEPT)}
    while sum(fitted.values()) > MOST_ROWS:
        largest = max(GROUPS, key=lambda name: fitted[name])
        fitted[largest] -= 1
    return fitted


def _title(words: str, shown: int, members: int) -> str:
    count = f"{shown} of {members} cars" if shown < members else f"{members} car{'s' if members != 1 else ''}"
    return f"{words}: {count}{' shown' if shown < members else ''}"
