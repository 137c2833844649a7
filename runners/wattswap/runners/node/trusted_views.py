"""What agents look up of those whom they trust: always as it is now, for trust changes while a node runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattswap.runners.node.roles import Role
    from wattswap.runners.node.trust import TrustStore


class SigningKeys(Mapping[str, bytes]):
    """The signing keys of all who are trusted, as they are now."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust

    def __getitem__(self, name: str) -> bytes:
        if (agent := self._trust.agent(name)) is None:
            raise KeyError(name)
        return agent.signing

    def __iter__(self) -> Iterator[str]:
        return (agent.name for agent in self._trust)

    def __len__(self) -> int:
        return sum(1 for _ in self._trust)


class TrustedNames(Collection[str]):
    """The names of all who are trusted in one role, as they are now."""

    def __init__(self, trust: TrustStore, role: Role) -> None:
        self._trust, self._role = trust, role

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (agent := self._trust.agent(name)) is not None and agent.role == self._role

    def __iter__(self) -> Iterator[str]:
        return (agent.name for agent in self._trust if agent.role == self._role)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class TrustedChargers(Mapping[str, int]):
    """The most that each charger draws which is trusted now."""

    def __init__(self, trust: TrustStore, max_w: int) -> None:
        self._names, self._max_w = TrustedNames(trust, "charger"), max_w

    def __getitem__(self, name: str) -> int:
        if name not in self._names:
            raise KeyError(name)
        return self._max_w

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
