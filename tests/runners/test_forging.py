"""A charger that alters what its car sends: where agents sign it gains nothing, and the auditor sees it (S10)."""

from __future__ import annotations

import pytest
from tests.runners.mutants.mutant import Patch
from tests.runners.mutants.readings import mandates_are_altered, offers_are_altered

from wattswap.agents.charger import Charger
from wattswap.protocol.codec import unseal
from wattswap.protocol.messages import Offer, Sealed
from wattswap.runners.audit.rules import Rule
from wattswap.runners.network.fault_search import run_seed, seed_result

CALM = ("faults.loss_pct=0", "faults.crashes_per_day=0", "faults.cuts_per_day=0")


def offers_are_stripped(patch: Patch) -> None:
    """Every charger passes on what its car offers, but not its signature."""
    on_vehicle = Charger._on_vehicle

    def stripping(self, vehicle, sealed):
        bare = Sealed(sealed.kind, sealed.payload)
        return on_vehicle(self, vehicle, bare if isinstance(unseal(sealed), Offer) else sealed)

    patch.setattr(Charger, "_on_vehicle", stripping)


def signatures_are_not_checked(patch: Patch) -> None:
    """The transformer takes everything for the word of whoever it names."""
    for module in ("transformer", "award_book"):
        patch.setattr(f"wattswap.agents.{module}.unseal", lambda sealed, _author=None: unseal(sealed))


@pytest.mark.parametrize("lie", [offers_are_altered, offers_are_stripped])
def test_where_agents_sign_whoever_alters_offers_sells_nothing(lie, monkeypatch):
    honest, _ = run_seed(0, CALM, sign=True)
    lie(monkeypatch)
    run, _ = run_seed(0, CALM, sign=True)
    assert sum(row.nanos for row in honest.record.trades) > 0
    assert run.record.refused > 0
    assert not any(row.nanos for row in run.record.trades)


@pytest.mark.parametrize("lie", [offers_are_altered, mandates_are_altered, offers_are_stripped])
def test_a_transformer_that_does_not_check_is_found_out(lie, monkeypatch):
    lie(monkeypatch)
    signatures_are_not_checked(monkeypatch)
    assert seed_result(0, CALM, sign=True).rule == Rule.AUTHENTIC
