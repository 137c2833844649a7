"""``wattswap meter``: a site's meter records, and whether they are still what the site signed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wattswap.cli.examples import examples
from wattswap.cli.groups import CommandGroup
from wattswap.cli.where import as_json, where
from wattswap.experiments.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wattswap.experiments.ledger_places import LedgerPlace
    from wattswap.experiments.meter_proofs import ProofFile
    from wattswap.experiments.meters import Listed, MeterSite, Verified
    from wattswap.ledger.anchors import Fault

BROKEN = 1
_RUN = "runs/20261122T181508-demo-negotiated-s1"
_Command = TypeVar("_Command", bound="Callable[..., Any]")


def _whose(command: _Command) -> _Command:
    """The options that say which site is meant."""
    for option in (
        click.option("--public-key", metavar="HEX", help="The site's, if you know it; else the run's."),
        click.option("--address", metavar="0x...", help="Of the wallet that anchors on a network; else the run's."),
        click.option("--site", metavar="NAME", help="Needed where several sites share a ledger."),
    ):
        command = option(command)
    return command


@click.group(cls=CommandGroup, epilog=examples(f"wattswap meter verify --run {_RUN}"))
def meter() -> None:
    """The signed meter records of a site, on its ledger and in its archive."""


@meter.command(
    "list",
    epilog=examples(
        f"wattswap meter list --run {_RUN} --last 10",
        "wattswap meter list --ledger sqlite:street.sqlite --json",
    ),
)
@click.option("--last", type=click.IntRange(1), metavar="COUNT", help="Only the newest so many.")
@_whose
@where
@as_json
def list_(
    last: int | None,
    site: str | None,
    address: str | None,
    public_key: str | None,
    run_dir: Path | None,
    ledger: str | None,
    as_json: bool,
) -> None:
    """A site's records: when, which, how many meters and readings, their hash, and where they lie."""
    from wattswap.experiments.ledger_places import place_of
    from wattswap.experiments.meters import open_site

    place = place_of(ledger, run_dir)
    with open_site(place, name=site, public_key=public_key, address=address) as found:
        if as_json:
            records = [_record(place, one) for one in found.listed(last)]
            click.echo(json.dumps({**_about(found), "records": records}, indent=2))
            return
        for one in found.listed(last):
            click.echo(_line(place, one))
        if found.last < 0:
            click.echo(f"{found.name} has no records yet.")


@meter.command(
    epilog=examples(
        f"wattswap meter verify --run {_RUN}",
        "wattswap meter verify --ledger sqlite:street.sqlite --public-key 5c4b...",
        "wattswap meter verify --proof mine.json",
    )
)
@click.option(
    "--proof", type=click.Path(path_type=Path), metavar="FILE", help="Check one customer's proof against its record."
)
@_whose
@where
@as_json
@click.pass_context
def verify(
    ctx: click.Context,
    proof: Path | None,
    site: str | None,
    address: str | None,
    public_key: str | None,
    run_dir: Path | None,
    ledger: str | None,
    as_json: bool,
) -> None:
    """Fetch a site's records from the ledger and name every one that was altered, is missing or stands elsewhere.

    Each record names the hash of the one before, begins where that one ended, and is signed. With a run, the records
    are also compared with those the site kept. Exit code 1 if a check failed.
    """
    from wattswap.experiments.ledger_places import place_of

    if proof is not None:
        sound = _verify_proof(proof, ledger, run_dir, site, address, public_key, as_json=as_json)
    else:
        sound = _verify_all(place_of(ledger, run_dir), site, address, public_key, as_json=as_json)
    if not sound:
        ctx.exit(BROKEN)


