"""Several feeders in one file: what each has of its own, what it takes from the file, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runners.scenario.conftest import SESSIONS

from wattswap.runners.scenario import load_scenario, load_street
from wattswap.runners.scenario.division import feeder_of_stations
from wattswap.runners.world import World

NORTH = "[[feeder]]\nname = 'north'\n"
SOUTH = "[[feeder]]\nname = 'south'\n"


@pytest.fixture
def feeders(folder: Path) -> Callable[..., str]:
    """Append tables to the small street's file; its path."""

    def append(*tables: str, without: Sequence[str] = ()) -> str:
        path = folder / "street.toml"
        text = path.read_text()
        for each in without:
            assert each in text
            text = text.replace(each, "")
        path.write_text("\n".join((text, *tables)))
        return str(path)

    return append


def test_a_file_without_feeders_is_one_without_a_name(scenario):
    street = load_street(scenario)
    (feeder,) = street.feeders
    assert (feeder.name, feeder.transformer) == ("", street.scenario.transformer)
    assert (feeder.sessions, len(street.sessions.session_id)) == (slice(0, 3), 3)
    assert street.base_w.shape == (1, street.ticks + 1)
    assert street.limit_w.shape == (1, street.ticks)


def test_what_a_feeder_leaves_out_it_takes_from_the_file_key_by_key(feeders):
    north = NORTH + "[feeder.transformer]\nmargin_pct = 7\n[feeder.base]\nnoise_pct = 5\n"
    path = feeders(north, SOUTH, without=["rating_va = 100_000"])
    one, other = load_scenario(path, ["transformer.limit_w=77_000"]).scenario.feeders
    assert (one.transformer.limit_w, one.transformer.margin_pct) == (77_000, 7)
    assert (other.transformer.limit_w, other.transformer.margin_pct) == (77_000, 4)
    assert (one.base.household_csv, one.base.noise_pct, other.base.noise_pct) == ("household.csv", 5, 0)


def test_a_rating_of_ones_own_brings_its_own_limit(feeders):
    north = NORTH + "[feeder.transformer]\nrating_va = 250_000\n"
    path = feeders(north, SOUTH + "[feeder.transformer]\nrating_va = 250_000\nlimit_w = 1_000\n")
    one, other = load_scenario(path, ["transformer.limit_w=77_000"]).scenario.feeders
    assert (one.transformer.limit_w, other.transformer.limit_w) == (237_500, 1_000)


def test_households_batteries_and_events_are_on_the_feeder_they_name(feeders, folder):
    path = feeders(
        NORTH,
        SOUTH,
        "[[household]]\nfeeder = 'south'\nhousehold_csv = 'household.csv'\nnoise_pct = 0\n",
        "[[battery]]\nfeeder = 'north'\ncapacity_wh = 1_000\nmax_w = 500\n",
        "[[event]]\nfeeder = 'south'\nfrom = 2024-01-01T00:00:00+01:00\nto = 2024-01-01T00:01:00+01:00\nlimit_w = 5\n",
    )
    street = load_street(path)
    north, south = street.feeders
    assert (len(north.base_w), len(south.base_w), len(street.household_w)) == (1, 2, 3)
    assert np.array_equal(street.base_w[1], street.base_w[0] + south.base_w[1])
    assert (len(north.batteries), len(south.batteries)) == (1, 0)
    assert street.limit_w[:, :3].tolist() == [[95_000] * 3, [5, 5, 95_000]]


def test_rows_stand_together_feeder_by_feeder_each_with_its_batteries_last(feeders):
    battery = "[[battery]]\nfeeder = '{}'\ncapacity_wh = 1_000\nmax_w = 500\n"
    own = "[feeder.sessions]\ncsv = 'sessions.csv'\n"
    path = feeders(NORTH + own, SOUTH + own, battery.format("south"), battery.format("north"))
    world = World(load_street(path))
    fleet = world.fleet
    assert fleet.session_id == ("s1", "s2", "s3", "battery-1") * 2
    assert fleet.feeder.tolist() == [0] * 4 + [1] * 4
    assert fleet.is_session.tolist() == [True, True, True, False] * 2
    assert (world.rows_of(0), world.rows_of(1)) == (slice(0, 4), slice(4, 8))


def test_a_feeder_is_what_it_is_alone(feeders, scenario):
    """Noise, needs and stated departures do not depend on who else is there."""
    settings = ["base.noise_pct=5", "vehicles.departure=error:2h"]
    alone = load_street(scenario, settings=settings)
    own = "[feeder.sessions]\ncsv = 'sessions.csv'\n"
    path = feeders(NORTH + own + "[feeder.transformer]\nrating_va = 2_000\n", SOUTH + own)
    among = load_street(path, settings=settings)
    assert np.array_equal(among.feeders[1].base_w, alone.base_w)
    assert np.array_equal(among.sessions.stated_departure_ms[3:], alone.sessions.stated_departure_ms)
    assert among.sessions.session_id[3:] == alone.sessions.session_id


