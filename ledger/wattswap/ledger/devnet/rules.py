"""The numbers a real network sets by its protocol, and the limits of this node. Amounts are nanos."""

from __future__ import annotations

from typing import Final

EPOCH: Final = 1
"""The first; transactions that expire with epoch 0 are too late."""
REFERENCE_GAS_PRICE: Final = 1_000
COMPUTATION_UNITS: Final = 1_000
"""The smallest bucket. Every transaction costs it here; a real network may put a large one into a higher bucket."""
COIN_DEPOSIT: Final = 980_400
"""One coin is metered at 129 bytes of 100 units, 76 nanos each; all of it comes back when the coin is gone."""
MOST_MINTED: Final = 1_000_000_000 * 10**9
"""All that the faucet ever gives, deposits included."""

MOST_ARGUMENTS: Final = 511
MOST_COMMANDS: Final = 1_023
MOST_INPUTS: Final = 2_048
MOST_GAS_COINS: Final = 256
MOST_NEW_COINS: Final = 2_048
MOST_VALUE_BYTES: Final = 16 * 1_024
MOST_TRANSACTION_BYTES: Final = 128 * 1_024
MOST_GAS_PRICE: Final = 100_000
MOST_BUDGET: Final = 50_000_000_000
MOST_VERSION: Final = 2**63 - 1

MOST_BODY_BYTES: Final = 384 * 1_024
"""A transaction of the largest size in base64, with room for signatures."""
MOST_PAGE: Final = 50
MOST_QUERY_CHARACTERS: Final = 10_000
MOST_QUERY_TOKENS: Final = 500
MOST_COST: Final = 15_000
"""Of a request, in the time that a field with a plain value takes, some 10 us."""
COSTS: Final = {
    "object": 50,
    "checkpoint": 50,
    "transactionBlock": 50,
    "objects": 1_000,
    "transactionBlocks": 1_000,
    "executeTransactionBlock": 500,
    "devnet": 2_000,
}
"""What a field makes the node do at most, wherever it stands; others cost 1. ``devnet`` adds up all coins."""
BYTES_A_COST: Final = 2_000
"""So many bytes of an answer cost as much as a field."""
