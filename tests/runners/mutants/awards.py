"""Mutants of awards: what is bought, what a car counts for, and what it claims."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from tests.runners.mutants.mutant import Mutant, Patch

from wattswap.agents import market
from wattswap.agents.award_book import AwardBook
from wattswap.agents.delivery_meter import DeliveryMeter
from wattswap.agents.offers import Own
from wattswap.agents.rules import Rules
from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.round import State
from wattswap.runners.audit.rules import Rule
from wattswap.runners.world import World

# -- what is bought ---------------------------------------------------------------------------------------------------


def more_is_bought_than_offered(patch: Patch) -> None:
    """An award buys one ampere more than was offered."""
    award = AwardBook.award

    def more(self, record, state, now_ms):
        bought = record.award
        more_w = tuple(watts + 690 * (watts > 0) for watts in bought.award_w)
        record.award = msgspec.structs.replace(bought, award_w=more_w)
        record.reserved_nanos *= 2
        return award(self, record, state, now_ms)

    patch.setattr(AwardBook, "award", more)


def prices_below_the_ask(patch: Patch) -> None:
    """Everybody is paid a tenth of the price at which the round cleared."""
    buy = market.buy

    def cheap(*args, **options):
        bought = buy(*args, **options)
        return bought._replace(price_nanos_per_kwh_h=bought.price_nanos_per_kwh_h // 10)

    patch.setattr(market, "buy", cheap)


def awards_outlast_their_window(patch: Patch) -> None:
    """An award holds for a minute longer than was called for."""
    award = AwardBook.award

    def longer(self, record, state, now_ms):
        bought = record.award
        record.award = msgspec.structs.replace(bought, until_ms=bought.until_ms + 60_000)
        return award(self, record, state, now_ms)

    patch.setattr(AwardBook, "award", longer)


def bound_twice(patch: Patch) -> None:
    """A car that holds an award is called again."""
    patch.setattr(AwardBook, "may_sell", lambda _self, _session: True)


def awards_outlive_their_car(patch: Patch) -> None:
    """A departure does not end the award that its car holds."""
    depart = AwardBook.depart

    def keeping(self, party, departed, now_ms):
        in_force, self._in_force = self._in_force, {}
        try:
            return depart(self, party, departed, now_ms)
        finally:
            self._in_force = in_force

    patch.setattr(AwardBook, "depart", keeping)


# -- what is delivered ------------------------------------------------------------------------------------------------


def late_awards_bind(patch: Patch) -> None:
    """A car counts for an award whose window is over, or that is older than the one it holds."""
    on_award = DeliveryMeter.award
    patch.setattr(DeliveryMeter, "_has_newer", lambda _self, _part: False)
    patch.setattr(
        DeliveryMeter, "award", lambda self, award, _now_ms, plugged: on_award(self, award, 0, plugged=plugged)
    )


def settled_rounds_are_forgotten(patch: Patch) -> None:
    """A car takes an award for new that it has been paid for, when the award arrives once more."""
    on_award = DeliveryMeter.award

    def forgetful(self, award, now_ms, *, plugged):
        if self.state(award.part) is State.SETTLED:
            del self._states[award.part]
        return on_award(self, award, now_ms, plugged=plugged)

    patch.setattr(DeliveryMeter, "award", forgetful)


def each_award_counts_until_its_window_ends(patch: Patch) -> None:
    """Neither a release nor a newer award ends an award: charger and car count for two awards at a time."""
    add, end = DeliveryMeter.add, DeliveryMeter.end

    def at_its_window_end(self, session, *, only=None, before_tick=None):
        if only is None and before_tick is None:
            end(self, session)

    def for_each(self, metered):
        older = [part for part, state in self._states.items() if state is State.AWARDED and part != self.in_force]
        for lot in map(self._lot, older):
            lot.deliver(metered, self._rules)
        return add(self, metered)

    patch.setattr(DeliveryMeter, "end", at_its_window_end)
    patch.setattr(DeliveryMeter, "add", for_each)
    patch.setattr(DeliveryMeter, "check", lambda _self: None)


def cars_count_after_they_left(patch: Patch) -> None:
    """A car that is unplugged does not end what it counts."""
    on_unplugged = Vehicle._on_unplugged

    def running_on(self, unplugged, now_ms):
        meter, self._meter = self._meter, DeliveryMeter(Rules(), State.IDLE)
        try:
            return on_unplugged(self, unplugged, now_ms)
        finally:
            self._meter = meter

    patch.setattr(Vehicle, "_on_unplugged", running_on)


def claims_are_doubled(patch: Patch) -> None:
    """Car and charger claim twice what they have metered."""
    deliver = DeliveryMeter.deliver

    def doubled(self, part):
        said, durable = deliver(self, part)
        twice_ws = tuple(2 * ws for ws in said.delivered_ws)
        twice = msgspec.structs.replace(
            said, delivered_ws=twice_ws, returned_ws=2 * said.returned_ws, rent=2 * said.rent
        )
        return twice, durable

    patch.setattr(DeliveryMeter, "deliver", doubled)


def any_energy_is_paid(patch: Patch) -> None:
    """The larger claim is paid, and one watt-second more, whatever was bought."""
    patch.setattr(
        "wattswap.agents.award_book.settlement.agreed_ws", lambda mine, theirs: (max(mine, theirs) + 1, False)
    )
    patch.setattr("wattswap.agents.award_book.claims.most_ws", lambda *_: (1 << 40,) * 3)


def owners_reserves_are_ignored(patch: Patch) -> None:
    """Cars offer what their owners keep in reserve, and their batteries give it."""
    feed = World._feed

    def offering_all(*columns):
        known = Own(*columns)
        return replace(known, reserve_ws=known.reserve_ws * 0)

    def draining(self, export_w):
        reserve_ws = self.fleet.reserve_ws.copy()
        self.fleet.reserve_ws[:] = 0
        try:
            return feed(self, export_w)
        finally:
            self.fleet.reserve_ws[:] = reserve_ws

    patch.setattr("wattswap.agents.vehicle.Own", offering_all)
    patch.setattr(World, "_feed", draining)


MANY_RELEASES = ("market.release_pct=0", "window_s=1_800", "faults.crashes_per_day=0", "faults.freezes_per_day=0")
"""Windows are long and awards are released as soon as there is room, so that another follows in the same window."""
HIGH_RESERVE = ("vehicles.reserve_pct=80", "vehicles.strategy=prosumer", "window_s=1_800")
"""Owners keep most of their energy, and all cars feed for half an hour at a time."""

AWARDS = (
    Mutant(more_is_bought_than_offered, Rule.AWARD_SOUND),
    Mutant(prices_below_the_ask, Rule.AWARD_SOUND),
    Mutant(awards_outlast_their_window, Rule.AWARD_SOUND),
    Mutant(bound_twice, Rule.BOUND_ONCE),
    Mutant(awards_outlive_their_car, Rule.IN_ORDER, seeds=(2,)),
    Mutant(late_awards_bind, Rule.NO_LATE_BINDING),
    Mutant(settled_rounds_are_forgotten, Rule.SAME_AGAIN, seeds=(2,)),
    Mutant(each_award_counts_until_its_window_ends, Rule.SOLD_ONCE, settings=MANY_RELEASES, seeds=(36,)),
    Mutant(cars_count_after_they_left, Rule.LOTS_CLOSED, seeds=(9,)),
    Mutant(claims_are_doubled, Rule.PAID_FOR_DELIVERY),
    Mutant(any_energy_is_paid, Rule.PAID_FOR_DELIVERY, before=(Rule.NO_EXCEPTION,)),
    Mutant(owners_reserves_are_ignored, Rule.RESERVE_HELD, settings=HIGH_RESERVE),
)
