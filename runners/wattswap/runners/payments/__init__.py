"""How a run's payments and meter records reach a ledger."""
