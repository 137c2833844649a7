"""What is said: units, messages, events and effects, a round's states, codec, identity, errors."""
