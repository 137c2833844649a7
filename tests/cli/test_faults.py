"""``wattswap faults``: seeds are tried, the result is one line, a broken rule is exit code 1."""

from __future__ import annotations

import pytest

from wattswap.cli import main
from wattswap.runners.network.fault_search import SeedResult


def code_of(*args: str) -> object:
    with pytest.raises(SystemExit) as left:
        main(["faults", *args])
    return left.value.code


def test_seeds_that_break_nothing(capsys):
    assert code_of("--seeds", "2", "--from", "40", "--jobs", "1") == 0
    assert capsys.readouterr().out.startswith("2 seeds, ")


def test_seeds_whose_agents_sign(capsys):
    assert code_of("--seeds", "1", "--from", "40", "--jobs", "1") == 0
    plain = capsys.readouterr().out
    assert code_of("--seeds", "1", "--from", "40", "--jobs", "1", "--sign") == 0
    assert capsys.readouterr().out == plain, "signatures change nothing but bytes"


def test_the_seed_that_is_tried_is_signed(monkeypatch):
    asked: list[bool] = []

    def verdicts(*_, sign):
        asked.append(sign)
        return iter(())

    monkeypatch.setattr("wattswap.runners.network.fault_search.seed_results", verdicts)
    code_of("--seeds", "1", "--sign")
    code_of("--seeds", "1")
    assert asked == [True, False]


def test_a_seed_that_breaks_a_rule_is_told_and_is_exit_code_1(capsys, monkeypatch):
    found = SeedResult(7, 0, 0, 0, "S3", "seed 7, 0:01:02.000: S3: more than there is")
    monkeypatch.setattr("wattswap.runners.network.fault_search.seed_results", lambda *_, **__: iter([found]))
    assert code_of("--seeds", "1", "--from", "7") == 1
    assert capsys.readouterr().out.splitlines()[0] == found.found


def test_a_wrong_key_is_one_line_and_exit_code_2(capsys):
    assert code_of("--seeds", "1", "--jobs", "1", "--set", "faults.los_pct=3") == 2
    assert "loss_pct" in capsys.readouterr().err
