"""The file of one run in the folder of a comparison, and the check that it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from wattswap.protocol.errors import InputError
from wattswap.runners.recording.metrics import KEYS
from wattswap.runners.recording.whole_file import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.experiments.jobs import JobOutcome

SCHEMA: Final = 1

_Number = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | float
_Parts = dict[str, _Number | None]
_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(("scenario", "controller", "strategy", "engine", "trace_hash"), str),
    **dict.fromkeys(("messages", "messages_per_kwh"), _Number | None),
    "events_hash": str | None,
    "choices": _Parts,
    "by_strategy": dict[str, _Parts],
    "faults": dict[str, Any] | None,
    "settlement": dict[str, Any] | None,
    "feeders": list[dict[str, Any]],
    "notes": list[str],
    "timing": dict[Literal["wall_s", "vehicle_steps_per_s"], _Number],
}
_Figures = msgspec.defstruct("_Figures", [(key, _TYPES.get(key, _Number)) for key in KEYS])
"""All that a table of runs has a column for; any other key of a summary is a number."""


class RunFile(Struct, frozen=True, kw_only=True):
    """What lies in the file of a run."""

    schema: Literal[1]
    inputs: dict[str, Any]
    status: Literal["complete", "failed"]
    error: str | None
    figures: dict[str, Any] | None


def write_run_file(path: Path, outcome: JobOutcome, inputs: dict[str, Any]) -> None:
    """Write an outcome down, in one piece."""
    status: Literal["complete", "failed"] = "failed" if outcome.figures is None else "complete"
    content = RunFile(schema=SCHEMA, inputs=inputs, status=status, error=outcome.error, figures=outcome.figures)
    write_whole(path, msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n")


def read_run_file(path: Path) -> RunFile:
    """The file of a run, with figures that a table can be made of.

    Raises:
        InputError: it is none; the text says what is wrong, and what to do.
    """
    try:
        content = msgspec.json.decode(path.read_bytes(), type=RunFile)
        if (content.figures is None) != (content.status == "failed"):
            raise msgspec.ValidationError("complete runs have figures, failed ones have none")
        if content.figures is not None:
            msgspec.convert(content.figures, _Figures)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        wrong = (error.strerror or "unreadable") if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: not the file of a run ({wrong}); delete it, and the run is made again") from None
    return content
