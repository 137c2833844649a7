"""Charging stations with a power of their own, from the scenario or from a CSV file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import smalltown

from wattswap.runners.engines.launch import run_street
from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.cars import bundled_cars
from wattswap.runners.world import fleet_of

LEAF, TESLA = "Nissan Leaf 40 kWh", "Tesla Model 3 LR"


@pytest.fixture
def found(tmp_path: Path) -> Path:
    return smalltown.found(tmp_path)


def power_w(scenario: Path, *settings: str) -> dict[str, int]:
    """What each station's car draws at most."""
    fleet = fleet_of(load_street(str(scenario), settings=settings))
    return dict(zip(fleet.station_id, fleet.max_w.tolist(), strict=True))


def one(station: str, keys: str) -> str:
    return f'charger=[{{station="{station}",{keys}}}]'


def test_a_station_of_its_own_gives_its_own_power_and_all_others_that_of_the_street(found: Path):
    before = power_w(found)
    name = next(iter(before))
    after = power_w(found, one(name, "max_w=22_000"))
    assert after == {**before, name: 22_000}
    assert set(before.values()) == {11_000}


def test_phases_bind_a_car_on_alternating_current_and_direct_current_goes_past_its_rectifier(found: Path):
    name = next(iter(power_w(found)))
    leaf, tesla = f"vehicles.model={LEAF}", f"vehicles.model={TESLA}"
    cars, _ = bundled_cars()
    assert power_w(found, leaf, one(name, "max_w=3_680,phases=1"))[name] == 3_680
    assert power_w(found, tesla, one(name, "max_w=11_000,phases=1"))[name] == cars[TESLA].ac_max_w // 3
    assert power_w(found, tesla, one(name, "max_w=22_000"))[name] == cars[TESLA].ac_max_w
    assert power_w(found, leaf, one(name, "max_w=50_000,dc=true"))[name] == max(w for _, w in cars[LEAF].knots_w)
    assert power_w(found, tesla, one(name, "max_w=50_000,dc=true"))[name] == 50_000


def test_stations_stand_in_a_csv_as_well_and_a_run_can_be_run_again(found: Path, tmp_path: Path):
    first, second, *_ = power_w(found)
    (tmp_path / "stations.csv").write_text(
        f"station;max_w;phases;dc\n{first};22000;3;no\n{second};3680;1;\n", encoding="utf-8"
    )
    settings = f"chargers.csv={tmp_path / 'stations.csv'}"
    street = load_street(str(found), settings=[settings])
    powers = power_w(found, settings)
    assert (powers[first], powers[second]) == (22_000, 3_680)
    (tmp_path / "again.toml").write_text(street.resolved_toml, encoding="utf-8")
    (tmp_path / "stations.csv").unlink()
    assert power_w(tmp_path / "again.toml") == powers


def test_both_engines_agree_where_stations_differ(found: Path):
    names = list(power_w(found))
    tables = ",".join(
        f'{{station="{name}",max_w={watts}}}' for name, watts in zip(names, (22_000, 3_680, 7_360, 1_380), strict=False)
    )
    street = load_street(str(found), settings=[f"charger=[{tables}]", "vehicles.strategy=need+prosumer"])
    fleet, messages = (run_street(street, engine=engine) for engine in ("fleet", "messages"))
    assert fleet.trades
    assert fleet.trace_hash() == messages.trace_hash()
    assert sorted(fleet.sessions) == sorted(messages.sessions)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ([one("C1", "max_w=0")], "charger.0.max_w is 0; choose 1 to"),
        ([one("", "max_w=9")], "charger.0.station is empty; name the station that it is about"),
        ([one("C1", "dc=1")], "charger.0.dc must be true or false, not 1"),
        ([one("C1", "min_a=10")], "charger.0.min_a is 10: one least current holds for the whole street"),
        ([one("C1", "power=9")], "there is no key charger.0.power"),
        ([one("C1", "max_w=9,phases=4")], "charger.0.phases is 4; choose 1 to 3"),
        ([one("C1", "max_w=9},{station='C1'")], "charger.1.station is 'C1', and so is charger.0.station; leave one"),
        (["chargers.csv=nowhere.csv"], "nowhere.csv: there is no such file"),
    ],
)
def test_what_is_wrong_with_a_station_is_one_line(found: Path, settings: list[str], says: str, complaint):
    text = complaint(lambda: load_street(str(found), settings=settings))
    assert says in text


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("C1,much", "line 2, column max_w: 'much' is no number"),
        ("C1,7.5", "column max_w: '7.5' is no whole number"),
        ("C1,-3", "column max_w: '-3' cannot be used"),
        (",11000", "column station: the field is empty"),
    ],
)
def test_what_is_wrong_with_a_row_is_one_line(found: Path, tmp_path: Path, row: str, says: str, complaint):
    (tmp_path / "stations.csv").write_text(f"station,max_w\n{row}\n", encoding="utf-8")
    assert says in complaint(lambda: load_street(str(found), settings=[f"chargers.csv={tmp_path / 'stations.csv'}"]))


def test_a_station_where_nobody_charges_is_noted_with_the_nearest(found: Path):
    name = next(iter(power_w(found)))
    (note,) = load_street(str(found), settings=[one(f"{name}x", "max_w=22_000")]).notes
    assert note.startswith("1 of 1 stations with a power of their own are in no session")
    assert f"did you mean {name}?" in note
