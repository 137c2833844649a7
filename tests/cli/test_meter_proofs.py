"""``wattswap meter proof``: what a customer can check of one reading without seeing any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.settled import settled_run
from tests.cli.test_meter import SLOT_5, STREET, forging

from wattswap.ledger.anchors import Detail


@pytest.fixture(params=["sqlite", "network"])
def ledger(request, say) -> str:
    return STREET if request.param == "sqlite" else str(request.getfixturevalue("node_url"))


# -- proofs -----------------------------------------------------------------------------------------------------------


def test_a_customers_proof_holds_on_the_ledger_and_shows_no_other_meter(say, tmp_path: Path, ledger):
    run = str(settled_run(tmp_path / "run", ledger))
    code, out, _ = say("meter", "proof", "c1", "--at", SLOT_5, "--run", run, "--out", "mine.json")
    assert (code, out) == (0, "Wrote mine.json: c1 at 2018-11-25 00:02:30, record 4 of demo\n")
    text = (tmp_path / "mine.json").read_text()
    assert '"c1"' in text
    assert '"c0"' not in text
    for where in ((), ("--run", run)):
        code, out, err = say("meter", "verify", "--proof", "mine.json", *where)
        assert (code, err) == (0, "")
        assert "showed 450,000 W·s drawn" in out
    told = json.loads(say("meter", "verify", "--proof", "mine.json", "--json")[1])
    assert (told["ok"], told["record"], told["reading"]["import_ws"]) == (True, 4, 450_000)
    (tmp_path / "forged.json").write_text(text.replace('"sequence": 4', f'"sequence": {10**30}'))
    assert say("meter", "verify", "--proof", "forged.json")[:2] == (1, f"record {10**30}: it is missing\n")
    (tmp_path / "forged.json").write_text(text.replace("450000", "400000"))
    code, out, _ = say("meter", "verify", "--proof", "forged.json")
    assert (code, out) == (1, "record 4: it does not hold this reading\n")


def test_a_proof_for_a_record_that_was_altered_or_is_gone_does_not_hold(say, tmp_path: Path):
    run = str(settled_run(tmp_path / "run", STREET))
    say("meter", "proof", "c1", "--at", SLOT_5, "--run", run, "--out", "mine.json")
    with forging("street.sqlite") as forger:
        forger.execute("update anchors set content = substr(content, 2) where sequence = 4")
    assert say("meter", "verify", "--proof", "mine.json")[:2][0] == 1
    with forging("street.sqlite") as forger:
        forger.execute("delete from anchors where sequence = 4")
    assert say("meter", "verify", "--proof", "mine.json")[:2] == (1, "record 4: it is missing\n")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("c9", "--at", SLOT_5), "the nearest is 'c2'"),
        (("c1", "--at", "noon"), "is no instant"),
        (("c1", "--at", "2018-11-25T00:00:10"), "showed nothing at or before"),
        (("c1", "--at", SLOT_5, "--out", "other.key"), "exists already"),
    ],
)
def test_a_proof_that_cannot_be_made_is_one_line(say, tmp_path: Path, words, what):
    run = str(settled_run(tmp_path / "run", STREET))
    say("keys", "new", "./other.key")
    code, out, err = say("meter", "proof", "--run", run, "--out", "mine.json", *words)
    assert (code, out, err.count("\n"), what in err) == (2, "", 1, True), err
    assert not (tmp_path / "mine.json").exists()


def test_readings_in_the_open_need_no_proof(say, tmp_path: Path):
    run = str(settled_run(tmp_path / "run", STREET, detail=Detail.FULL))
    code, _, err = say("meter", "proof", "c1", "--at", SLOT_5, "--run", run, "--out", "mine.json")
    assert (code, "in the open" in err) == (2, True)


# -- receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_holds_what_the_meter_showed_at_both_ends_of_a_stay(say, tmp_path: Path):
    pytest.importorskip("iota_sdk")
    run = str(settled_run(tmp_path / "run", STREET))
    stay = ("--from", "2018-11-25T00:00:30", "--to", SLOT_5, "--run", run)
    code, out, _ = say("meter", "receipt", "c1", *stay, "--out", "mine.ocmf")
    assert (code, out.startswith("Wrote mine.ocmf\npublic key  3059")) == (0, True)
    head, payload, _ = (tmp_path / "mine.ocmf").read_text().split("|")
    assert (head, [one["RV"] for one in json.loads(payload)["RD"]]) == ("OCMF", [0.025, 0.125])
    assert say("meter", "receipt", "c1", *stay, "--out", "mine.ocmf")[2].count("\n") == 1, "it is there already"
    code, _, err = say("meter", "receipt", "c1", "--from", SLOT_5, "--to", SLOT_5, "--run", run, "--out", "no.ocmf")
    assert (code, "showed the same reading at" in err) == (2, True)
    with forging(str(tmp_path / "run" / "meters.sqlite")) as forger:
        forger.execute("update records set readings = x'00' where sequence = 4")
    code, _, err = say("meter", "receipt", "c1", *stay, "--out", "no.ocmf")
    assert (code, "are not as signed" in err) == (2, True)
