"""Mutants of what the transformer goes by: meter readings, mandates, offers, deadlines."""

from __future__ import annotations

import msgspec
from tests.runners.mutants.mutant import Mutant, Patch

from wattswap.agents.base_load import BaseLoad
from wattswap.agents.charger import Charger
from wattswap.agents.departed_sessions import DepartedSessions
from wattswap.agents.transformer import Transformer
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.messages import Mandate, Offer, Tranche
from wattswap.runners.audit.rules import Rule


def homes_may_be_silent(patch: Patch) -> None:
    """The transformer grants on the last reports of its households, however old they are."""
    patch.setattr(BaseLoad, "is_known", lambda _self, _now_ms: True)


def one_home_speaks_for_all(patch: Patch) -> None:
    """A recent report of one household is enough to grant."""

    def knows(self, now_ms):
        return any(heard_ms + self._lease_ms > now_ms for _, heard_ms in self._heard.values())

    patch.setattr(BaseLoad, "is_known", knows)


def old_reports_count_after_a_freeze(patch: Patch) -> None:
    """After a long freeze the transformer takes old reports of households for new, as it reads them only now."""
    patch.setattr(BaseLoad, "forget", lambda _self, _now_ms: None)


def the_departed_come_back(patch: Patch) -> None:
    """A mandate that arrives after its car's departure counts as that of a car that has just plugged in."""
    on_mandate = Transformer._on_mandate

    def forgetful(self, charger, sealed, now_ms):
        book = self._award_book
        departed, self._departed = self._departed, DepartedSessions()
        billed, book.billed = book.billed, set()
        try:
            return on_mandate(self, charger, sealed, now_ms)
        finally:
            self._departed, book.billed = departed, billed

    patch.setattr(Transformer, "_on_mandate", forgetful)


def rounds_wait_for_everyone(patch: Patch) -> None:
    """A round has no deadline: a car that does not answer keeps it open."""
    on_woken = Transformer._on_woken

    def patient(self, now_ms):
        waiting, self._round = self._round, None
        effects = on_woken(self, now_ms)
        self._round = self._round or waiting
        return effects

    patch.setattr(Transformer, "_on_woken", patient)


def offers_are_altered(patch: Patch) -> None:
    """Every charger asks one price step more than its car, and signs as well as it can."""
    on_vehicle = Charger._on_vehicle

    def lying(self, vehicle, sealed):
        offer = unseal(sealed)
        if isinstance(offer, Offer) and offer.tranches:
            dearer = tuple(Tranche(one.relief_w, one.ask_nanos_per_kwh_h + 1_000_000) for one in offer.tranches)
            sealed = seal(Offer(offer.feeder, offer.tick, offer.session, dearer), self._signer)
        return on_vehicle(self, vehicle, sealed)

    patch.setattr(Charger, "_on_vehicle", lying)


def mandates_are_altered(patch: Patch) -> None:
    """Every charger states twice the need of its car."""
    on_vehicle = Charger._on_vehicle

    def lying(self, vehicle, sealed):
        mandate = unseal(sealed)
        if isinstance(mandate, Mandate):
            sealed = seal(msgspec.structs.replace(mandate, need_ws=2 * mandate.need_ws + 1), self._signer)
        return on_vehicle(self, vehicle, sealed)

    patch.setattr(Charger, "_on_vehicle", lying)


LONG_SILENCES = ("faults.outage_s=1_200",)
"""Households are cut off for up to 20 minutes."""
LONG_FREEZES = ("faults.outage_s=1_200", "faults.freezes_per_day=60")
"""The transformer is frozen for up to 20 minutes while households are cut off for as long."""
LATE_MANDATES = ("faults.loss_pct=40", "faults.delay_ms=30_000", "faults.crashes_per_day=48")
"""Mandates are repeated for long and overtaken by departures: both must pass, and each may take half a minute."""

READINGS = (
    Mutant(homes_may_be_silent, Rule.NO_LATE_BINDING, before=(Rule.ROOM_TO_RAISE,), settings=LONG_SILENCES),
    Mutant(one_home_speaks_for_all, Rule.NO_LATE_BINDING, before=(Rule.ROOM_TO_RAISE,), settings=LONG_SILENCES),
    Mutant(old_reports_count_after_a_freeze, Rule.NO_LATE_BINDING, settings=LONG_FREEZES, seeds=(4,)),
    Mutant(the_departed_come_back, Rule.RELEASED, settings=LATE_MANDATES, seeds=(76,)),
    Mutant(rounds_wait_for_everyone, Rule.ROUNDS_END),
    Mutant(offers_are_altered, Rule.AUTHENTIC),
    Mutant(mandates_are_altered, Rule.AUTHENTIC),
)
