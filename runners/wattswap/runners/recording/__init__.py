"""What a run writes down: its record, journal and run directory, and the replay of a journal."""
