"""What a run's ``run.json`` says of its ledger, checked before anything is gone by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from wattswap.protocol.errors import InputError
from wattswap.runners.recording.rundir import RUN_JSON, read_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class SettlementNote(Struct, frozen=True, kw_only=True):
    """The ledger of a run, and what was written down of its book and its meters."""

    ledger: str
    identities: dict[str, str]
    """The random ids of ledger, outbox and archives."""
    entries: int
    records: int
    run_id: str | None = None
    wallets_seed: int | None = None
    """In runs of before; since then it has a file of its own."""
    keys: str | None = None
    """The folder of the wallets' keys, if they had one."""
    feeders: list[str] = []
    public_key: str | None = None
    """Of the key that signs its meter records, in hexadecimal; runs of before do not say it."""
    records_by_site: dict[str, int] = {}
    metered_until_ms: int = 0


class _Figures(Struct):
    """A run that was cut off says no more than this."""

    settlement: SettlementNote | None = None


def settlement_note(run: Path) -> SettlementNote | None:
    """What a run notes of its ledger; None if it had none, or had not opened it.

    Raises:
        InputError: it is no run directory, or the note is not as the run wrote it.
    """
    read_run(run)  # says what else may be wrong with it
    try:
        return msgspec.json.decode((run / RUN_JSON).read_bytes(), type=_Figures).settlement
    except msgspec.ValidationError as error:
        raise InputError(
            f"{run / RUN_JSON}: its settlement cannot be read ({error}), and tokens may be owed: put it back from a"
            " backup"
        ) from None


def require_own(run: Path, identities: Mapping[str, str], name: str, found: str) -> None:
    """Refuse a ledger or outbox that is not the one that a run noted under this name.

    Another outbox would pay once more what the run's own has paid.

    Raises:
        InputError: it is another one.
    """
    wanted = identities.get(name, "")
    if found != wanted:
        raise InputError(
            f"{run} settled on {name} {wanted[:8]}, and this is {name} {found[:8]}: put back the right one"
        )