@meter.command(
    epilog=examples(f"wattswap meter proof charger/C021 --at 2018-11-25T18:30:00 --run {_RUN} --out mine.json")
)
@click.argument("meter_name", metavar="METER")
@click.option("--at", required=True, metavar="TIME", help="The last reading up to here; in the street's time.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where to write it.")
@_whose
@where
def proof(
    meter_name: str,
    at: str,
    out: Path,
    site: str | None,
    address: str | None,
    public_key: str | None,
    run_dir: Path | None,
    ledger: str | None,
) -> None:
    """Write the proof of one reading: what a customer checks against the ledger without seeing anyone else's.

    For sites that keep their readings private (only the root of a salted Merkle tree is on the ledger).
    """
    from wattswap.experiments.ledger_places import place_of
    from wattswap.experiments.meter_proofs import proof_of, write_proof
    from wattswap.experiments.meters import open_site
    from wattswap.experiments.run_clock import told

    place = place_of(ledger, run_dir)
    with open_site(place, name=site, public_key=public_key, address=address) as found:
        file = proof_of(found, meter_name, at)
    write_proof(out, file)
    reading, sequence = file.proof.reading, file.proof.sequence
    click.echo(f"Wrote {out}: {reading.meter} at {told(place.clock, reading.at_ms)}, record {sequence} of {file.site}")


@meter.command(
    epilog=examples(
        f"wattswap meter receipt charger/C021 --from 2018-11-25T18:00 --to 2018-11-25T20:00 --run {_RUN} --out my.ocmf"
    )
)
@click.argument("meter_name", metavar="METER")
@click.option("--from", "begins", required=True, metavar="TIME", help="When the stay began; in the street's time.")
@click.option("--to", "ends", required=True, metavar="TIME", help="When it ended.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where to write it.")
@click.option("--site", metavar="NAME", help="Needed where several sites share a ledger.")
@click.option(
    "--run", "run_dir", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A run directory."
)
def receipt(meter_name: str, begins: str, ends: str, out: Path, site: str | None, run_dir: Path) -> None:
    """Write what a meter showed at the beginning and the end of a stay, for verifiers of the field.

    The file is in the Open Charge Metering Format (OCMF), signed over secp256r1 by a key that follows from the site's.
    """
    from wattswap.experiments.ledger_places import place_of
    from wattswap.experiments.meter_proofs import receipt_of, write_new
    from wattswap.experiments.meters import open_site

    with open_site(place_of(None, run_dir), name=site) as found:
        line, public_key = receipt_of(found, meter_name, begins, ends)
    write_new(out, line.encode())
    click.echo(f"Wrote {out}\npublic key  {public_key.hex()}")


def _verify_all(
    place: LedgerPlace, site: str | None, address: str | None, public_key: str | None, *, as_json: bool
) -> bool:
    from wattswap.cli.progress import progress_bar
    from wattswap.experiments.broken_off import archives_gone, broken_off, records_lost
    from wattswap.experiments.meters import open_site

    with (
        open_site(place, name=site, public_key=public_key, address=address) as found,
        progress_bar(found.last + 1, f"{found.name}, checked", every=1) as progress,
    ):
        verified = found.verified(progress)
    lost = "" if place.run is None else archives_gone(place.run) or records_lost(place.run)
    if as_json:
        said = {
            **_about(found),
            "ok": verified.ok and not lost,
            "records": verified.records,
            "readings": verified.readings,
            "faults": _faults(verified),
            "lost": lost,
        }
        click.echo(json.dumps(said, indent=2))
    else:
        _show_verified(found, verified)
        told = "" if place.run is None else broken_off(place.run)
        for line in filter(None, (told, lost)):
            click.echo(line)
    return verified.ok and not lost


def _verify_proof(
    path: Path,
    ledger: str | None,
    run_dir: Path | None,
    site: str | None,
    address: str | None,
    public_key: str | None,
    *,
    as_json: bool,
) -> bool:
    from wattswap.experiments.ledger_places import place_of
    from wattswap.experiments.meter_proofs import checked, read_proof
    from wattswap.experiments.meters import open_site

    file = read_proof(path)
    place = place_of(ledger or (file.ledger if run_dir is None else None), run_dir)
    key = public_key or (file.public_key if run_dir is None else None)
    with open_site(place, name=site or file.site, public_key=key, address=address or file.address or None) as found:
        fault = checked(file, found)
    if as_json:
        reading = {name: getattr(file.proof.reading, name) for name in file.proof.reading.__struct_fields__}
        said = {**_about(found), "ok": not fault, "record": file.proof.sequence, "reading": reading, "fault": fault}
        click.echo(json.dumps(said, indent=2))
    elif fault:
        click.echo(fault)
    else:
        _show_proven(file, found, given=public_key is not None or run_dir is not None)
    return not fault


