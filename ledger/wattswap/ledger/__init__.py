"""Who is paid: one contract, a local double-entry book, and the backends behind the contract."""
