"""Each rule that protects money or the transformer is switched off, one at a time, and a named rule must find it.

A protection that could go without anyone noticing would be one that nobody tests. Each mutant (``mutants/``) must break
its own rule of the audit within ``SEEDS`` seeds of the fault scenario, which break none with the real agents.
"""

from __future__ import annotations

from itertools import chain

import pytest
from tests.runners.mutants.awards import AWARDS, HIGH_RESERVE, MANY_RELEASES
from tests.runners.mutants.durability import CRASHES_AND_LOSS, DURABILITY
from tests.runners.mutants.leases import LEASES
from tests.runners.mutants.money import LOW_FUNDS, MONEY
from tests.runners.mutants.mutant import SEEDS
from tests.runners.mutants.readings import LATE_MANDATES, LONG_FREEZES, LONG_SILENCES, READINGS
from tests.runners.mutants.waiting import WAITING, a_cap_of_ten_minutes
from tests.runners.test_struck import CASES

from wattswap.runners.audit.audit_error import AuditError
from wattswap.runners.audit.rules import Rule
from wattswap.runners.network.fault_search import run_seed, seed_result

MUTANTS = (*LEASES, *READINGS, *AWARDS, *MONEY, *WAITING, *DURABILITY)
TESTED_ALONE = {Rule.FEASIBLE}
"""Rules with a test of their own below."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_protection_that_is_switched_off_breaks_its_rule(mutant, monkeypatch):
    mutant.switch_off(monkeypatch)
    for seed in dict.fromkeys(chain(mutant.seeds, range(SEEDS))):
        result = seed_result(seed, mutant.settings)
        if result.rule == mutant.rule:
            return
        assert not result.rule or result.rule in mutant.before, f"not {mutant.rule}, but {result.found}"
    pytest.fail(f"{SEEDS} seeds with {mutant.name}, and none breaks {mutant.rule}")


FEW = [2, pytest.param(50, marks=pytest.mark.long)]
"""Seeds beside those in which a mutant is found."""


@pytest.mark.parametrize("few", FEW)
@pytest.mark.parametrize(
    "settings",
    [
        LONG_SILENCES,
        LONG_FREEZES,
        LATE_MANDATES,
        MANY_RELEASES,
        HIGH_RESERVE,
        LOW_FUNDS,
        CRASHES_AND_LOSS,
    ],
    ids=[
        "silences",
        "freezes",
        "late mandates",
        "releases",
        "high reserve",
        "low funds",
        "crashes and loss",
    ],
)
def test_the_real_agents_break_no_rule_where_more_goes_wrong(settings, few):
    seeds = {seed for mutant in MUTANTS if mutant.settings == settings for seed in mutant.seeds}
    assert [result.found for seed in seeds | {*range(few)} if (result := seed_result(seed, settings)).rule] == []


@pytest.mark.parametrize("few", FEW)
def test_under_a_cap_of_ten_minutes_the_real_agents_break_no_rule(monkeypatch, few):
    a_cap_of_ten_minutes(monkeypatch)
    assert [result.found for seed in range(few) if (result := seed_result(seed)).rule] == []


def test_a_street_whose_minima_exceed_its_limit_is_not_feasible():
    with pytest.raises(AuditError, match="base load and guaranteed minima exceed the limit by") as error:
        run_seed(0, ["chargers.guaranteed_w=22_000"])
    assert error.value.rule is Rule.FEASIBLE


def test_every_rule_is_broken_by_a_mutant():
    struck = {case.breaks for case in CASES.values()}
    assert {mutant.rule for mutant in MUTANTS} | struck | TESTED_ALONE == set(Rule)


def test_there_are_mutants_enough_and_each_has_its_own_name():
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len({*names})
    assert len(names) + len(CASES) >= 45
