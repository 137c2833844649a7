"""What may be written in a scenario file or behind --set, and what is said about the rest."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.protocol.errors import InputError
from wattswap.runners.scenario import bundled_names, bundled_text, load_scenario, load_street, template_text
from wattswap.runners.scenario.schema import TransformerTable, ppm, share_of


def test_bundled_scenarios_are_listed_and_shown():
    assert bundled_names() == ("a400", "b250", "c250stress", "demo")
    assert all(f'name = "{name}"' in bundled_text(name) for name in bundled_names())


def test_bundled_files_say_what_holds_without_them():
    """What a400.toml spells out, its files aside, are the defaults: leaving a key out of a file changes nothing."""
    scenario = load_scenario("a400").scenario
    weather = scenario.transformer.ambient_csv
    spare = load_scenario(
        "a400",
        [f"transformer={{rating_va=400_000, ambient_csv='{weather}'}}", "chargers={}", "vehicles={}", "market={}"],
    ).scenario
    assert spare == scenario


def test_template_runs_once_its_files_are_there(folder):
    (folder / "mine.toml").write_text(
        template_text().replace("2018-11-19", "2024-01-01").replace("days = 7", "days = 1")
    )
    street = load_street(str(folder / "mine.toml"))
    assert (street.name, street.limit_w[0, 0], len(street.sessions.session_id)) == ("my-street", 380_000, 3)


def test_template_means_what_it_comments_out(folder):
    """Every commented key is a real one: uncommented, the file is still read."""
    lines = template_text().splitlines()
    start = next(row for row, line in enumerate(lines) if line.startswith("# Further homes"))
    text = "\n".join(lines[:start] + [re.sub(r"^# (?=\[|\w+ = )", "", line) for line in lines[start:]])
    (folder / "mine.toml").write_text(text.replace("# limit_w", "limit_w"))
    scenario = load_scenario(str(folder / "mine.toml")).scenario
    assert [len(each) for each in (scenario.household, scenario.battery, scenario.event, scenario.feeder)] == [1] * 4


def test_a_file_without_a_name_gives_its_own(scenario):
    assert load_scenario(scenario).scenario.name == "street"


def test_limit_is_95_percent_of_the_rating_unless_given(scenario):
    assert load_scenario(scenario).scenario.transformer.limit_w == 95_000
    assert load_scenario(scenario, ["transformer.limit_w=-1"]).scenario.transformer.limit_w == -1
    assert TransformerTable(rating_va=250_000).limit_w == 237_500


@pytest.mark.parametrize(("said", "limit_w"), [("80k", 80_000), ("0.1M", 100_000), ("-5k", -5_000), ("80_000", 80_000)])
def test_a_setting_may_say_thousands_and_millions(scenario, said: str, limit_w: int):
    assert load_scenario(scenario, [f"transformer.limit_w={said}"]).scenario.transformer.limit_w == limit_w


def test_percentages_become_integers_exactly():
    assert (ppm(4), ppm(0.1), ppm(12.5)) == (40_000, 1_000, 125_000)
    assert share_of(380_000, 4) == 15_200


def test_settings_are_toml_values_or_else_plain_text(scenario):
    settings = ["vehicles.curve=taper", "vehicles.departure=error:2h", "transformer.margin_pct=2.5", "seed=1_000"]
    read = load_scenario(scenario, [*settings, 'name="x"', "start = 2024-01-01T00:00:00Z"]).scenario
    assert (read.vehicles.curve, read.vehicles.departure) == ("taper", "error:2h")
    assert (read.transformer.margin_pct, read.seed, read.name) == (2.5, 1000, "x")
    assert read.start == datetime.fromisoformat("2024-01-01T00:00:00+00:00")


def test_the_later_setting_wins_and_strategy_and_seed_come_last(scenario):
    read = load_scenario(scenario, ["seed=2", "seed=3", "vehicles.strategy=keep"], strategy="need", seed=4).scenario
    assert (read.seed, read.vehicles.strategy) == (4, "need")
    assert load_scenario(scenario, ["seed=2", "seed=3"]).scenario.seed == 3


def test_settings_reach_into_lists_and_append_to_them():
    read = load_scenario("demo", ["event.0.limit_w=0", "battery.0.capacity_wh=9", "battery.0.max_w=8"]).scenario
    assert read.event[0].limit_w == 0
    assert (read.battery[0].capacity_wh, read.battery[0].max_w, read.battery[0].round_trip_pct) == (9, 8, 88)


SAID_OF_SETTINGS = [
    ("transformer.limt_w=3", "there is no key transformer.limt_w; did you mean transformer.limit_w?"),
    ("transformer={limt_w=3}", "there is no key transformer.limt_w; did you mean transformer.limit_w?"),
    ("limit_w=3", "there is no key limit_w; did you mean transformer.limit_w?"),
    ("max_w=3", "there is no key max_w; did you mean chargers.max_w?"),
    ("vehicels.curve=flat", "there is no key vehicels; did you mean vehicles?"),
    ("event.0.untl=3", "there is no key event.0.untl; there are event.0.from, event.0.to, event.0.limit_w"),
    ("seed=two", "seed must be a whole number, not the text 'two'"),
    ("seed=1.5", "seed must be a whole number, not 1.5"),
    ("transformer.rating_va=100.000", "must be a whole number, not 100.0; if thousands were meant, write 100_000"),
    ("transformer.rating_va=62.5", "must be a whole number, not 62.5; if thousands were meant, write 62_500"),
    ("transformer.rating_va=1.250.000", "not the text '1.250.000'; if thousands were meant, write 1_250_000"),
    ("transformer.rating_va=100,000", "not the text '100,000'; if thousands were meant, write 100_000"),
    ("seed=true", "seed must be a whole number, not true"),
    ("transformer.margin_pct=[4]", "transformer.margin_pct must be a number, not a list"),
    ("name=1", "name must be a text in quotes, not 1"),
    ("vehicles=3", "vehicles must be a table, not 3; write [vehicles] and its keys below"),
    ("event={}", "event must be a list of tables, not a table; write [[event]]"),
    ("start=2018-11-19", "start must be a date and time like 2018-11-19T00:00:00+01:00, not 2018-11-19"),
    ("start=2018-11-19T00:00:00", "start (2018-11-19T00:00:00) has no time zone; add the offset, like 2018-11-19T00:"),
    ("start=9999-12-31T00:00:00Z", "start (9999-12-31T00:00:00+00:00) is not between 1900 and 2999; correct the year"),
    ("start=2018-11-19T00:00:00.5Z", "it must be a whole second"),
    (
        "vehicles.curve=tapr",
        'vehicles.curve must be one of "flat", "taper", "model", not the text \'tapr\'; did you mean "taper"?',
    ),
    ("vehicles.curve=model", "vehicles.curve is 'model' and vehicles.model names none; name one, or write flat"),
    ("vehicles.model=Nissan Leaf", "vehicles.model: there is no car 'Nissan Leaf'; did you mean Nissan Leaf"),
    ("vehicles.model=?", "vehicles.model: there is no car '?'; there are Audi e-tron 55, BMW i3 120 Ah, "),
    ("vehicles.model=Mazda MX-30:0", "vehicles.model: the share of 'Mazda MX-30' must be a positive number, not '0'"),
    ("vehicles.model=Mazda MX-30:x", "vehicles.model: the share of 'Mazda MX-30' must be a positive number, not 'x'"),
    ("vehicles.model=Mazda MX-30:inf", "the share of 'Mazda MX-30' must be a positive number, not 'inf'"),
    ("vehicles.model=Mazda MX-30+", "vehicles.model: there is no car ''; there are Audi e-tron 55"),
    (
        "transformer.clearing=mcafee",
        'one of "next", "uniform", "pay-as-bid", "vcg", "posted", "none", not the text \'mcafee\'',
    ),
    (
        "sessions.format=trond",
        '"wattswap", "acn", "trondheim", not the text \'trond\'; did you mean "trondheim"?',
    ),
    ("sessions.shift_days=7.5", "sessions.shift_days must be a whole number, not 7.5"),
    ("sessions.shift_days=40_000", "sessions.shift_days is 40000; choose -36_500 to 36_500"),
    ("sessions.zone=Europe/Olso", "there is no time zone 'Europe/Olso'; did you mean Europe/Oslo?"),
    ("sessions.zone=5", "sessions.zone must be a text in quotes, not 5"),
    ("sessions.zone=../etc", "sessions.zone: there is no time zone '../etc'"),
    ("sessions.zone=Europe", "sessions.zone: there is no time zone 'Europe'"),
    ("seed.x=3", "seed is a single value, it has no x; shorten the key"),
    ("event.2.limit_w=1", "event is a list of 1, '2' is no place in it; count from 0"),
    ("event.first.limit_w=1", "event is a list of 1, 'first' is no place in it; count from 0"),
    ("event.1.limit_w=1", "event.1.from is missing; it must be a date and time like 2018-11-19T00:00:00+01:00"),
    ("inputs.x=3", "inputs must be a table of file name and sha256"),
    ("seed", "write KEY=VALUE, like --set vehicles.curve=taper"),
    ("=3", "write KEY=VALUE, like --set vehicles.curve=taper"),
    ("a..b=3", "write KEY=VALUE, like --set vehicles.curve=taper"),
    ("schema=2", "schema is 2; this version reads schema 1; write schema = 1 or use a newer wattswap"),
    ("days=0", "days is 0; choose 1 to 3_660"),
    ("reading_s=0", "reading_s is 0; choose 1 to 86_400"),
    ("reading_s=40", "window_s (300) must be a multiple of reading_s (40), like 300 and 30"),
    ("window_s=420", "window_s (420) must divide a day of 86400 s, like 300 or 900"),
    ("transformer.rating_va=0", "transformer.rating_va is 0; choose 1 to 100_000_000"),
    ("transformer.limit_w=-200_000_000", "transformer.limit_w is -200000000; choose -100_000_000 to 100_000_000"),
    ("transformer.margin_pct=101", "transformer.margin_pct is 101; choose 0 to 100"),
    ("transformer.margin_pct=nan", "transformer.margin_pct is nan; choose 0 to 100"),
    ("base.noise_pct=-1", "base.noise_pct is -1; choose 0 to 100"),
    ("chargers.phases=4", "chargers.phases is 4; choose 1 to 3"),
    ("chargers.max_w=3_700", "chargers.max_w (3700) is under min_a x phases x voltage_v = 4140 W"),
    ("vehicles.target_pct=10", "vehicles.target_pct is 10; choose 11 to 100"),
    ("vehicles.departure=error:h", "vehicles.departure is 'error:h'; write actual, stated, or error:2h"),
    ("vehicles.strategy=", "vehicles.strategy is empty; name one, like need:0.8+prosumer:0.2"),
    ("vehicles.tariff_nanos_per_kwh=2_600_000", "prices are whole multiples of 1_000_000, the nearest is 3_000_000"),
    ("market.deadline_ms=30_001", "market.deadline_ms (30001) must not be longer than reading_s (30 s)"),
    ("market.lease_s=59", "market.lease_s (59) must be at least two ticks of reading_s (30 s)"),
    ("market.ceiling_at_pct=100", "market.reserve_nanos_per_kwh_h"),
    ("market.ceiling_guess=1", "there is no key market.ceiling_guess any more; the highest price is market.reserve"),
    ("battery=[{capacity_wh=1,max_w=1,ceiling=1}]", "there is no key battery.0.ceiling any more; the highest price is"),
    ("event.0.to=2018-11-25T17:30:00Z", "event.0.to (2018-11-25T17:30:00+00:00) must be after event.0.from ("),
    ("event.0.to=2018-11-25T19:30:00", "event.0.to (2018-11-25T19:30:00) has no time zone; add the offset"),
    ("battery=[{capacity_wh=1,max_w=1,feeder=1}]", "battery.0.feeder must be a text in quotes, not 1"),
    ("battery=[{capacity_wh=1,max_w=1,feeder='x'}]", "'x', and there is no such feeder; this file has no [[feeder]]"),
    ("battery=[{capacity_wh=1,max_w=1,strategy=''}]", "battery.0.strategy is empty; name one, like prosumer"),
    ("battery=[{capacity_wh=1,max_w=1,wear_nanos_per_kwh=1}]", "battery.0.wear_nanos_per_kwh is 1; prices are whole"),
    ("name=a/b", "name is 'a/b'; folders are named after it: use up to 64 letters, digits, dots, dashes and"),
    ("name=Straße mit Bäumen", "dashes and underscores, like Strasse-mit-Baumen"),
    ("base.household_csv=", "base.pv_csv needs base.household_csv, from which the sun is subtracted; name both"),
    ("household=[{}]", "household.0.household_csv is missing; name the CSV file of this household's load"),
]


@pytest.mark.parametrize(("setting", "said"), SAID_OF_SETTINGS, ids=[setting for setting, _ in SAID_OF_SETTINGS])
def test_a_setting_that_cannot_be_used_is_quoted_with_what_to_do(setting, said, complaint):
    text = complaint(lambda: load_scenario("demo", [setting]))
    assert text.startswith(f"--set {setting}: ")
    assert said in text


SAID_OF_FILES = [
    ("days = 1", "dayz = 1", "there is no key dayz; did you mean days?"),
    ("[transformer]", "[transfomer]", "there is no key transfomer; did you mean transformer?"),
    ("rating_va = 100_000", 'rating_va = "100"', "transformer.rating_va must be a whole number, not the text '100'"),
    ("start = 2024", "# start = 2024", "start is missing; it must be a date and time like 2018-11-19T00:00:00+01:00"),
    ("rating_va = 100_000", "rating_va = 100k", "numbers are written out, like 80_000"),
    ("days = 1", "days = ", "not valid TOML: Invalid value (at line 3, column 8); texts and paths stand in quotes"),
    ("days = 1", "days = 1\ndays = 2", "not valid TOML: Cannot overwrite a value (at line 4, column 9)"),
]


@pytest.mark.parametrize(("old", "new", "said"), SAID_OF_FILES, ids=[said for _, _, said in SAID_OF_FILES])
def test_a_file_that_cannot_be_used_is_named_with_the_place_and_what_to_do(old, new, said, folder, scenario, complaint):
    text = (folder / "street.toml").read_text()
    assert old in text
    (folder / "street.toml").write_text(text.replace(old, new, 1))
    answer = complaint(lambda: load_scenario(scenario))
    assert answer.startswith(f"{scenario}: ")
    assert said in answer


def test_sun_without_a_household_of_its_own_is_refused(complaint):
    settings = ["base.household_csv=", "household=[{household_csv='farm.csv'}]"]
    text = complaint(lambda: load_scenario("a400", settings))
    assert text.endswith("base.pv_csv needs base.household_csv, from which the sun is subtracted; name both")


def test_a_file_that_is_no_text_is_refused(folder, scenario, complaint):
    (folder / "street.toml").write_bytes(b"name = '\xff'")
    assert complaint(lambda: load_scenario(scenario)) == f"{scenario}: this is not UTF-8 text; save the file as UTF-8"


def test_an_option_beside_set_is_quoted_too(complaint):
    text = complaint(lambda: load_scenario("demo", strategy=""))
    assert text.startswith("--strategy : vehicles.strategy is empty")
    assert complaint(lambda: load_scenario("demo", seed=-1)).startswith("--seed -1: seed is -1; choose 0 to ")


@pytest.mark.parametrize("name", ["A400", "a40", "a4000"])
def test_an_unknown_scenario_is_answered_with_the_nearest_and_the_list(name, complaint):
    bundled = "a400, b250, c250stress, demo"
    text = complaint(lambda: load_scenario(name))
    assert text == f"there is no scenario {name!r}; did you mean a400? (bundled: {bundled}; or name a TOML file)"


def test_a_scenario_like_no_other_is_answered_with_the_list(complaint):
    assert "there are a400, b250, c250stress, demo" in complaint(lambda: load_scenario("xyz"))


def test_a_scenario_file_that_is_not_there_is_answered_with_the_one_beside_it(folder, complaint):
    text = complaint(lambda: load_scenario(str(folder / "stret.toml")))
    assert text == f"{folder / 'stret.toml'}: there is no such scenario file; did you mean street.toml?"
    text = complaint(lambda: load_scenario(str(folder / "no" / "x.toml")))
    assert text.endswith(f"there is no folder {folder / 'no'} either")


def test_a_folder_is_no_scenario(folder, complaint):
    assert complaint(lambda: load_scenario(str(folder))) == f"{folder} is a folder; name the TOML file in it"


KEYS = st.sampled_from(["event", "0", "transformer", "limit_w", "start", "battery", "vehicles", "days", "inputs", "x"])
VALUES = st.sampled_from(
    ["3", "-1", "{}", "[]", "[{}]", "true", "1e999", "x", "''", "2024-01-01", "12:00:00", "9" * 30]
)


@given(st.lists(KEYS, min_size=1, max_size=4), VALUES)
def test_whatever_is_set_it_is_read_or_refused_in_one_line(parts, value):
    said = "read"
    try:
        load_scenario("demo", [f"{'.'.join(parts)}={value}"])
    except InputError as error:
        said = str(error)
    assert said.isprintable()
