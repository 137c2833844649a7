"""Errors: ours, a peer's, and a user's."""

from __future__ import annotations


class ProtocolError(Exception):
    """A step that the table of a round's states does not allow."""


class LocalProtocolError(ProtocolError):
    """We broke the protocol: our own bug. Raise, stop, fix."""


class RemoteProtocolError(ProtocolError):
    """A peer broke the protocol or sent what cannot be read: not our fault. Count it, drop the message, go on."""


class InputError(ValueError):
    """What a user gave cannot be used. The text is one line: what was wrong, where, and what to do."""
