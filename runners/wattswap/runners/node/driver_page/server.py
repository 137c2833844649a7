"""The driver's page of a car on its own machine: what it does, and what its driver wants of it from the next beat on.

    GET /       the page
    GET /car    what the car does, as JSON; with the driver's token
    POST /wish  {"wish": "veto" | "stop" | "sell" | "full-by" | "at-least", "by_unix_ms": N, "least_wh": N}; likewise

The token stands in a file of the car's state that only its user can read, as a whole address. It is in no log.
"""

from __future__ import annotations

import re
import secrets
import time
from importlib.resources import files
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import WS_PER_WH
from wattswap.runners.engines.driver_wishes import Said, Wish
from wattswap.runners.node.bounded_server import BoundedServer, QuietRequest
from wattswap.runners.node.clock import EPOCH_S
from wattswap.runners.page_guard import POLICY, PageGuard

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from wattswap.agents.base import Agent
    from wattswap.runners.node.sensors import CarSensor

ADDRESS_FILE: Final = "driver.url"
_MOST_BYTES: Final = 1_000
_MOST_AHEAD_MS: Final = 7 * 24 * 3_600_000
_FILES: Final = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class _WishPosted(Struct, frozen=True, forbid_unknown_fields=True):
    """What the page sends."""

    wish: Wish
    by_unix_ms: int | None = None
    least_wh: Annotated[int, Meta(ge=0)] | None = None


class CarNow(Struct, frozen=True, kw_only=True):
    """What a car does now, as its driver's page shows it."""

    car: str
    charger: str | None = None
    """Where it is plugged in."""
    power_w: int | None = None
    """Over the last beat; negative while it feeds. None where its charger has not told it, as with the next two."""
    missing_wh: int | None = None
    """Of what its driver asked for."""
    stored_wh: int | None = None
    is_silent: bool = False
    """Whether its charger, or the car's own node, has told nothing for the length of a lease."""
    capacity_wh: int = 0
    sells: bool = True
    full_by_unix_ms: int | None = None
    least_wh: int = 0
    earned_nanos: int = 0


