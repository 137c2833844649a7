"""A grant holds from the charger's own stamp on, for so long and no longer; the transformer reckons with the worst."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents.lease import Lease
from wattswap.agents.lease_issuer import LeaseIssuer
from wattswap.agents.rules import Rules
from wattswap.protocol.messages import Grant, Report

RULES = Rules()
T = RULES.lease_ms


def lease(guaranteed_w=0):
    """That of a charger of 22 kW."""
    return Lease(replace(RULES, guaranteed_w=guaranteed_w), 22_000)


def grant(import_w=11_000, export_w=0, epoch=1, seq=1, echo_epoch=1, echo_ms=0, lease_ms=T):
    return Grant(7, import_w, export_w, epoch, seq, echo_epoch, echo_ms, lease_ms)


def report(seq, heard_seq=0, *, epoch=1, heard_epoch=1, session=7, stamp_ms=0):
    return Report(session, 11_000, 11_000, False, 0, 0, epoch, seq, stamp_ms, heard_epoch, heard_seq)


# -- the charger's side -----------------------------------------------------------------------------------------------


def test_without_a_grant_there_is_the_guaranteed_minimum():
    of = lease(1_380)
    assert (of.import_w, of.export_w, of.expires_ms) == (1_380, 0, None)


def test_a_lease_runs_from_the_stamp_it_answers_not_from_its_arrival():
    of = lease()
    assert of.accept(grant(echo_ms=1_000), 1, 80_000)
    assert not of.lapse(1_000 + T - 1)
    assert of.lapse(1_000 + T)
    assert (of.import_w, of.export_w) == (0, 0)


def test_a_grant_that_was_under_way_for_a_whole_lease_is_void():
    of = lease()
    assert not of.accept(grant(echo_ms=0), 1, T)
    assert of.accept(grant(echo_ms=0), 1, T - 1)


def test_a_grant_that_answers_a_stamp_from_before_a_restart_is_void():
    assert not lease().accept(grant(echo_epoch=1), 2, 1)


def test_a_lease_ends_with_its_car():
    of = lease()
    of.accept(grant(), 1, 1)
    of.end()
    assert (of.import_w, of.expires_ms) == (0, None)
    assert not of.accept(grant(seq=1), 1, 2), "what was heard stays heard"


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), max_size=20))
def test_in_whatever_order_grants_come_the_newest_is_in_force(arrivals):
    of = lease()
    for epoch, seq in arrivals:
        of.accept(grant(import_w=epoch * 100 + seq, epoch=epoch, seq=seq), 1, 1)
    assert of.import_w == max((epoch * 100 + seq for epoch, seq in arrivals), default=0)


def test_whatever_a_grant_says_a_charger_gives_and_takes_no_more_than_it_is_rated_for():
    of = lease()
    of.accept(grant(import_w=100_000_000, export_w=100_000_000), 1, 1)
    assert (of.import_w, of.export_w) == (22_000, 22_000)
    above = lease(guaranteed_w=25_000)
    above.accept(grant(import_w=100_000_000), 1, 1)
    assert above.import_w == 25_000, "what the site guarantees it may always draw"


def test_six_amperes_on_three_phases_are_a_grant_also_to_a_charger_that_has_one():
    """Its car draws what it can. Had it been granted less, its clock would run on where it could have drawn back."""
    of = Lease(RULES, 3_680)
    of.accept(grant(import_w=11_000, export_w=11_000), 1, 1)
    assert (of.import_w, of.export_w) == (RULES.min_w, 3_680)


def test_whatever_a_grant_says_a_lease_runs_no_longer_than_the_longest():
    of = lease()
    assert of.accept(grant(lease_ms=10**9), 1, 1)
    assert of.expires_ms == T
    assert not of.accept(grant(seq=2, lease_ms=10**9), 1, T), "nor is one void later"


def test_a_grant_that_answers_a_stamp_still_to_come_is_void():
    assert not lease().accept(grant(echo_ms=2), 1, 1)
    assert lease().accept(grant(echo_ms=1), 1, 1)


# -- the transformer's side -------------------------------------------------------------------------------------------


def granting(*sessions):
    side = LeaseIssuer(RULES)
    for session in sessions:
        side.enter(session)
        side.hears(report(1, session=session), 0)
    return side


def test_lowering_is_said_at_once_and_believed_when_it_is_confirmed():
    side = granting(7)
    side.aim([(7, 11_000, 0)], 0, 20_000, 0)
    assert [said.import_w for said in side.aim([(7, 4_140, 0)], 0, 20_000, 0)] == [4_140]
    assert side.worst_w() == 11_000
    side.hears(report(2, heard_seq=2), 0)
    assert side.worst_w() == 4_140


def test_a_raise_waits_until_another_has_confirmed_that_it_gives_way():
    side = granting(7, 8)
    side.aim([(7, 11_000, 0)], 0, 11_000, 0)
    said = side.aim([(7, 0, 0), (8, 11_000, 0)], 0, 11_000, 0)
    assert [(one.session, one.import_w) for one in said] == [(7, 0)]
    side.hears(report(2, heard_seq=said[0].seq), 0)
    assert [(one.session, one.import_w) for one in side.go_on(0, 0)] == [(8, 11_000)]


def test_a_charger_that_never_answers_keeps_its_room_until_its_lease_is_certainly_over():
    side = granting(7, 8)
    side.aim([(7, 11_000, 0)], 0, 11_000, 0)
    side.aim([], 0, 0, RULES.certain_lease_ms - 1)
    assert side.worst_w() == 11_000
    side.aim([], 0, 0, RULES.certain_lease_ms)
    assert side.worst_w() == 0
    assert RULES.certain_lease_ms * (1_000_000 - RULES.drift_ppm) > T * 1_000_000, "however slow its clock"


def test_whose_lease_is_over_must_rise_again_even_to_less_than_it_had():
    side, over_ms = granting(7, 8), RULES.certain_lease_ms
    side.aim([(7, 11_000, 0), (8, 11_000, 0)], 0, 22_000, 0)
    side.hears(report(2, session=8, heard_seq=2), over_ms - 1)
    side.aim([(8, 11_000, 0)], 0, 11_000, over_ms - 1)
    side.hears(report(2, session=7, heard_seq=1), over_ms - 1)
    said = side.aim([(7, 4_140, 0), (8, 11_000, 0)], 0, 11_000, over_ms)
    assert [one.session for one in said] == [8]
    assert side.go_on(0, over_ms) == []


def test_nobody_rises_on_what_a_feeder_has_not_confirmed():
    side = granting(7, 8)
    said = side.aim([(7, 0, 11_000), (8, 11_000, 0)], 0, 0, 0)
    assert [one.session for one in said] == [7]
    side.hears(report(2, heard_seq=said[0].seq), 0)
    assert [one.session for one in side.go_on(0, 0)] == [8]


def test_a_report_that_was_overtaken_is_not_heard():
    side = granting(7)
    assert side.hears(report(3), 0)
    assert not side.hears(report(2), 0)
    assert not side.hears(report(3), 0)


def test_a_charger_that_started_anew_holds_nothing_from_before():
    side = granting(7)
    side.aim([(7, 11_000, 0)], 0, 11_000, 0)
    side.hears(report(1, epoch=2), 0)
    assert side.worst_w() == 0


def test_a_stamp_that_is_a_lease_old_is_not_answered():
    side = granting(7)
    assert side.aim([(7, 11_000, 0)], 0, 11_000, T) == []


def test_what_was_decided_before_is_not_raised_any_more():
    side = granting(7, 8)
    side.aim([(7, 11_000, 0)], 0, 11_000, 0)
    side.aim([(7, 0, 0), (8, 11_000, 0)], 0, 11_000, 0)
    side.wait()
    side.hears(report(2, heard_seq=2), 0)
    assert side.go_on(0, 0) == []
