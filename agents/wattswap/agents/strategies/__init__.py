"""How cars answer a call: the bundled strategies, mixes of them, and strategies from a user's file."""

from wattswap.agents.strategies.bundled import BUNDLED, FEEDERS, altruist, experienced, keep, need, prosumer, truthful
from wattswap.agents.strategies.elementwise import check_elementwise
from wattswap.agents.strategies.mix import Mix, parse_mix

__all__ = [
    "BUNDLED",
    "FEEDERS",
    "Mix",
    "altruist",
    "check_elementwise",
    "experienced",
    "keep",
    "need",
    "parse_mix",
    "prosumer",
    "truthful",
]
