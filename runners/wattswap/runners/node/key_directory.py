"""An agent's key directory: its two private keys, the public card that others are given, and whom it trusts.

    signing.key      Ed25519, signs what is said end to end (the format of ``wattswap keys new``)
    transport.key    X25519, the CURVE key of its connections
    public.json      name, role and both public keys: copy this file to those who shall trust the agent
    trusted/         one such file for each agent that this one trusts

The directory has mode 700, key files 600; a key file that others can read is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import msgspec
from msgspec import Meta
from nacl.public import PrivateKey
from nacl.utils import random

from wattswap.ledger.keys import create_private_file, read_key_file, read_private_file, write_key_file
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import SEED_BYTES, Signer
from wattswap.runners.node.roles import Role

if TYPE_CHECKING:
    from pathlib import Path

SIGNING: Final = "signing.key"
TRANSPORT: Final = "transport.key"
PUBLIC: Final = "public.json"
TRUSTED: Final = "trusted"
_OWNER_ONLY: Final = 0o700
_INVERTER: Final = "~inverter"
_MOST_BYTES: Final = 4_096

AgentName = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._~/-]+$")]
_Key = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class PublicIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What others know of an agent: name, role, and two public keys of 64 hexadecimal digits."""

    name: AgentName
    role: Role
    transport_key: _Key
    """Of its connections. Agents that share a process may share it."""
    signing_key: _Key
    """Of what it signs: calls, offers, awards, deliveries, mandates, receipts."""

    @property
    def transport(self) -> bytes:
        """The 32 bytes of the transport key."""
        return bytes.fromhex(self.transport_key)

    @property
    def signing(self) -> bytes:
        """The 32 bytes of the signing key."""
        return bytes.fromhex(self.signing_key)

    @property
    def speakers(self) -> tuple[PublicIdentity, ...]:
        """Who speaks with these keys: one agent; a battery is a vehicle of its name, and the charger it stands at."""
        if self.role != "battery":
            return (self,)
        inverter = msgspec.structs.replace(self, name=self.name + _INVERTER, role="charger")
        return msgspec.structs.replace(self, role="vehicle"), inverter


@dataclass(frozen=True)
class TransportKey:
    """A CURVE key pair, 32 bytes each. Neither ``repr`` nor ``pickle`` nor ``copy`` gives the secret away."""

    public: bytes
    secret: bytes = field(repr=False)

    @staticmethod
    def new() -> TransportKey:
        """A key that nobody had before."""
        return TransportKey.of(bytes(PrivateKey.generate()))

    @staticmethod
    def of(secret: bytes) -> TransportKey:
        """The pair of a secret."""
        return TransportKey(bytes(PrivateKey(secret).public_key), secret)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a secret travels as a key file or not at all."""
        raise TypeError("a transport key is not pickled or copied: hand over the path of its key directory")


@dataclass(frozen=True)
class AgentKeys:
    """Who an agent is, and the means to prove it."""

    identity: PublicIdentity
    transport: TransportKey
    signer: Signer


class _TransportFile(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="wattswap-transport-key",
):
    """What ``transport.key`` holds. The public key repeats what the secret says, to notice an edited file."""

    public_key: _Key
    secret_key: _Key

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"<transport key file of {self.public_key}>"


def new_agent_keys(folder: Path, name: str, role: Role, *, beside: Path | None = None) -> AgentKeys:
    """Make an agent's key directory with keys that nobody had before.

    The transport key is that of the agent whose key directory is ``beside``, if there is one: both will run in one
    process, behind one socket.

    Raises:
        InputError: there are keys in it already, it cannot be written, or the name cannot be used.
    """
    transport = TransportKey.new() if beside is None else read_agent_keys(beside).transport
    signer = Signer(random(SEED_BYTES))
    keys = AgentKeys(_identity(name, role, transport, signer), transport, signer)
    for file in (SIGNING, TRANSPORT, PUBLIC):
        if (folder / file).exists():
            raise InputError(f"{folder / file} exists already: keys are never overwritten, choose another directory")
    try:
        (folder / TRUSTED).mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        folder.chmod(_OWNER_ONLY)
    except OSError as error:
        raise InputError(f"cannot make the key directory {folder}: {error.strerror}") from None
    write_key_file(folder / SIGNING, signer)
    content = _TransportFile(public_key=transport.public.hex(), secret_key=transport.secret.hex())
    _write(folder / TRANSPORT, content)
    _write(folder / PUBLIC, keys.identity)
    return keys


def read_agent_keys(folder: Path) -> AgentKeys:
    """The keys that a directory holds.

    Raises:
        InputError: something is missing, open to others, no key file, or the files contradict each other.
    """
    if not folder.is_dir():
        raise InputError(
            f"there is no key directory {folder}: make it with `wattswap keys new {folder} --agent NAME --role ROLE`"
        )
    identity = read_identity(folder / PUBLIC)
    transport, signer = _read_transport(folder / TRANSPORT), read_key_file(folder / SIGNING)
    if identity != _identity(identity.name, identity.role, transport, signer):
        raise InputError(f"{folder / PUBLIC} is not of the keys beside it: it is torn or was edited")
    return AgentKeys(identity, transport, signer)


def read_identity(path: Path) -> PublicIdentity:
    """The public side of an agent, from its file.

    Raises:
        InputError: it cannot be read or is no such file.
    """
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=PublicIdentity)
    except PermissionError:
        raise InputError(
            f"cannot read {path}: it is another user's; run this as that user (sudo -u NAME), or, if you want its"
            f" public side, copy it where this user can read it (sudo cat {path} > FILE)"
        ) from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is not the {PUBLIC} of an agent's keys ({error})") from None


def _identity(name: str, role: Role, transport: TransportKey, signer: Signer) -> PublicIdentity:
    said = {
        "name": name,
        "role": role,
        "transport_key": transport.public.hex(),
        "signing_key": signer.public_key.hex(),
    }
    try:
        identity = msgspec.convert(said, PublicIdentity)
        for speaker in identity.speakers:
            msgspec.convert(speaker.name, AgentName)
    except msgspec.ValidationError:
        raise InputError(f"{name!r} is no name for an agent: 1 to 80 letters, digits and . _ ~ / -") from None
    return identity


def _read_transport(path: Path) -> TransportKey:
    try:
        text = read_private_file(path)
    except OSError as error:
        raise InputError(f"cannot read key file {path}: {error.strerror}") from None
    try:
        content = msgspec.json.decode(text, type=_TransportFile)
    except ValueError:
        # The decoder's text may quote the file: say less rather than show a secret.
        raise InputError(f"{path} is not a transport key file: make one with `wattswap keys new`") from None
    key = TransportKey.of(bytes.fromhex(content.secret_key))
    if key.public.hex() != content.public_key:
        raise InputError(f"{path} contradicts itself: its public key is not that of its secret")
    return key


def _write(path: Path, content: msgspec.Struct) -> None:
    text = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    try:
        create_private_file(path, text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
