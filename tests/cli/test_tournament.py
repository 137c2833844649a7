"""``wattswap tournament`` as it is called."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests import smalltown


def test_a_tournament_prints_a_table_and_where_the_street_comes_to_rest(say, tmp_path: Path):
    street = str(smalltown.found(tmp_path))
    code, out, err = say(
        "tournament", street, "--strategies", "need,keep", "--players", "2", "--seeds", "2", "--jobs", "1"
    )
    assert (code, err) == (0, "")
    assert "all follow it   few follow it   to deviate   alpha-rank" in out
    assert re.search(r"  need to keep  +[+-]\d+\.\d\d[ *]  \([+-]\d+\.\d\d to [+-]\d+\.\d\d\)\n", out)
    assert "2 seeds are few" in out
    assert "from" in out.splitlines()[-1]
    code, out, _ = say(
        *("tournament", street, "--strategies", "need,keep", "--players", "2", "--seeds", "1", "--jobs", "1", "--json")
    )
    found = json.loads(out)
    assert {each["strategy"] for each in found["standings"]} == {"need", "keep"}
    assert found["deviations"] == [], "one seed says nothing of chance"
    assert sum(each["attracts"] for each in found["rests"]) == 1
    assert [each["players"] for each in found["payoffs"]] == [
        {"need": 2, "keep": 0}, {"need": 1, "keep": 1}, {"need": 0, "keep": 2},
    ]  # fmt: skip


def test_a_strategy_that_is_unknown_is_one_line(say):
    code, out, err = say("tournament", "demo", "--strategies", "need,nede")
    assert (code, out) == (2, "")
    assert err.startswith("wattswap: unknown strategy 'nede'; the nearest is 'need'")
    assert err.count("\n") == 1