# -- who gets which sessions ------------------------------------------------------------------------------------------


def test_feeders_without_sessions_of_their_own_divide_the_files_stations(feeders, folder):
    rows = [
        f"s{n},P{n % 10},2024-01-01T0{n // 10}:00:00+01:00,2024-01-01T0{n // 10}:50:00+01:00,5,u{n}" for n in range(40)
    ]
    (folder / "sessions.csv").write_text(
        "session_id,station_id,arrival,departure,energy_kwh,user_id\n" + "\n".join(rows)
    )
    path = feeders(NORTH, SOUTH + "[feeder.sessions]\nshare = 0.3\n", NORTH.replace("north", "west"))
    street = load_street(path)
    stations = [set(street.sessions.station_id[feeder.sessions]) for feeder in street.feeders]
    assert [len(each) for each in stations] == [4, 2, 4], "0.35, 0.3 and 0.35 of ten, rounded where one ends"
    assert len(set.union(*stations)) == 10
    assert sorted(street.sessions.session_id) == sorted(f"s{n}" for n in range(40))
    again = load_street(path, seed=99)
    assert again.sessions.session_id == street.sessions.session_id, "a seed moves no station"


def test_sessions_that_no_share_reaches_are_left_out_and_counted(feeders):
    street = load_street(feeders(NORTH + "[feeder.sessions]\nshare = 0.5\n"))
    left = 3 - len(street.sessions.session_id)
    assert left > 0
    assert any(
        note.startswith(f"{left} of 3 sessions left out: their stations are on no feeder") for note in street.notes
    )


def test_a_column_says_which_feeder_a_session_is_on(feeders, folder):
    head, *rows = SESSIONS.splitlines()
    lines = [f"{head},feeder", *(f"{row},{name}" for row, name in zip(rows, ("south", "north", "south"), strict=True))]
    (folder / "sessions.csv").write_text("\n".join(lines))
    street = load_street(feeders(NORTH, SOUTH))
    assert [street.sessions.session_id[feeder.sessions] for feeder in street.feeders] == [("s2",), ("s1", "s3")]


def test_stations_and_people_of_one_name_on_two_feeders_have_nothing_to_do_with_each_other(feeders, folder):
    head = "session_id,station_id,arrival,departure,energy_kwh,user_id,feeder\n"
    when = "2024-01-01T01:00:00+01:00,2024-01-01T05:00:00+01:00,5,ann"
    (folder / "sessions.csv").write_text(f"{head}s1,A,{when},north\ns2,A,{when},south\n")
    sessions = load_street(feeders(NORTH, SOUTH)).sessions
    assert (sessions.station_id, sessions.vehicle_id) == (("A", "A"), ("ann", "ann"))


@given(
    st.sets(st.text(min_size=1, max_size=3), max_size=40),
    st.lists(st.sampled_from([0, 0.1, 0.25]), min_size=1, max_size=4),
)
def test_every_station_is_on_one_feeder_and_shares_are_exact_to_a_station(stations, shares):
    found = feeder_of_stations(stations, shares)
    assert set(found) == stations
    for number, share in enumerate(shares):
        if share:
            assert abs(list(found.values()).count(number) - share * len(stations)) <= 1
    if 0 in shares:
        assert -1 not in found.values()


# -- a workplace, or a street where nobody charges --------------------------------------------------------------------


def test_a_place_without_homes_has_a_base_of_nothing(scenario):
    street = load_street(scenario, settings=["base={}"])
    assert street.household_w.shape == (1, street.ticks + 1)
    assert not street.base_w.any()


def test_a_street_without_sessions_has_no_cars(scenario):
    street = load_street(scenario, settings=["sessions={}"])
    assert street.sessions.session_id == ()
    assert list(street.inputs) == ["household.csv", "pv.csv"]


def test_a_street_with_nothing_on_it_is_refused(scenario, complaint):
    text = complaint(lambda: load_street(scenario, settings=["base={}", "sessions={}"]))
    assert text.endswith("there is nothing on this street; name base.household_csv, sessions.csv or both")


# -- what is said about the rest --------------------------------------------------------------------------------------

