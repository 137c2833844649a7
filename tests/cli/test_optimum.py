"""``wattswap optimum``: the bound beside what the negotiation reached."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wattswap.cli import main
from wattswap.cli.optimum import _show
from wattswap.experiments.optimum import Optimum


def said(*args: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["optimum", *args])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_the_bound_and_what_was_reached_are_one_json_object(capsys):
    assert said("b250", "--day", "7", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    bound, reached = found["optimum"], found["negotiated"]
    least = bound["waiting_cost_iota"] + bound["feeding_cost_iota"]
    assert 0 < least < (reached["waiting_cost_nanos"] + reached["feeding_cost_nanos"]) / 1e9
    assert [len(feeder) for feeder in bound["load_w"]] == [24 * 12]
    assert reached["strategy"] == "truthful"


def test_waiting_and_feeding_are_summed_up_on_both_sides(capsys):
    shown(bound=(6.66, 0.29), waiting=5.94, feeding=5.55, comparable=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("waiting", "feeding", "both"))] == [
        ["waiting", "cost,", "IOTA", "6.66", "5.94"],
        ["feeding", "cost,", "IOTA", "0.29", "5.55"],
        ["both,", "IOTA", "6.95", "11.49"],
    ]
    assert lines[-1] == "Waiting and feeding cost the negotiation, which knows nothing beforehand, 1.65 x as much."


def test_no_factor_is_told_where_only_the_negotiation_s_cars_could_feed(capsys):
    shown(bound=(6.66, 0.0), waiting=2.0, feeding=5.55, comparable=False)
    assert "x as much" not in (out := capsys.readouterr().out)
    assert out.splitlines()[-1].endswith("--feed makes the two comparable.")


def shown(bound: tuple[float, float], waiting: float, feeding: float, *, comparable: bool) -> None:
    costs = {"waiting_cost_nanos": waiting * 1e9, "feeding_cost_nanos": feeding * 1e9}
    negotiated = {"scenario": "street", "strategy": "need", "unserved_wh": 0, "fed_back_wh": 0, **costs}
    _show(Optimum(0, 0, *bound, 0, np.zeros((1, 1))), negotiated, comparable=comparable)


def test_a_day_that_does_not_exist_is_one_clear_line(capsys):
    assert said("b250", "--day", "9") == 2
    assert capsys.readouterr().err.count("\n") == 1
