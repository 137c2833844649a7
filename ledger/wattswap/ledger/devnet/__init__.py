"""A local IOTA node that the unmodified SDK talks to: ``wattswap devnet``.

It keeps coins as the real network does (versions, owners, gas, storage deposits, refusal of a second spending) and
answers the SDK's GraphQL, so code tried here runs against a public network by changing the URL. It is **not** a
network: one authority, no consensus, no Move machine, no staking, no shared objects. Nothing on it has a value.

    process -> server -> {api -> answers -> pages, faucet} -> node -> {execution -> machine, store} -> {sdk, bcs, model}

``execution`` writes nothing: coins and a transaction in, every byte to be written out. ``store`` writes them in one
SQLite transaction or not at all. A test reads the same bytes with the SDK: that is what keeps ``bcs`` honest.
"""
