"""The design of a field trial, repeated: ten cars behind each virtual transformer, under one rule after another."""
