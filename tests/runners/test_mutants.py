"""Each rule that protects money or the transformer is switched off, one at a time, and the auditor must see it.

A rule that could go without anyone noticing would be one that nobody tests. ``MUTANTS`` names what is switched off;
each must be found out within ``SEEDS`` seeds of the proving ground, which find nothing in the real agents. What shows
only where more goes wrong than usual, or other things, has its own ``Ground``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Final, NamedTuple

import msgspec
import pytest

from wattswap.agents.award_book import AwardBook, AwardRecord
from wattswap.agents.charger import Charger
from wattswap.agents.lease import Lease
from wattswap.agents.lease_issuer import LeaseIssuer, _Envelope
from wattswap.agents.obligations import Obligations
from wattswap.agents.rules import Rules
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle
from wattswap.ledger.book import Book
from wattswap.protocol.effects import Forget, Remember, Reserve, Send
from wattswap.protocol.messages import Award, Delivery, Sealed
from wattswap.runners.audit.power import PowerAudit
from wattswap.runners.engines.driver import Driver
from wattswap.runners.network.fault_search import seed_result

SEEDS = 60
Patch = pytest.MonkeyPatch


class Ground(NamedTuple):
    """Where a rule that is switched off is missed."""

    settings: tuple[str, ...] = ()
    first: tuple[int, ...] = ()
    """Seeds that a search has found, tried before the others: they change when agents say more or less than before."""


def no_expiry(patch: Patch) -> None:
    """A lease never ends by itself: what OCPP stations do when their controller is gone."""
    patch.setattr(Lease, "lapse", lambda _self, _now_ms: False)


def no_sequence(patch: Patch) -> None:
    """A charger obeys whichever grant came last, however old."""
    accept = Lease.accept

    def forgetful(self, grant, epoch, now_ms):
        self.heard = (0, 0)
        return accept(self, grant, epoch, now_ms)

    patch.setattr(Lease, "accept", forgetful)


def no_echo_of_epoch(patch: Patch) -> None:
    """A restarted charger obeys grants that answer what it said before."""
    accept = Lease.accept
    patch.setattr(Lease, "accept", lambda self, grant, _epoch, now_ms: accept(self, grant, grant.echo_epoch, now_ms))


def no_residual_validity(patch: Patch) -> None:
    """A lease counts from when the grant arrives, not from the stamp it answers."""

    def late(self, grant, epoch, now_ms):
        if (grant.epoch, grant.seq) <= self.heard or grant.echo_epoch != epoch:
            return False
        self.heard, self.expires_ms = (grant.epoch, grant.seq), now_ms + grant.lease_ms
        self.import_w, self.export_w = grant.import_w, grant.export_w
        return True

    patch.setattr(Lease, "accept", late)


def lease_outlives_its_car(patch: Patch) -> None:
    """The next car draws what the last one was granted."""
    lapse = Lease.lapse

    def lapsing(self, now_ms):
        if self.expires_ms is None or now_ms < self.expires_ms:
            return lapse(self, now_ms)
        self.import_w, self.export_w, self.expires_ms = self._guaranteed_w, 0, None
        return True

    patch.setattr(Lease, "lapse", lapsing)
    patch.setattr(Lease, "end", lambda _self: None)


def no_envelope(patch: Patch) -> None:
    """The transformer believes that what it said last is what happens."""

    def believe(self, one):
        self.most_import_w, self.least_export_w = one.import_w, one.export_w

    patch.setattr(_Envelope, "bear", believe)


def raises_need_no_room(patch: Patch) -> None:
    """Raises are sent at once, before those who give way have confirmed it."""
    patch.setattr(_Envelope, "rises", property(lambda _self: False))


def feeding_needs_no_confirmation(patch: Patch) -> None:
    """Others rise on what a feeder was told, before it said that it had heard."""
    hears = LeaseIssuer.hears

    def trusting(self, report, now_ms):
        self._envelopes[report.session].heard_seq = 1 << 30
        return hears(self, report, now_ms)

    def bear(self, one):
        self.most_import_w = max(self.most_import_w, one.import_w)
        self.least_export_w = max(self.least_export_w, one.export_w)

    patch.setattr(LeaseIssuer, "hears", trusting)
    patch.setattr(_Envelope, "bear", bear)


def no_quiet_time(patch: Patch) -> None:
    """A restarted transformer grants at once, beside grants of its life before."""
    patch.setattr(Rules, "quiet_ms", property(lambda _self: 0))


def transformer_keeps_its_epoch(patch: Patch) -> None:
    """Its numbers start again at 1, and chargers hear nothing new in them."""
    start = LeaseIssuer.__init__
    patch.setattr(LeaseIssuer, "__init__", lambda self, rules, _epoch=1: start(self, rules, 1))


def envelopes_end_too_soon(patch: Patch) -> None:
    """The transformer counts a lease's end on its own clock from when it spoke, and forgets that clocks differ."""
    patch.setattr(Rules, "certain_lease_ms", property(lambda self: self.lease_ms // 2))


def late_awards_bind(patch: Patch) -> None:
    """A car counts for an award whose window is over, or whose successor it holds."""
    on_award = Vehicle._on_award
    patch.setattr(Vehicle, "_binds", lambda _self, _award: True)
    patch.setattr(Vehicle, "_on_award", lambda self, charger, award, now_ms: on_award(self, charger, award, 0))


def receipts_add_up(patch: Patch) -> None:
    """A receipt that comes twice counts twice."""
    on_receipt = Vehicle._on_receipt

    def adding(self, receipt):
        effects = on_receipt(self, receipt)
        if not effects:
            self.earned_nanos += receipt.nanos
        return effects

    patch.setattr(Vehicle, "_on_receipt", adding)


def deliveries_are_said_once(patch: Patch) -> None:
    """Nothing is repeated: a lost claim is a lost reward."""
    patch.setattr(Vehicle, "_claim", _claim_once)


def _claim_once(self, charger, delivering, now_ms):
    effects = _CLAIM(self, charger, delivering, now_ms)
    self._owed._owed.clear()
    return effects


_CLAIM = Vehicle._claim


def nothing_is_repeated(patch: Patch) -> None:
    """Whatever is owed is said once."""
    patch.setattr(Obligations, "due", lambda _self, _now_ms: [])


def not_remembered(kind: str) -> Callable[[Patch], None]:
    """Something that was said is not made durable."""

    def mutate(patch: Patch) -> None:
        perform = Driver._perform

        def forgetful(self, agent, effect):
            if not (isinstance(effect, Remember) and effect.key.startswith(kind)):
                perform(self, agent, effect)

        patch.setattr(Driver, "_perform", forgetful)

    return mutate


def remembered_after_it_was_said(patch: Patch) -> None:
    """An award is sent, then made durable: a crash between the two forgets a promise."""
    award = AwardBook.award

    def late(self, held, state, now_ms):
        effects = award(self, held, state, now_ms)
        return sorted(effects, key=lambda effect: isinstance(effect, Remember))

    patch.setattr(AwardBook, "award", late)


def reserved_after_it_was_said(patch: Patch) -> None:
    """An award is sent, then its tokens are set aside."""
    award = AwardBook.award

    def late(self, held, state, now_ms):
        effects = award(self, held, state, now_ms)
        return sorted(effects, key=lambda effect: isinstance(effect, Reserve))

    patch.setattr(AwardBook, "award", late)


def nothing_is_reserved(patch: Patch) -> None:
    """Promises are not covered by tokens set aside."""
    award = AwardBook.award
    patch.setattr(AwardBook, "award", lambda *a: [effect for effect in award(*a) if not isinstance(effect, Reserve)])


def settled_rounds_are_forgotten(patch: Patch) -> None:
    """A car that has been paid for an award takes it as new when it comes once more."""
    on_award = Vehicle._on_award

    def forgetful(self, charger, award, now_ms):
        self._settled.clear()
        return on_award(self, charger, award, now_ms)

    patch.setattr(Vehicle, "_on_award", forgetful)


def paid_twice(patch: Patch) -> None:
    """A delivery that is repeated is paid again."""
    settle, paid = Book.settle, Book.settled_nanos

    def again(self, key, vehicle, nanos):
        if key in self._settled:
            self._post("settle", key, vehicle, nanos, ("site", f"payable/{vehicle}", nanos))
            return
        settle(self, key, vehicle, nanos)

    patch.setattr(Book, "settle", again)
    patch.setattr(Book, "settled_nanos", lambda self, key: paid(self, key) and None)


def billed_before_it_is_settled(patch: Patch) -> None:
    """A car's bill does not wait for its awards."""
    depart = AwardBook.depart

    def early(self, departed):
        accounts, self._accounts = self._accounts, {}
        effects = depart(self, departed)
        self._accounts = {key: one for key, one in accounts.items() if key[0] != departed.session}
        return effects

    patch.setattr(AwardBook, "depart", early)


def any_energy_is_paid(patch: Patch) -> None:
    """The car's claim counts as it stands, whatever was bought and whatever the charger saw."""
    patch.setattr(
        "wattswap.agents.award_book.settlement.agreed_ws", lambda mine, theirs: (max(mine, theirs) + 1, False)
    )
    patch.setattr(AwardRecord, "most_ws", property(lambda _self: (1 << 40,) * 3))


def awards_go_to_the_wrong_round(patch: Patch) -> None:
    """An award buys more than was offered."""
    award = AwardBook.award

    def more(self, held, state, now_ms):
        bought = held.award
        more_w = tuple(watts + 690 * (watts > 0) for watts in bought.award_w)
        held.award = Award(
            bought.feeder, bought.tick, bought.session, bought.until_ms, more_w, bought.price_nanos_per_kwh_h
        )
        held.reserved_nanos *= 2
        return award(self, held, state, now_ms)

    patch.setattr(AwardBook, "award", more)


def bound_twice(patch: Patch) -> None:
    """A car that holds an award is called again."""
    patch.setattr(AwardBook, "__contains__", lambda _self, _session: False)
    patch.setattr(AwardBook, "__len__", lambda _self: 0)


def receipts_are_given_once(patch: Patch) -> None:
    """Whoever missed its receipt is not given another."""
    deliver = AwardBook.deliver

    def once(self, witnessed):
        return [
            effect
            for effect in deliver(self, witnessed)
            if not (isinstance(effect, Send) and isinstance(effect.message, Sealed))
        ]

    patch.setattr(AwardBook, "deliver", once)


def purse_forgets_its_book(patch: Patch) -> None:
    """What came back to the site just before a crash is counted again after it."""
    patch.setattr(Book, "returned_nanos", lambda _self, _keys: 0)


def reward_counted_again_after_a_crash(patch: Patch) -> None:
    """A car crashes between the receipt and forgetting its claim, and counts the reward once more."""
    on_receipt = Vehicle._on_receipt
    restarted = Vehicle._on_restarted

    def forgetting_later(self, receipt):
        return [effect for effect in on_receipt(self, receipt) if not isinstance(effect, Forget)]

    def without_settled(self, event, now_ms):
        effects = restarted(self, event, now_ms)
        for key, value in event.remembered.items():
            if key.startswith("claim/"):
                charger, delivery = _claimed(value)
                effects += self._restore(charger, delivery, now_ms)
        return effects

    patch.setattr(Vehicle, "_on_receipt", forgetting_later)
    patch.setattr(Vehicle, "_on_restarted", without_settled)


def _claimed(value):
    return msgspec.msgpack.decode(value, type=tuple[str, Delivery])


def homes_may_be_silent(patch: Patch) -> None:
    """The transformer grants on what homes said last, however long ago that was."""
    patch.setattr(Transformer, "_knows_its_base", lambda _self, _now_ms: True)


def one_home_speaks_for_all(patch: Patch) -> None:
    """It is enough to have heard of some homes."""

    def knows(self, now_ms):
        return any(heard_ms + self._rules.lease_ms > now_ms for _, heard_ms in self._base.values())

    patch.setattr(Transformer, "_knows_its_base", knows)


def releases_are_trusted(patch: Patch) -> None:
    """A release ends an award and nothing else does: should it be lost, the next award counts beside it."""
    end_awards, on_award = Charger._end_awards, Vehicle._on_award

    def on_departure_only(self, session, before=None):
        if before is None:
            end_awards(self, session)

    def keeping_the_older(self, charger, award, now_ms):
        self._claim_all = lambda *_: []
        try:
            return on_award(self, charger, award, now_ms)
        finally:
            del self._claim_all

    patch.setattr(Charger, "_end_awards", on_departure_only)
    patch.setattr(Vehicle, "_on_award", keeping_the_older)


def the_gone_come_back(patch: Patch) -> None:
    """A mandate that comes after its car's departure is that of a car that has just plugged in."""
    on_mandate = Transformer._on_mandate

    def forgetful(self, charger, sealed, now_ms):
        gone = self._gone.copy()
        self._gone.clear()
        try:
            return on_mandate(self, charger, sealed, now_ms)
        finally:
            self._gone.extend(gone)

    patch.setattr(Transformer, "_on_mandate", forgetful)


def room_of_long_ago(patch: Patch) -> None:
    """Whoever waits to be raised is, even when it is no longer known what room there is."""
    patch.setattr(LeaseIssuer, "wait", lambda _self: None)


def who_slept_trusts_what_it_reads(patch: Patch) -> None:
    """After a long freeze what homes have said long ago is taken for news, because it is read only now."""
    patch.setattr(Transformer, "_notice_sleep", lambda _self, _now_ms: None)


def rounds_wait_for_everyone(patch: Patch) -> None:
    """A round has no deadline: who does not answer holds it open."""
    on_woken = Transformer._on_woken

    def patient(self, now_ms):
        waiting, self._round = self._round, None
        effects = on_woken(self, now_ms)
        self._round = self._round or waiting
        return effects

    patch.setattr(Transformer, "_on_woken", patient)


def loss_is_not_noticed(patch: Patch) -> None:
    """A lease that is over is one that never ends. What is reckoned grant by grant looks away: L2 needs none of it."""

    def outlive(self, now_ms):
        if self.expires_ms is not None and now_ms >= self.expires_ms:
            self.expires_ms = None
        return False

    patch.setattr(Lease, "lapse", outlive)
    patch.setattr(PowerAudit, "look", lambda *_: None)
    patch.setattr(PowerAudit, "tick", lambda *_: None)


MUTANTS: dict[str, Callable[[Patch], None]] = {
    mutant.__name__: mutant
    for mutant in (
        no_expiry,
        no_sequence,
        no_echo_of_epoch,
        no_residual_validity,
        lease_outlives_its_car,
        no_envelope,
        raises_need_no_room,
        feeding_needs_no_confirmation,
        no_quiet_time,
        transformer_keeps_its_epoch,
        envelopes_end_too_soon,
        late_awards_bind,
        receipts_add_up,
        deliveries_are_said_once,
        nothing_is_repeated,
        remembered_after_it_was_said,
        reserved_after_it_was_said,
        nothing_is_reserved,
        settled_rounds_are_forgotten,
        paid_twice,
        billed_before_it_is_settled,
        any_energy_is_paid,
        awards_go_to_the_wrong_round,
        bound_twice,
        receipts_are_given_once,
        purse_forgets_its_book,
        reward_counted_again_after_a_crash,
        homes_may_be_silent,
        one_home_speaks_for_all,
        releases_are_trusted,
        the_gone_come_back,
        room_of_long_ago,
        who_slept_trusts_what_it_reads,
        rounds_wait_for_everyone,
        loss_is_not_noticed,
    )
} | {f"{kind}s_are_not_durable": not_remembered(kind) for kind in ("award", "claim", "receipt", "session", "earned")}


LONG_SILENCES: Final = Ground(("faults.outage_s=1_200",))
"""Homes are not heard of for up to 20 minutes, while they come and go."""
MANY_RELEASES: Final = Ground(
    (
        "market.release_pct=0",
        "window_s=1_800",
        "faults.loss_pct=30",
        "faults.crashes_per_day=0",
        "faults.freezes_per_day=0",
    )
)
"""Windows are long and awards released as soon as there is room, so that the next one comes within the same window."""
LATE_MANDATES: Final = Ground(("faults.loss_pct=40", "faults.delay_ms=30_000", "faults.crashes_per_day=48"), (8,))
"""Mandates are repeated for long and overtaken by the departure: they must pass twice through what is half a minute."""
LONG_SLEEP: Final = Ground(("faults.outage_s=1_200", "faults.freezes_per_day=60"), (4,))
"""The transformer sleeps for up to 20 minutes while homes are cut off for as long."""
MANY_CRASHES: Final = Ground(("faults.crashes_per_day=240",), (21, 115))
"""The transformer must crash between what came back to its purse and forgetting what it had set aside."""
GROUNDS: Final = {
    "purse_forgets_its_book": MANY_CRASHES,
    "homes_may_be_silent": LONG_SILENCES,
    "one_home_speaks_for_all": LONG_SILENCES,
    "releases_are_trusted": MANY_RELEASES,
    "the_gone_come_back": LATE_MANDATES,
    "who_slept_trusts_what_it_reads": LONG_SLEEP,
}
"""Where this is not the proving ground as it is."""
RULES: Final[dict[str, str | tuple[str, ...]]] = {
    "homes_may_be_silent": ("S3", "S11"),
    "one_home_speaks_for_all": ("S3", "S11"),
    "releases_are_trusted": "S9",
    "the_gone_come_back": "S12",
    "who_slept_trusts_what_it_reads": "S11",
    "rounds_wait_for_everyone": "L1",
    "loss_is_not_noticed": "L2",
}
"""By which rule some must be found."""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_that_is_switched_off_is_missed(name, monkeypatch):
    MUTANTS[name](monkeypatch)
    settings, first = GROUNDS.get(name, Ground())
    seeds = dict.fromkeys(chain(first, range(SEEDS)))
    judged = next((judged for seed in seeds if (judged := seed_result(seed, settings)).rule), None)
    assert judged is not None, f"{SEEDS} seeds without {name}, and nobody noticed"
    assert "AttributeError" not in judged.found, "what was to be switched off has another name by now"
    assert judged.rule.startswith(RULES.get(name, "")), judged.found


@pytest.mark.parametrize(
    "ground",
    [LONG_SILENCES, MANY_RELEASES, LATE_MANDATES, LONG_SLEEP, MANY_CRASHES],
    ids=["silence", "releases", "late mandates", "sleep", "crashes"],
)
def test_where_more_goes_wrong_no_rule_is_broken_either(ground):
    seeds = dict.fromkeys(chain(ground.first, range(10)))
    assert [judged.found for seed in seeds if (judged := seed_result(seed, ground.settings)).rule] == []
