"""An observer that tells a history what stands behind the trades: grants and leases, accounts, offers, heat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.charger import Charger
from wattswap.ledger.book import RESERVED
from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import NoteAward
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Received
from wattswap.protocol.messages import CappedOffer, Offer
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.observer import Observer
from wattswap.runners.recording.ageing import AgeingClock
from wattswap.runners.watching.tranches import offer_rows, tranche_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.observer import Moved, Note
    from wattswap.runners.engines.run import Run
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.watching.history import History, Row

UNKNOWN: Final = -1
_STEP_W: Final = 250
"""A grant is told anew when it has changed by so much."""


class TransformerObserver(Observer):
    """Tells what each engine shows of it; stands before the watcher that lets time pass."""

    def __init__(self, street: Street, history: History) -> None:
        self._street, self._history = street, history
        self._heat = [
            AgeingClock(
                feeder.transformer.rating_va,
                street.tick_ms // 1_000,
                feeder.ambient_c(street.ticks),
                feeder.transformer.paper,
            )
            for feeder in street.feeders
        ]
        self._run: Run | None = None
        self._moved: Moved | None = None
        self._funds: list[tuple[int, int]] = [(UNKNOWN, UNKNOWN)] * len(street.feeders)
        self._feeder_of: dict[str, int] = {}
        """By the name of its transformer's agent."""

    def begun(self, run: Run) -> None:
        """Learn what this run shows."""
        self._run = run
        self._told = np.full((2, len(run.world.fleet)), UNKNOWN, dtype=np.int64)
        factory = getattr(run, "factory", None)
        if factory is not None:
            self._feeder_of = {name: number for number, name in enumerate(factory.transformers)}

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:  # noqa: ARG002
        """Tell of an offer that reached its transformer."""
        if type(event) is not Received or type(event.message) is not CappedOffer:
            return
        try:
            offer = unseal(event.message.offer)
        except RemoteProtocolError:
            return
        if isinstance(offer, Offer):
            self._history.add(offers=offer_rows(offer, offer.session))

    def noted(self, transformer: str, note: Note) -> None:
        """Tell of an award as soon as it is made."""
        if isinstance(note, NoteAward):
            key = (note.tick, self._feeder_of[transformer], note.session)
            self._history.add(awards=tranche_rows(key, note.award_w, note.price_nanos_per_kwh_h))
            if not isinstance(self._run, SimulatedRun):  # where offers are not overheard, those that were taken
                self._history.add(offers=tranche_rows(key, note.offered_w, note.ask_nanos_per_kwh_h))

    def moved(self, moved: Moved) -> None:
        """Keep what the chargers may draw."""
        self._moved = moved

    def tick_passed(self, tick: int) -> None:
        """Tell what has changed."""
        assert self._run is not None
        self._history.add(
            heat=[[figure for feeder in range(len(self._heat)) for figure in self._heated(self._run, feeder)]],
            grants=self._grants(self._run, tick),
            accounts=self._accounts(self._run, tick),
        )
        if isinstance(self._run, FleetRun):
            self._add_awards(self._run, tick)

    def _add_awards(self, run: FleetRun, tick: int) -> None:
        """Tell what the fleet bought in this tick: it has no messages that could be overheard."""
        new = run.awards.made_at(tick)
        for at, row in enumerate(new.row.tolist()):
            key = (tick, int(run.world.fleet.feeder[row]), row)
            self._history.add(
                offers=tranche_rows(key, new.offered_w[at].tolist(), new.ask[at].tolist()),
                awards=tranche_rows(key, new.award_w[at].tolist(), new.price[at].tolist()),
            )

    def _heated(self, run: Run, feeder: int) -> tuple[int, int]:
        clock, row = self._heat[feeder], run.records[feeder].ticks[-1]
        clock.add(row.base_w + int(row.import_w.sum()) - int(row.export_w.sum()))
        return round(clock.hot_spot_c * 10), round(clock.used_h * 3_600)

    def _grants(self, run: Run, tick: int) -> Iterator[Row]:
        if self._moved is None:
            return
        rows = self._moved.rows
        now = np.full_like(self._told, UNKNOWN)
        now[0, rows] = self._moved.granted_w
        if isinstance(run, SimulatedRun):
            now[1, rows] = [_lease_left_ms(run, row, (tick + 1) * run.street.tick_ms) for row in rows.tolist()]
        changed = (abs(now[0] - self._told[0]) >= _STEP_W) | (now[1] != self._told[1])
        self._told[:, changed] = now[:, changed]
        for row, granted_w, lease_ms in zip(
            changed.nonzero()[0].tolist(), *(column[changed].tolist() for column in now), strict=True
        ):
            yield [tick, row, granted_w, lease_ms]

    def _accounts(self, run: Run, tick: int) -> Iterator[Row]:
        if not isinstance(run, SimulatedRun | FleetRun):
            return  # processes keep their books to themselves until the end
        for feeder, book in enumerate(run.books):
            funds = book.site_uncommitted_nanos, book.balance(RESERVED)
            if funds != self._funds[feeder]:
                self._funds[feeder] = funds
                earned = sum(nanos for account, nanos in book.balances().items() if account.startswith("payable/"))
                yield [tick, feeder, *funds, earned]


def _lease_left_ms(run: SimulatedRun, row: int, at_ms: int) -> int:
    """What is left of the lease of a row's charger at an instant, in whole ticks; 0 without one."""
    name = run.factory.charger_of[row]
    charger = run.nodes[name].agent
    ends_ms = charger.lease_ends_ms if isinstance(charger, Charger) else None
    if ends_ms is None:
        return 0
    left_ms = ends_ms - run.local_ms(name, at_ms)
    return max(left_ms // run.street.tick_ms * run.street.tick_ms, 0)
