"""The numbers a real network sets by its protocol, and the limits of this node. Amounts are nanos."""

from __future__ import annotations

from typing import Final

PUBLIC_CHAINS: Final = frozenset({"6364aad5", "2304aa97", "daf90477"})
"""mainnet, testnet, devnet: a local chain never takes one of these for its own."""

EPOCH: Final = 1
"""The first; transactions that expire with epoch 0 are too late."""
PROTOCOL_VERSION: Final = 20

REFERENCE_GAS_PRICE: Final = 1_000
COMPUTATION_UNITS: Final = 1_000
"""The smallest bucket. Every transaction costs it here; a real network may put a large one into a higher bucket."""
COIN_DEPOSIT: Final = 980_400
"""One coin is metered at 129 bytes of 100 units, 76 nanos each; all of it comes back when the coin is gone."""
MINTED: Final = 1_000_000_000 * 10**9
"""All there is: genesis gives it to the faucet's wallet, and nothing else ever mints."""

MOST_ARGUMENTS: Final = 511
MOST_VERSION: Final = 2**63 - 1
MOST_UINT53: Final = 2**53 - 1
PROTOCOL: Final = {
    "base_tx_cost_fixed": COMPUTATION_UNITS,
    "max_arguments": MOST_ARGUMENTS + 1,
    "max_gas_payment_objects": 256,
    "max_gas_price": 100_000,
    "max_input_objects": 2_048,
    "max_num_new_move_object_ids": 2_048,
    "max_programmable_tx_commands": 1_024,
    "max_pure_argument_size": 16 * 1_024,
    "max_tx_gas": 50_000_000_000,
    "max_tx_size_bytes": 128 * 1_024,
    "obj_access_cost_read_per_byte": 15,
    "storage_gas_price": 76,
    "storage_rebate_rate": 10_000,
}
"""What ``protocolConfig`` answers, under the names of the real one."""

SERVICE: Final = {
    "defaultPageSize": 20,
    "maxPageSize": 50,
    "maxQueryDepth": 20,
    "maxQueryNodes": 300,
    "maxOutputNodes": 300 * 50,
    "maxQueryPayloadSize": 10_000,
    "maxMoveValueDepth": 128,
    "maxTypeArgumentDepth": 16,
    "maxTypeArgumentWidth": 32,
    "maxTypeNodes": 256,
    "mutationTimeoutMs": 40_000,
    "requestTimeoutMs": 40_000,
}
"""What ``serviceConfig`` answers."""
MOST_OUTPUT_BYTES: Final = 32 * 1_024 * 1_024
MOST_BODY_BYTES: Final = 384 * 1_024
"""A transaction of the largest size in base64, with room for signatures."""
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
