"""Whose wallet is whose: accounts by name, their addresses, and the keys of those that this process may spend from."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nacl.utils import random

from wattswap.ledger.base import ANCHORS
from wattswap.ledger.book import SITE, wallet
from wattswap.ledger.crossing import site_account
from wattswap.ledger.keys import read_key_file, write_key_file
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import SEED_BYTES, Signer, seeded_signer

_ADDRESS = re.compile(r"0x[0-9a-f]{64}")


class Wallets(ABC):
    """The wallets a ledger knows."""

    seeded: bool
    """Whether a key was derived from a run's seed, so that anyone can spend from it."""
    private: bool
    """Whether a key is nobody's to derive, so that tokens worth something may lie there."""

    @abstractmethod
    def signer(self, account: str) -> Signer:
        """The key of an account. Raises ``InputError`` if it is not ours to spend from."""

    def address(self, account: str) -> str:
        """Where an account's tokens lie; an address is its own. Raises ``InputError`` for one that is not known."""
        return account if _ADDRESS.fullmatch(account) else self.signer(account).address


class SeededWallets(Wallets):
    """A wallet for any name, derived from a run's seed: reproducible, and fit for nothing but a devnet."""

    seeded, private = True, False

    def __init__(self, run_seed: int) -> None:
        self._run_seed = run_seed
        self._signers: dict[str, Signer] = {}

    def signer(self, account: str) -> Signer:
        """Its key."""
        if account not in self._signers:
            self._signers[account] = seeded_signer(self._run_seed, f"wallet of {account}")
        return self._signers[account]


class FileWallets(Wallets):
    """Wallets whose keys lie in files of mode 600, and addresses of those who are only paid."""

    def __init__(self, key_files: Mapping[str, Path], addresses: Mapping[str, str] | None = None) -> None:
        self._signers = {account: read_key_file(path) for account, path in key_files.items()}
        self._addresses = dict(addresses or {}) | {name: signer.address for name, signer in self._signers.items()}
        self.seeded = any(signer.seeded for signer in self._signers.values())
        self.private = any(not signer.seeded for signer in self._signers.values())
        for account, address in self._addresses.items():
            if not _ADDRESS.fullmatch(address):
                raise InputError(f"the address of {account!r} is not 0x and 64 hexadecimal digits: {address!r}")

    def address(self, account: str) -> str:
        """Where its tokens lie; an address is its own."""
        if account not in self._addresses and not _ADDRESS.fullmatch(account):
            raise InputError(f"nobody knows where the tokens of {account!r} lie: give its address or its key file")
        return self._addresses.get(account, account)

    def signer(self, account: str) -> Signer:
        """Its key."""
        if account not in self._signers:
            raise InputError(f"there is no key for the wallet of {account!r}: name its key file")
        return self._signers[account]


def wallets_of_folder(folder: Path, feeders: Sequence[str] = ("",), vehicles: Iterable[str] = ()) -> FileWallets:
    """The wallets whose keys lie in a folder: ``site.key``, ``gas.key``, ``anchors.key``, ``<vehicle>.key`` of cars.

    Of several ``feeders`` each site has its own, ``site-<feeder>.key``. A car of ``vehicles`` without a key gets one.

    Raises:
        InputError: there is no such folder, others can read it, or a key is missing that is not a car's.
    """
    accounts = {"-".join(filter(None, (SITE, feeder))): site_account(feeder) for feeder in feeders}
    accounts |= {"gas": "gas", ANCHORS: ANCHORS}
    if not folder.is_dir():
        lacking = ", ".join(f"{name}.key" for name in accounts)
        raise InputError(f"--keys {folder}: there is no such folder; make one and put {lacking} there")
    if folder.stat().st_mode & 0o077:
        raise InputError(f"--keys {folder}: other users can look into it; run `chmod 700 {folder}`")
    files = {path.stem: path for path in sorted(folder.glob("*.key"))}
    for name in accounts:
        if name not in files:
            raise InputError(
                f"--keys {folder}: {name}.key is missing; `wattswap keys new {folder / name}.key` makes one"
            )
    for vehicle in vehicles:
        if vehicle not in files:
            files[vehicle] = folder / f"{vehicle}.key"
            write_key_file(files[vehicle], Signer(random(SEED_BYTES)))
    owner: dict[str, str] = {}
    for name, path in files.items():
        if (other := owner.setdefault(read_key_file(path).address, name)) != name:
            raise InputError(f"--keys {folder}: {other}.key and {name}.key are one key; give each a key of its own")
    return FileWallets({accounts.get(name) or wallet(name): path for name, path in files.items()})
