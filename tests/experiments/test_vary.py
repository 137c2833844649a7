"""A key over many values: how it is written, that every value is run and found again, and what is drawn of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattswap.experiments import compare, run
from wattswap.experiments.vary import axis, short, variations
from wattswap.protocol.errors import InputError

COARSE = ["reading_s=300"]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("transformer.limit_w=140k..200k:20k", ["140000", "160000", "180000", "200000"]),
        ("transformer.margin_pct=1..2:0.5", ["1", "1.5", "2"]),
        ("transformer.limit_w=200k,0.4M", ["200000", "400000"]),
        ("transformer.limit_w=180000.0, 180_000.00, 180.000", ["180000", "180_000", "180.000"]),
        ("vehicles.curve=flat, taper", ["flat", "taper"]),
        ("seed=1..1:1", ["1"]),
    ],
)
def test_values_are_a_range_or_a_list(text, settings):
    key = text.partition("=")[0]
    assert variations([text]) == [(f"{key}={value}",) for value in settings]


def test_two_keys_are_crossed_and_none_is_one_run():
    assert variations(["seed=1,2", "days=3,4"]) == [
        ("seed=1", "days=3"), ("seed=1", "days=4"), ("seed=2", "days=3"), ("seed=2", "days=4"),
    ]  # fmt: skip
    assert variations([]) == [()]


@pytest.mark.parametrize("text", ["days", "days=", "days=1..3", "days=3..1:1", "days=1..3:0", "days=a..3:1", "=1,2"])
def test_what_is_no_range_is_refused_in_one_line(text):
    with pytest.raises(InputError, match=r"^--vary "):
        variations([text])


def test_a_key_that_is_named_twice_is_refused():
    with pytest.raises(InputError, match=r"^--vary transformer.limit_w: named twice; write all its values into one"):
        variations(["transformer.limit_w=180k", "days=1,2", "transformer.limit_w = 200k"])


@pytest.mark.parametrize(
    ("vary", "day", "what"),
    [
        ("seed=5,6", None, r"^--vary seed=5,6: each run has its own seed; use --seeds N, which counts up from"),
        ("seed=5..6:1", None, "use --seeds N"),
        ("vehicles.strategy=need,keep", None, "use --strategies need,keep instead"),
        ("days=1,2", 1, r"days=1 and days=2 are the same run; leave one out \(nothing that --day sets can be varied"),
    ],
)
def test_what_would_change_no_run_is_refused(vary: str, day: int | None, what: str, tmp_path: Path):
    with pytest.raises(InputError, match=what):
        compare("demo", controllers=["negotiated"], seeds=2, vary=[vary], day=day, settings=COARSE, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_an_axis_has_its_unit_where_values_are_numbers():
    assert axis("transformer.limit_w=140000") == ("transformer.limit_w in kW", 140)
    assert axis("vehicles.curve=flat") is None
    assert short("transformer.limit_w=140000 seed=2") == "limit_w=140000 seed=2"


def test_every_value_is_run_and_found_again_and_drawn_as_curves(tmp_path: Path):
    def compared(strategies: list[str]) -> list[dict[str, object]]:
        found = compare(
            "demo",
            controllers=["uncontrolled", "negotiated"],
            strategies=strategies,
            vary=["transformer.limit_w=300k,380k"],
            settings=COARSE,
            jobs=1,
            out=tmp_path / "out",
        )
        shown = [axes for axes in found.plot().axes if axes.get_visible()]
        whole = [axes for axes in shown if not axes.texts]
        assert all(axes.get_ylim()[1] > 1.01 * axes.dataLim.y1 for axes in whole), "no marker is cut off at the top"
        titles = {axes.get_title(loc="left") for axes in shown}
        drawn = {measure.title for measure in found.drawn}
        assert "kWh cut by last resort" in drawn  # where nobody sells
        assert titles == drawn - {"IOTA paid"} | {"highest load kW", "EUR paid, at the scenario's rate"}
        return found.rows

    rows = compared(["need", "keep"])
    assert [(row["controller"], row["strategy"], row["varied"]) for row in rows] == [
        ("uncontrolled", "need", "transformer.limit_w=300000"),  # it asks nobody, so one strategy is enough
        ("uncontrolled", "need", "transformer.limit_w=380000"),
        ("negotiated", "need", "transformer.limit_w=300000"),
        ("negotiated", "need", "transformer.limit_w=380000"),
        ("negotiated", "keep", "transformer.limit_w=300000"),
        ("negotiated", "keep", "transformer.limit_w=380000"),
    ]
    alone = run("demo", engine="fleet", strategy="need", settings=[*COARSE, "transformer.limit_w=300000"])
    assert rows[2]["trace_hash"] == alone.summary["trace_hash"]
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/runs").iterdir()}
    assert compared(["need", "keep"]) == rows
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(kept) == 6
