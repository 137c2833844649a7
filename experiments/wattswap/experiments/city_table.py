"""The table of a city as it grows, and the check of what an earlier start has left of it."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from io import StringIO
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from wattswap.experiments.result_folder import unwritable
from wattswap.experiments.run_inputs import refuse_other_inputs
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wattswap.experiments.jobs import JobOutcome

FEEDERS_CSV: Final = "feeders.csv"
FIGURES: Final = (
    *("sessions", "limit_w", "peak_w", "overload_s", "baseline_overload_s", "homes_over_s", "sessions_short"),
    *("rounds", "deferred_wh", "fed_back_wh", "forced_wh", "waiting_cost_nanos", "feeding_cost_nanos"),
    *("paid_nanos", "rent_open_nanos", "ageing_h"),
)
"""What is kept of each feeder, keys of ``wattswap run --json``."""
COLUMNS: Final = ("feeder", "seed", *FIGURES, "error")

_MOST: Final = (1 << 63) - 1
_COUNT: Final = Annotated[int, Meta(ge=0, le=_MOST)]
_TYPES: Final[dict[str, Any]] = {
    "feeder": str,
    "peak_w": Annotated[int, Meta(ge=-_MOST, le=_MOST)],
    "ageing_h": Annotated[float, Meta(ge=0, le=1e30)],  # no rule of ageing reaches this, and NaN is not below it
    "error": str,
}
_Row: Final = msgspec.defstruct("_Row", [(name, _TYPES.get(name, _COUNT)) for name in COLUMNS])
_INPUTS: Final = "# inputs "


class CityTable:
    """The rows of a city: those that are found, and those that come.

    ``about`` is a line that says which city it is, ``inputs`` all that its figures come from; ``seeds`` are those of
    its transformers, by name.

    Raises:
        InputError: ``out`` holds another city or one of other inputs, or a row that no run has written.
    """

    def __init__(self, out: Path | None, about: str, inputs: Mapping[str, Any], seeds: Mapping[str, int]) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        """By the transformer's name."""
        self.notes: list[str] = []
        """What was found damaged and is mended, one sentence each."""
        self._file = None
        if out is None:
            return
        path = out / FEEDERS_CSV
        try:
            if path.exists():
                self._read(path, out, about, inputs, seeds)
            with whole_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
                file.write(f"{about}\n{_INPUTS}{json.dumps(inputs, sort_keys=True)}\n")
                table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                table.writeheader()
                table.writerows(self.found.values())  # without a row that was torn when the power failed
            self._file = path.open("a", encoding="utf-8", newline="")
            self._table = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
        except OSError as error:
            raise unwritable(out, error) from None

    def add(self, feeder: str, seed: int, outcome: JobOutcome) -> None:
        """Write down what came of a feeder."""
        figures = outcome.figures or dict.fromkeys(FIGURES, 0)
        row = {"feeder": feeder, "seed": seed, **{name: figures[name] for name in FIGURES}}
        self.found[feeder] = {**row, "error": outcome.error or ""}
        if self._file is not None:
            self._table.writerow(self.found[feeder])
            self._file.flush()

    def close(self) -> None:
        """No more come."""
        if self._file is not None:
            with suppress(OSError):  # a full disk was told of when the row was written
                self._file.close()

    def _read(self, path: Path, out: Path, about: str, inputs: Mapping[str, Any], seeds: Mapping[str, int]) -> None:
        """Take over the rows of feeders whose run came through; all others are to be run."""
        try:
            text = path.read_text(encoding="utf-8")
            first, _, rest = text.partition("\n")
            if not text:
                self.notes.append(f"{path} was empty; its transformers were run again")
                return
            if first != about:
                raise InputError(f"--out {out}: another city lies there ({first[2:]}); name a new folder")
            second, _, table = rest.partition("\n")
            before = msgspec.json.decode(second.removeprefix(_INPUTS), type=dict[str, Any]) if second[:1] == "#" else {}
            refuse_other_inputs(path, before, inputs)
            rows = list(csv.reader(StringIO(table)))[1:]
        except (UnicodeDecodeError, csv.Error, msgspec.DecodeError) as error:
            raise InputError(
                f"{path}: not the table of a city ({error}); delete it, and the city is run again"
            ) from None
        if not text.endswith("\n"):
            rows = rows[:-1]  # the power failed, or the disk was full, in the middle of it
        for cells in rows:
            try:
                row = _read_row(cells, seeds)
                if row["feeder"] in self.found:
                    raise msgspec.ValidationError("there are two of it")
            except msgspec.ValidationError as error:
                raise InputError(
                    f"{path}: the row of transformer {''.join(cells[:1])!r} is not of a run ({error}); delete it, and"
                    " that transformer is run again"
                ) from None
            if not row["error"]:
                self.found[row["feeder"]] = row


def _read_row(cells: list[str], seeds: Mapping[str, int]) -> dict[str, Any]:
    if len(cells) != len(COLUMNS):
        raise msgspec.ValidationError(f"{len(cells)} cells of {len(COLUMNS)}")
    row = msgspec.structs.asdict(msgspec.convert(dict(zip(COLUMNS, cells, strict=True)), _Row, strict=False))
    if row["feeder"] not in seeds:
        raise msgspec.ValidationError("the city has none of that name")
    if row["seed"] != seeds[row["feeder"]]:
        raise msgspec.ValidationError(f"its seed is {seeds[row['feeder']]}")
    return row
