"""A meter whose readings are text: the last line of a file, or what comes in on standard input."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

from wattswap.runners.node.drivers.device import DeviceError, DeviceReading
from wattswap.runners.node.drivers.document import JsonFields, read_document
from wattswap.runners.node.drivers.newest import Newest, monotonic_ms

if TYPE_CHECKING:
    from typing import IO

_TAIL_BYTES: Final = 8_192


class FileDevice:
    """The last whole line of a file is the reading: a number of watts, or a JSON document.

    What is allowed is written to another file, if one is named, as ``import_w export_w`` on one line, put in place at
    once so that nobody reads half a line.
    """

    def __init__(self, path: Path, allow_path: Path | None = None, fields: JsonFields | None = None) -> None:
        self._path, self._allow_path = path, allow_path
        self._fields = JsonFields() if fields is None else fields

    def read(self) -> DeviceReading:
        """What the file's last line says."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = file.read(_TAIL_BYTES).splitlines(keepends=True)
        except OSError as error:
            raise DeviceError(f"cannot read {self._path}: {error.strerror}") from None
        if lines and not lines[-1].endswith(b"\n") and len(lines) > 1:
            del lines[-1]  # somebody is still writing it
        if not lines:
            raise DeviceError(f"{self._path} is empty")
        return read_document(lines[-1], self._fields, monotonic_ms())

    def allow(self, import_w: int, export_w: int) -> None:
        """Write it down for whoever sets the power."""
        if self._allow_path is None:
            return
        fresh = self._allow_path.with_name(f"{self._allow_path.name}.new")
        try:
            fresh.write_text(f"{import_w} {export_w}\n")
            fresh.replace(self._allow_path)
        except OSError as error:
            raise DeviceError(f"cannot write {self._allow_path}: {error.strerror}") from None

    def close(self) -> None:
        """Allow nothing any more."""
        self.allow(0, 0)


class StdinDevice:
    """Each line that comes in is a reading, for a meter that some program of the user's own reads."""

    def __init__(self, fresh_ms: int, fields: JsonFields | None = None, stream: IO[bytes] | None = None) -> None:
        self._fields = JsonFields() if fields is None else fields
        self._stream = sys.stdin.buffer if stream is None else stream
        self._newest = Newest("standard input", fresh_ms)
        Thread(target=self._listen, name="wattswap-stdin", daemon=True).start()

    def read(self) -> DeviceReading:
        """What the last line said."""
        return self._newest.read()

    def allow(self, import_w: int, export_w: int) -> None:
        """Nobody is there to be told."""

    def close(self) -> None:
        """The stream ends by itself."""

    def _listen(self) -> None:
        for line in self._stream:
            try:
                self._newest.keep(read_document(line, self._fields, monotonic_ms()))
            except DeviceError as error:
                self._newest.fail(error)
        self._newest.fail("standard input has ended")
