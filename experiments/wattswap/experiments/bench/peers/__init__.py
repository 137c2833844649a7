"""Programs that run other simulators, each for an interpreter that has the simulator and need not have Wattswap."""
