"""The records that a site kept, read back: by whoever checks them, perhaps while the site is at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from wattswap.ledger.anchoring import KIND
from wattswap.ledger.anchors import Fault, MeterReading, hash_of, read
from wattswap.ledger.base import Anchor
from wattswap.ledger.database import Database
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_NANOS


class Archive:
    """The file of an ``Anchorer``, to be read only.

    Raises ``InputError`` if there is no such file, or if it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, KIND, reads_only=True)
        row = self._database.row("SELECT site, public_key FROM site")
        if row is None:
            self._database.close()
            raise InputError(f"{path} holds no site's records yet")
        self.site, self.public_key = str(row[0]), bytes(row[1])

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def extent(self) -> tuple[int, int]:
        """How many records there are, and the last one's sequence (-1 for none)."""
        row = self._database.row("SELECT count(*), coalesce(max(sequence), -1) FROM records")
        return (0, -1) if row is None else (int(row[0]), int(row[1]))

    def records(self, first: int = 0, last: int = MOST_NANOS) -> list[Anchor]:
        """The records from ``first`` to ``last``, both included, oldest first."""
        rows = self._database.rows(
            "SELECT sequence, content FROM records WHERE sequence BETWEEN ? AND ? ORDER BY sequence", first, last
        )
        return [Anchor(site=self.site, sequence=sequence, content=content) for sequence, content in rows]

    def readings(self, sequence: int) -> tuple[MeterReading, ...]:
        """What a record stands for; nothing for a record that is not here, or whose readings cannot be read."""
        row = self._database.row("SELECT readings FROM records WHERE sequence = ?", sequence)
        try:
            return () if row is None else msgspec.json.decode(row[0], type=tuple[MeterReading, ...])
        except ValueError:
            return ()

    def noted(self, anchors: Sequence[Anchor], network: str) -> list[Fault]:
        """Where what was noted beside these records is not what they say; whether they are sound is not asked."""
        faults = []
        for anchor in anchors:
            row = self._database.row("SELECT hash FROM records WHERE sequence = ?", anchor.sequence)
            if row is None or row[0] != hash_of(anchor):
                faults.append(Fault(anchor.sequence, "its hash is not the one noted when it was sealed"))
                continue
            try:
                record = read(anchor, self.public_key, network=network)
            except ValueError:
                continue
            readings = self.readings(anchor.sequence)
            if len(readings) != record.count or (record.readings and record.readings != readings):
                faults.append(Fault(anchor.sequence, "the readings kept beside it are not those it stands for"))
        return faults

    def meters(self) -> set[str]:
        """The names of all meters that stand in any record. Reads everything."""
        return {reading.meter for sequence in range(self.extent()[1] + 1) for reading in self.readings(sequence)}

    def last_before(self, meter: str, at_ms: int) -> tuple[int, int] | None:
        """(record, place in it) of the last reading of a meter at or before an instant; None if there is none.

        Looked for in the record of that instant and then in those before it.
        """
        row = self._database.row("SELECT min(sequence) FROM records WHERE to_ms >= ?", at_ms)
        newest = self.extent()[1] if row is None or row[0] is None else int(row[0])
        for sequence in range(newest, -1, -1):
            readings = self.readings(sequence)
            places = [place for place, one in enumerate(readings) if one.meter == meter and one.at_ms <= at_ms]
            if places:
                return sequence, max(places, key=lambda place: readings[place].at_ms)
        return None
