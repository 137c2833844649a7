"""A field trial's design: the same cars and limits in every arm, and what is counted of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattswap.experiments.literature.arms import ARMS, Design, drawn, run_arm
from wattswap.experiments.literature.play import Literature, literature
from wattswap.experiments.literature.street import LEAST_LIMIT_W, MOST_LIMIT_W, limits_w, virtual_street
from wattswap.protocol.errors import InputError

SMALL = {"seeds": 1, "transformers": 2, "days": 1, "no_pause_pct": 50, "jobs": 1}


@pytest.fixture(scope="module")
def found() -> Literature:
    return literature(**SMALL)  # type: ignore[arg-type]


def test_every_transformer_has_ten_cars_and_a_limit_of_its_own_for_each_day(tmp_path: Path) -> None:
    street = virtual_street(tmp_path, 20, 2, 1, "truthful")
    stations = street.sessions.station_id
    assert [len(set(stations[feeder.sessions])) <= 10 for feeder in street.feeders] == [True] * 20
    limits = np.stack([feeder.limit_w.reshape(2, -1) for feeder in street.feeders])
    assert (limits.min(axis=2) == limits_w(20, 2, 1)).all()
    assert (limits.max(axis=2) == limits_w(20, 2, 1)).all()
    assert LEAST_LIMIT_W <= limits.min() < limits.max() <= MOST_LIMIT_W
    assert len(np.unique(limits)) > 15
    assert not street.base_w.any()


def test_all_arms_have_the_same_sessions_and_only_the_negotiation_pays(found: Literature) -> None:
    means = {arm: found.mean(arm) for arm in ARMS}
    assert len({(one.sessions, one.transformer_days, one.cannot_pause) for one in means.values()}) == 1
    assert 0 < means["none"].cannot_pause < means["none"].sessions
    assert [arm for arm, one in means.items() if one.paid_iota] in (["negotiated"], [])
    assert all(one.moved_days <= one.violated_days for one in means.values())
    assert (means["none"].moved_days, means["none"].waiting_cost_iota, means["none"].stalled) == (0, 0, 0)
    assert means["negotiated"].violated_days <= means["none"].violated_days


def test_who_overrides_draws_what_it_wants_whatever_the_rule() -> None:
    """Where all override, a tariff moves nothing."""
    none, all_override = (run_arm(arm, 1, Design(2, 1, pct, 0)) for arm, pct in (("none", 0), ("time-of-use", 100)))
    assert (all_override.peak_kw, all_override.waiting_cost_iota) == (none.peak_kw, 0)


def test_so_many_per_cent_are_drawn_and_more_include_them() -> None:
    keys = np.arange(20_000, dtype=np.uint64)
    one, five = drawn(3, keys, 12, 1), drawn(3, keys, 12, 5)
    assert (one.mean(), five.mean()) == pytest.approx((0.01, 0.05), abs=0.005)
    assert five[one].all()


def test_the_picture_has_a_bar_for_each_arm(found: Literature) -> None:
    picture = found.plot()
    left, right = picture.axes
    legend = left.get_legend()
    assert legend is not None
    picture.canvas.draw()
    assert legend.get_window_extent().y1 < left.get_window_extent().y0, "it lies on no bar"
    assert [text.get_text() for text in legend.get_texts()] == [
        "from the least seed to the most",
        "over the limit for over a minute",
        "moved: of these, held without any rule",
    ]
    assert [label.get_text() for label in left.get_yticklabels()] == list(ARMS)
    assert len(right.patches) == len(ARMS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"arms": ["tou"]}, "there is no arm 'tou'; the nearest is"),
        ({"seeds": 0}, "--seeds 0: choose 1 to"),
        ({"transformers": 21}, "--transformers 21: choose 1 to 20"),
        ({"days": 8}, "--days 8: choose 1 to 7"),
        ({"override_pct": 101}, "--override 101: choose 0 to 100"),
        ({"no_pause_pct": float("nan")}, "--no-pause nan: choose 0 to 100"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        literature(**wrong)  # type: ignore[arg-type]
