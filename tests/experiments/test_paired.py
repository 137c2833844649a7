"""Differences in pairs: against published examples, and over a real comparison."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import smalltown

from wattswap.experiments import compare
from wattswap.experiments.paired import PairedDifference, differences, holm

SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)
"""Hours of sleep gained by ten patients under two drugs (Student, Biometrika 6, 1908), R's data set ``sleep``."""


def rows(first: tuple[float, ...], second: tuple[float, ...]) -> list[dict[str, object]]:
    return [
        {"controller": name, "strategy": "", "seed": seed, "status": "complete", "hours": hours}
        for name, group in (("drug 1", first), ("drug 2", second))
        for seed, hours in enumerate(group)
    ]


def test_students_own_example():
    """R: t.test(extra ~ group, data = sleep, paired = TRUE): p = 0.002833, interval -2.4598858 to -0.7001142."""
    (found,) = differences(rows(*SLEEP), ["hours"])
    assert (found.controller, found.against, found.pairs) == ("drug 2", "drug 1", 10)
    assert (found.mean, found.low, found.high) == pytest.approx((1.58, 0.7001142, 2.4598858), abs=1e-7)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.p_holm == found.p, "there is one"
    assert found.is_certain


def test_holms_correction():
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_that_a_rule_pays_nobody_is_no_test():
    """Known beforehand, it would only make the tests beside it more careful."""
    seeds = [
        {"controller": name, "strategy": "", "seed": seed, "status": "complete", "stops": stops, "paid_nanos": nanos}
        for name, more, nanos in (("negotiated", 0, 10), ("fcfs", 1, 0))
        for seed, stops in enumerate((1.0 + more, 2.0 + 3 * more))
    ]
    stops, paid = differences(seeds, ["stops", "paid_nanos"])
    assert stops.p_holm == stops.p != 1
    assert (paid.mean, paid.p_holm, paid.is_certain) == (-10.0, None, False)


def test_runs_without_a_partner_are_left_out():
    lone = [*rows(SLEEP[0], SLEEP[1][:9]), {**rows((1.0,), ())[0], "seed": 99}]
    lone.append({"controller": "drug 2", "strategy": "", "seed": 9, "status": "failed"})
    (found,) = differences(lone, ["hours"])
    assert found.pairs == 9
    assert found.mean == pytest.approx(sum(b - a for a, b in zip(SLEEP[0][:9], SLEEP[1][:9], strict=True)) / 9)


def test_pairs_that_all_differ_by_the_same_are_said_to_and_not_tested():
    """There is no chance in them, and a p-value beside an interval without width would speak of one."""
    two, ten = rows((1.0,) * 2, (2.0,) * 2), rows((1.0,) * 10, (2.0,) * 10)
    for pairs in (two, ten, rows((0.1, 0.2), (1.1, 1.2))):
        (found,) = differences(pairs, ["hours"])
        assert found[6:] == pytest.approx((1.0, 1.0, 1.0, None, None))
        assert (found.is_the_same_in_all, found.is_certain) == (True, False)
    for pairs in (rows((1.0, 2.0), (1.0, 2.0)), rows((0.1 + 0.2, 2.0), (0.3, 2.0))):
        (found,) = differences(pairs, ["hours"])
        assert found[6:] == (0.0, 0.0, 0.0, None, None), "the last bit of a float is no difference"
        assert not found.is_the_same_in_all
    assert differences(rows((1.0,), (2.0,)), ["hours"]) == [], "one pair tells nothing"


@pytest.mark.parametrize(
    ("against", "yardstick"),
    [
        ("", "uncontrolled"),
        ("uncontrolled", "uncontrolled"),
        ("need", "negotiated, need"),
        ("negotiated", "negotiated, need"),
        ("negotiated/keep", "negotiated, keep"),
    ],
)
def test_the_yardstick_is_the_group_that_is_named(against: str, yardstick: str):
    made = [
        {"controller": name, "strategy": strategy, "seed": seed, "status": "complete", "hours": seed * more}
        for more, (name, strategy) in enumerate((("uncontrolled", ""), ("negotiated", "need"), ("negotiated", "keep")))
        for seed in (1, 2)
    ]
    found = differences(made, ["hours"], against)
    assert [each.against for each in found] == [yardstick] * 2


def test_a_measure_that_is_the_same_in_all_pairs_is_no_test_that_others_are_corrected_for():
    alone = differences(rows(*SLEEP), ["hours"])[0]
    beside = differences([{**row, "never": 0.0} for row in rows(*SLEEP)], ["hours", "never"])
    assert [each.p_holm for each in beside] == [alone.p_holm, None]


def test_a_comparison_has_its_differences_in_the_units_of_its_results_and_writes_them(tmp_path: Path):
    done = compare(
        smalltown.found(tmp_path), controllers=["uncontrolled", "negotiated"], seeds=3, out=tmp_path / "out", jobs=1
    )
    found = {each.key: each for each in done.differences}
    less = found["overload_s"]
    assert isinstance(less, PairedDifference)
    assert (less.controller, less.against, less.pairs) == ("negotiated", "uncontrolled", 3)
    by_seed = {(row["controller"], row["seed"]): row["overload_s"] for row in done.rows}
    means = [by_seed["negotiated", seed] - by_seed["uncontrolled", seed] for seed in (1, 2, 3)]
    assert less.mean == pytest.approx(sum(means) / 3)
    text = (tmp_path / "out" / "differences.csv").read_text(encoding="utf-8")
    assert text.startswith("key,controller,strategy,varied,against,pairs,mean,low,high,p,p_holm\n")
    assert "\noverload_s,negotiated," in text
