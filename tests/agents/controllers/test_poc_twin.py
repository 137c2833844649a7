"""The proof of concept of 2019 as a whole, on the example its defects were measured with.

Limit 60 kW, homes 40 kW, chargers of 12.8, 12.8 and 6.4 kW (32, 32 and 16 A at 400 V, counted without the square root
of three), 30 min. Figures from our own re-statement of its source code, github.com/tonsmets/SelfbalancingGrid.
"""

from __future__ import annotations

import pytest

from wattswap.agents.controllers.poc_twin import Twin, TwinCharger

HALF_AN_HOUR_S = 1_800


def street(reports_s=(0, 0, 0), loops_s=(1, 1, 1), **phases):
    amperes = (32, 32, 16)
    chargers = [
        TwinCharger(most_a, 400, report_phase_s=report_s, loop_phase_s=loop_s)
        for most_a, report_s, loop_s in zip(amperes, reports_s, loops_s, strict=True)
    ]
    twin = Twin(60_000, chargers, **phases)
    twin.meter(40_000)
    return twin


def after_half_an_hour(**options):
    twin = street(**options)
    twin.run(HALF_AN_HOUR_S + options.get("pay_phase_s", 0))
    return twin


def test_the_load_swings_between_72_and_60_kw_and_half_of_all_publications_are_over_the_limit():
    published = after_half_an_hour().published
    assert [message.load_w for message in published] == [72_000, 60_000] * 30
    assert [message.percent for message in published] == [37.5, None] * 30
    assert sum(message.load_w > 60_000 for message in published) == 30


def test_only_the_first_charger_is_paid():
    """Each payment run takes the stamp of the last payment anew for each charger: nothing is newer than that."""
    assert after_half_an_hour().paid_iota == [555, 0, 0]


def test_without_the_reset_all_would_be_paid_alike_whatever_their_size():
    assert after_half_an_hour(resets_inside_loop=False).paid_iota == [555, 555, 555]


def test_half_of_the_events_are_lost_before_they_are_paid():
    """15 reports of 20 s reach back 5 of the 10 min between payments: 15 falls of 30 at 37 iota."""
    assert after_half_an_hour().paid_iota[0] == 15 * 37


@pytest.mark.parametrize("pay_phase_s", [20, 30, 39])
def test_paid_a_little_later_the_same_half_hour_is_worth_444_iota(pay_phase_s):
    assert after_half_an_hour(pay_phase_s=pay_phase_s).paid_iota == [444, 0, 0]


@pytest.mark.parametrize(
    ("publish_phase_s", "reports_s", "loops_s"),
    [(5, (5, 5, 0), (1, 1, 1)), (10, (10, 10, 15), (1, 4, 7)), (15, (5, 10, 0), (1, 1, 1))],
)
def test_with_reports_out_of_step_it_is_worth_315(publish_phase_s, reports_s, loops_s):
    twin = after_half_an_hour(publish_phase_s=publish_phase_s, reports_s=reports_s, loops_s=loops_s)
    assert twin.paid_iota == [315, 0, 0]


def test_a_charger_silent_for_over_half_a_minute_is_forgotten_with_all_it_reported():
    """Its 12.8 kW are still drawn, but no longer seen: 40 + 19.2 kW fit, and nobody is asked to reduce."""
    twin = street()
    twin.run(60)
    twin.chargers[0].silent = True
    twin.run(30)
    assert twin.published[-1].load_w == 40_000 + 8_000 + 19_200, "what it reported 30 s ago still counts"
    twin.run(300)
    assert [message.load_w for message in twin.published[-8:]] == [59_200] * 8
    assert not any(message.percent for message in twin.published[-8:])
    assert twin.chargers[0].load_w == 12_800


def test_ending_a_session_during_curtailment_is_paid():
    """A fall is a fall: nothing asks why, or what would have been drawn otherwise."""
    twin = street()
    twin.run(585)  # asked to reduce at 570, released at 600
    twin.chargers[0].charging = False
    twin.run(15)
    assert twin.paid_iota[0] == 185 + 37


def test_a_base_of_exactly_the_limit_releases_but_is_paid_at_the_old_percentage():
    twin = Twin(60_000, [TwinCharger(32, 400)])
    steady(twin, 61_000, seconds=390)
    assert (twin.published[-1].percent, twin.chargers[0].load_w) == (100, 0)
    steady(twin, 60_000, seconds=55)
    assert (twin.published[-1].percent, twin.chargers[0].load_w) == (None, 12_800)
    twin.chargers[0].charging = False
    twin.run(155)
    assert twin.paid_iota == [100]


def steady(twin, base_w, seconds):
    for _ in range(5):
        twin.meter(base_w)
    twin.run(seconds)


def test_the_last_five_meter_readings_count_as_their_mean():
    twin = street()
    for base_w in (10_000, 20_000, 30_000, 40_000, 50_000):
        twin.meter(base_w)
    twin.run(30)
    assert twin.published[-1].load_w == 30_000 + 32_000


def test_nothing_is_published_before_the_first_reading():
    twin = Twin(60_000, [TwinCharger(32, 400)])
    twin.run(60)
    assert twin.published == []
    assert twin.chargers[0].load_w == 12_800


def test_a_payment_run_without_reports_still_moves_the_stamp():
    twin = Twin(60_000, [])
    twin.meter(40_000)
    twin.run(600)
    assert twin.paid_iota == []
