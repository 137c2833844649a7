"""A round of the market on all feeders at once: what is asked of whom, what is bought, and whom the tokens cover.

Pure functions of arrays, one row per called car, sorted by (feeder, session), and one per feeder. The transformer
agent calls them for its one feeder with what it collected, the fleet engine for all feeders with what it computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wattswap.agents import settlement
from wattswap.agents.clearing import clear
from wattswap.agents.offers import FEED, Outcome
from wattswap.protocol.draws import draw
from wattswap.protocol.effects import NoteRound
from wattswap.protocol.messages import ReliefCall
from wattswap.protocol.units import MOST_W, Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wattswap.agents.offers import Call
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
    ask_nanos_per_kwh_h: Ints


class Purchase(NamedTuple):
    """What was bought of the offers: shape (cars, 3), and one row a car."""

    award_w: Ints
    price_nanos_per_kwh_h: Ints
    reserved_nanos: Ints
    """The most each award may come to; 0 without one."""

    @property
    def won(self) -> NDArray[np.bool_]:
        """Who is awarded anything."""
        sold_w: Ints = self.award_w.sum(axis=1)
        return sold_w > 0


def relief_call(feeder: int, now_ms: int, need_w: int, rules: Rules) -> ReliefCall:
    """A feeder's call at this tick; relief is wanted from the tick's begin, however late it is, to the window's end."""
    tick = now_ms // rules.tick_ms
    return ReliefCall(
        feeder=feeder,
        tick=tick,
        need_w=min(need_w, MOST_W),
        from_ms=tick * rules.tick_ms,
        until_ms=rules.window_end_ms(now_ms),
        offers_due_ms=now_ms + rules.deadline_ms,
    )


def buy(
    need_w: Ints,
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

    ``need_w`` and ``funds_nanos``, what a site may still promise, have one entry a feeder; a feeder without a need
    buys nothing.
    """
    rules = terms.common
    award_w, price = np.zeros_like(offers.relief_w), np.zeros_like(offers.relief_w)
    ties = draw(seed, offers.key, Purpose.TIE, from_ms // rules.window_ms)
    for feeder in np.flatnonzero(need_w > 0).tolist():
        rows = segments.rows(feeder)
        award_w[rows], price[rows] = clear(
            offers.relief_w[rows],
            offers.ask_nanos_per_kwh_h[rows],
            ties[rows],
            need_w=int(need_w[feeder]),
            reserve_nanos_per_kwh_h=rules.reserve_nanos_per_kwh_h,
            amp_w=rules.amp_w,
            rule=terms.clearing[feeder],
        )
    reserved_nanos, left_nanos = np.zeros(len(award_w), dtype=np.int64), list(funds_nanos)
    lasts_s = (until_ms - from_ms) // 1000
    for row in np.flatnonzero(award_w.sum(axis=1)).tolist():  # in session order
        most = settlement.most_nanos(price[row].tolist(), award_w[row].tolist(), lasts_s, rules.feed_h)
        feeder = int(segments.feeder[row])
        if most <= left_nanos[feeder]:
            left_nanos[feeder] -= most
            reserved_nanos[row] = most
        else:  # one that is too dear leaves the tokens to cheaper ones
            award_w[row] = price[row] = 0
    return Purchase(award_w, price, reserved_nanos)


def outcome(call: Call, bought: Purchase, segments: Segments, rules: Rules) -> Outcome:
    """What the called cars learn of a round: their own award, and the price and the reserve of their feeder."""
    prices = [bought.price_nanos_per_kwh_h[segments.rows(feeder)].max(initial=0) for feeder in range(segments.feeders)]
    reserve = np.full(len(segments.feeder), rules.reserve_nanos_per_kwh_h)
    return Outcome(bought.award_w, np.array(prices)[segments.feeder], reserve, call.from_ms, call.until_ms)


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
        called=len(firm_w),
        kept=int(((firm_w > 0) & ~offered_w.any(axis=1)).sum()),
        offered_w=int(offered_w.sum()),
        awarded_w=int(award_w.sum()),
        price_nanos_per_kwh_h=int(bought.price_nanos_per_kwh_h[rows].max(initial=0)),
        reduce_awards=int(award_w[:, :FEED].any(axis=1).sum()),
        feed_awards=int((award_w[:, FEED] > 0).sum()),
    )
