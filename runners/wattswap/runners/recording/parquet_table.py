"""A table of a run directory, written as it grows.

Rows go, group by group, into a hidden file beside the table's place. Closing it writes the Parquet footer, without
which no reader can open a file, and moves it to its place. So a table that is there is whole and readable. After an
interruption it holds what there was until then. A power cut leaves no table, and ``wattswap replay`` rebuilds it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


def has_pyarrow() -> bool:
    """Whether tables can be written at all: pyarrow comes with the extra ``sim``."""
    return find_spec("pyarrow") is not None


class ParquetTable:
    """One table being written; needs pyarrow."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path, self._beside = folder / f"{name}.parquet", folder / f".{name}.parquet.part"
        self._writer: Any = None

    def append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write a group of rows; the first group says which columns there are, and may be empty."""
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table({key: pa.array(column, _arrow_type(pa, column)) for key, column in columns.items()})
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._beside, table.schema, compression="zstd")
        if len(table):
            self._writer.write_table(table)

    def close(self) -> None:
        """Write the footer and move the table to its place; nothing happens if nothing was appended."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        self._beside.replace(self._path)

    def discard(self) -> None:
        """Take back what was written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._beside.unlink(missing_ok=True)


def _arrow_type(pa: Any, column: NDArray[Any]) -> Any:
    """Texts come as arrays of objects, whose type an empty table would not tell."""
    return pa.string() if column.dtype == object else pa.int64()
