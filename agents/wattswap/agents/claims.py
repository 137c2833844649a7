"""What can be true: the bounds that other agents' claims must keep, whoever signed them.

A claim that two meters agree on may still be a lie if both have one owner. So a transformer never believes more than
what it has bought, what the time since then allows, and what a car's own mandate says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.agents import settlement
from wattswap.agents.offers import FEED
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.units import MOST_NANOS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.agents.parties import Session
    from wattswap.agents.rules import Rules
    from wattswap.protocol.messages import Award, Departed, Report

_LATE_TICKS: Final = 2
"""A meter's tick may begin a tick before the transformer's and be told within the next."""
_LATE_MANDATE_MS: Final = 600_000
"""A car may have drawn power for so long before its mandate came through, and need less by then than it came for."""


def most_ws(award: Award, from_ms: int, now_ms: int, rules: Rules) -> tuple[int, ...]:
    """The most that each tranche of an award can have delivered by now; nobody is paid for more than was bought."""
    until_ms = min(award.until_ms, now_ms + _LATE_TICKS * rules.tick_ms)
    return tuple(watts * max(until_ms - from_ms, 0) // 1000 for watts in award.award_w)


def most_rent(award: Award, returned_ws: int, now_ms: int, rules: Rules) -> int:
    """The most rent that so much energy can have earned by now: all of it waited from the award's tick on."""
    ticks = now_ms // rules.tick_ms - award.tick + _LATE_TICKS
    return returned_ws * min(max(ticks, 0), award.rent_cap_s // rules.tick_s)


def possible(
    report: Report, session: Session, bought: Iterable[tuple[Award, int]], now_ms: int, rules: Rules
) -> Report:
    """A report that says no more than can be true: powers that the car has, and no more waiting than was bought of it.

    ``bought`` are the car's awards that are not settled, each with the instant from which it counts. Who has waited is
    granted power first, so nobody comes first by saying so.
    """
    if max(report.firm_w, report.wanted_w) > session.max_w:
        firm_w, wanted_w = min(report.firm_w, session.max_w), min(report.wanted_w, session.max_w)
        report = msgspec.structs.replace(report, firm_w=firm_w, wanted_w=wanted_w)
    if report.feed_w is not None and report.feed_w > session.charger_w:
        report = msgspec.structs.replace(report, feed_w=session.charger_w)
    if not report.owed_ws and not report.rent_price:
        return report
    owed_ws = price = 0
    for award, from_ms in bought:
        owed_ws += sum(most_ws(award, from_ms, now_ms, rules)[:FEED])
        price = max(price, *award.price_nanos_per_kwh_h[:FEED])
    if report.owed_ws <= owed_ws and report.rent_price <= price:
        return report
    owed_ws, rent_price = min(report.owed_ws, owed_ws), min(report.rent_price, price)
    return msgspec.structs.replace(report, owed_ws=owed_ws, rent_price=rent_price)


def most_fed_ws(award: Award, from_ms: int, rules: Rules) -> int:
    """The most that a car can feed under an award: a charger that hears nothing goes on until its lease is over."""
    late_ms = rules.certain_lease_ms + _LATE_TICKS * rules.tick_ms
    return award.award_w[FEED] * (award.until_ms - from_ms + late_ms) // 1000


def refuse_impossible(departed: Departed, session: Session, tariff: int, now_ms: int) -> None:
    """Refuse a departed car's totals that the time it was there does not allow; ``tariff`` is per kWh.

    Raises:
        RemoteProtocolError: more was fed or drawn than full power does in that time, or the bill is no amount of money.
    """
    there_ms = now_ms - session.arrival_ms + _LATE_MANDATE_MS
    most_ws = session.max_w * there_ms // 1000
    for done, energy_ws, allowed_ws in (
        ("fed", departed.exported_ws, most_ws),
        ("drawn", departed.imported_ws, session.need_ws + most_ws),
    ):
        if energy_ws > allowed_ws:
            raise RemoteProtocolError(
                f"session {departed.session} cannot have {done} {energy_ws} ws in {there_ms // 1000} s"
            )
    # Of what was fed, only what was bought will count, so what was drawn must be an amount of money by itself.
    bill_nanos = settlement.bill_nanos(tariff, departed.imported_ws, 0)
    if max(bill_nanos, -settlement.bill_nanos(tariff, 0, departed.exported_ws)) > MOST_NANOS:
        raise RemoteProtocolError(f"session {departed.session}: a bill of {bill_nanos} nanos is no amount of money")
