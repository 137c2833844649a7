"""A whole street as processes that talk over ZeroMQ, in the order of the simulator: the same trades, to the nano."""
