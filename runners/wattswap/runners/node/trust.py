"""Whom a node trusts: agents by name, each bound to the key of its connections, read from the directory ``trusted/``.

The directory is looked at again while the node runs: an agent that is added may connect, one that is revoked is cut.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from wattswap.ledger.keys import create_private_file
from wattswap.protocol.errors import InputError
from wattswap.runners.node.key_directory import TRUSTED, PublicIdentity, read_identity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_SUFFIX: Final = ".json"
_REVOKED: Final = ".revoked"


class TrustStore:
    """The agents that a node trusts. Another thread may ask :meth:`allows` at any time."""

    def __init__(self, identities: Iterable[PublicIdentity] = (), revoked: Iterable[PublicIdentity] = ()) -> None:
        """Trust these; the revoked ones are only remembered, so that they are told apart from strangers.

        Raises:
            InputError: two have the same name.
        """
        self._agents: Mapping[str, PublicIdentity] = _by_name(one for card in identities for one in card.speakers)
        self._keys = frozenset(agent.transport for agent in self._agents.values())
        self.revoked = tuple(revoked)
        self._revoked = frozenset(agent.transport for agent in self.revoked) - self._keys

    def agent(self, name: str) -> PublicIdentity | None:
        """What is known of an agent, if it is trusted."""
        return self._agents.get(name)

    def __iter__(self) -> Iterator[PublicIdentity]:
        """All that are trusted."""
        return iter(self._agents.values())

    def allows(self, transport_key: bytes) -> bool:
        """Whether somebody with this key may connect."""
        return transport_key in self._keys

    def is_revoked(self, transport_key: bytes) -> bool:
        """Whether the key was trusted once and is no longer."""
        return transport_key in self._revoked

    @staticmethod
    def joined(stores: Iterable[TrustStore], without: Collection[str] = ()) -> TrustStore:
        """Trusts whoever one of these does, but for some names.

        Raises:
            InputError: two of them trust the same name with different keys.
        """
        all_of_them = tuple(stores)
        trusted = (agent for store in all_of_them for agent in store if agent.name not in without)
        return TrustStore(trusted, (agent for store in all_of_them for agent in store.revoked))

    def become(self, other: TrustStore) -> frozenset[bytes]:
        """Trust what another store does from now on; the keys that are trusted no longer."""
        lost = self._keys - other._keys
        self._agents, self._keys = other._agents, other._keys
        self.revoked, self._revoked = other.revoked, other._revoked
        return lost


class TrustDirectory:
    """The directory ``trusted/`` of a key directory."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the key directory."""
        self._folder = folder / TRUSTED
        self._seen: tuple[tuple[str, int, int], ...] | None = None

    def read(self) -> TrustStore:
        """All that stands in it.

        Raises:
            InputError: a file in it is no public side of an agent, or two agents have one name.
        """
        self._seen = self._look()
        return TrustStore(self._identities(_SUFFIX), self._identities(_REVOKED))

    def changed(self) -> bool:
        """Whether a file was added, removed or written since it was read."""
        return self._look() != self._seen

    def add(self, identity: PublicIdentity) -> Path:
        """Trust an agent from now on.

        Raises:
            InputError: another agent of this name is trusted already, or the directory cannot be written.
        """
        path = self._path(identity.name, _SUFFIX)
        if path.exists():
            if read_identity(path) == identity:
                return path
            raise InputError(
                f"{identity.name} is trusted with other keys ({path}): revoke them first, with --revoke {identity.name}"
            )
        text = msgspec.json.format(msgspec.json.encode(identity), indent=2) + b"\n"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_private_file(path, text)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from None
        return path

    def revoke(self, name: str) -> None:
        """Trust an agent no longer.

        Raises:
            InputError: no agent of this name is trusted.
        """
        path = self._path(name, _SUFFIX)
        if not path.exists():
            names = ", ".join(sorted(agent.name for agent in self._identities(_SUFFIX))) or "nobody"
            raise InputError(f"there is no {name!r} in {self._folder}; trusted are: {names}")
        path.replace(self._path(name, _REVOKED))

    def _path(self, name: str, suffix: str) -> Path:
        return self._folder / (quote(name, safe="") + suffix)

    def _identities(self, suffix: str) -> list[PublicIdentity]:
        return [read_identity(path) for path in sorted(self._folder.glob(f"*{suffix}"))]

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        try:
            with os.scandir(self._folder) as entries:
                return tuple(sorted((one.name, one.stat().st_mtime_ns, one.inode()) for one in entries))
        except OSError:
            return ()


class NodeTrust:
    """Whom the agents of a node trust, each by its own directory. The node lets in whoever one of them trusts."""

    def __init__(self, cards: Iterable[tuple[PublicIdentity, Path]]) -> None:
        """``cards`` are those of the agents here, each with its key directory.

        Raises:
            InputError: as :meth:`TrustDirectory.read`, or the agents here do not agree who somebody is.
        """
        self._cards = [(card, TrustDirectory(folder)) for card, folder in cards]
        self._here = {one.name for card, _ in self._cards for one in card.speakers}
        self.of = {one.name: TrustStore() for card, _ in self._cards for one in card.speakers}
        """By the name of the agent that trusts."""
        self.all = TrustStore()
        """Everybody, without those that are here themselves."""
        self.all.become(self.read())

    def read(self) -> TrustStore:
        """Read all directories; what the node trusts by now. Its agents do from then on, ``all`` when it is told."""
        read = [(card, TrustStore([*directory.read(), *_kin(card)])) for card, directory in self._cards]
        found = TrustStore.joined((store for _, store in read), without=self._here)
        for card, store in read:
            for one in card.speakers:
                self.of[one.name].become(store)
        return found

    def changed(self) -> bool:
        """Whether one of the directories has changed since it was read."""
        return any(directory.changed() for _, directory in self._cards)

    def hears(self, receiver: str, sender: str) -> bool:
        """Whether an agent that is here trusts another."""
        return self.of[receiver].agent(sender) is not None


def _kin(card: PublicIdentity) -> Iterable[PublicIdentity]:
    """Those who speak with the same card trust each other."""
    return card.speakers if len(card.speakers) > 1 else ()


def _by_name(identities: Iterable[PublicIdentity]) -> dict[str, PublicIdentity]:
    found: dict[str, PublicIdentity] = {}
    for identity in identities:
        if found.setdefault(identity.name, identity) != identity:
            raise InputError(f"two agents called {identity.name!r} are trusted: remove one of their files")
    return found
