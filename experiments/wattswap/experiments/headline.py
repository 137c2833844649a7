"""What came of a run, in one line; and beside what it is to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattswap.experiments.formatting import amount, counted, minutes
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
    parts = [
        _homes_text(summary),
        *_hurt_texts(summary),
        _overload_text(summary),
        _full_text(summary),
        _money_text(summary),
    ]
    text = " · ".join(part for part in parts if part)
    return text if is_complete(summary) else f"{state.capitalize()} run, so far: {text}"


def _overload_text(summary: Mapping[str, Any]) -> str:
    own, other = summary["overload_s"], uncontrolled(summary)
    if not other:
        return f"{minutes(own)} min over the limit"
    return f"{minutes(other['overload_s'])} min over the limit → {minutes(own)}"


def _homes_text(summary: Mapping[str, Any]) -> str:
    """What no car can help by waiting: homes that are over the limit without any car."""
    if not summary.get("homes_over_s"):
        return ""
    over_kw = amount(summary["homes_over_w"] / 1000)
    fed = ", those that fed back did" if summary["overload_s"] < summary["homes_over_s"] else ""
    return (
        f"homes alone are over the limit for {minutes(summary['homes_over_s'])} min, by up to {over_kw} kW:"
        f" no car that waits can help there{fed}"
    )


def _hurt_texts(summary: Mapping[str, Any]) -> list[str]:
    """Who would have been better off with nobody in control, and what was cut unpaid: that comes first."""
    texts, other = [], uncontrolled(summary)
    if other and (more := summary["sessions_short"] - other["sessions_short"]) > 0:
        texts.append(f"{_sessions(more)} left short that would have been full with nobody in control")
    if summary.get("forced_wh"):
        texts.append(f"{amount(summary['forced_wh'] / 1000)} kWh cut without pay")
    return texts


def _full_text(summary: Mapping[str, Any]) -> str:
    """How those who gave way ended, and where nobody did, all."""
    departing = summary["sessions"] - summary["sessions_open"]
    if not summary["sessions"]:
        return "no cars"
    if summary.get("gave_way"):
        return _gave_way_text(summary)
    if departing <= 0:
        return "no car has left yet"
    return f"{departing - summary['sessions_short']:,} of {counted(departing, 'session')} ended full"


def _gave_way_text(summary: Mapping[str, Any]) -> str:
    text = f"of {_sessions(summary['gave_way'])} that gave way {summary['gave_way_full']:,} left full"
    text += f", {summary['gave_way_short']:,} short" if summary["gave_way_short"] else ", none short"
    if summary["gave_way_open"]:
        text += f", {summary['gave_way_open']:,} still here"
    others = summary["sessions_short"] - summary["gave_way_short"]
    return f"{text}; {_sessions(others)} that did not give way left short" if others else text


def _sessions(count: int) -> str:
    return counted(count, "session")


def _money_text(summary: Mapping[str, Any]) -> str:
    if not summary["rounds"]:
        return "" if summary["controller"] != "negotiated" else "no round: your strategy was never asked"
    fed_wh, paid_iota = summary["fed_back_wh"], summary["paid_nanos"] / NANOS_PER_IOTA
    and_fed = f", {amount(fed_wh / 1000)} kWh fed back" if fed_wh else ""
    rate = summary.get("eur_per_iota", 0)
    euros = f" ({amount(paid_iota * rate)} EUR)" if rate and paid_iota else ""
    text = f"{amount(summary['deferred_wh'] / 1000)} kWh deferred{and_fed}, for {amount(paid_iota)} IOTA{euros}"
    open_iota = summary.get("rent_open_nanos", 0) / NANOS_PER_IOTA
    return f"{text}, and {amount(open_iota)} more in rent that was still running" if open_iota else text
