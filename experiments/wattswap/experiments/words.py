"""Figures as people say them, for the picture and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NANOS: Final = 1e9

CREDIT: Final = (
    "Charging sessions: Sørensen et al. 2021 (CC BY 4.0). Households: Weigert et al., University of Bamberg 2020"
    " (CC BY-SA 4.0).\nSun: contains information from SimBench, made available under the ODbL 1.0."
)
"""What a picture or a report made from the bundled streets must say (LICENSES.md)."""


def minutes(seconds: float) -> str:
    """Seconds as minutes: whole ones where they are whole, tenths where not."""
    return f"{seconds / 60:,.1f}".removesuffix(".0")


def amount(value: float) -> str:
    """A figure for the eye, not negative: whole from ten on, one or two decimals below."""
    if value == 0 or value >= 10:
        return f"{value:,.0f}"
    if value < 0.005:
        return "<0.01"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def clean(name: str, longest: int) -> str:
    """A name from a file, fit to be drawn: one line, no longer than this, in letters that most fonts have."""
    drawn = "".join(letter if letter.isprintable() and ord(letter) < 0x2E80 else "?" for letter in name)
    return drawn if len(drawn) <= longest else drawn[: longest - 1] + "…"


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
    parts = [_overload_words(summary), _full_words(summary), _money_words(summary)]
    text = " · ".join(part for part in parts if part)
    return text if is_complete(summary) else f"{state.capitalize()} run, so far: {text}"


def _overload_words(summary: Mapping[str, Any]) -> str:
    own, other = summary["overload_s"], uncontrolled(summary)
    if not other:
        return f"{minutes(own)} min over the limit"
    return f"{minutes(other['overload_s'])} min over the limit → {minutes(own)}"


def _full_words(summary: Mapping[str, Any]) -> str:
    departing = summary["sessions"] - summary["sessions_open"]
    if departing <= 0:
        return "no car has left yet" if summary["sessions"] else "no cars"
    return f"{departing - summary['sessions_short']:,} of {departing:,} departing cars full"


def _money_words(summary: Mapping[str, Any]) -> str:
    if not summary["rounds"]:
        return ""
    fed_wh, paid_iota = summary["fed_back_wh"], summary["paid_nanos"] / NANOS
    and_fed = f", {amount(fed_wh / 1000)} kWh fed back" if fed_wh else ""
    return f"{amount(summary['deferred_wh'] / 1000)} kWh lent once{and_fed}, for {amount(paid_iota)} IOTA"
