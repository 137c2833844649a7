"""A round of the market on all feeders at once: what is asked of whom, what is bought, and whom the tokens cover.

Pure functions of arrays, one row per called car, sorted by (feeder, session), and one per feeder. The transformer
agent calls them for its one feeder with what it collected, the fleet engine for all feeders with what it computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wattswap.agents import settlement
from wattswap.agents.clearing import cheapest, clear
from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO, Outcome, by_car
from wattswap.agents.segments import Segments
from wattswap.protocol.draws import draw
from wattswap.protocol.effects import NoteRound
from wattswap.protocol.messages import ReliefCall
from wattswap.protocol.units import MOST_W, Purpose

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from wattswap.agents.clearing import Cheapest
    from wattswap.agents.offers import Call
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules, Terms


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
        return by_car(np.add, self.award_w) > 0


class RoundFigures(NamedTuple):
    """What came of calls, one row a feeder; the columns of :class:`NoteRound` behind the need."""

    called: Ints
    kept: Ints
    offered_w: Ints
    awarded_w: Ints
    price_nanos_per_kwh_h: Ints
    reduce_awards: Ints
    feed_awards: Ints

    def note(self, tick: int, need_w: int, row: int) -> NoteRound:
        """One feeder's."""
        return NoteRound(tick, need_w, *(int(column[row]) for column in self))


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
    funds_nanos: ArrayLike,
    *,
    from_ms: int,
    until_ms: int,
    seed: int,
    terms: Terms,
    choose: Cheapest = cheapest,
) -> Purchase:
    """Buy on each feeder the cheapest relief that meets its need, as far as its site's tokens cover it.

    ``need_w`` and ``funds_nanos``, what a site may still promise, have one entry a feeder; a feeder without a need
    buys nothing. ``choose`` finds the tranches.
    """
    rules, feeder = terms.common, segments.feeder
    award_w, price = clear(
        offers.relief_w,
        offers.ask_nanos_per_kwh_h,
        draw(seed, offers.key, Purpose.TIE, from_ms // rules.window_ms),
        segments,
        need_w=need_w,
        reserve_nanos_per_kwh_h=rules.reserve_nanos_per_kwh_h,
        amp_w=rules.amp_w,
        rules=terms.clearing,
        choose=choose,
    )
    (won,) = by_car(np.add, award_w).nonzero()
    most = settlement.most_nanos(
        price.take(won, axis=0), award_w.take(won, axis=0), (until_ms - from_ms) // 1000, rules.feed_h
    )
    left_nanos, winners = np.array(funds_nanos), Segments.of(feeder[won], segments.feeders)
    beyond = winners.sum(most) > left_nanos
    for place in np.flatnonzero((most > 0) & beyond[winners.feeder]).tolist():  # in session order
        if most[place] <= left_nanos[winners.feeder[place]]:
            left_nanos[winners.feeder[place]] -= most[place]
        else:  # one that is too dear leaves the tokens to cheaper ones
            award_w[won[place]] = price[won[place]] = most[place] = 0
    reserved_nanos = np.zeros(len(feeder), dtype=np.int64)
    reserved_nanos[won] = most
    return Purchase(award_w, price, reserved_nanos)


def outcome(call: Call, bought: Purchase, segments: Segments, rules: Rules) -> Outcome:
    """What the called cars learn of a round: their own award, and the price and the reserve of their feeder."""
    price = segments.highest(by_car(np.maximum, bought.price_nanos_per_kwh_h))
    reserve = np.full(len(segments.feeder), rules.reserve_nanos_per_kwh_h)
    return Outcome(bought.award_w, price[segments.feeder], reserve, call.from_ms, call.until_ms)


def nothing_bought(offers: Offers) -> Purchase:
    """The purchase of a round that lapsed."""
    nothing = np.zeros_like(offers.relief_w)
    return Purchase(nothing, nothing, np.zeros(len(nothing), dtype=np.int64))


def round_figures(offers: Offers, bought: Purchase, segments: Segments) -> RoundFigures:
    """What came of the calls of all feeders."""
    offered_w, award_w = by_car(np.add, offers.relief_w), bought.award_w
    reduced_w, feed_w = award_w[:, TO_FLOOR] + award_w[:, TO_ZERO], award_w[:, FEED]
    kept = (offers.firm_w > 0) & (offered_w == 0)
    columns = kept, offered_w, reduced_w + feed_w, reduced_w > 0, feed_w > 0
    kept, offered_w, awarded_w, reduce_awards, feed_awards = segments.sum(np.array(columns))
    return RoundFigures(
        called=np.diff(segments.bounds),
        kept=kept,
        offered_w=offered_w,
        awarded_w=awarded_w,
        price_nanos_per_kwh_h=segments.highest(by_car(np.maximum, bought.price_nanos_per_kwh_h)),
        reduce_awards=reduce_awards,
        feed_awards=feed_awards,
    )
