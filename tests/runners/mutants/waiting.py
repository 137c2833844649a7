"""Mutants of waiting: when a lot closes, what counts as drawn back, how long it waits, and what a reserve covers."""

from __future__ import annotations

import msgspec
import numpy as np
from tests.runners.mutants.mutant import Mutant, Patch

from wattswap.agents import lots, settlement
from wattswap.agents.delivery_meter import DeliveryMeter
from wattswap.agents.session_lots import Lot
from wattswap.protocol.effects import NoteEnd
from wattswap.protocol.messages import Award
from wattswap.runners.audit.rules import Rule
from wattswap.runners.engines.driver import Driver

# -- lots -------------------------------------------------------------------------------------------------------------


def lots_close_with_their_award(patch: Patch) -> None:
    """A car reports a lot when its award ends, whether or not the energy is back."""
    over = DeliveryMeter.over
    patch.setattr(DeliveryMeter, "over", lambda self, session, *, left=False: over(self, session, left=True))


def lots_of_the_gone_stay_open(patch: Patch) -> None:
    """A car that leaves reports only the lots it has drawn back."""
    over = DeliveryMeter.over

    def only_what_is_back(self, session, **_left):
        return over(self, session)

    patch.setattr(DeliveryMeter, "over", only_what_is_back)


def more_comes_back_than_was_sold(patch: Patch) -> None:
    """All that a car draws beyond its baseline is drawn back, whatever it owes."""
    delivery = Lot.delivery

    def generous(self):
        said = delivery(self)
        return msgspec.structs.replace(said, returned_ws=said.returned_ws + 30)

    patch.setattr(Lot, "delivery", generous)


def charging_is_drawing_back(patch: Patch) -> None:
    """What a car draws is drawn back, even where it would have drawn it anyway: phantoms are paid."""
    after_tick = lots.after_tick

    def all_of_it(of, given_up_ws, cars, tick, rules):
        return after_tick(of, given_up_ws, cars._replace(baseline_w=cars.baseline_w * 0), tick, rules)

    patch.setattr(lots, "after_tick", all_of_it)


def what_is_owed_at_departure_is_paid(patch: Patch) -> None:
    """A car that leaves is paid for what it never drew back."""
    delivery = Lot.delivery

    def forgiving(self):
        said = delivery(self)
        if self.owed_ws < 1_000:
            return said
        rent = said.rent + self.owed_ws * 10
        return msgspec.structs.replace(said, returned_ws=said.returned_ws + self.owed_ws, rent=rent)

    patch.setattr(Lot, "delivery", forgiving)


# -- rent -------------------------------------------------------------------------------------------------------------


def rent_counts_from_the_start(patch: Patch) -> None:
    """Energy has waited since the run began, not since it was sold."""

    def since_ever(of, _stopped_at, tick):
        return np.full_like(of.tick, tick)

    patch.setattr(lots, "waited_ticks", since_ever)


def a_cap_of_ten_minutes(patch: Patch) -> None:
    """No mutant: energy earns rent for ten minutes, as no street of the proving ground lasts a day."""

    def short(*fields):
        return msgspec.structs.replace(Award(*fields), rent_cap_s=600)

    patch.setattr("wattswap.agents.awarding.Award", short)
    patch.setattr("wattswap.agents.vehicle.RENT_CAP_S", 600)


def rent_has_no_cap(patch: Patch) -> None:
    """Under a cap of ten minutes, energy earns rent for as long as it waits."""
    a_cap_of_ten_minutes(patch)

    def uncapped(of, stopped_at, tick):
        return np.maximum(np.minimum(tick, stopped_at[of.car]) - of.tick, 0)

    patch.setattr(lots, "waited_ticks", uncapped)


# -- reserves ---------------------------------------------------------------------------------------------------------


def an_hour_of_waiting_is_reserved(patch: Patch) -> None:
    """An award reserves an hour of waiting, not a day."""
    most_nanos = settlement.most_nanos
    patch.setattr(settlement, "most_nanos", lambda *award: most_nanos(*award) // 24)


def reserves_end_with_their_award(patch: Patch) -> None:
    """What an award has reserved is free again when its window is over, though its lot is open still."""
    keep = Driver._keep

    def freeing(self, agent, effects):
        keep(self, agent, effects)
        rounds = [f"0.{effect.tick}/" for effect in effects if isinstance(effect, NoteEnd)]
        for key in [key for key in self.book._held if key.startswith(tuple(rounds))] if rounds else []:
            self.book.release(key)

    patch.setattr(Driver, "_keep", freeing)


WAITING = (
    Mutant(lots_close_with_their_award, Rule.RETURNED_AS_SOLD),
    Mutant(more_comes_back_than_was_sold, Rule.RETURNED_AS_SOLD),
    Mutant(lots_of_the_gone_stay_open, Rule.LOTS_CLOSED),
    Mutant(charging_is_drawing_back, Rule.DRAWN_BACK),
    Mutant(what_is_owed_at_departure_is_paid, Rule.GONE_EARN_NOTHING),
    Mutant(rent_counts_from_the_start, Rule.DRAWN_BACK),
    Mutant(rent_has_no_cap, Rule.RENT_CAPPED),
    Mutant(an_hour_of_waiting_is_reserved, Rule.COVERED),
    Mutant(reserves_end_with_their_award, Rule.COVERED),
)
