"""Random draws as a pure function of (seed, agent, purpose, window), so that call order means nothing.

One more car does not change the luck of the others, and a lost call shifts nothing. The mixing function is
splitmix64's finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wattswap.protocol.units import Purpose

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_WORD = (1 << 64) - 1
_KEY_BYTES = 8


@lru_cache(maxsize=1 << 16)
def agent_key(name: str) -> int:
    """The 64-bit key under which an agent draws: blake2b of its name, so it is the same on every machine."""
    return int.from_bytes(blake2b(name.encode(), digest_size=_KEY_BYTES).digest(), "big")


def agent_keys(names: Iterable[str]) -> NDArray[np.uint64]:
    """The keys of many agents, most of which nobody asks for again; shape (names,)."""
    digests = b"".join([blake2b(name.encode(), digest_size=_KEY_BYTES).digest() for name in names])
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def draw(seed: int, agents: ArrayLike, purpose: int, windows: ArrayLike = 0, index: int = 0) -> NDArray[np.uint64]:
    """64 random bits for each (agent, window) pair, broadcast against each other.

    ``index`` tells several draws for one purpose apart.
    """
    with np.errstate(over="ignore"):
        state = _mixed(np.asarray(seed & _WORD, dtype=np.uint64))
        state = _mixed(state ^ np.asarray(agents, dtype=np.uint64))
        state = _mixed(state ^ np.asarray((purpose << 32) | index, dtype=np.uint64))
        return _mixed(state ^ np.asarray(windows).astype(np.uint64))


def keys_under(seed: int, agents: NDArray[np.uint64], common: int = 0) -> NDArray[np.uint64]:
    """The keys that draw under ``common`` what these draw under ``seed``: so runs of several seeds share one array."""
    words = (np.asarray(each & _WORD, dtype=np.uint64) for each in (seed, common))
    with np.errstate(over="ignore"):
        own, shared = (_mixed(word) for word in words)
    return agents ^ own ^ shared


def uniform(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Exact doubles in [0, 1) from the upper 53 of the drawn bits."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + _GOLDEN  # an array of its own, which the rest changes in place
    state ^= state >> np.uint64(30)
    state *= _MIX_1
    state ^= state >> np.uint64(27)
    state *= _MIX_2
    state ^= state >> np.uint64(31)
    return state


class Draws:
    """The draws a strategy may use in one window: one row per agent, the same whatever the other rows are."""

    def __init__(self, seed: int, agents: NDArray[np.uint64], window: int, purpose: Purpose = Purpose.ASK) -> None:
        self._seed, self._agents, self._window, self._purpose = seed, agents, window, purpose
        self._used = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """A float64 in [low, high) for each agent; each call is a fresh draw of this window."""
        self._used += 1
        return low + (high - low) * uniform(draw(self._seed, self._agents, self._purpose, self._window, self._used))

    def constant(self, purpose: Purpose, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """A float64 in [low, high) for each agent that stays the same in every window: a trait, not a mood."""
        return low + (high - low) * uniform(draw(self._seed, self._agents, purpose))
