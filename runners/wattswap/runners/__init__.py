"""What drives the agents: scenarios, the world, the simulated network, the fleet engine, ZeroMQ nodes, records."""
