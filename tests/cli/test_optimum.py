"""``wattswap optimum``: the bound beside what the negotiation reached."""

from __future__ import annotations

import json

import pytest

from wattswap.cli import main


def said(*args: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["optimum", *args])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_the_bound_and_what_was_reached_are_one_json_object(capsys):
    assert said("b250", "--day", "7", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    bound, reached = found["optimum"]["waiting_cost_iota"], found["negotiated"]["waiting_cost_nanos"] / 1e9
    assert 0 < bound < reached
    assert [len(feeder) for feeder in found["optimum"]["load_w"]] == [24 * 12]
    assert found["negotiated"]["strategy"] == "truthful"


def test_a_day_that_does_not_exist_is_one_clear_line(capsys):
    assert said("b250", "--day", "9") == 2
    assert capsys.readouterr().err.count("\n") == 1
