"""``wattswap voltages``: a finished run on a real feeder."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattswap.cli import options
from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from wattswap.experiments.feeder.voltages import Voltages
    from wattswap.experiments.run_tables import RunTables


@click.command(
    epilog=examples(
        "wattswap voltages runs/20261122T181508-demo-negotiated-s1",
        "wattswap voltages runs/20261122T181508-a400-negotiated-s1 --day 7 --single-phase 100 --json",
    )
)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--day", type=int, help="One day of the run, counted from 1.")
@click.option(
    "--single-phase",
    type=options.Number(),
    default=30,
    show_default=True,
    metavar="PCT",
    help="So many percent of the cars charge on one phase, drawn by seed (an assumption).",
)
@click.option(
    "--network",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A feeder of your own: a folder with cables.csv and loads.csv.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
def voltages(run_dir: Path, day: int | None, single_phase: float, network: Path | None, *, as_json: bool) -> None:
    """What a finished run means on a real feeder: volts by phase, unbalance, cables, losses.

    The power flow of every tick, three-phase, on the bundled semi-urban feeder (SimBench LV4.101) with a transformer
    of the scenario's rating. It leaves voltages.csv, a row for each bus and phase, and voltages.png in RUN_DIR.
    """
    from wattswap.experiments.feeder.network import BUNDLED, read_network
    from wattswap.experiments.feeder.voltages import voltages as voltages_of
    from wattswap.experiments.run_tables import RunTables
    from wattswap.protocol.errors import InputError
    from wattswap.runners.recording.parquet_table import WITHOUT_TABLES

    if find_spec("pandas") is None or find_spec("pyarrow") is None:
        raise InputError(f"a run's tables need pandas and pyarrow: {WITHOUT_TABLES}")
    grid = read_network(network or BUNDLED)
    tables = RunTables.read(run_dir)
    found = voltages_of(tables, day=day, single_phase_pct=single_phase, network=grid)
    notes = _write(run_dir, tables, found, bundled=network is None)
    if as_json:
        click.echo(json.dumps({**found.figures, "notes": notes}, indent=2))
    else:
        click.echo("\n".join((*_told(tables, found, single_phase), *notes)))


def _write(run_dir: Path, tables: RunTables, found: Voltages, *, bundled: bool) -> list[str]:
    """Table and picture; what could not be written."""
    from wattswap.experiments.api import WITHOUT_REPORT
    from wattswap.experiments.data_credit import credit
    from wattswap.experiments.run_tables import input_names
    from wattswap.runners.recording.whole_file import whole_file

    notes = []
    try:
        found.table.to_csv(run_dir / "voltages.csv", index=False)
        if find_spec("matplotlib") is None:
            notes.append(f"Note: voltages.png was left out, it needs matplotlib: {WITHOUT_REPORT}")
        else:
            from wattswap.experiments.plots.voltages import voltage_plot

            used = (*input_names(tables.scenario), *(("bundled:grid/cables.csv",) if bundled else ()))
            with whole_file(run_dir / "voltages.png") as beside:
                voltage_plot(tables, found, credit(used)).savefig(beside, dpi=110, format="png")
    except OSError as error:
        notes.append(f"Note: {run_dir} was not written to ({error.strerror})")
    return notes


def _told(tables: RunTables, found: Voltages, single_phase: float) -> list[str]:
    figures = found.figures

    def at(extreme: dict[str, Any]) -> str:
        where = [extreme.get("cable") or extreme["bus"], *([extreme["phase"]] if "phase" in extreme else [])]
        return f"{', '.join(where)}, {tables.clock(extreme['t_ms'], '%a %H:%M')}"

    rows = (
        ("lowest voltage", f"{figures['least_v']['value']:.1f} V", at(figures["least_v"])),
        ("highest voltage", f"{figures['most_v']['value']:.1f} V", at(figures["most_v"])),
        ("outside 207 to 253 V", f"{figures['outside_min']:.0f} min", "at some place"),
        ("greatest unbalance", f"{figures['unbalance_pct']['value']:.2f} %", at(figures["unbalance_pct"])),
        ("busiest cable", f"{figures['cable_pct']['value']:.0f} %", at(figures["cable_pct"])),
        ("heaviest phase", f"{figures['phase_w']['value'] / 1_000:.1f} kW", at(figures["phase_w"])),
        ("losses", f"{figures['loss_kwh']:.1f} kWh", f"{figures['loss_pct']:.2f} % of what went in"),
    )
    width = max(len(value) for _, value, _ in rows)
    head = f"{tables.scenario['name']} on {len(found.network.ends)} cables, {single_phase:g} % of the cars on one phase"
    return [f"{head}; means of ten minutes\n", *(f"{name:22}{value:>{width}}  {where}" for name, value, where in rows)]
