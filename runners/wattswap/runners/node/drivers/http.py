"""A meter that answers with JSON over HTTP, as evcc, many inverters and most smart meters do."""

from __future__ import annotations

import urllib.request
from contextlib import suppress
from http.client import HTTPException
from threading import Lock
from typing import Final, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from wattswap.protocol.errors import InputError
from wattswap.runners.node.drivers.device import DeviceError, DeviceReading
from wattswap.runners.node.drivers.document import MOST_DOCUMENT_BYTES, JsonFields, read_document
from wattswap.runners.node.drivers.newest import Newest, Repeating, monotonic_ms

_TIMEOUT_S: Final = 2.0
_FRESH_ROUNDS: Final = 4


class HttpDevice:
    """Asks for a document again and again in a thread of its own; tells the other side what is allowed.

    It is told by a POST without a body, or by a GET where ``allow_method`` says so, and again until it is taken.
    In ``allow_url`` ``{watts}``, ``{export_watts}`` and ``{amps}`` are replaced: evcc takes
    ``http://evcc:7070/api/loadpoints/1/maxcurrent/{amps}``.
    """

    def __init__(
        self,
        url: str,
        *,
        allow_url: str = "",
        allow_method: Literal["POST", "GET"] = "POST",
        every_ms: int = 1_000,
        watts_an_ampere: int = 690,
        fields: JsonFields | None = None,
    ) -> None:
        """``watts_an_ampere`` is voltage times phases.

        Raises:
            InputError: an address is none of HTTP.
        """
        for address in (url, allow_url or url):
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise InputError(f"{address!r} is no address of a meter: write http://HOST/PATH")
        self._url, self._ampere_w = url, watts_an_ampere
        self._allow_url, self._allow_method = allow_url, allow_method
        self._fields = JsonFields() if fields is None else fields
        self._newest = Newest(url, _FRESH_ROUNDS * every_ms + round(_TIMEOUT_S * 1_000))
        self._allowed: tuple[int, int] | None = None
        self._told: tuple[int, int] | None = None
        self._telling = Lock()
        self._repeating = Repeating("wattswap-http", every_ms, self._ask, self._newest.fail)

    def read(self) -> DeviceReading:
        """The last document that came."""
        return self._newest.read()

    def allow(self, import_w: int, export_w: int) -> None:
        """Have it told at once, and again until the other side takes it."""
        self._allowed = import_w, export_w
        self._repeating.hurry()

    def close(self) -> None:
        """Allow nothing any more, and stop asking."""
        if self._allow_url:
            self._allowed = 0, 0
            with suppress(DeviceError):  # it is gone already; its own watchdog is the last barrier
                self._tell()
        self._repeating.close()

    def _ask(self) -> None:
        self._tell()
        self._newest.keep(read_document(_answer(self._url, "GET"), self._fields, monotonic_ms()))

    def _tell(self) -> None:
        """Say what is allowed, unless that was said already; one at a time, so that an older word never comes last."""
        with self._telling:
            allowed = self._allowed
            if not self._allow_url or allowed is None or allowed == self._told:
                return
            import_w, export_w = allowed
            url = self._allow_url
            for word, value in (("watts", import_w), ("export_watts", export_w), ("amps", import_w // self._ampere_w)):
                url = url.replace(f"{{{word}}}", str(value))
            try:
                _answer(url, self._allow_method)
            except DeviceError as error:
                raise DeviceError(f"what is allowed cannot be said by {self._allow_method}: {error}") from None
            self._told = allowed


def _answer(url: str, method: Literal["POST", "GET"]) -> bytes:
    body = b"" if method == "POST" else None
    request = urllib.request.Request(url, data=body, headers={"Accept": "application/json"})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            text: bytes = answer.read(MOST_DOCUMENT_BYTES + 1)
            return text
    except HTTPError as error:
        raise DeviceError(f"{url} answers {error.code} {error.reason}") from None
    except URLError as error:
        raise DeviceError(f"{url} does not answer: {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:  # ValueError: it redirects to what is no address
        raise DeviceError(f"{url} does not answer: {type(error).__name__} {error}") from None
