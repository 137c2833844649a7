"""Mutants of durability: what agents must have written down before they send it."""

from __future__ import annotations

from tests.runners.mutants.mutant import Mutant, Patch

from wattswap.agents.award_book import AwardBook
from wattswap.agents.delivery_meter import DeliveryMeter
from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.effects import Forget, Remember
from wattswap.runners.audit.rules import Rule
from wattswap.runners.engines.driver import Driver


def _not_remembered(patch: Patch, kind: str) -> None:
    """What agents remember under keys of this kind is not made durable."""
    keep = Driver._keep

    def forgetful(self, agent, effects):
        keep(self, agent, [one for one in effects if not (isinstance(one, Remember) and one.key.startswith(kind))])

    patch.setattr(Driver, "_keep", forgetful)


def awards_are_not_durable(patch: Patch) -> None:
    """Transformer, chargers and cars forget awards in a crash."""
    _not_remembered(patch, "award")


def claims_are_not_durable(patch: Patch) -> None:
    """A car forgets what it has claimed in a crash."""
    _not_remembered(patch, "claim")


def receipts_are_not_durable(patch: Patch) -> None:
    """A transformer forgets its receipts in a crash."""
    _not_remembered(patch, "receipt")


def sessions_are_not_durable(patch: Patch) -> None:
    """A transformer forgets who is plugged in."""
    _not_remembered(patch, "session")


def departures_are_not_durable(patch: Patch) -> None:
    """Transformer and chargers forget departures whose bill is open."""
    _not_remembered(patch, "departed")


def earnings_are_not_durable(patch: Patch) -> None:
    """A car forgets what it was paid."""
    _not_remembered(patch, "earned")


def remembered_after_it_was_sent(patch: Patch) -> None:
    """An award is sent, then made durable: a crash between the two forgets a promise."""
    award = AwardBook.award

    def late(self, record, state, now_ms):
        effects = award(self, record, state, now_ms)
        return sorted(effects, key=lambda effect: isinstance(effect, Remember))

    patch.setattr(AwardBook, "award", late)


def reward_counted_again_after_a_crash(patch: Patch) -> None:
    """A car that crashes between the receipt and forgetting its claim counts the reward once more."""
    on_receipt, restore = Vehicle._on_receipt, DeliveryMeter.restore

    def forgetting_later(self, receipt):
        return [effect for effect in on_receipt(self, receipt) if not isinstance(effect, Forget)]

    def without_settled(self, remembered, now_ms, settled):
        restore(self, remembered, now_ms, [])

    patch.setattr(Vehicle, "_on_receipt", forgetting_later)
    patch.setattr(DeliveryMeter, "restore", without_settled)


def peers_are_not_durable(patch: Patch) -> None:
    """Chargers and cars forget in a crash with whom they still have an award to settle."""
    _not_remembered(patch, "peer")


CRASHES_AND_LOSS = ("faults.crashes_per_day=240", "faults.loss_pct=50")
"""Agents crash while a departure is still unanswered, which takes long."""

DURABILITY = (
    Mutant(awards_are_not_durable, Rule.NOTHING_FORGOTTEN),
    Mutant(claims_are_not_durable, Rule.SAME_AGAIN, before=(Rule.NOTHING_FORGOTTEN,), seeds=(462,)),
    Mutant(receipts_are_not_durable, Rule.ALL_SETTLED, seeds=(24,)),
    Mutant(sessions_are_not_durable, Rule.POWER_RETURNS, before=(Rule.NO_EXCEPTION, Rule.ALL_SETTLED), seeds=(9,)),
    Mutant(departures_are_not_durable, Rule.ALL_SETTLED, before=(Rule.IN_ORDER,), settings=CRASHES_AND_LOSS),
    Mutant(earnings_are_not_durable, Rule.NOTHING_FORGOTTEN),
    Mutant(remembered_after_it_was_sent, Rule.NOTHING_FORGOTTEN),
    Mutant(reward_counted_again_after_a_crash, Rule.NOTHING_FORGOTTEN),
    Mutant(peers_are_not_durable, Rule.IN_ORDER),
)
