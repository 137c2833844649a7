"""``wattswap audit`` as it is called."""

from __future__ import annotations

import csv
import json
from pathlib import Path


def test_an_audit_prints_the_best_deviation_and_writes_all_of_them(say, tmp_path: Path):
    coarse = ("--day", "7", "--set", "reading_s=300", "--jobs", "1")
    command = ("audit", "b250", *coarse, "--clearing", "next,pay-as-bid", "--cars", "2")
    code, printed, err = say(*command, "--csv", "audit.csv")
    assert (code, err) == (0, "")
    assert printed.startswith("Street b250: what one car gains by deviating, in IOTA")
    assert [line.split()[:2] for line in printed.splitlines()[3:5]] == [
        ["truthful", "next"],
        ["truthful", "pay-as-bid"],
    ]
    with (tmp_path / "audit.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    audits = json.loads(say(*command, "--json")[1])["audits"]
    assert [float(row["gain_iota"]) for row in rows[10:]] == [each["gain_iota"] for each in audits[1]["deviations"]]
    assert audits[1]["best"]["gain_iota"] == max(each["gain_iota"] for each in audits[1]["deviations"])


def test_an_audit_that_cannot_be_is_one_line(say):
    code, out, err = say("audit", "b250", "--day", "7", "--clearing", "vgc")
    assert (code, out) == (2, "")
    assert err == "wattswap: --clearing: there is no rule 'vgc'; did you mean vcg?\n"
