"""A street as a Mesa model: the run of the command line, seen as agents, in batches and with Mesa's own habits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import mesa
import numpy as np
import pytest
from numpy.random import SeedSequence

from wattswap.agents.charger import Charger
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle
from wattswap.experiments import api
from wattswap.protocol.errors import InputError
from wattswap.runners import NeighbourhoodModel
from wattswap.runners.recording.metrics import KEYS
from wattswap.runners.scenario import load_street

STEPS = 36 * 12


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> str:
    """The demo's day in steps of 300 s, so that a run takes a third of a second."""
    path = tmp_path_factory.mktemp("street") / "small.toml"
    path.write_text(load_street("demo", settings=["reading_s=300"]).resolved_toml, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def evening(small: str) -> NeighbourhoodModel:
    """The messages engine in the middle of a round, with cars that keep and cars that give way."""
    model = NeighbourhoodModel(small)
    while model.choices["reduce"] < 2:
        model.step()
    return model


def views(model: NeighbourhoodModel) -> list[Any]:
    return list(model.agents)


def of_type(model: NeighbourhoodModel, kind: str) -> list[Any]:
    return [view for view in views(model) if view.kind == kind]


def test_a_model_steps_to_the_end_and_then_has_the_figures_of_the_run(small):
    model = NeighbourhoodModel(small, engine="fleet")
    assert (model.running, model.summary) == (True, None)
    model.run_model()
    assert (model.running, model.steps) == (False, NeighbourhoodModel.steps_of(small)) == (False, STEPS)
    expected = api.run(small, engine="fleet").summary
    assert model.summary is not None
    assert tuple(model.summary) == tuple(expected) == KEYS
    assert {**model.summary, "timing": None} == {**expected, "timing": None}
    frame = model.datacollector.get_model_vars_dataframe()
    assert frame["trace_hash"].tolist() == [expected["trace_hash"]]
    model.step()
    assert len(model.record.ticks) == STEPS, "a step after the end changes nothing"


def test_steps_of_a_week_and_of_a_day():
    assert NeighbourhoodModel.steps_of("a400") == 7 * 2_880
    assert NeighbourhoodModel.steps_of("a400", day=2) == 2_880
    with pytest.raises(InputError, match="has 7 days"):
        NeighbourhoodModel.steps_of("a400", day=8)


def test_a_batch_on_two_processes_makes_the_trades_of_the_command_line(small):
    """Every replication is a run that ``wattswap run --seed`` repeats, whoever's process it was in."""
    rows = mesa.batch_run(
        NeighbourhoodModel,
        {"street": small, "engine": "fleet", "replication": range(3)},
        number_processes=2,
        max_steps=NeighbourhoodModel.steps_of(small),
        display_progress=False,
    )
    assert sorted((row["replication"], row["seed"]) for row in rows) == [(r, 1 + r) for r in range(3)]
    hashes = {row["seed"]: row["trace_hash"] for row in rows}
    assert hashes == {seed: api.run(small, engine="fleet", seed=seed).summary["trace_hash"] for seed in range(1, 4)}
    assert len(set(hashes.values())) == 3


def test_replication_0_has_the_scenarios_own_luck(small):
    own = load_street(small).scenario.seed
    assert NeighbourhoodModel(small, engine="fleet").effective_seed == own
    assert NeighbourhoodModel(small, engine="fleet", replication=3).effective_seed == own + 3
    assert NeighbourhoodModel(small, engine="fleet", replication=3, seed=40).street.scenario.seed == 43
    with pytest.raises(InputError, match="count from 0"):
        NeighbourhoodModel(small, replication=-1)


def test_a_batch_that_mesa_stops_too_early_says_what_to_pass(small):
    """Mesa's default of 1000 steps would end a week after eight hours, with figures that look like a week's."""
    with pytest.raises(InputError, match=f"before its {STEPS} steps were over.* max_steps=NeighbourhoodModel.steps_of"):
        mesa.batch_run(NeighbourhoodModel, {"street": small, "engine": "fleet"}, max_steps=9, display_progress=False)


def test_there_is_an_agent_for_the_transformer_each_charger_and_each_car(evening):
    sessions = evening.street.sessions
    assert len(of_type(evening, "transformer")) == 1
    assert {agent.name for agent in of_type(evening, "charger")} == set(sessions.station_id)
    assert {agent.name for agent in of_type(evening, "vehicle")} == set(sessions.vehicle_id)


@pytest.mark.parametrize("engine", ["fleet", "messages"])
def test_several_feeders_have_a_transformer_each_and_cars_of_one_name_are_told_apart(engine, tmp_path):
    path = tmp_path / "three.toml"
    text = Path(__file__).with_name("three_feeders.toml").read_text(encoding="utf-8")
    path.write_text(text.replace("days = 7", "days = 1\nreading_s = 300"), encoding="utf-8")
    model = NeighbourhoodModel(path, engine=engine)
    for _ in range(230):
        model.step()
    transformers = of_type(model, "transformer")
    assert [each.name for each in transformers] == [f"transformer/{name}" for name in ("a400", "b250", "c250stress")]
    for transformer, base_w in zip(transformers, model.state.now.base_w, strict=True):
        cars = [car for car in of_type(model, "vehicle") if car.feeder == transformer.feeder]
        assert any(car.plugged for car in cars)
        assert transformer.power_w == base_w + sum(car.power_w for car in cars)
        assert transformer.limit_w == {"a400": 380_000}.get(transformer.feeder, 237_500)
    places = [(car.feeder, car.name) for car in of_type(model, "vehicle")]
    assert len(set(places)) == len(places) > len({car.name for car in of_type(model, "vehicle")})
    assert all((view.agent is None) == (engine == "fleet") for view in views(model))
    assert all(engine == "fleet" or view.agent.name == view.agent_name for view in views(model))


def test_in_the_messages_engine_the_real_agents_stand_behind_the_views(evening):
    kinds = {"transformer": Transformer, "charger": Charger, "vehicle": Vehicle}
    assert all(isinstance(view.agent, kinds[view.kind]) for view in views(evening))


def test_views_tell_what_the_street_does_now(evening):
    chargers, cars = of_type(evening, "charger"), of_type(evening, "vehicle")
    (transformer,) = of_type(evening, "transformer")
    plugged = [car for car in cars if car.plugged]
    assert 0 < len(plugged) < len(cars)
    assert sum(car.power_w for car in cars) == sum(charger.power_w for charger in chargers)
    assert transformer.power_w == evening.load_w == evening.base_w + sum(car.power_w for car in cars)
    assert transformer.limit_w == evening.limit_w
    assert {charger.vehicle for charger in chargers if charger.plugged} == {car.name for car in plugged}
    assert all(0 <= car.soc <= 1 for car in plugged)
    assert all((car.soc, car.choice, car.power_w) == (None, None, 0) for car in cars if not car.plugged)
    assert {car.choice for car in plugged} >= {"keep", "reduce"}
    assert {car.strategy for car in cars} == {"need", "prosumer", "keep"}
    assert not any(car.choice == "reduce" for car in cars if car.strategy == "keep")


def test_what_cars_earned_adds_up_to_what_was_paid(small):
    model = NeighbourhoodModel(small, engine="fleet")
    model.run_model()
    assert model.summary is not None
    assert sum(car.earned_nanos for car in of_type(model, "vehicle")) == model.summary["paid_nanos"] > 0
    assert {view.agent for view in views(model)} == {None}, "the fleet engine has only arrays"


class WatchedModel(NeighbourhoodModel):
    step_reporters = {"load_w": "load_w"}  # noqa: RUF012 - as a user writes it
    agent_reporters = {"power_w": "power_w", "soc": "soc", "choice": "choice"}  # noqa: RUF012


def test_a_subclass_names_what_to_collect_at_each_step(small):
    model = WatchedModel(small, engine="fleet")
    for _ in range(10):
        model.step()
    assert model.datacollector.get_model_vars_dataframe()["load_w"].tolist()[1:] == [
        tick.base_w + int(tick.import_w.sum()) - int(tick.export_w.sum()) for tick in model.record.ticks
    ]
    frame = model.datacollector.get_agent_vars_dataframe()
    assert len(frame) == 11 * len(model.agents)
    now = frame.xs(10, level=0)["power_w"].to_dict()
    assert now == {view.unique_id: view.power_w for view in views(model)}


def test_figures_stand_beside_what_was_collected_last(small):
    model = WatchedModel(small, engine="fleet")
    model.run_model()
    frame = model.datacollector.get_model_vars_dataframe()
    assert len(frame) == STEPS + 1
    assert frame["trace_hash"].notna().tolist() == [False] * STEPS + [True]


def test_options_reach_the_run_and_mistakes_are_named(small):
    model = NeighbourhoodModel(small, controller="uncontrolled", engine="fleet", strategy="keep")
    assert {car.strategy for car in of_type(model, "vehicle")} == {"keep"}
    for wrong in ({"street": "demmo"}, {"engine": "fleat"}, {"controller": "negotiate"}, {"strategy": "ned"}):
        with pytest.raises(InputError, match=r"did you mean|the nearest is"):
            NeighbourhoodModel(**{"street": small, **wrong})


def test_without_mesa_the_extra_is_named():
    script = (
        "import sys; sys.modules['mesa'] = None\n"
        "import wattswap.runners\n"
        "try: wattswap.runners.NeighbourhoodModel\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "NeighbourhoodModel needs mesa: pip install 'wattswap[sim]'"


def test_runners_have_no_other_lazy_name():
    import wattswap.runners

    with pytest.raises(AttributeError, match="no attribute 'Neighborhood'"):
        wattswap.runners.Neighborhood  # noqa: B018


@pytest.mark.parametrize("example", sorted((Path(__file__).parents[2] / "docs" / "examples").glob("mesa_*.py")))
def test_the_examples_run(small, example: Path, tmp_path: Path):
    if example.stem == "mesa_solara":
        command = [sys.executable, "-W", "error", "-c", f"import runpy; runpy.run_path({str(example)!r})"]
    else:
        command = [sys.executable, "-W", "error", str(example), small, "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_batch_sweeps_over_settings_and_has_flat_columns(small):
    rows = mesa.batch_run(
        NeighbourhoodModel,
        {"street": small, "engine": "fleet", "settings": ["transformer.limit_w=300000", "transformer.limit_w=600000"]},
        number_processes=1,
        max_steps=STEPS,
        display_progress=False,
    )
    assert [row["settings"] for row in rows] == ["transformer.limit_w=300000", "transformer.limit_w=600000"]
    assert rows[0]["choices_reduce"] == rows[0]["choices"]["reduce"] > rows[1]["choices_reduce"]


def test_rng_is_another_word_for_the_seed(small):
    assert NeighbourhoodModel(small, engine="fleet", rng=7).effective_seed == 7


def test_a_spawned_seed_sequence_is_a_seed_and_anything_else_is_refused(small):
    """Mesa's batches hand on what they were given: spawned sequences, generators, decimals."""
    one, two = (NeighbourhoodModel(small, engine="fleet", rng=each).effective_seed for each in SeedSequence(3).spawn(2))
    assert one != two
    for wrong in (1.5, np.random.default_rng(3), True):
        with pytest.raises(InputError, match="write a whole number or a numpy SeedSequence"):
            NeighbourhoodModel(small, engine="fleet", rng=wrong)  # type: ignore[arg-type]