class _WishRefusedError(Exception):
    """A request is not carried out: a status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class DriverPage:
    """Serves the page in a thread of its own, until it is closed."""

    def __init__(
        self,
        host: str,
        port: int,
        sensor: CarSensor,
        token: str,
        log: FilteringBoundLogger,
        *,
        name: str,
        lease_ms: int,
    ) -> None:
        """``sensor`` hears what the driver says, and ``log`` has a line of it; ``name`` is the car's.

        After ``lease_ms`` without a reading nobody knows any more what the car does.

        Raises:
            InputError: the port is taken, or the address is not this machine's.
        """
        self._sensor, self._token, self._log = sensor, token, log
        self._now, self._lease_s = CarNow(car=name), lease_ms / 1_000
        self._read, self._heard_s = sensor.reading, monotonic()
        """The newest reading, and when it came."""
        page, guard = self, PageGuard()
        pages = {
            path: (media, files(__package__).joinpath(file).read_bytes()) for path, (file, media) in _FILES.items()
        }

        class _DriverRequest(QuietRequest):
            def do_GET(self) -> None:  # noqa: N802 - the library's name
                self._carry_out(lambda: page.shown(self.path, self.headers.get("authorization", ""), pages))

            def do_POST(self) -> None:  # noqa: N802 - likewise
                self._carry_out(self._wish)

            def _wish(self) -> tuple[str, bytes]:
                if self.path != "/wish":
                    raise _WishRefusedError(404, "there is no such page")
                page.require(self.headers.get("authorization", ""))
                if self.headers.get("content-type") != "application/json":
                    raise _WishRefusedError(415, "a wish is JSON")
                length = self.headers.get("content-length", "")
                if not length.isdecimal() or int(length) > _MOST_BYTES:
                    raise _WishRefusedError(413, "a wish is shorter, and says its length")
                page.say(self.rfile.read(int(length)))
                return "text/plain", b"the car has been told\n"

            def _carry_out(self, what: object) -> None:
                try:
                    if (why := guard.refusal({name.lower(): text for name, text in self.headers.items()})) is not None:
                        raise _WishRefusedError(403, why)
                    assert callable(what)
                    media, content = what()
                    self.answer(200, f"{media}; charset=utf-8", content, POLICY)
                except _WishRefusedError as refused:
                    self.answer(refused.status, "text/plain; charset=utf-8", f"{refused}\n".encode(), POLICY)

        self._server = BoundedServer(host, port, _DriverRequest)
        self.port = int(self._server.server_address[1])

    def look(self, agent: Agent, powers_w: tuple[int, int]) -> None:  # noqa: ARG002 - its charger sets the power
        """Show what the car does now."""
        sensor = self._sensor
        plug, reading, wish, metered = sensor.plug, sensor.reading, sensor.wish, sensor.metered
        if plug is None or reading is not self._read:
            self._read, self._heard_s = reading, monotonic()
        full_by_ms = None if plug is None else (wish or plug).departure_ms
        self._now = CarNow(
            car=agent.name,
            charger=None if plug is None else plug.peer,
            power_w=None if metered is None else metered.import_w - metered.export_w,
            missing_wh=None if reading is None else reading.remaining_ws // WS_PER_WH,
            stored_wh=None if reading is None else reading.stored_ws // WS_PER_WH,
            capacity_wh=0 if plug is None else sensor.capacity_ws // WS_PER_WH,
            sells=wish is None or wish.sells,
            full_by_unix_ms=None if full_by_ms is None else full_by_ms + EPOCH_S * 1_000,
            least_wh=0 if wish is None else wish.least_ws // WS_PER_WH,
            earned_nanos=agent.earned_nanos if isinstance(agent, Vehicle) else 0,
        )

    def shown(self, path: str, authorization: str, pages: dict[str, tuple[str, bytes]]) -> tuple[str, bytes]:
        """The media type and the content of a path."""
        if path == "/car":
            self.require(authorization)
            return "application/json", msgspec.json.encode(self._known())
        if path not in pages:
            raise _WishRefusedError(404, "there is no such page")
        return pages[path]

    def _known(self) -> CarNow:
        """What is known of the car at this moment, also where the node stands still."""
        if monotonic() - self._heard_s <= self._lease_s:
            return self._now
        return msgspec.structs.replace(self._now, is_silent=True, power_w=None, missing_wh=None, stored_wh=None)

    def require(self, authorization: str) -> None:
        """Refuse whoever has another token. It is no cookie, so no other page can make a browser send it along."""
        scheme, _, given = authorization.partition(" ")
        if scheme != "Bearer" or not secrets.compare_digest(given.encode(), self._token.encode()):
            raise _WishRefusedError(401, f"this token is not the driver's; open the address in {ADDRESS_FILE}")

    def say(self, body: bytes) -> None:
        """Pass on what the driver wants."""
        try:
            posted = msgspec.json.decode(body, type=_WishPosted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _WishRefusedError(400, f"no wish: {error}") from None
        if self._now.charger is None:
            raise _WishRefusedError(409, "the car is not plugged in, so there is nothing to want of it")
        if (posted.by_unix_ms is not None) != (posted.wish is Wish.FULL_BY):
            raise _WishRefusedError(400, "an instant belongs to full-by, and only there")
        if (posted.least_wh is not None) != (posted.wish is Wish.AT_LEAST):
            raise _WishRefusedError(400, "an energy belongs to at-least, and only there")
        by_ms, now_ms = posted.by_unix_ms, time.time_ns() // 1_000_000
        if by_ms is not None and not now_ms <= by_ms <= now_ms + _MOST_AHEAD_MS:
            raise _WishRefusedError(400, "the car can be full by an instant of the next seven days")
        if (posted.least_wh or 0) > self._now.capacity_wh:
            raise _WishRefusedError(400, f"the battery holds {self._now.capacity_wh} Wh at most")
        least_ws = None if posted.least_wh is None else posted.least_wh * WS_PER_WH
        figures = {name: value for name, value in msgspec.structs.asdict(posted).items() if value is not None}
        self._log.info("driver says", **figures)
        self._sensor.say(Said(0, posted.wish, None if by_ms is None else by_ms - EPOCH_S * 1_000, least_ws))

    def close(self) -> None:
        """Answer no more."""
        self._server.close()


def driver_token(folder: Path) -> str:
    """The token of a car's driver, from the file in its state if there is one, else a new one."""
    try:
        found = re.search(r"#token=([0-9a-f]{32})\b", (folder / ADDRESS_FILE).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        found = None
    return found[1] if found else secrets.token_hex(16)


def write_address(folder: Path, host: str, port: int, token: str) -> Path:
    """Write where the driver's page is, token and all, for nobody else to read."""
    path, named = folder / ADDRESS_FILE, f"[{host}]" if ":" in host else host
    try:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"http://{named}:{port}/#token={token}\n", encoding="ascii")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    return path