def _show_proven(file: ProofFile, site: MeterSite, *, given: bool) -> None:
    from wattswap.experiments.run_clock import told

    reading = file.proof.reading
    click.echo(
        f"proven: {reading.meter} at {told(site.place.clock, reading.at_ms)} showed {reading.import_ws:,} W·s drawn and"
        f" {reading.export_ws:,} W·s fed back, in record {file.proof.sequence} of {site.name} on {site.place.ledger}"
    )
    if not given:
        click.echo(f"Note: it is signed by {site.public_key.hex()}; make sure that this is the site's key.")


def _show_verified(site: MeterSite, verified: Verified) -> None:
    for line in _folded(verified.ledger):
        click.echo(line)
    for line in _folded(verified.archive):
        click.echo(f"{line} (in the archive)")
    if verified.ok:
        click.echo(
            f"{counted(verified.records, 'record')} of {site.name} on {site.place.ledger},"
            f" {counted(verified.readings, 'reading')}: all as signed"
        )
    if site.archive is None and site.place.run is None:
        click.echo("Note: whether records are missing at the end only the site's archive can tell; name its --run.")
    if not site.is_key_known:
        click.echo(f"Note: they name {site.public_key.hex()} as their key; say whose it must be with --public-key.")


def _folded(faults: Sequence[Fault]) -> list[str]:
    """A line a fault; one for all of a stretch of records of which the same is said."""
    stretches: list[tuple[Fault, int]] = []
    """Each by its first fault and the sequence of its last."""
    newest: dict[str, int] = {}
    for fault in faults:
        place = newest.get(fault.text)
        if place is not None and stretches[place][1] == fault.sequence - 1:
            stretches[place] = (stretches[place][0], fault.sequence)
        else:
            newest[fault.text] = len(stretches)
            stretches.append((fault, fault.sequence))
    return [
        str(first) if last == first.sequence else f"records {first.sequence} to {last}, each: {first.text}"
        for first, last in stretches
    ]


def _faults(verified: Verified) -> list[dict[str, Any]]:
    places = (("ledger", verified.ledger), ("archive", verified.archive))
    return [
        {"sequence": fault.sequence, "where": where, "text": fault.text} for where, faults in places for fault in faults
    ]


def _about(site: MeterSite) -> dict[str, Any]:
    return {
        "site": site.name,
        "ledger": site.place.ledger,
        "address": site.address or None,
        "public_key": site.public_key.hex(),
        "network": site.network,
    }


def _line(place: LedgerPlace, one: Listed) -> str:
    from wattswap.experiments.run_clock import told

    if one.record is None:
        return f"{one.sequence:6}  {'cannot be read':32}  {one.hash}  {one.where}"
    meters = "" if one.meters is None else f"{counted(one.meters, 'meter')}  "
    begins, ends = told(place.clock, one.record.from_ms), told(place.clock, one.record.to_ms)
    period = f"{begins} to {ends.rpartition(' ')[2]}"
    return f"{one.sequence:6}  {period}  {meters}{counted(one.record.count, 'reading')}  {one.hash}  {one.where}"


def _record(place: LedgerPlace, one: Listed) -> dict[str, Any]:
    from wattswap.experiments.run_clock import told

    record = one.record
    plain: dict[str, Any] = {"sequence": one.sequence, "hash": one.hash, "where": one.where}
    if record is None:
        return plain
    return plain | {
        "from_ms": record.from_ms,
        "to_ms": record.to_ms,
        "from": told(place.clock, record.from_ms),
        "to": told(place.clock, record.to_ms),
        "meters": one.meters,
        "readings": record.count,
        "detail": "root" if record.root else "full",
    }
