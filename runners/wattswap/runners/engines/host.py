"""What a driver needs of the place it runs in: the simulator's loop, or a process with a socket and a charger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wattswap.protocol.errors import LocalProtocolError
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.observer import Note


class Host(Protocol):
    """The place that agents run in. ``post`` and ``set_power`` are called after all that was to be kept is durable."""

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way."""

    def tell(self, agent: str, event: Event) -> None:
        """Let an agent learn of something at once."""

    def wake_at(self, agent: str, at_ms: int) -> None:
        """Wake an agent at an instant of its clock."""

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """Let a session's car draw and feed so much from now on."""

    def note(self, agent: str, note: Note) -> None:
        """Keep an agent's note for the record."""

    def refused(self, agent: str, error: LocalProtocolError) -> None:
        """The site's book refuses a payment or a bill; raise, or go on without it."""

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """The bill of a departed session is netted; so much of it is still owed."""
