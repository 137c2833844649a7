"""A table of a run directory, written as it grows, and read back.

Rows go, group by group, into a hidden file beside the table's place. Closing it writes the Parquet footer, without
which no reader can open a file, and moves it to its place. So a table that is there is whole and readable. After an
interruption it holds what there was until then. A power cut leaves no table, and ``wattswap replay`` rebuilds it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray


TEXTS: Final = frozenset({"session", "station", "vehicle", "activity", "strategy", "kind", "payment_id", "status"})
"""The columns of tables that hold texts; all others hold whole numbers of 64 bits, and none has a gap."""
WITHOUT_TABLES: Final = "pip install 'wattswap[sim]'"


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


def read_table(path: Path, needed: Iterable[str] = ()) -> Any:
    """A table as pyarrow's.

    Raises:
        InputError: it is not there, not readable, lacks a column that is needed, has one of another type or with gaps,
            or pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError:
        raise InputError(f"{path.parent}: tables are Parquet files; to read them: {WITHOUT_TABLES}") from None
    try:
        table = parquet.ParquetFile(path).read()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such table; the run wrote none") from None
    except (OSError, ArrowException):
        raise InputError(f"{path}: not a readable Parquet file; run the scenario again") from None
    _refuse_other_table(path, table, needed)
    return table


def _refuse_other_table(path: Path, table: Any, needed: Iterable[str]) -> None:
    """Refuse a file that holds another table than its name says, or what no run writes."""
    if lacking := set(needed) - set(table.column_names):
        raise InputError(f"{path}: another table, it has no {', '.join(sorted(lacking))}; run the scenario again")
    for column in table.schema:
        found, expected = str(column.type).removeprefix("large_"), "string" if column.name in TEXTS else "int64"
        if found != expected:
            raise InputError(f"{path}: {column.name} holds {found}, not {expected}; run the scenario again")
        if table[column.name].null_count:
            raise InputError(f"{path}: {column.name} has gaps; run the scenario again")