EVENT = "[[event]]\nfrom = 2024-01-01T00:00:00+01:00\nto = 2024-01-01T00:01:00+01:00\nlimit_w = 5\n"
SAID = {
    "feeder.1.name is 'north', and so is feeder.0.name; give each feeder a name of its own": (NORTH, NORTH),
    "feeder.1.name is 'North', and feeder.0.name is 'north'; capitals do not tell files apart on every disk": (
        NORTH,
        NORTH.replace("north", "North"),
    ),
    "feeder.0.name is 'a/b'; agents are named after it: use up to 64 letters": (NORTH.replace("north", "a/b"),),
    "feeder.0.name is missing; it must be a text in quotes": ("[[feeder]]",),
    "event.0.feeder is missing, and there are several feeders; write one of north, south": (NORTH, SOUTH, EVENT),
    "event.0.feeder is 'suoth', and there is no such feeder; did you mean south?": (
        NORTH,
        SOUTH,
        EVENT + "feeder = 'suoth'",
    ),
    "battery.0.feeder is 'nort', and there is no such feeder; did you mean north?": (
        NORTH,
        "[[battery]]\nfeeder = 'nort'\ncapacity_wh = 1\nmax_w = 1\n",
    ),
    "household.0.feeder is missing, and there are several feeders": (
        NORTH,
        SOUTH,
        "[[household]]\nhousehold_csv = 'household.csv'\n",
    ),
    "there is no key feeder.0.transformer.limt_w; did you mean feeder.0.transformer.limit_w?": (
        NORTH + "[feeder.transformer]\nlimt_w = 3\n",
    ),
    "feeder.0.sessions.share is 2; choose 0 to 1": (NORTH + "[feeder.sessions]\nshare = 2\n",),
    "the shares of the sessions add up to 1.2; lower them to 1 in all": (
        NORTH + "[feeder.sessions]\nshare = 0.6\n",
        SOUTH + "[feeder.sessions]\nshare = 0.6\n",
    ),
    "feeder.0.sessions.share is a share of the file's [sessions], and feeder.0.sessions.csv names another file": (
        NORTH + "[feeder.sessions]\nshare = 0.6\ncsv = 'x.csv'\n",
    ),
}


@pytest.mark.parametrize(("said", "tables"), SAID.items(), ids=SAID)
def test_feeders_that_cannot_be_are_named_with_path_and_what_to_do(said, tables, feeders, complaint):
    path = feeders(*tables)
    text = complaint(lambda: load_scenario(path))
    assert text.startswith(f"{path}: {said}")


@pytest.mark.parametrize("key", ["transformer", "base"])
def test_a_feeder_without_a_transformer_or_homes_is_refused(key, folder, scenario, complaint):
    path = folder / "street.toml"
    text = path.read_text()
    begins = text.index(f"[{key}]")
    ends = text.find("\n[", begins)
    path.write_text(text[:begins] + text[ends + 1 :] + NORTH + f"[feeder.{key}]\n" + SOUTH)
    answer = complaint(lambda: load_scenario(scenario))
    assert answer.startswith(f"{scenario}: feeder.1 (south) has no {key}; write [feeder.{key}] below it")


def test_a_session_of_an_unknown_feeder_is_named_with_its_line(feeders, folder, complaint):
    head, *rows = SESSIONS.splitlines()
    (folder / "sessions.csv").write_text("\n".join([f"{head},feeder", *(f"{row},nroth" for row in rows)]))
    path = feeders(NORTH, SOUTH)
    text = complaint(lambda: load_street(path))
    assert text == f"{folder / 'sessions.csv'}, line 2, column feeder: there is no feeder 'nroth'; did you mean north?"


def test_a_share_of_a_file_that_names_feeders_is_refused(feeders, folder, complaint):
    head, *rows = SESSIONS.splitlines()
    (folder / "sessions.csv").write_text("\n".join([f"{head},feeder", *(f"{row},north" for row in rows)]))
    path = feeders(NORTH + "[feeder.sessions]\nshare = 0.5\n")
    text = complaint(lambda: load_street(path))
    assert text.endswith("leave out feeder.0.sessions.share, or the column")


def test_the_record_of_several_feeders_runs_again_from_any_folder(feeders, tmp_path_factory):
    street = load_street(
        feeders(NORTH, SOUTH + "[feeder.transformer]\nrating_va = 3_000\n[feeder.sessions]\nshare = 0.5\n")
    )
    record = tmp_path_factory.mktemp("run") / "scenario.toml"
    record.write_text(street.resolved_toml)
    again = load_street(str(record))
    assert again.scenario.feeders == load_scenario(str(record)).scenario.feeders
    assert np.array_equal(again.base_w, street.base_w)
    assert np.array_equal(again.limit_w, street.limit_w)
    assert again.sessions.session_id == street.sessions.session_id
    assert again.resolved_toml == street.resolved_toml
