"""The few HTML elements the report is made of. Text is escaped here, at the leaf, whoever wrote it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def element(tag: str, *texts: str, kind: str = "") -> str:
    """``<tag>`` around texts, which are escaped."""
    attribute = f' class="{escape(kind)}"' if kind else ""
    return f"<{tag}{attribute}>{escape(''.join(texts))}</{tag}>"


def paragraphs(texts: Iterable[str]) -> str:
    """One ``<p>`` per text."""
    return "\n".join(element("p", text) for text in texts)


def steps(items: Iterable[tuple[str, str]]) -> str:
    """A numbered list; each item has a name and what happened."""
    return f"<ol>{''.join(f'<li><strong>{escape(name)}</strong> {escape(text)}</li>' for name, text in items)}</ol>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1, wrap: bool = False) -> str:
    """A table that scrolls sideways where the screen is narrow; after the first ``words`` columns come figures.

    ``wrap`` lets long words break lines instead.
    """
    kinds = ["" if column < words else "n" for column in range(len(head))]
    top = "".join(element("th", text, kind=kind) for text, kind in zip(head, kinds, strict=True))
    body = "\n".join(
        f"<tr>{''.join(element('td', text, kind=kind) for text, kind in zip(row, kinds, strict=True))}</tr>"
        for row in rows
    )
    kind = ' class="wrap"' if wrap else ""
    return f'<div class="wide"><table{kind}><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def section(title: str, *parts: str) -> str:
    """A heading and what belongs under it: finished HTML; a section without content is left out."""
    content = "\n".join(part for part in parts if part)
    return f"<section>\n{element('h2', title)}\n{content}\n</section>" if content else ""
