"""The simulated network between agents, and the faults that can be injected into it."""
