"""The law of 2019, with the figures stated for it: limit 60 kW and what the chargers are told."""

from __future__ import annotations

import pytest
from tests.agents.controllers.parked import parked

from wattswap.agents.controllers.poc import percentage, poc


@pytest.mark.parametrize(
    ("base_w", "virtual_w", "percent"),
    [(40_000, 30_000, 33.33), (55_000, 22_000, 77.27), (61_000, 5_000, 100), (20_000, 30_000, None)],
)
def test_the_percentage_is_what_the_chargers_draw_too_much(base_w, virtual_w, percent):
    """100 * (virtual - available) / virtual with available = limit - base; base over limit 100 %; else release."""
    found = percentage(60_000, base_w, virtual_w)
    assert found == (percent if percent is None else pytest.approx(percent, abs=0.005))


def test_a_base_load_of_exactly_the_limit_releases_everybody():
    """The defect as it was: neither "over" nor "under" was true, and the message said no need to reduce."""
    assert percentage(60_000, 60_000, 30_000) is None


def test_every_charger_reduces_by_the_same_share_of_its_full_power_whatever_it_needs(rules):
    """A third off: 11 kW -> 7.33, 22 kW -> 14.67; a car that wants less than that notices nothing."""
    street = parked([11_000, 22_000, 100], most_w=[11_000, 22_000, 11_000], drawn_w=[11_000, 19_000, 0])
    assert poc(40_000, 60_000, *street, rules).import_w.tolist() == [7_333, 14_666, 100]


def test_it_goes_under_six_amperes(rules):
    street = parked([11_000, 11_000], drawn_w=[11_000, 11_000])
    assert poc(55_000, 60_000, *street, rules).import_w.tolist() == [2_500, 2_500]


def test_homes_over_the_limit_stop_all_cars_even_those_that_draw_nothing(rules):
    assert not poc(60_001, 60_000, *parked([11_000, 11_000]), rules).import_w.any()


def test_what_it_has_curtailed_it_takes_for_room(rules):
    """The limit cycle: 40 kW of homes and 32 kW of cars under 60 kW alternate between 72 and 60 kW."""
    drawn_w, loads_w = [0, 0, 0], []
    for _ in range(6):
        street = parked([12_800, 12_800, 6_400], drawn_w=drawn_w)
        drawn_w = poc(40_000, 60_000, *street, rules).import_w.tolist()
        loads_w.append(40_000 + sum(drawn_w))
    assert loads_w == [72_000, 60_000] * 3
