"""What `wattswap compare` prints: who was hurt comes first, and nothing is cut off where a terminal is narrow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wattswap.cli.compare import _show
from wattswap.experiments.comparison import MEASURES, PEAK, Comparison
from wattswap.experiments.plots.dots import PAGE_IN


def row(controller: str, seed: int, **figures: float) -> dict[str, Any]:
    """A run that came through, of no more than it was said."""
    nothing = dict.fromkeys((measure.key for measure in (*MEASURES, PEAK)), 0)
    return {"controller": controller, "strategy": "need", "seed": seed, "status": "complete", **nothing, **figures}


def comparison(**figures: float) -> Comparison:
    """Nobody in control, with a session left short in each run, beside a negotiation."""
    runs = [[row("uncontrolled", seed, sessions_short=1), row("negotiated", seed, **figures)] for seed in (1, 2)]
    return Comparison("street", [one for pair in zip(*runs, strict=True) for one in pair])


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shown: Comparison) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    _show(shown)
    return capsys.readouterr().out.splitlines()


def test_who_was_hurt_is_the_first_that_is_said(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys, comparison(sessions_short=3, forced_wh=12_345))
    hurt = "  negotiated, need: 2.0 more sessions left short than with nobody in control, 12 kWh cut without pay"
    assert lines[:2] == ["Who was hurt, in the mean of a run:", hurt]


def test_energy_that_was_cut_has_a_column_where_there_was_any(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys, comparison(sessions_short=1, forced_wh=12_345))
    assert "12.3" in next(line for line in lines if line.startswith("negotiated"))
    lines = printed(monkeypatch, capsys, comparison(sessions_short=1))
    assert "unpaid" not in "\n".join(lines)
    assert "hurt" not in "\n".join(lines)


def test_rent_that_was_still_open_has_a_column_where_there_was_any(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys, comparison(paid_nanos=10**9, rent_open_nanos=866 * 10**9))
    assert "866" in next(line for line in lines if line.startswith("negotiated"))
    assert "rent" not in "\n".join(printed(monkeypatch, capsys, comparison(paid_nanos=10**9)))


def test_what_feeding_cost_has_a_column_where_anybody_fed(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys, comparison(waiting_cost_nanos=10**9, feeding_cost_nanos=77 * 10**9))
    assert "77" in next(line for line in lines if line.startswith("negotiated"))
    assert "feeding" not in "\n".join(printed(monkeypatch, capsys, comparison(waiting_cost_nanos=10**9)))


def test_streets_that_were_drawn_anew_are_called_so(monkeypatch, capsys):
    for sample in ("seed", "street"):
        said = "\n".join(printed(monkeypatch, capsys, replace(comparison(stops=2), sample=sample)))
        assert f"the mean over the {sample}s" in said
        assert f"pairs of one {sample}" in said


def test_the_picture_has_a_panel_for_each_measure_that_is_not_0_everywhere_and_the_mean_beside_it():
    pytest.importorskip("matplotlib")
    shown = replace(comparison(sessions_short=1, forced_wh=12_345, sellers_losing=4), sample="street")
    figure = shown.plot()
    panels = figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "sessions left short",
        "kWh cut by last resort",
        "sellers at loss",
    ]
    assert [text.get_text() for text in panels[1].texts] == ["0.0", "12.3"]
    assert "mean of 2 streets" in figure.get_suptitle()
    assert comparison().drawn == (MEASURES[0],), "nobody in control leaves a session short"


def test_half_a_minute_in_twenty_runs_is_not_shown_as_none(monkeypatch, capsys):
    one = Comparison("street", [row("fcfs", seed, overload_s=30 if seed == 1 else 0) for seed in range(20)])
    (line,) = [line for line in printed(monkeypatch, capsys, one) if line.startswith("fcfs")]
    assert line.split()[:3] == ["fcfs", "0", "0.03"], "0.025 min"


def rivals(count: int, settings: tuple[str, ...] = ("",), **figures: float) -> Comparison:
    """So many controllers over two seeds; waiting costs the second a thousand times what it costs the others."""
    pytest.importorskip("matplotlib")
    rows = [
        {**row(f"rival-{number}", seed, **figures), "varied": setting}
        | {"waiting_cost_nanos": (number + seed) * (10**12 if number == 1 else 10**9)}
        for number in range(count)
        for setting in settings
        for seed in (1, 2)
    ]
    return Comparison("street", rows)


@pytest.mark.parametrize(("count", "settings"), [(16, ("",)), (16, ("a=x", "a=y", "a=z")), (1, ("",))])
def test_the_picture_of_many_rivals_is_a_page_high_at_most(count: int, settings: tuple[str, ...]):
    everything = {measure.key: measure.per_unit for measure in MEASURES}
    figure = rivals(count, settings, **everything).plot()
    wide_in, high_in = figure.get_size_inches()
    assert high_in <= PAGE_IN
    assert wide_in <= PAGE_IN
    assert sum(axes.get_visible() for axes in figure.axes) == len(MEASURES)


def test_an_axis_is_logarithmic_where_one_rival_is_far_off_and_says_so():
    waiting, over = rivals(5, overload_s=60).plot().axes
    if waiting.get_title(loc="left").startswith("min"):
        waiting, over = over, waiting
    assert waiting.get_title(loc="left").endswith("(logarithmic)")
    assert (waiting.get_xscale(), over.get_xscale()) == ("symlog", "linear")


def test_what_is_not_nothing_is_not_written_as_0():
    (axes,) = rivals(2).plot().axes
    assert [text.get_text() for text in axes.texts] == ["1.5", "2,500.0"]
    shown = Comparison("street", [row("uncontrolled", 1), row("negotiated", 1, overload_s=1.2)])
    (axes,) = shown.plot().axes
    assert [text.get_text() for text in axes.texts] == ["0.0", "0.02"]


def test_an_interval_lies_around_the_mean_and_the_line_at_the_first():
    """So that an interval which does not reach the dashed line is one that excludes 0."""
    pytest.importorskip("scipy")
    from matplotlib.collections import LineCollection

    shown = Comparison("street", [row(who, seed, stops=of) for seed, (a, b) in enumerate(((1, 31), (2, 33)), 1)
                                  for who, of in (("uncontrolled", a), ("negotiated", b))])  # fmt: skip
    (axes,) = shown.plot().axes
    (difference,) = [each for each in shown.differences if each.key == "stops"]
    _, intervals, firsts = (each.get_segments() for each in axes.collections if isinstance(each, LineCollection))
    assert intervals[1][:, 0] == pytest.approx([32 + difference.low - 30.5, 32 + difference.high - 30.5])
    assert [segment[0, 0] for segment in firsts] == [1.5, 1.5]


def test_a_narrow_terminal_shows_every_measure_with_its_whole_name(monkeypatch, capsys):
    wide = {measure.key: 123_456.7 * measure.per_unit for measure in MEASURES}
    lines = printed(monkeypatch, capsys, comparison(**wide))
    assert max(map(len, lines[3:])) <= 80
    words = " ".join(lines).split()
    for measure in MEASURES:
        assert all(words.count(word) >= 2 for word in measure.title.split()), measure.title
    assert "123,456.7" in words
