"""The number that a run's wallets on a devnet are derived from. Whoever knows it can spend from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wattswap.ledger.keys import create_private_file, read_private_file
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SEED_FILE: Final = "wallets.seed"
"""In the run's directory, mode 600: all else there may be passed on."""


def write_wallets_seed(folder: Path, seed: int) -> None:
    """Keep the seed of a new run.

    Raises:
        InputError: the file is there already, or cannot be written.
    """
    try:
        create_private_file(folder / SEED_FILE, b"%d\n" % seed)
    except OSError as error:
        raise InputError(f"cannot write {folder / SEED_FILE}: {error.strerror}") from None


def read_wallets_seed(folder: Path, settlement: Mapping[str, Any]) -> int | None:
    """The seed of the run in a folder; None if it had none. A run of an older version has it in its figures.

    Raises:
        InputError: others can read the file, or it holds no number.
    """
    path = folder / SEED_FILE
    if not path.exists():
        seed: int | None = settlement.get("wallets_seed")
        return seed
    try:
        text = read_private_file(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if not text.strip().isdigit():  # the text says less rather than show a part of a secret
        raise InputError(f"{path} holds no number: it is torn or was edited")
    return int(text)
