"""The page: its files, as any web server serves them."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

_MEDIA: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def page_files() -> dict[str, tuple[str, bytes]]:
    """By path: the media type and the content."""
    found: dict[str, tuple[str, bytes]] = {}
    for entry in files(__package__).iterdir():
        if (media := _MEDIA.get(entry.name.rpartition(".")[2])) is not None:
            found[f"/{entry.name}"] = media, entry.read_bytes()
    found["/"] = found["/index.html"]
    return found
