"""Who is on this network: agents announce themselves by multicast DNS (``_wattswap._tcp``) and find each other.

An announcement is only a hint where a trusted agent may be reached. Anybody can announce anything, so its text is
checked like any input, and the connection that follows proves who is there. Registering takes more than a second, so
all of it happens in a thread of its own; the node's loop only takes out what was found.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import ifaddr
import msgspec
from zeroconf import Error, IPVersion, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from wattswap.runners.node.key_directory import PublicIdentity

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVICE: Final = "_wattswap._tcp.local."
_LOOK_S: Final = 1.0
"""So often the machine's own addresses are looked at: Wi-Fi comes and goes."""
_ASK_MS: Final = 3_000
_MOST_WAITING: Final = 1_000
_TEXTS: Final = ("name", "role", "transport_key", "signing_key")


@dataclass(frozen=True)
class FoundAgent:
    """An agent says that it can be reached here."""

    identity: PublicIdentity
    host: str
    port: int


class Discovery:
    """Announces agents and looks for others, until it is closed."""

    def __init__(self, announced: Sequence[tuple[PublicIdentity, int]], interfaces: Sequence[str] = ()) -> None:
        """``announced`` are agents and their ports (1 for one that only connects, so that it can be paired with).

        ``interfaces`` are addresses of this machine to use; without any, all but the loopback's.
        """
        self._announced, self._interfaces = tuple(announced), tuple(interfaces)
        self._found: SimpleQueue[FoundAgent] = SimpleQueue()
        self._closed = Event()
        self.failure: str | None = None
        """Why multicast does not work at present; None while it does."""
        self.announcing = Event()
        """Set while the agents are announced."""
        self._thread = Thread(target=self._run, name="wattswap-discovery", daemon=True)
        self._thread.start()

    def found(self) -> list[FoundAgent]:
        """What was found since the last call, oldest first. Never waits."""
        agents = []
        with suppress(Empty):
            while True:
                agents.append(self._found.get_nowait())
        return agents

    def close(self) -> None:
        """Withdraw the announcements and stop."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        """Announce and listen on the addresses there are; begin again whenever they change."""
        while not self._closed.is_set():
            addresses: list[str] = []
            try:
                addresses = self._addresses()
                if addresses:
                    self._serve(addresses)
                    continue
                self.failure = f"this machine has no network address{self._asked()}"
            except (OSError, Error) as error:
                self.failure = f"multicast on {', '.join(addresses) or 'this machine'} does not work: {error}"
            self._closed.wait(_LOOK_S)

    def _serve(self, addresses: list[str]) -> None:
        with Zeroconf(interfaces=addresses, ip_version=IPVersion.V4Only) as zeroconf:
            try:
                ServiceBrowser(zeroconf, SERVICE, listener=_Listener(self._found))
                for identity, port in self._announced:
                    zeroconf.register_service(_service(identity, port, addresses), allow_name_change=False)
                self.failure = None
                self.announcing.set()
                while not self._closed.wait(_LOOK_S) and self._addresses() == addresses:
                    pass
            finally:
                self.announcing.clear()

    def _asked(self) -> str:
        return f" {' or '.join(self._interfaces)}" if self._interfaces else ""

    def _addresses(self) -> list[str]:
        """The IPv4 addresses to use, of those that the machine has now."""
        there = [str(one.ip) for adapter in ifaddr.get_adapters() for one in adapter.ips if one.is_IPv4]
        if self._interfaces:
            return [address for address in self._interfaces if address in there]
        return sorted(address for address in there if not address.startswith("127."))


class _Listener(ServiceListener):
    """Puts what it can read into the queue; called in a thread of the library's."""

    def __init__(self, found: SimpleQueue[FoundAgent]) -> None:
        self._found = found

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Somebody is there."""
        info = zc.get_service_info(type_, name, _ASK_MS)
        if info is None or self._found.qsize() >= _MOST_WAITING:
            return
        identity = _identity(info)
        if identity is not None and info.port:
            for host in info.parsed_addresses(IPVersion.V4Only):
                self._found.put(FoundAgent(identity, host, info.port))

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Somebody is there anew, perhaps elsewhere."""
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Somebody left: the connection tells sooner and better."""


def look_around(seconds: float, interfaces: Sequence[str] = ()) -> list[FoundAgent]:
    """Everyone who announces itself within so many seconds, by name."""
    discovery = Discovery((), interfaces)
    try:
        time.sleep(seconds)
        found = {(one.identity, one.host): one for one in discovery.found()}
    finally:
        discovery.close()
    return sorted(found.values(), key=lambda one: (one.identity.name, one.host))


def _service(identity: PublicIdentity, port: int, addresses: list[str]) -> ServiceInfo:
    label = blake2b(identity.name.encode() + identity.transport, digest_size=8).hexdigest()
    texts = {key: getattr(identity, key) for key in _TEXTS}
    return ServiceInfo(
        SERVICE,
        f"{label}.{SERVICE}",
        port=port,
        properties=texts,
        server=f"wattswap-{label}.local.",
        parsed_addresses=addresses,
    )


def _identity(info: ServiceInfo) -> PublicIdentity | None:
    """Who announces itself, or None if the text is not one of ours."""
    texts = {key: info.decoded_properties.get(key) for key in _TEXTS}
    try:
        return msgspec.convert(texts, PublicIdentity)
    except msgspec.ValidationError:
        return None
