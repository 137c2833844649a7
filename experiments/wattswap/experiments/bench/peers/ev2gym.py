"""EV2Gym with so many charging stations and its own cars, all at full power; a program for an interpreter that has it.

It reads {"stations", "step_min", "steps"} as JSON and answers with the processor seconds that its steps took, and in
how many of them how many cars were plugged in.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import ev2gym
import numpy as np
import yaml
from ev2gym.models.ev2gym_env import EV2Gym

SPAWN_MULTIPLIER = 25
"""Of its usual arrivals: so many that as many stations are taken as in our streets, about one in three."""


def main() -> None:
    """Run a day and tell what it took."""
    asked, package = json.load(sys.stdin), Path(ev2gym.__file__).parent
    config = yaml.safe_load((package / "example_config_files/PublicPST.yaml").read_text())
    config["spawn_multiplier"] = SPAWN_MULTIPLIER
    config |= {"timescale": asked["step_min"], "simulation_length": asked["steps"], "random_day": False}
    config |= {"number_of_charging_stations": asked["stations"], "ev_specs_file": str(package / "data/ev_specs.json")}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "street.yaml"
        file.write_text(yaml.safe_dump(config))
        street = EV2Gym(config_file=str(file), seed=1, save_replay=False, save_plots=False)
        street.reset(seed=1)
    everybody, car_steps, done = np.ones(street.number_of_ports), 0, False
    spent_s = 0.0
    while not done:
        car_steps += sum(charger.n_evs_connected for charger in street.charging_stations)
        began = process_time()
        *_, terminated, truncated, _ = street.step(everybody)
        spent_s += process_time() - began
        done = terminated or truncated
    print(json.dumps({"spent_s": spent_s, "car_steps": car_steps}))


if __name__ == "__main__":
    main()
