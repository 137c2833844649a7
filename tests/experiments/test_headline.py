"""The headline of a run, and figures for the eye."""

from __future__ import annotations

import pytest

from wattswap.experiments.formatting import amount, minutes, plain, printable
from wattswap.experiments.headline import headline


def figures(**more: object) -> dict[str, object]:
    base = {"overload_s": 90, "sessions": 5, "sessions_open": 1, "sessions_short": 0, "rounds": 0, "controller": "poc"}
    return base | {"deferred_wh": 0, "fed_back_wh": 0, "paid_nanos": 0} | more


@pytest.mark.parametrize(
    ("summary", "says"),
    [
        (figures(), "1.5 min over the limit · 4 of 4 sessions ended full"),
        (figures(sessions_short=1, overload_s=0), "0 min over the limit · 3 of 4 sessions ended full"),
        (figures(uncontrolled=figures(overload_s=7350)), "122.5 min over the limit → 1.5 · 4 of 4 sessions ended full"),
        (figures(sessions=0, sessions_open=0), "1.5 min over the limit · no cars"),
        (figures(sessions_open=5), "1.5 min over the limit · no car has left yet"),
        (
            figures(rounds=3, deferred_wh=60_400, paid_nanos=19_800_000_000),
            "1.5 min over the limit · 4 of 4 sessions ended full · 60 kWh deferred, for 20 IOTA",
        ),
        (
            figures(rounds=3, deferred_wh=4_040, fed_back_wh=500, paid_nanos=2_000_000_000),
            "1.5 min over the limit · 4 of 4 sessions ended full · 4.0 kWh deferred, 0.50 kWh fed back, for 2.0 IOTA",
        ),
        (
            figures(rounds=3, deferred_wh=648_000, paid_nanos=269 * 10**9, rent_open_nanos=866 * 10**9),
            (
                "1.5 min over the limit · 4 of 4 sessions ended full · 648 kWh deferred, for 269 IOTA, and 866 more in"
                " rent that was still running"
            ),
        ),
        (
            figures(status="interrupted", uncontrolled=figures()),
            "Interrupted run, so far: 1.5 min over the limit · 4 of 4 sessions ended full",
        ),
        (
            figures(gave_way=2, gave_way_full=1, gave_way_short=0, gave_way_open=1),
            "1.5 min over the limit · of 2 sessions that gave way 1 left full, none short, 1 still here",
        ),
        (
            figures(sessions_short=3, gave_way=1, gave_way_full=0, gave_way_short=1, gave_way_open=0),
            (
                "1.5 min over the limit · of 1 session that gave way 0 left full, 1 short; 2 sessions that did not give"
                " way left short"
            ),
        ),
        (
            figures(sessions_short=1, forced_wh=2_600, uncontrolled=figures()),
            (
                "1 session left short that would have been full with nobody in control · 2.6 kWh cut without pay"
                " · 1.5 min over the limit → 1.5 · 3 of 4 sessions ended full"
            ),
        ),
        (
            figures(homes_over_s=90, homes_over_w=3_400),
            (
                "homes alone are over the limit for 1.5 min, by up to 3.4 kW: no car that waits can help there"
                " · 1.5 min over the limit · 4 of 4 sessions ended full"
            ),
        ),
        (
            figures(overload_s=0, homes_over_s=210, homes_over_w=3_400),
            (
                "homes alone are over the limit for 3.5 min, by up to 3.4 kW: no car that waits can help there, those"
                " that fed back did · 0 min over the limit · 4 of 4 sessions ended full"
            ),
        ),
        (
            figures(controller="negotiated"),
            "1.5 min over the limit · 4 of 4 sessions ended full · no round: your strategy was never asked",
        ),
        ({"status": "failed"}, "Failed run: it left no figures"),
    ],
)
def test_the_headline_says_what_came_of_the_run(summary, says):
    assert headline(summary) == says


def test_figures_for_the_eye():
    assert [plain(value) for value in (-0.04, -1.26, 0.04, 1_234.5)] == ["0", "-1.3", "0", "1,234.5"]
    assert [minutes(seconds) for seconds in (0, 30, 90, 7350, 127_650)] == ["0", "0.5", "1.5", "122.5", "2,127.5"]
    assert [amount(value) for value in (0, 0.001, 0.04, 1.26, 19.8, 2287.4)] == [
        "0",
        "<0.01",
        "0.04",
        "1.3",
        "20",
        "2,287",
    ]
    assert printable("a\tb\u2028c", 20) == "a?b?c"
    assert printable("x" * 30, 8) == "xxxxxxx…"
