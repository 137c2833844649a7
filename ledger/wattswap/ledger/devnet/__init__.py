"""A local IOTA node that Wattswap's adapter talks to through the unmodified SDK: ``wattswap devnet``.

It keeps coins as the real network does (versions, owners, gas, storage deposits, refusal of a second spending) and
answers the GraphQL that the SDK asks on behalf of Wattswap, so what is tried here runs against a public network by
changing the URL. It is **not** a network: one authority, no consensus, no Move machine, no staking, no shared objects,
no dry runs. Nothing on it has a value.

    process -> server -> {api -> answers -> pages, faucet} -> node -> {execution -> machine, store} -> {sdk, bcs, model}

``execution`` writes nothing: coins and a transaction in, every byte to be written out. ``store`` writes them in one
SQLite transaction or not at all. A test reads the same bytes with the SDK: that is what keeps ``bcs`` honest.
"""
