"""A fault that strikes at the worst moment, for what chance hardly ever hits; and the rule it is for, switched off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import pytest

from wattswap.agents.award_book import AwardBook
from wattswap.agents.offers import FEED
from wattswap.agents.transformer import Transformer
from wattswap.ledger.book import SITE
from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import Bill, Effect, Pay, Reserve, Send
from wattswap.protocol.events import Event, Received
from wattswap.protocol.messages import Award, Departed, Sealed
from wattswap.runners.audit.audit_error import AuditError
from wattswap.runners.audit.auditor import Auditor
from wattswap.runners.audit.rules import Rule
from wattswap.runners.engines.agent_factory import transformer_name
from wattswap.runners.engines.driver import Driver
from wattswap.runners.engines.launch import faults_of
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.network.fault_scenario import fault_street
from wattswap.runners.network.fault_schedule import Outage
from wattswap.runners.network.faulty import FaultyNetwork
from wattswap.runners.scenario import Street

QUIET = ("loss_pct", "repeat_pct", "freezes_per_day", "crashes_per_day", "cuts_per_day")
Strike = Callable[[SimulatedRun, int, Event, list[Effect]], Outage | None]
Patch = pytest.MonkeyPatch


class Striking(Auditor):
    """Audits as always, and lets one thing go wrong when something has happened to the transformer."""

    def __init__(self, strike: Strike, street: Street) -> None:
        super().__init__(faults_of(street))
        self._strike, self.struck = strike, False

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        super().handled(now_ms, agent, event, effects)
        if self.struck or agent != transformer_name():
            return
        outage = self._strike(self._run, now_ms, event, list(effects))
        if outage is not None:
            self.struck = True
            assert isinstance(self._run.network, FaultyNetwork)
            self._run.network.strike(outage)


def struck(strike: Strike, seed: int, settings: tuple[str, ...]) -> bool:
    """One seed of the fault scenario in which messages are late and nothing goes wrong but this; whether it did."""
    street = fault_street(seed, [*(f"faults.{key}=0" for key in QUIET), *settings])
    auditor = Striking(strike, street)
    simulated_run(street, faults=faults_of(street), observers=[auditor]).run()
    return auditor.struck


def the_feeder_falls_silent(run: SimulatedRun, now_ms: int, event: Event, done: list[Effect]) -> Outage | None:
    """A minute after a car was bought to feed, its charger is cut off until faults cease."""
    for did in done:
        award = unseal(did.message) if isinstance(did, Send) and isinstance(did.message, Sealed) else None
        if isinstance(award, Award) and award.award_w[FEED]:
            charger = run.factory.charger_of[award.session]
            return Outage("cut", charger, now_ms + 60_000, faults_of(run.street).until_ms)
    return None


def silent_feeders_count(patch: Patch) -> None:
    """What a car has sold to feed is reckoned with although nobody hears from its charger."""
    patch.setattr(Transformer, "_cars", lambda self, now_ms: self._vehicles.cars())


def it_crashes_as_a_car_leaves(run: SimulatedRun, now_ms: int, event: Event, done: list[Effect]) -> Outage | None:
    """The departure is noted; the delivery of an award whose window goes on comes after it and finds nobody."""
    transformer = run.nodes[transformer_name()].agent
    assert isinstance(transformer, Transformer)
    if not isinstance(event, Received) or not isinstance(event.message, Departed):
        return None
    accounts = transformer._award_book._accounts.get(event.message.session, {}).values()
    unsettled = any(account.record.award.until_ms > now_ms + 60_000 for account in accounts)
    return Outage("crash", transformer_name(), now_ms, now_ms + 10_000) if unsettled else None


def the_gone_are_bound(patch: Patch) -> None:
    """After a restart an award is in force although its car has left."""
    restore_award = AwardBook._restore_award

    def forgetful(self, held, now_ms):
        departed, self._departed = self._departed, {}
        try:
            return restore_award(self, held, now_ms)
        finally:
            self._departed = departed

    patch.setattr(AwardBook, "_restore_award", forgetful)


def it_crashes_before_it_hears_that_it_has_paid(
    run: SimulatedRun, now_ms: int, event: Event, done: list[Effect]
) -> Outage | None:
    """The book has paid and given back the rest of the reserve; the transformer asks for the same payment again."""
    if not any(isinstance(did, Pay) for did in done):
        return None
    *_, (*_, legs) = run.books[0].entries
    came_back = any(target == SITE for _, target, _ in legs)
    return Outage("crash", transformer_name(), now_ms, now_ms + 10_000) if came_back else None


def what_came_back_counts_twice(patch: Patch) -> None:
    """What came back to the site just before a crash is counted again after it."""
    pay = Driver._pay

    def once_more(self, agent, effect):
        reserved_nanos, _ = self.book._asked[effect.payment_id]
        return msgspec.structs.replace(pay(self, agent, effect), returned_nanos=reserved_nanos - effect.nanos)

    patch.setattr(Driver, "_pay", once_more)


def it_crashes_in_the_midst_of_awarding(
    run: SimulatedRun, now_ms: int, event: Event, done: list[Effect]
) -> Outage | None:
    """One answer is missing still; with it the round clears, and a part of what the transformer wants is done."""
    transformer = run.nodes[transformer_name()].agent
    assert isinstance(transformer, Transformer)
    open_round = transformer._round
    if open_round is None or open_round.unanswered != 1:
        return None
    return Outage("torn crash", transformer_name(), now_ms, now_ms + 10_000)


def book_and_memory_are_two_transactions(patch: Patch) -> None:
    """A transformer may crash between a reserve and remembering its award; the tokens stay reserved."""
    patch.setattr("wattswap.runners.engines.node.DURABLE", frozenset((Reserve, Pay, Bill)))


class Case(NamedTuple):
    """What strikes where, which rule is for it, and what breaks without it."""

    strike: Strike
    settings: tuple[str, ...]
    mutant: Callable[[Patch], None]
    breaks: Rule
    seeds: tuple[int, ...]


CASES = {
    "silent feeder": Case(
        the_feeder_falls_silent,
        ("window_s=3_600", "vehicles.strategy=prosumer"),
        silent_feeders_count,
        Rule.OVERLOAD_BOUNDED,
        (1, 3),
    ),
    "left and forgotten": Case(
        it_crashes_as_a_car_leaves, ("window_s=1_800",), the_gone_are_bound, Rule.IN_ORDER, (0, 4)
    ),
    "paid and not told": Case(
        it_crashes_before_it_hears_that_it_has_paid,
        ("transformer.funds_iota=100_000",),
        what_came_back_counts_twice,
        Rule.BOOKS_AGREE,
        (1, 2),
    ),
    "reserved and not remembered": Case(
        it_crashes_in_the_midst_of_awarding,
        (),
        book_and_memory_are_two_transactions,
        Rule.RELEASED,
        (0, 1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_when_a_fault_strikes_at_the_worst_moment_no_rule_is_broken(name):
    strike, settings, _, _, seeds = CASES[name]
    assert all(struck(strike, seed, settings) for seed in seeds)


@pytest.mark.parametrize("name", CASES)
def test_without_the_rule_for_it_that_moment_is_found_out(name, monkeypatch):
    strike, settings, mutant, breaks, seeds = CASES[name]
    mutant(monkeypatch)
    found = None
    for seed in seeds:
        try:
            struck(strike, seed, settings)
        except AuditError as broken:
            found = broken.rule
            break
    assert found == breaks
