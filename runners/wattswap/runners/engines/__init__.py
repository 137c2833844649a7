"""The engines that run a street: agents that exchange messages, and the same law on arrays."""
