"""What came of a run, in one line; and beside what it is to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattswap.experiments.formatting import amount, minutes
from wattswap.protocol.units import NANOS_PER_IOTA

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_complete(summary: Mapping[str, Any]) -> bool:
    """Whether the run went to its end."""
    return bool(summary.get("status", "complete") == "complete")


def uncontrolled(summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The same street's figures with nobody in control; half a run beside a whole one would mislead, so None then."""
    other: Mapping[str, Any] | None = summary.get("uncontrolled")
    return other if other and is_complete(summary) else None


def headline(summary: Mapping[str, Any]) -> str:
    """What came of the run, in one line."""
    state = str(summary.get("status", "complete"))
    if "overload_s" not in summary:
        return f"{state.capitalize()} run: it left no figures"
    parts = [_overload_text(summary), _full_text(summary), _money_text(summary)]
    text = " · ".join(part for part in parts if part)
    return text if is_complete(summary) else f"{state.capitalize()} run, so far: {text}"


def _overload_text(summary: Mapping[str, Any]) -> str:
    own, other = summary["overload_s"], uncontrolled(summary)
    if not other:
        return f"{minutes(own)} min over the limit"
    return f"{minutes(other['overload_s'])} min over the limit → {minutes(own)}"


def _full_text(summary: Mapping[str, Any]) -> str:
    departing = summary["sessions"] - summary["sessions_open"]
    if departing <= 0:
        return "no car has left yet" if summary["sessions"] else "no cars"
    return f"{departing - summary['sessions_short']:,} of {departing:,} departing cars full"


def _money_text(summary: Mapping[str, Any]) -> str:
    if not summary["rounds"]:
        return ""
    fed_wh, paid_iota = summary["fed_back_wh"], summary["paid_nanos"] / NANOS_PER_IOTA
    and_fed = f", {amount(fed_wh / 1000)} kWh fed back" if fed_wh else ""
    return f"{amount(summary['deferred_wh'] / 1000)} kWh deferred{and_fed}, for {amount(paid_iota)} IOTA"
