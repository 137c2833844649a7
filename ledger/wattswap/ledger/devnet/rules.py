"""The numbers a real network sets by its protocol, and the limits of this node. Amounts are nanos."""

from __future__ import annotations

from typing import Final

PUBLIC_CHAINS: Final = frozenset({"6364aad5", "2304aa97", "daf90477"})
"""mainnet, testnet, devnet: a local chain never takes one of these for its own."""

EPOCH: Final = 1
"""The first; transactions that expire with epoch 0 are too late."""
PROTOCOL_VERSION: Final = 20

REFERENCE_GAS_PRICE: Final = 1_000
MOST_GAS_PRICE: Final = 100_000
COMPUTATION_UNITS: Final = 1_000
"""The smallest bucket. Every transaction costs it here; a real network may put a large one into a higher bucket."""
COIN_DEPOSIT: Final = 980_400
"""One coin is metered at 129 bytes of 100 units, 76 nanos each; all of it comes back when the coin is gone."""

MOST_GAS_BUDGET: Final = 50_000_000_000
MOST_GAS_COINS: Final = 256
MOST_INPUTS: Final = 2_048
MOST_COMMANDS: Final = 1_024
MOST_ARGUMENTS: Final = 511
MOST_NEW_COINS: Final = 2_048
MOST_TRANSACTION_BYTES: Final = 128 * 1_024
MOST_PURE_BYTES: Final = 16 * 1_024
MOST_VERSION: Final = 2**63 - 1
MOST_TYPE_DEPTH: Final = 16

MINTED: Final = 1_000_000_000 * 10**9
"""All there is: genesis gives it to the faucet's wallet, and nothing else ever mints."""

PAGE_SIZE: Final = 20
MOST_PAGE_SIZE: Final = 50
MOST_QUERY_BYTES: Final = 10_000
MOST_QUERY_DEPTH: Final = 20
MOST_QUERY_NODES: Final = 300
MOST_QUERY_COST: Final = 250
ROOT_COST: Final = 5
"""Of a look-up at the root of a query."""
COSTS: Final = {
    "chainIdentifier": 1,
    "serviceConfig": 1,
    "stateHash": 60,
    "supplyNanos": 20,
    "depositsNanos": 20,
    "burnedNanos": 5,
    "coins": 10,
    "supply": 20,
    "objects": 20,
    "transactionBlocks": 20,
    "checkpoints": 20,
    "dryRunTransactionBlock": 40,
    "executeTransactionBlock": 40,
}
"""What a field makes the node do, wherever it stands; hashing the state reads every coin."""
MOST_OUTPUT_NODES: Final = MOST_QUERY_NODES * MOST_PAGE_SIZE
MOST_OUTPUT_BYTES: Final = 32 * 1_024 * 1_024
MOST_BODY_BYTES: Final = 384 * 1_024
"""A transaction of the largest size in base64, with room for signatures."""

PROTOCOL_CONFIG: Final = {
    "base_tx_cost_fixed": COMPUTATION_UNITS,
    "max_arguments": MOST_ARGUMENTS + 1,
    "max_gas_payment_objects": MOST_GAS_COINS,
    "max_gas_price": MOST_GAS_PRICE,
    "max_input_objects": MOST_INPUTS,
    "max_num_new_move_object_ids": MOST_NEW_COINS,
    "max_programmable_tx_commands": MOST_COMMANDS,
    "max_pure_argument_size": MOST_PURE_BYTES,
    "max_tx_gas": MOST_GAS_BUDGET,
    "max_tx_size_bytes": MOST_TRANSACTION_BYTES,
    "obj_access_cost_read_per_byte": 15,
    "storage_gas_price": 76,
    "storage_rebate_rate": 10_000,
}
"""What ``protocolConfig`` answers, under the names of the real one."""
