"""Eight replications of a street on two processes, with Mesa's own batch runner.

python docs/examples/mesa_batch.py [STREET] [REPLICATIONS]
"""

from __future__ import annotations

import sys

import mesa

from wattswap.runners import NeighbourhoodModel


def main(street: str = "a400", replications: str = "8") -> None:
    """Run them and print what each came to."""
    rows = mesa.batch_run(
        NeighbourhoodModel,
        {"street": street, "engine": "fleet", "replication": range(int(replications))},
        number_processes=2,
        max_steps=NeighbourhoodModel.steps_of(street),  # Mesa's default of 1000 would stop a week after eight hours
        display_progress=sys.stderr.isatty(),
    )
    print("seed  over the limit  sessions left short  IOTA paid  trades")
    for row in sorted(rows, key=lambda row: int(row["seed"])):
        print(
            f"{row['seed']:4}  {row['overload_s'] / 60:10.1f} min  {row['sessions_short']:19}"
            f"  {row['paid_nanos'] / 1e9:9.2f}  {row['trace_hash'][:12]}"
        )
    print(f"Any of them again: wattswap run {street} --engine fleet --seed SEED")


if __name__ == "__main__":  # the two processes import this file too
    main(*sys.argv[1:])
