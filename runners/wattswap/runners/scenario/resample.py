"""Streets drawn from a recording: its users with replacement, each with all that they recorded.

A bootstrap over users (Efron, Annals of Statistics 7, 1979). In the bundled recordings a user is one person's week, so
this is a bootstrap over users and weeks: runs of several seeds are then a sample of streets, and not only of noise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wattswap.protocol.draws import draw
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    from wattswap.runners.scenario.visits import SessionTable

_RESAMPLE_DRAW = 7
"""Tells these draws from others of sessions."""


def resampled(table: SessionTable, seed: int, on: str = "") -> SessionTable:
    """As many users as there are, drawn by seed; whoever is drawn again gets names of its own (``C021~2``).

    ``on`` is the feeder they are drawn for, where it draws apart: all names begin with it then (``north.C021``), so
    that what cars draw by their names they draw apart from those of other feeders.
    """
    rows_of: dict[str, list[int]] = {}
    for row, user in enumerate(table.user_id):
        rows_of.setdefault(user, []).append(row)
    users = list(rows_of)
    if not users:
        return table
    drawn = draw(seed, np.arange(len(users), dtype=np.uint64), Purpose.SESSION, index=_RESAMPLE_DRAW)
    copies: dict[str, int] = {}
    rows, copy = list[int](), list[int]()
    for at in (drawn % np.uint64(len(users))).tolist():
        user = users[int(at)]
        copies[user] = copies.get(user, 0) + 1
        rows += rows_of[user]
        copy += [copies[user]] * len(rows_of[user])

    before, after = (f"{on}." if on else ""), ["" if number == 1 else f"~{number}" for number in copy]

    def named(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple([f"{before}{names[row]}{end}" for row, end in zip(rows, after, strict=True)])

    estimated_ms = None if table.estimated_ms is None else table.estimated_ms[rows]
    return replace(
        table,
        session_id=named(table.session_id),
        station_id=named(table.station_id),
        user_id=named(table.user_id),
        vehicle_id=named(table.vehicle_id),
        arrival_ms=table.arrival_ms[rows],
        departure_ms=table.departure_ms[rows],
        estimated_ms=estimated_ms,
        energy_ws=table.energy_ws[rows],
        feeder=tuple(table.feeder[row] for row in rows) if table.feeder else (),
    )
