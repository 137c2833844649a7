"""A site's signed meter records, as they stand in the archive of its run, for a page that checks them itself."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.ledger.anchors import said
from wattswap.ledger.archive import Archive
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import LOCAL_NETWORK
from wattswap.runners.recording.rundir import METERS, read_run

if TYPE_CHECKING:
    from pathlib import Path

MOST_RECORDS: Final = 50
"""In one answer."""


class SignedRecords(msgspec.Struct, frozen=True):
    """Some records of a site, oldest first, and what one must know to check them."""

    site: str
    public_key: str
    network: str
    count: int
    """Of all records there are."""
    ledger: str
    """Where they are anchored."""
    first: int
    """The sequence of the first of ``lines``; the one before it is there too, if there is one, for its hash."""
    lines: list[str]


def signed_records(run_dir: Path, last: int | None = None, until_ms: int | None = None) -> SignedRecords:
    """The records up to ``last``, or those that had ended by an instant, or the newest; the site may be at work.

    Raises:
        InputError: the run keeps none, or they cannot be read.
    """
    if not (run_dir / METERS).is_file():
        raise InputError("this run keeps no meter records; a run with --ledger sqlite:FILE or a node's URL does")
    with Archive(run_dir / METERS) as archive:
        count, newest = archive.extent()
        until = newest if last is None else min(last, newest)
        if until_ms is not None:
            until = bisect_right(range(until + 1), until_ms, key=lambda number: _ends_ms(archive, number)) - 1
        first = max(until - MOST_RECORDS + 1, 0)
        anchors = archive.records(max(first - 1, 0), until) if until >= 0 else []
        records = [record for anchor in anchors if (record := said(anchor)) is not None]
        return SignedRecords(
            site=archive.site,
            public_key=archive.public_key.hex(),
            network=records[-1].network if records else LOCAL_NETWORK,
            count=count,
            ledger=str((read_run(run_dir).settlement or {}).get("ledger", "")),
            first=first,
            lines=[anchor.content.decode("utf-8", errors="replace") for anchor in anchors],
        )


def _ends_ms(archive: Archive, number: int) -> int:
    """When the readings end of a record, or of the last one before it that can be read."""
    for before in range(number, -1, -1):
        anchors = archive.records(before, before)
        if anchors and (record := said(anchors[0])) is not None:
            return record.to_ms
    return 0
