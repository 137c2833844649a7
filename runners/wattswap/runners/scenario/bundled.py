"""The scenarios that come with the package: real winter weeks, and a template for one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).resolve().parent / "data"
"""The bundled files; in a scenario, ``bundled:sessions/A400_sessions.csv`` names one from anywhere."""
PREFIX: Final = "bundled:"
_TEMPLATE: Final = "template"


def bundled_names() -> tuple[str, ...]:
    """The bundled scenarios in alphabetical order."""
    return tuple(sorted(path.stem for path in DATA.glob("*.toml") if path.stem != _TEMPLATE))


def bundled_text(name: str) -> str:
    """A bundled scenario's TOML, comments and all. ``name`` must be one of :func:`bundled_names`."""
    return (DATA / f"{name}.toml").read_text(encoding="utf-8")


def template_text() -> str:
    """A commented scenario to start one's own from: it runs once its three file names are right."""
    return bundled_text(_TEMPLATE)
