"""What somebody who watches a street is told, wherever it goes on: a run's process, or a node on a Pi."""
