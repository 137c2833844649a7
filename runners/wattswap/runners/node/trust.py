"""Whom a node trusts: agents by name, each bound to the key of its connections, read from the directory ``trusted/``.

The directory is looked at again while the node runs: an agent that is added may connect, one that is revoked is cut.
A file that cannot be read then changes nothing but itself: who stood in it last is trusted on, and it is tried again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from wattswap.ledger.keys import create_private_file
from wattswap.protocol.errors import InputError
from wattswap.runners.node.key_directory import TRUSTED, PublicIdentity, read_identity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_Stamp = tuple[int, int]
"""When a file was written, and its inode."""
_NEVER: Final = (0, 0)
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
        self.folder = folder / TRUSTED
        self._seen: dict[str, _Stamp] = {}
        self._cards: dict[str, PublicIdentity] = {}
        """What was last read in each file that is there."""
        self.troubles: tuple[str, ...] = ("it was not read yet",)
        """What could not be read the last time, a line each."""

    def read(self) -> TrustStore:
        """All that stands in it.

        Raises:
            InputError: a file in it is no public side of an agent, or two agents have one name.
        """
        self._seen, self._cards = {}, {}
        store = self.refreshed()
        if self.troubles:
            raise InputError(self.troubles[0])
        return store

    def refreshed(self) -> TrustStore:
        """All that stands in it; of what cannot be read, what was read there before. ``troubles`` tells."""
        troubles: list[str] = []
        try:
            there = self._look()
        except OSError as error:
            troubles.append(f"cannot look into {self.folder}: {error.strerror}")
            there = {file: self._seen.get(file, _NEVER) for file in self._cards}
        cards: dict[str, PublicIdentity] = {}
        trusted: dict[str, PublicIdentity] = {}
        seen: dict[str, _Stamp] = {}
        for file in sorted(there, key=lambda name: (name not in self._cards, name)):  # known ones keep their names
            card = self._cards.get(file)
            if card is None or self._seen.get(file) != there[file]:
                try:
                    card = read_identity(self.folder / file)
                except InputError as error:
                    troubles.append(str(error))
                else:
                    seen[file] = there[file]
            else:
                seen[file] = there[file]
            if card is None:
                continue
            if file.endswith(_SUFFIX) and any(trusted.setdefault(one.name, one) != one for one in card.speakers):
                troubles.append(f"{self.folder / file}: {_two_of(card.name)}")
            else:
                cards[file] = card
        self._seen, self._cards, self.troubles = seen, cards, tuple(troubles)
        revoked = (card for file, card in cards.items() if file.endswith(_REVOKED))
        return TrustStore((card for file, card in cards.items() if file.endswith(_SUFFIX)), revoked)

    def changed(self) -> bool:
        """Whether a file was added, removed or written since it was read, or something could not be read then."""
        try:
            return bool(self.troubles) or self._look() != self._seen
        except OSError:
            return True

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
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
            names = ", ".join(sorted(agent.name for agent in self.refreshed())) or "nobody"
            raise InputError(f"there is no {name!r} in {self.folder}; trusted are: {names}")
        path.replace(self._path(name, _REVOKED))

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / (quote(name, safe="") + suffix)

    def _look(self) -> dict[str, _Stamp]:
        """The files that are there; none where there is no directory.

        Raises:
            OSError: nobody knows which are there.
        """
        found: dict[str, _Stamp] = {}
        try:
            entries = os.scandir(self.folder)
        except FileNotFoundError:
            return found
        with entries:
            for one in entries:
                with suppress(FileNotFoundError):  # it has gone meanwhile
                    if one.name.endswith((_SUFFIX, _REVOKED)):
                        found[one.name] = one.stat().st_mtime_ns, one.inode()
        return found


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
        self.troubles: tuple[str, ...] = ()
        """What could not be read the last time, or contradicts what stands elsewhere; a line each."""
        self.all.become(self.read())
        if self.troubles:
            raise InputError(self.troubles[0])

    def read(self) -> TrustStore:
        """Read all directories; what the node trusts by now. Its agents do from then on, ``all`` when it is told.

        Where two agents here do not agree who somebody is, whoever was known before stays, and the other is left aside.
        """
        read = [(card, directory, directory.refreshed()) for card, directory in self._cards]
        troubles = [trouble for directory in (one for _, one, _ in read) for trouble in directory.troubles]
        named = {agent.name: agent for _, _, store in read for agent in store if self.all.agent(agent.name) == agent}
        stores: list[TrustStore] = []
        for card, directory, store in read:
            kept = {one.name: one for one in _kin(card)}
            for agent in store:
                taken = kept if agent.name in self._here else named
                if taken.setdefault(agent.name, agent) == agent:
                    kept[agent.name] = agent
                else:
                    troubles.append(f"{directory.folder}: {_two_of(agent.name)}")
            stores.append(TrustStore(kept.values(), store.revoked))
            for one in card.speakers:
                self.of[one.name].become(stores[-1])
        self.troubles = tuple(troubles)
        return TrustStore.joined(stores, without=self._here)

    def changed(self) -> bool:
        """Whether one of the directories has changed since it was read."""
        return any(directory.changed() for _, directory in self._cards)

    def everybody(self) -> dict[str, frozenset[PublicIdentity]]:
        """Whom each agent here trusts at present."""
        return {name: frozenset(store) for name, store in self.of.items()}

    def hears(self, receiver: str, sender: str) -> bool:
        """Whether an agent that is here trusts another."""
        return self.of[receiver].agent(sender) is not None


def _kin(card: PublicIdentity) -> Iterable[PublicIdentity]:
    """Those who speak with the same card trust each other."""
    return card.speakers if len(card.speakers) > 1 else ()


def _two_of(name: str) -> str:
    return f"two agents called {name!r} are trusted: remove one of their files"


def _by_name(identities: Iterable[PublicIdentity]) -> dict[str, PublicIdentity]:
    found: dict[str, PublicIdentity] = {}
    for identity in identities:
        if found.setdefault(identity.name, identity) != identity:
            raise InputError(_two_of(identity.name))
    return found
