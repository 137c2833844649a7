"""Inputs that had no effect without a word, keys that do not fit together, and files of one name."""

from __future__ import annotations

import pytest

from wattswap.runners.scenario import load_street

FLEET = ("--engine", "fleet")
NIGHT = "2018-11-20T18:00:00+01:00,2018-11-21T04:00:00+01:00"
SHORT = "2018-11-20T18:01:00+01:00,2018-11-20T18:09:00+01:00"


def notes(*settings: str) -> tuple[str, ...]:
    return load_street("street.toml", settings=settings).notes


@pytest.mark.usefixtures("case")
def test_sessions_shorter_than_a_tick_are_counted(sessions):
    sessions(f"s1,st1,{NIGHT},15,u1", f"s2,st2,{SHORT},1.2,u2", f"s3,st3,{SHORT},0.9,u3")
    assert notes()[0] == (
        "2 of 3 sessions left out, because no whole tick of 300 s lies in their time in the run: 2.1 kWh, s2, s3"
    )


@pytest.mark.usefixtures("case")
def test_who_cannot_be_full_is_named_by_the_station(sessions):
    sessions(f"s1,st1,{NIGHT},15,u1", f"s2,st2,{NIGHT.replace('T04', 'T00')},90,u2")
    assert notes()[0].startswith("1 of 2 sessions took more than charger and car give here")
    assert notes()[0].endswith("cannot be full in any run: at st2")


@pytest.mark.usefixtures("case")
def test_a_file_of_another_year_is_told(sessions):
    sessions(f"s1,st1,{NIGHT.replace('2018', '2019')},15,u1")
    assert notes() == ("no session lies in the run: 1 of 1 left out; change start, days or shift_days",)


@pytest.mark.usefixtures("case")
def test_an_event_that_holds_in_no_tick_is_told(sessions):
    sessions(f"s1,st1,{NIGHT},15,u1")
    event = ["event.0.from=2018-11-20T19:00:05+01:00", "event.0.to=2018-11-20T19:00:25+01:00", "event.0.limit_w=0"]
    assert notes(*event) == ("event.0 holds in no tick: it begins and ends between two of 300 s",)
    assert notes(*(line.replace("2018", "2019") for line in event)) == (
        "event.0 holds in no tick: it is not in the run",
    )


@pytest.mark.parametrize("settings", [("reading_s=30", "market.lease_s=29"), ("market.lease_s=90",)])
def test_a_lease_that_lapses_before_the_next_grant_is_refused(settings, say, sessions):
    sessions(f"s1,st1,{NIGHT},15,u1")
    code, _, said = say("run", "street.toml", *(f"--set={setting}" for setting in settings))
    assert (code, "must be at least two ticks of reading_s" in said) == (2, True)


def test_three_homes_whose_files_and_folders_share_a_name_can_be_run_again(say, case, sessions):
    sessions(f"s1,st1,{NIGHT},15,u1")
    text = (case / "base.csv").read_text()
    tables = []
    for factor, place in enumerate(("north", "south", "east"), 2):
        (case / place / "house").mkdir(parents=True)
        (case / place / "house" / "load.csv").write_text(text.replace(",20", f",{factor}"))
        tables.append(f'[[household]]\nhousehold_csv = "{place}/house/load.csv"\n')
    street = (case / "street.toml").read_text().replace('[base]\nhousehold_csv = "base.csv"\n', "".join(tables))
    (case / "street.toml").write_text(street)
    assert say("run", "street.toml", *FLEET, "--out", "o")[0] == 0
    code, _, said = say("run", "o/scenario.toml", *FLEET, "--json")
    assert (code, said) == (0, "")


@pytest.mark.usefixtures("case")
def test_a_week_whose_clocks_change_names_the_point_that_an_overlap_makes(sessions):
    sessions(
        "a2,st1,2018-11-04T02:30:00+01:00,2018-11-04T03:10:00+01:00,5,u2",
        "a3,st1,2018-11-04T03:20:00+01:00,2018-11-04T06:20:00+01:00,5,u3",
    )
    zone = ["sessions.zone=Europe/Berlin", "sessions.shift_days=-224"]
    street = load_street("street.toml", settings=[*zone, "start=2018-11-20T00:00:00+01:00"])
    assert street.notes[0].startswith("sessions.csv: 1 of 2 sessions arrive while their station is taken")


def test_neither_what_a_strategy_prints_nor_how_it_leaves_reaches_the_figures(say, figures, case, sessions):
    sessions(f"s1,st1,{NIGHT},15,u1")
    (case / "says.py").write_text(
        "from wattswap.agents.offers import OfferBook\n"
        "def prints(call, own, memory, draws):\n    print('hello')\n    return OfferBook.keep(own)\n"
        "def leaves(call, own, memory, draws):\n    raise SystemExit(3)\n"
    )
    assert figures(*FLEET, "--strategy=./says.py:prints")["sessions"] == 1
    code, _, said = say("run", "street.toml", *FLEET, "--strategy=./says.py:leaves")
    assert (code, "raises SystemExit: 3" in said) == (2, True)


def test_seeds_beyond_the_last_number_are_refused(say, case, sessions):
    sessions(f"s1,st1,{NIGHT},15,u1")
    code, _, said = say("compare", "street.toml", "--seeds=2", "--jobs=1", f"--set=seed={2**63 - 1}", "--out=o")
    assert (code, "none may be above" in said) == (2, True)
