"""Meters and relays: what stands between an agent and a charging point, a house or a transformer."""
