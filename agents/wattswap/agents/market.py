"""A round of the market on all feeders at once: what is asked of whom, what is bought, and whom the tokens cover.

Pure functions of arrays, one row per called car, sorted by (feeder, session), and one per feeder. The transformer
agent calls them for its one feeder with what it collected, the fleet engine for all feeders with what it computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wattswap.agents import settlement
from wattswap.agents.clearing import clear
from wattswap.agents.offers import FEED
from wattswap.protocol.draws import draw
from wattswap.protocol.effects import NoteRound
from wattswap.protocol.messages import ReliefCall
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules, Terms
    from wattswap.agents.segments import Segments


class Offers(NamedTuple):
    """What the called cars answered; one row a car."""

    key: NDArray[np.uint64]
    """Under which each draws; equal asks are ordered by it."""
    firm_w: Ints
    relief_w: Ints
    """Shape (cars, 3), zeros for who keeps charging."""
    ask_nanos_per_kwh: Ints


class Purchase(NamedTuple):
    """What was bought of the offers: shape (cars, 3), and one row a car."""

    award_w: Ints
    price_nanos_per_kwh: Ints
    reserved_nanos: Ints
    """The most each award may come to; 0 without one."""

    @property
    def won(self) -> NDArray[np.bool_]:
        """Who is awarded anything."""
        sold_w: Ints = self.award_w.sum(axis=1)
        return sold_w > 0


def relief_call(feeder: int, now_ms: int, need_w: int, ceiling_nanos_per_kwh: int, rules: Rules) -> ReliefCall:
    """A feeder's call at this tick; relief is wanted from the tick's begin, however late it is, to the window's end."""
    tick = now_ms // rules.tick_ms
    return ReliefCall(
        feeder=feeder,
        tick=tick,
        need_w=need_w,
        ceiling_nanos_per_kwh=ceiling_nanos_per_kwh,
        from_ms=tick * rules.tick_ms,
        until_ms=rules.window_end_ms(now_ms),
        offers_due_ms=now_ms + rules.deadline_ms,
    )


def buy(
    need_w: Ints,
    ceiling_nanos_per_kwh: Ints,
    offers: Offers,
    segments: Segments,
    funds_nanos: Sequence[int],
    *,
    from_ms: int,
    until_ms: int,
    seed: int,
    terms: Terms,
) -> Purchase:
    """Buy on each feeder the cheapest relief that meets its need, as far as its site's tokens cover it.

    ``need_w``, the ceiling and ``funds_nanos``, what a site may still promise, have one entry a feeder; a feeder
    without a need buys nothing.
    """
    rules = terms.common
    award_w, price = np.zeros_like(offers.relief_w), np.zeros_like(offers.relief_w)
    ties = draw(seed, offers.key, Purpose.TIE, from_ms // rules.window_ms)
    for feeder in np.flatnonzero(need_w > 0).tolist():
        rows = segments.rows(feeder)
        award_w[rows], price[rows] = clear(
            offers.relief_w[rows],
            offers.ask_nanos_per_kwh[rows],
            ties[rows],
            need_w=int(need_w[feeder]),
            ceiling_nanos_per_kwh=int(ceiling_nanos_per_kwh[feeder]),
            amp_w=rules.amp_w,
            rule=terms.clearing[feeder],
        )
    most_nanos = settlement.value_nanos(price, award_w * ((until_ms - from_ms) // 1000)).sum(axis=1)
    covered = _covered(award_w.sum(axis=1) > 0, most_nanos, segments.feeder, funds_nanos)[:, np.newaxis]
    award_w, price = np.where(covered, award_w, 0), np.where(covered, price, 0)
    return Purchase(award_w, price, np.where(covered[:, 0], most_nanos, 0))


def _covered(
    awarded: NDArray[np.bool_], most_nanos: Ints, feeder: Ints, funds_nanos: Sequence[int]
) -> NDArray[np.bool_]:
    """Which awards the sites' tokens cover, in session order: one that is too dear leaves room for cheaper ones."""
    left_nanos, covered = list(funds_nanos), awarded.copy()
    (rows,) = awarded.nonzero()
    for row, of, nanos in zip(rows.tolist(), feeder[rows].tolist(), most_nanos[rows].tolist(), strict=True):
        covered[row] = nanos <= left_nanos[of]
        left_nanos[of] -= nanos if covered[row] else 0
    return covered


def nothing_bought(offers: Offers) -> Purchase:
    """The purchase of a round that lapsed."""
    nothing = np.zeros_like(offers.relief_w)
    return Purchase(nothing, nothing, np.zeros(len(nothing), dtype=np.int64))


def round_note(call: ReliefCall, offers: Offers, bought: Purchase, rows: slice = slice(None)) -> NoteRound:
    """What came of a feeder's call, for the record; ``rows`` are that feeder's."""
    firm_w, offered_w, award_w = offers.firm_w[rows], offers.relief_w[rows], bought.award_w[rows]
    return NoteRound(
        tick=call.tick,
        need_w=call.need_w,
        ceiling_nanos_per_kwh=call.ceiling_nanos_per_kwh,
        called=len(firm_w),
        kept=int(((firm_w > 0) & ~offered_w.any(axis=1)).sum()),
        offered_w=int(offered_w.sum()),
        awarded_w=int(award_w.sum()),
        price_nanos_per_kwh=int(bought.price_nanos_per_kwh[rows].max(initial=0)),
        reduce_awards=int(award_w[:, :FEED].any(axis=1).sum()),
        feed_awards=int((award_w[:, FEED] > 0).sum()),
    )
