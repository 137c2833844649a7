"""What a person should know of a run that did not come to its end before its tokens are called settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.experiments.run_clock import clock_of, end_of, told
from wattswap.experiments.settlement_note import settlement_note
from wattswap.ledger.archive import Archive
from wattswap.runners.payments.run_payments import meters_file, meters_identity
from wattswap.runners.recording.rundir import METERS, read_run

if TYPE_CHECKING:
    from pathlib import Path


def broken_off(run_dir: Path) -> str:
    """Until when a run has records and until when it was to go on; empty for one that is complete.

    Raises:
        InputError: it is no run directory, or its scenario or an archive of its meters cannot be read.
    """
    status = read_run(run_dir).status
    if status == "complete":
        return ""
    what = f"This run {'failed' if status == 'failed' else 'was interrupted'}"
    newest_ms = max(map(_newest_ms, (*run_dir.glob("meters-*.sqlite"), *run_dir.glob(METERS))), default=0)
    if not newest_ms:
        return f"{what}: only what it wrote down until then is settled."
    until = told(clock_of(run_dir), newest_ms)
    return f"{what}: its meter records end at {until}, and it was to go on until {end_of(run_dir):%Y-%m-%d %H:%M:%S}."


def records_lost(run_dir: Path) -> str:
    """From when on nothing was written down of what a run's meters showed, for a full disk; empty if all was.

    Raises:
        InputError: it is no run directory, or its scenario or an archive of its meters cannot be read.
    """
    note = settlement_note(run_dir)
    metered_ms = 0 if note is None else note.metered_until_ms
    newest_ms = min(map(_newest_ms, (*run_dir.glob("meters-*.sqlite"), *run_dir.glob(METERS))), default=metered_ms)
    if newest_ms >= metered_ms:
        return ""
    clock = clock_of(run_dir)
    return (
        f"Meter records end at {told(clock, newest_ms)}, and the run went on until {told(clock, metered_ms)}: what its"
        " meters showed after that was not written down, and is lost."
    )


def archives_gone(run_dir: Path) -> str:
    """Which of a run's archives of meter records lie no longer in its directory; empty if all do.

    Raises:
        InputError: it is no run directory.
    """
    note = settlement_note(run_dir)
    feeders = [] if note is None else [one for one in note.feeders or [""] if meters_identity(one) in note.identities]
    gone = [str(run_dir / meters_file(one)) for one in feeders if not (run_dir / meters_file(one)).is_file()]
    if not gone:
        return ""
    return f"{' and '.join(gone)} is gone, and with it what the meters showed: put it back from a backup."


def _newest_ms(archive: Path) -> int:
    with Archive(archive) as opened:
        return opened.newest_ms()
