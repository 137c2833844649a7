"""The frame of a report: one HTML page, complete in itself, that needs no network and no scripts."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from wattswap.experiments.markup import element

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEMPLATE: Final = Path(__file__).with_name("report_template.html")


def whole_page(
    title: str, headline: str, subtitle: str, *, warnings: Iterable[str], picture: str, sections: Iterable[str]
) -> str:
    """The page; texts are escaped here, ``picture`` and ``sections`` are finished HTML, empty ones are left out."""
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=element("title", title),
        headline=element("h1", headline),
        subtitle=element("p", subtitle, kind="sub"),
        warning="\n".join(element("p", text, kind="warn") for text in warnings),
        picture=picture,
        sections="\n".join(part for part in sections if part),
    )


def embedded(picture: bytes, media_type: str, alt: str) -> str:
    """A picture within the page, which on a narrow screen is moved sideways."""
    data = b64encode(picture).decode("ascii")
    return (
        f'<figure><div class="wide"><img alt="{escape(alt)}" src="data:{media_type};base64,{data}"></div>'
        "<figcaption>Move the picture sideways to see all of it.</figcaption></figure>"
    )
