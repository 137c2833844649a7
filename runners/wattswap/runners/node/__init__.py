"""Agents as processes on several machines: who may speak, the wire between them, discovery, meters and relays."""
