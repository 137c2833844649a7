"""The picture of a comparison can be read: nothing is cut off, no text stands on another, lines mean what they say."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from wattswap.experiments.comparison import MEASURES, PEAK, Comparison
from wattswap.experiments.plots.dots import PAGE_IN

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

MINUTES = "overload_s"
NAMED = [("negotiated", strategy) for strategy in ("need", "truthful", "./mine.py:patient")]
ONE_KEY = [f"transformer.limit_w={limit}" for limit in (180_000, 200_000, 220_000, 240_000)]
TWO_KEYS = [f"{limit} transformer.margin_pct={margin}" for limit in ONE_KEY[:2] for margin in (0, 4)]
LONG = "/home/somebody/strategies/of/the/street/mine.py:patient_and_long_winded"


def compared(rules: list[tuple[str, str]], settings: list[str], **figures: float) -> Comparison:
    """Every rule under every setting over three seeds; without figures, all measures grow from rule to rule."""
    rows = []
    for setting in settings:
        for place, (controller, strategy) in enumerate(rules):
            for seed in (1, 2, 3):
                grown = {each.key: each.per_unit * (place + 1) * (40 + seed * 7.3) for each in (*MEASURES, PEAK)}
                told: dict[str, Any] = {"controller": controller, "strategy": strategy, "varied": setting, "seed": seed}
                rows.append(told | {"status": "complete"} | (figures or grown))
    return Comparison("b250", rows)


def minutes_of(*runs_of_each: tuple[float, ...], varied: str = "") -> Comparison:
    """So many minutes over the limit in each run of each rule, and nothing else."""
    nothing: dict[str, Any] = dict.fromkeys((measure.key for measure in (*MEASURES, PEAK)), 0)
    return Comparison(
        "b250",
        [
            {"controller": f"rule-{place}", "strategy": "", "seed": seed, "status": "complete", **nothing}
            | {MINUTES: minutes * 60, "varied": varied}
            for place, runs in enumerate(runs_of_each)
            for seed, minutes in enumerate(runs)
        ],
    )


@pytest.fixture(
    scope="module",
    params=[
        ([("uncontrolled", ""), NAMED[0]], [""]),
        ([("uncontrolled", ""), ("llf", ""), *NAMED], [""]),
        (NAMED[:2], TWO_KEYS),
        ([("uncontrolled", ""), ("llf", ""), *NAMED], ONE_KEY),
        ([NAMED[0], ("negotiated", LONG)], TWO_KEYS[:2]),
    ],
    ids=["two groups", "five rules", "two keys", "twenty groups", "a long path"],
)
def figure(request: pytest.FixtureRequest) -> Figure:
    rules, settings = request.param
    picture = compared(rules, settings)._dots()
    picture.canvas.draw()
    return picture


def box(text: Text) -> tuple[float, float, float, float]:
    """Left, bottom, right and top, in inches."""
    figure = text.get_figure(root=True)
    assert figure is not None
    extent = text.get_window_extent()
    return extent.x0 / figure.dpi, extent.y0 / figure.dpi, extent.x1 / figure.dpi, extent.y1 / figure.dpi


def labels(axes: Axes) -> list[Text]:
    return [text for text in axes.get_yticklabels() if text.get_visible() and text.get_text()]


def titles(figure: Figure) -> list[Text]:
    from matplotlib.text import Text

    found = ((axes.get_title(loc="left"), child) for axes in figure.axes for child in axes.get_children())
    return [child for title, child in found if isinstance(child, Text) and child.get_text() == title]


def texts(figure: Figure) -> list[Text]:
    low, high = figure.axes[0].get_ylim()
    rows = labels(figure.axes[0])
    assert len(rows) == low - high
    ticks = [text for axes in figure.axes for text in axes.get_xticklabels()]
    return [*titles(figure), *rows, *ticks, *(text for axes in figure.axes for text in axes.texts), *figure.texts]


def test_no_text_is_cut_off_or_stands_on_another(figure: Figure):
    wide_in, high_in = figure.get_size_inches()
    assert max(wide_in, high_in) <= PAGE_IN + 1e-9
    boxes = [(box(text), text.get_text()) for text in texts(figure)]
    for (left, bottom, right, top), text in boxes:
        assert min(left, bottom, wide_in - right, high_in - top) >= 0, f"{text!r} is cut off"
    for place, (one, text) in enumerate(boxes):
        for other, beside in boxes[:place]:
            apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] - 0.03 or other[1] >= one[3] - 0.03
            assert apart, f"{text!r} stands on {beside!r}"


def test_labels_leave_two_thirds_to_the_panels_and_are_three_lines_at_most(figure: Figure):
    wide_in, _ = figure.get_size_inches()
    for text in labels(figure.axes[0]):
        left, _, right, _ = box(text)
        assert right - left <= wide_in / 3
        assert text.get_text().count("\n") <= 2
        assert float(text.get_fontsize()) >= 8
    assert all(axes.get_position().width * wide_in >= 0.8 for axes in figure.axes)


def test_groups_have_the_short_names_of_the_table():
    shown = [text.get_text() for text in labels(compared(NAMED[2:], TWO_KEYS)._dots().axes[0])]
    words = " ".join(shown[0].split())
    assert words == "negotiated, ./mine.py:patient, limit_w=180000 margin_pct=0"


def test_of_the_path_of_a_strategy_its_end_is_kept():
    (shown,) = (text.get_text() for text in labels(compared([("negotiated", LONG)], TWO_KEYS[:1])._dots().axes[0]))
    assert "…" in shown
    assert "mine.py:patient_and_long_winded," in shown


def test_panels_that_do_not_fit_beside_one_another_stand_in_more_rows():
    def rows_of(figure: Figure) -> int:
        return len({round(axes.get_position().y0, 6) for axes in figure.axes})

    assert rows_of(minutes_of((1, 2), (3, 4))._dots()) == 1
    assert rows_of(compared(NAMED, [""])._dots()) == 2, "nine measures"


def test_an_interval_goes_no_further_than_to_the_edge_and_an_arrow_says_that_it_goes_on():
    for first, last, scale, arrows in (
        ((80, 90, 70), (60, 69, 50), "linear", [[1]]),
        ((4000, 4100, 4200), (10, 11, 12), "symlog", [[1], [2]]),
    ):
        (axes,) = minutes_of(first, (0, 1, 30), last)._dots().axes
        left, right = axes.get_xlim()
        assert axes.get_xscale() == scale
        assert -right / 10 < left < 0
        _, intervals, _ = (each.get_segments() for each in axes.collections if hasattr(each, "get_segments"))
        assert intervals[1][0, 0] == left
        assert [np.asarray(line.get_ydata()).tolist() for line in axes.lines] == arrows, "none where it ends above 0"


def test_what_is_0_in_every_run_has_no_interval():
    (axes,) = minutes_of((80, 90, 70), (0, 0, 0))._dots().axes
    _, intervals, _ = (each.get_segments() for each in axes.collections if hasattr(each, "get_segments"))
    assert intervals[1][:, 0].tolist() == [0, 0]
    assert not axes.lines


def test_a_difference_that_is_the_same_in_all_pairs_has_a_colour_of_its_own_which_the_caption_tells():
    figure = minutes_of((80, 90, 70), (20, 30, 10), (79, 92, 70))._dots()
    _, same, unsure = np.asarray(figure.axes[0].collections[-1].get_facecolor()).tolist()
    assert same != unsure
    assert "violet: every pair differs by the same" in " ".join(figure.get_supxlabel().split())
    other = minutes_of((80, 90, 70), (20, 30, 11))._dots()
    assert "violet" not in other.get_supxlabel()


def test_texts_of_ticks_that_would_stand_on_one_another_are_left_out():
    (axes,) = minutes_of((4000,) * 3, (0.012,) * 3, (0.1,) * 3)._dots().axes
    axes.figure.canvas.draw()
    ticks = axes.get_xticklabels()
    assert ticks[0].get_text() == "0"
    assert len(ticks) > 2
    assert all(one.get_window_extent().x1 < other.get_window_extent().x0 for one, other in pairwise(ticks))


def curves_of_minutes(*minutes_by_rule: float) -> Axes:
    """The panel of so many minutes over the limit for each rule, ten more under a second value."""
    low, high = (
        minutes_of(*((minutes + more,) for minutes in minutes_by_rule), varied=setting).rows
        for more, setting in zip((0, 10), ONE_KEY, strict=False)
    )
    panels = Comparison("b250", [*low, *high]).plot().axes
    return next(axes for axes in panels if axes.get_title(loc="left") == "min over limit")


def test_a_rule_far_above_all_others_leaves_the_panel_of_curves_to_them_and_is_told():
    axes = curves_of_minutes(700, 20, 30)
    low, high = axes.get_ylim()
    assert low < 0
    assert 40 < high < 50
    assert [text.get_text() for text in axes.texts] == ["rule-0: 700 to 710, beyond this panel"]
    assert len(axes.get_lines()) == 3, "the legend has it"


def test_rules_of_like_height_share_a_panel_and_so_does_one_beside_others_that_have_nothing():
    axes = curves_of_minutes(300, 20, 30)
    assert axes.get_ylim()[1] > 310
    assert not axes.texts


def test_curves_that_are_far_from_0_do_not_leave_the_panel_empty_below_them():
    low, high = curves_of_minutes(300, 200, 210).get_ylim()
    assert 150 < low < 200
    assert high > 310
