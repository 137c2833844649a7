"""A street as processes of one command: how they are started, connected to each other, and ended."""
