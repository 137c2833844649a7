"""A comparison's page: the figures of the screen with their intervals, complete in itself, safe to open."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import pytest
from tests.html_page import HOSTILE, ReadPage

from wattswap.experiments import compare
from wattswap.experiments.compare_command import Asked
from wattswap.experiments.comparison import Comparison
from wattswap.experiments.formatting import rounded
from wattswap.runners.scenario import load_street

FAILS = """
from wattswap.agents.offers import OfferBook

def fails(call, own, memory, draws):
    if call.need_w.min() < 50_000:  # the trial before a run asks for more
        raise ZeroDivisionError("<script>alert(3)</script>")
    return OfferBook.keep(own)
"""
RUNS = {"controllers": ["fcfs", "negotiated"], "strategies": ["need", "keep"], "seeds": 3, "jobs": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Comparison, str]:
    """A comparison of the demo in steps of 300 s, and its page."""
    out = tmp_path_factory.mktemp("made") / "there"
    found = compare("demo", **RUNS, settings=["reading_s=300"], out=out)  # type: ignore[arg-type]
    return found, (out / "report.html").read_text(encoding="utf-8")


def test_it_has_the_means_and_ranges_of_the_screen(made):
    found, html = made
    head, *rows = ReadPage(html).tables[0]
    assert head == ["", *(measure.title for measure in found.measures)]
    assert [row[0] for row in rows] == ["fcfs", "negotiated, need", "negotiated, keep"]
    at = head.index("waiting cost IOTA")
    for row, group in zip(rows, found.groups, strict=True):
        mean, least, most = (rounded(value) for value in group.spread["waiting_cost_nanos"])
        assert row[at] == f"{mean}\n{least} to {most}" or (row[at] == mean and least == most)


def test_sessions_that_go_on_at_the_end_are_not_called_served(made):
    found, html = made
    still, all_ = (sum(row[key] for row in found.rows) for key in ("sessions_open", "sessions"))
    assert still > 0
    assert f"Of {all_:,} sessions {still:,} were plugged in still when their run ended" in html


def test_it_has_the_paired_differences_with_intervals_and_corrected_p_values(made):
    found, html = made
    head, *rows = ReadPage(html).tables[1]
    assert [row[0] for row in rows] == ["negotiated, need", "negotiated, keep"]
    at = head.index("waiting cost IOTA")
    each = next(each for each in found.differences if (each.key, each.strategy) == ("waiting_cost_nanos", "need"))
    mean, low, high = (rounded(nanos / 1e9) for nanos in (each.mean, each.low, each.high))
    star, p = "*" if each.is_certain else "", f"p {each.p_holm:.3f}" if each.p_holm >= 0.001 else "p < 0.001"
    assert rows[0][at] == f"{mean}{star}\n{low} to {high}\n{p}"
    assert rows[0][head.index("IOTA paid")].endswith("\nnot tested"), "that a rule pays nobody is known beforehand"
    assert "What each rule has beyond fcfs, in pairs of one seed, of which there are 3" in html


def test_a_command_says_what_was_asked_and_nothing_else():
    asked = Asked(
        "a b.toml", ["negotiated"], [], 4, "messages", 7, ["sessions.resample=yes", "name=x y"], ["days=1,2"], "o"
    )
    assert asked.command == (
        "wattswap compare 'a b.toml' --controllers negotiated --resample 4 --engine messages --day 7"
        " --set 'name=x y' --vary days=1,2 --out o"
    )


def test_it_needs_nothing_but_itself(made):
    page = ReadPage(made[1])
    assert not {"script", "link", "iframe", "object"} & {*page.tags}
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "srcset")]
    assert [source.partition(",")[0] for source in sources] == ["data:image/svg+xml;base64"]
    picture = b64decode(sources[0].partition(",")[2])
    assert picture.startswith(b"<?xml")
    assert b"<script" not in picture
    assert not re.search(r"url\(|@import|http-equiv", made[1])


def test_over_the_values_of_a_key_it_has_curves_and_dots(tmp_path: Path):
    words = {"settings": ["reading_s=300"], "vary": ["transformer.limit_w=300k,340k"], "jobs": 1}
    compare("demo", controllers=["uncontrolled"], seeds=1, out=tmp_path / "there", **words)  # type: ignore[arg-type]
    html = (tmp_path / "there/report.html").read_text(encoding="utf-8")
    page = ReadPage(html)
    assert page.tags.count("img") == 2
    assert ["transformer.limit_w, varied", "300000, 340000"] in page.tables[1]
    assert "Differences, in pairs" not in html, "one seed makes no pairs"


def test_texts_of_others_stay_texts(tmp_path: Path, monkeypatch):
    """A street, a strategy's file and an error that are named as an attacker would."""
    monkeypatch.chdir(tmp_path)
    Path("<b>$\\mine$.py").write_text(FAILS, encoding="utf-8")
    street = f"{HOSTILE[0].replace('/', '')}{HOSTILE[1]}.toml"
    Path(street).write_text(load_street("demo", settings=["reading_s=300"]).resolved_toml, encoding="utf-8")
    mixes = ["need", "<b>$\\mine$.py:fails"]
    found = compare(street, controllers=["negotiated"], strategies=mixes, seeds=2, jobs=1, out="<svg onload=x>")
    page = ReadPage(Path("<svg onload=x>/report.html").read_text(encoding="utf-8"))
    assert len(found.failed) == 2
    assert not {"script", "b", "svg"} & {*page.tags}
    assert page.tags.count("img") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "2 of 4 runs failed; everything here is of the others." in page.text
    assert page.text.count("ZeroDivisionError: <script>alert(3)</script>") == 2
    assert page.text.count(street) == 2, "as what was compared, and in the command"
