"""ACN-Sim on given sessions with nobody in control; a program of its own, for an interpreter that has acnportal.

It reads {"step_min", "sessions": [[station, arrival step, departure step, kWh], ...]} as JSON and answers with the
processor seconds that the run took and the energy that was delivered.
"""

import json
import sys
from datetime import UTC, datetime
from time import process_time

from acnportal import acnsim
from acnportal.algorithms import UncontrolledCharging

AMPERES = 16
"""On three phases of 230 V: 11 kW."""
VOLTS = 690


def main() -> None:
    """Run a day and tell what it took."""
    asked = json.load(sys.stdin)
    network, stations = acnsim.ChargingNetwork(), sorted({session[0] for session in asked["sessions"]})
    for station in stations:
        network.register_evse(acnsim.EVSE(station, max_rate=AMPERES), VOLTS, 0)
    # a network must have a limit; this one never holds
    network.add_constraint(acnsim.Current(stations), AMPERES * len(stations) + 1, name="transformer")
    cars = [
        acnsim.EV(arrival, departure, kwh, station, str(number), acnsim.Battery(1_000, 0, AMPERES * VOLTS / 1_000))
        for number, (station, arrival, departure, kwh) in enumerate(asked["sessions"])
    ]
    events = acnsim.EventQueue([acnsim.PluginEvent(car.arrival, car) for car in cars])
    start = datetime(2018, 11, 25, tzinfo=UTC)
    simulator = acnsim.Simulator(
        network, UncontrolledCharging(), events, start, period=asked["step_min"], verbose=False
    )
    began = process_time()
    simulator.run()
    spent_s = process_time() - began
    print(json.dumps({"spent_s": spent_s, "kwh": sum(car.energy_delivered for car in cars)}))


if __name__ == "__main__":
    main()
