"""Is this machine fit to be a node: what a person would look at before asking why nothing happens."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import struct
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import ifaddr
import zmq

from wattswap.protocol.errors import InputError
from wattswap.runners.node.key_directory import read_agent_keys
from wattswap.runners.node.trust import TrustDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Check = Callable[[], "Finding"]

_LIBRARIES: Final = ("msgpack", "msgspec", "numpy", "pynacl", "pyzmq", "structlog", "zeroconf")
_EXTRAS: Final = ("gpiozero", "iota-sdk", "paho-mqtt")
_LEAST_LIBZMQ: Final = (4, 3, 2)
"""The first with ``ZAP_ENFORCE_DOMAIN`` working and with heartbeats that count CURVE traffic."""
_LEAST_DISK_MB: Final = 200
_SLOW_FSYNC_MS: Final = 100
_OLDEST_PLAUSIBLE_S: Final = 1_700_000_000
_GROUP: Final = "224.0.0.251"
_ADJTIMEX_UNSYNCHRONISED: Final = 5


@dataclass(frozen=True)
class Finding:
    """What one look found."""

    name: str
    state: Literal["ok", "warn", "fail"]
    """``warn``: the node runs, but something will be missing."""
    text: str
    advice: str = ""
    """What to do about it."""


def examine(*, keys: Path | None, host: str, port: int, state: Path) -> Iterator[Finding]:
    """Look at everything, one after the other; no look ends the others.

    ``keys`` is a key directory, ``port`` one that the node will listen on, 0 for none, ``state`` where its store lies.
    """
    yield _system()
    yield from _libraries()
    if keys is not None:
        yield _keys(keys)
    if port:
        yield _port(host, port)
    yield _clock()
    yield _synchronised()
    yield _multicast()
    yield _disk(state)


def _system() -> Finding:
    bits = struct.calcsize("P") * 8
    about = f"{sys.platform}, {os.uname().machine}, Python {sys.version.split()[0]}, {bits} bits"
    if bits < 64:
        return Finding("system", "fail", about, "install the 64-bit Raspberry Pi OS: there are no 32-bit wheels")
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("system", "warn", about, "Python 3.11 to 3.13 are tried")
    return Finding("system", "ok", about)


def _libraries() -> Iterator[Finding]:
    found = {name: there for name in ("wattswap", *_LIBRARIES) if (there := _version(name))}
    missing = [name for name in _LIBRARIES if name not in found]
    text = ", ".join(f"{name} {there}" for name, there in found.items())
    if missing:
        yield Finding("libraries", "fail", text, f"pip install {' '.join(missing)}")
    else:
        yield Finding("libraries", "ok", text)
    about = f"libzmq {zmq.zmq_version()}"
    if not zmq.has("curve"):
        yield Finding(
            "libzmq",
            "fail",
            f"{about} without CURVE",
            "install pyzmq's own wheel: pip install --only-binary :all: pyzmq",
        )
    elif zmq.zmq_version_info() < _LEAST_LIBZMQ:
        yield Finding("libzmq", "fail", about, "pip install --upgrade pyzmq")
    else:
        yield Finding("libzmq", "ok", f"{about} with CURVE")
    extras = [f"{name} {there}" for name in _EXTRAS if (there := _version(name))]
    yield Finding("extras", "ok", ", ".join(extras) or "none (MQTT meters, pins and IOTA need theirs)")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _keys(folder: Path) -> Finding:
    try:
        identity = read_agent_keys(folder).identity
        trusted = sorted(agent.name for agent in TrustDirectory(folder).read())
    except InputError as error:
        return Finding("keys", "fail", str(error), "the text says what to do")
    if not trusted:
        return Finding("keys", "warn", f"{identity.name} trusts nobody yet", f"wattswap keys trust {folder} FILE")
    return Finding("keys", "ok", f"{identity.name} ({identity.role}) trusts {', '.join(trusted)}")


def _port(host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        advice = "stop the other program (`ss -ltnp` names it), or choose another port"
        return Finding("port", "fail", f"{host}:{port}: {error.strerror}", advice)
    return Finding("port", "ok", f"{host}:{port} is free")


def _clock() -> Finding:
    resolution_ns = round(time.get_clock_info("monotonic").resolution * 1e9)
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime())
    if time.time() < _OLDEST_PLAUSIBLE_S:
        return Finding("clock", "fail", f"{now} cannot be", "set the clock, or wait for the network to set it")
    return Finding("clock", "ok", f"{now}; monotonic to {resolution_ns} ns")


def _synchronised() -> Finding:
    """Leases count on monotonic clocks alone; departures and records want the wall's time right within minutes."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError):
        return Finding("time service", "warn", "this system does not say whether its clock is set by the network")
    if state in (_ADJTIMEX_UNSYNCHRONISED, -1):
        advice = "timedatectl set-ntp true; a street without internet needs one Pi as its time server"
        return Finding("time service", "warn", "nobody sets this clock", advice)
    return Finding("time service", "ok", "the network sets this clock")


def _multicast() -> Finding:
    """Whether multicast DNS can be spoken on at least one interface."""
    addresses = [str(one.ip) for adapter in ifaddr.get_adapters() for one in adapter.ips if one.is_IPv4]
    outward = [address for address in addresses if not address.startswith("127.")]
    works, trouble = [], ""
    for address in outward:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
                membership = socket.inet_aton(_GROUP) + socket.inet_aton(address)
                trial.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
                trial.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
                trial.sendto(b"\0" * 12, (_GROUP, 5_353))  # an empty DNS message, which everyone drops
        except OSError as error:
            trouble = f" ({error.strerror})"
        else:
            works.append(address)
    if works:
        return Finding("multicast", "ok", f"agents can be found through {', '.join(works)}")
    text = f"no multicast through {', '.join(outward)}{trouble}" if outward else "no network address but the loopback's"
    return Finding("multicast", "warn", text, "name fixed addresses in the configuration, or mend the network")


def _disk(state: Path) -> Finding:
    folder = next((place for place in (state, *state.absolute().parents) if place.is_dir()), Path("/"))
    try:
        free_mb = shutil.disk_usage(folder).free // 1_000_000
        began = time.monotonic()
        with tempfile.NamedTemporaryFile(dir=folder) as trial:
            trial.write(b"x" * 8_192)
            trial.flush()
            os.fsync(trial.fileno())
        sync_ms = round((time.monotonic() - began) * 1_000)
    except OSError as error:
        return Finding("disk", "fail", f"{folder}: {error.strerror}", "make room, or let the node write there")
    text = f"{free_mb:,} MB free at {folder}; a write is safe after {sync_ms} ms"
    if free_mb < _LEAST_DISK_MB:
        return Finding("disk", "fail", text, f"at least {_LEAST_DISK_MB} MB are wanted: a full disk stops all raises")
    if sync_ms > _SLOW_FSYNC_MS:
        return Finding("disk", "warn", text, "a better SD card or a USB disk makes the node answer sooner")
    return Finding("disk", "ok", text)
