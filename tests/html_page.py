"""An HTML page taken apart, and names that would break one which escapes nothing."""

from __future__ import annotations

from html.parser import HTMLParser

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "</td></table><b>&amp;", "'--><svg onload=x>")


class ReadPage(HTMLParser):
    """A page taken apart: tags, attributes, tables as lists of rows, and the text of everything."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._in_cell = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data):
        self.text += data
        if self._in_cell:
            self.tables[-1][-1][-1] += data

    def table(self, *head: str) -> list[list[str]]:
        """The rows of the table whose head starts so."""
        (rows,) = (rows for rows in self.tables if tuple(rows[0][: len(head)]) == head)
        return rows[1:]
