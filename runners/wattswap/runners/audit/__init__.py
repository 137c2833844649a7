"""The rules that every run must keep, checked event by event."""
