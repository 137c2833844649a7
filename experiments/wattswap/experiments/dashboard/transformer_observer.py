"""An observer that tells a history what stands behind the trades: accounts, offers, awards, heat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import NoteAward, NoteRound
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Received
from wattswap.protocol.messages import CappedOffer, Offer
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.observer import Observer
from wattswap.runners.node.live.run import LiveRun
from wattswap.runners.recording.ageing import AgeingClock
from wattswap.runners.watching.funds import Funds
from wattswap.runners.watching.tranches import offer_rows, tranche_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.observer import Note
    from wattswap.runners.engines.run import Run
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.watching.history import History, Row

_NO_CALL: Final = -1


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
        self._funds: dict[int, Funds] = {}
        """By feeder, as it was told last."""
        self._closed: dict[int, int] = {}
        """By feeder: the tick of the newest call whose round is over."""
        self._heard: dict[int, int] = {}
        """By car: the tick of the newest call that it answered."""
        self._feeder_of: dict[str, int] = {}
        """By the name of its transformer's agent."""

    def begun(self, run: Run) -> None:
        """Learn what this run shows."""
        self._run = run
        factory = getattr(run, "factory", None)
        if factory is not None:
            self._feeder_of = {name: number for number, name in enumerate(factory.transformers)}

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:  # noqa: ARG002
        """Tell of an offer that reached its transformer."""
        if type(event) is Received and type(event.message) is CappedOffer:
            self._hear(event.message, is_last=any(type(effect) is NoteRound for effect in effects))

    def offered(self, capped: CappedOffer) -> None:
        """Tell of an offer that reached its transformer in another process."""
        self._hear(capped, is_last=False)

    def _hear(self, capped: CappedOffer, *, is_last: bool) -> None:
        """Tell of a car's first offer that came in time, as far as its charger can carry it.

        ``is_last``: it closed its round, of which the transformer has told by now.
        """
        try:
            offer = unseal(capped.offer)
        except RemoteProtocolError:
            return
        if not isinstance(offer, Offer) or offer.session != capped.session:
            return
        closed = self._closed.get(offer.feeder, _NO_CALL) - is_last
        if offer.tick > max(closed, self._heard.get(offer.session, _NO_CALL)):
            self._heard[offer.session] = offer.tick
            self._history.add(offers=offer_rows(offer, offer.session, capped.cap_w))

    def noted(self, transformer: str, note: Note) -> None:
        """Tell of an award as soon as it is made."""
        if isinstance(note, NoteRound):
            self._closed[self._feeder_of[transformer]] = note.tick
        elif isinstance(note, NoteAward):
            key = (note.tick, self._feeder_of[transformer], note.session)
            self._history.add(awards=tranche_rows(key, note.award_w, note.price_nanos_per_kwh_h))
            if not isinstance(self._run, SimulatedRun | LiveRun):
                # where offers are not overheard, those that were taken
                self._history.add(offers=tranche_rows(key, note.offered_w, note.ask_nanos_per_kwh_h))

    def tick_passed(self, tick: int) -> None:
        """Tell what has changed."""
        assert self._run is not None
        self._history.add(
            heat=[[figure for feeder in range(len(self._heat)) for figure in self._heated(self._run, feeder)]],
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

    def _accounts(self, run: Run, tick: int) -> Iterator[Row]:
        for feeder, funds in self._funds_of(run):
            if funds != self._funds.get(feeder):
                self._funds[feeder] = funds
                yield [tick, feeder, *funds]

    def _funds_of(self, run: Run) -> Iterator[tuple[int, Funds]]:
        """The account of each feeder's site, as far as it is known: processes keep their books, and tell of them."""
        if isinstance(run, LiveRun):
            yield from ((self._feeder_of[name], funds) for name, funds in run.funds.items())
        elif isinstance(run, SimulatedRun | FleetRun):
            yield from ((feeder, Funds.of(book, self._funds.get(feeder))) for feeder, book in enumerate(run.books))
