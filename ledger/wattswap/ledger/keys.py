"""Key files: one private key each, readable by its owner alone. They live here because ``protocol`` touches no disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import msgspec

from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import LOCAL_NETWORK, SEED_BYTES, Signer

_OWNER_ONLY: Final = 0o600
_OTHERS: Final = 0o077
_MOST_BYTES: Final = 4_096


class _KeyFile(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="wattswap-key"
):
    """What is written. Public key and address repeat what the seed says: for people, and to notice an edited file."""

    seeded: bool
    public_key: str
    address: str
    secret_seed: str

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"<key file of {self.address}>"


def write_key_file(path: Path, signer: Signer) -> None:
    """Create the file with mode 600 and flush it to the disk.

    Raises ``InputError`` if the file exists (a key that is overwritten is lost) or cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(_content(signer)), indent=2) + b"\n"
    try:
        create_private_file(path, text)
    except FileExistsError:
        raise InputError(f"{path} exists already: key files are never overwritten, choose another name") from None
    except OSError as error:
        raise InputError(f"cannot write key file {path}: {error.strerror}") from None


def read_key_file(path: Path, *, network: str = LOCAL_NETWORK) -> Signer:
    """Give the signer whose key the file holds, for this network.

    Raises ``InputError`` if the file cannot be read, is open to others, or is not a key file.
    """
    try:
        text = read_private_file(path)
    except OSError as error:
        raise InputError(f"cannot read key file {path}: {error.strerror}") from None
    try:
        content = msgspec.json.decode(text, type=_KeyFile)
        seed = bytes.fromhex(content.secret_seed)
    except ValueError:
        # The decoder's text may quote the file: say less rather than show a secret.
        raise InputError(f"{path} is not a wattswap key file: make one with `wattswap keys new`") from None
    if len(seed) != SEED_BYTES:
        raise InputError(f"{path} does not hold a {SEED_BYTES}-byte key: it is torn or was edited")
    signer = Signer(seed, network=network, seeded=content.seeded)
    if content != _content(signer):
        raise InputError(f"{path} contradicts itself: its public key or address is not that of its secret")
    return signer


def _content(signer: Signer) -> _KeyFile:
    return _KeyFile(
        seeded=signer.seeded,
        public_key=signer.public_key.hex(),
        address=signer.address,
        secret_seed=signer.secret_seed().hex(),
    )


def create_private_file(path: Path, text: bytes) -> None:
    """Write a new file of mode 600 that nobody else could ever open, not even for an instant, and flush it.

    Raises ``OSError``: it exists already, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()  # half a key is worse than none, and would be in the way of the next try
        raise


def read_private_file(path: Path) -> bytes:
    """Read a small file after a look at the open file itself, so it cannot be swapped between the look and the read.

    Raises ``InputError`` if other users can read it, ``OSError`` if it cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is not a file")
        if mode & _OTHERS:
            raise InputError(f"{path} is open to other users: run `chmod 600 {path}`, and change the key if in doubt")
        return file.read(_MOST_BYTES)
