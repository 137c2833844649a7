"""A real browser, driven over WebDriver: Chromium and its driver as Debian has them, without a library in between."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING = next((name for name in ("chromium", "chromedriver") if shutil.which(name) is None), None)
"""What must be installed first; None if nothing."""
PATIENCE_S = 60.0

_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


class Browser:
    """One window."""

    def __init__(self, address: str, session: str) -> None:
        self._address, self._session = address, session

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A WebDriver command of this session."""
        return _ask(method, f"{self._address}/session/{self._session}{path}", body)

    def open(self, url: str) -> None:
        """Open a page; one that is open already is loaded again. What the page before complained of is forgotten."""
        self.ask("POST", "/url", {"url": "about:blank"})
        self.complaints()
        self.ask("POST", "/url", {"url": url})

    def js(self, script: str) -> Any:
        """What a function body returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def until(self, condition: str, within_s: float = PATIENCE_S) -> Any:
        """What an expression is as soon as it is true; it must be at some time."""
        ends = time.monotonic() + within_s
        while time.monotonic() < ends:
            if value := self.js(f"return {condition}"):
                return value
            time.sleep(0.05)
        text = self.js("return document.body.innerText")
        raise AssertionError(f"never true: {condition}\nthe page says:\n{text}")

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """The window as a screen of this size would show it, in the light or in the dark."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])

    def cdp(self, command: str, **parameters: Any) -> Any:
        """A command of the browser's own protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def picture(self, path: Path) -> None:
        """What the window shows now."""
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """What the page's scripts and its policy complained of since the last time."""
        entries = self.ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser, closed in the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _await(f"{address}/status")
        options = {"args": list(_ARGUMENTS)}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = _ask("POST", f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            yield Browser(address, session)
        finally:
            _ask("DELETE", f"{address}/session/{session}")
    finally:
        driver.terminate()
        driver.wait()


def _await(url: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            _ask("GET", url)
        except OSError:
            assert time.monotonic() < ends, "chromedriver does not start"
            time.sleep(0.05)
        else:
            return


def _ask(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    data = json.dumps(body or {}).encode() if method == "POST" else None
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(json.load(error)["value"]["message"]) from None
