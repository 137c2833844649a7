"""A person's key files: where a key without a path lies, and whose address it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click
from nacl.utils import random

from wattswap.experiments.nearest import nearest
from wattswap.ledger.keys import read_key_file, write_key_file
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import SEED_BYTES, Signer

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_SUFFIX: Final = ".key"
_OWNER_ONLY: Final = 0o700


def key_path(word: str) -> Path:
    """The file that a word names: a plain name lies among the user's own keys, one with a dot or a slash is a path."""
    return folder() / f"{word}{_SUFFIX}" if _NAME.fullmatch(word) else Path(word).expanduser()


def folder() -> Path:
    """Where keys by name lie, in the user's configuration."""
    return Path(click.get_app_dir("wattswap")) / "keys"


def names() -> list[str]:
    """The user's keys by name."""
    return sorted(path.stem for path in folder().glob(f"*{_SUFFIX}"))


def new_key(word: str) -> tuple[Path, Signer]:
    """Make a key nobody had before and write its file.

    Raises:
        InputError: there is one already, or it cannot be written.
    """
    path = key_path(word)
    if path.parent == folder():
        try:
            path.parent.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {path.parent}: {error.strerror}") from None
    signer = Signer(random(SEED_BYTES))
    write_key_file(path, signer)
    return path, signer


def read_key(word: str) -> tuple[Path, Signer]:
    """The key that a word names.

    Raises:
        InputError: there is none (the nearest name is given), others can read it, or it is no key file.
    """
    path = key_path(word)
    if not path.exists() and _NAME.fullmatch(word):
        there = f"; the nearest is {nearest(word, known)!r}" if (known := names()) else ""
        raise InputError(f"there is no key {word!r} in {folder()}{there}: make one with `wattswap keys new {word}`")
    return path, read_key_file(path)
