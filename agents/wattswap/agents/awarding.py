"""From the answers to a call to the awards: the transformer's open round as arrays for the market, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents import market, settlement
from wattswap.agents.award_book import AwardRecord
from wattswap.agents.segments import Segments
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.messages import Award

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.open_round import OpenRound
    from wattswap.agents.parties import Party, Session
    from wattswap.agents.rules import Terms
    from wattswap.agents.vehicle_table import VehicleTable
    from wattswap.protocol.effects import NoteRound


def cleared(
    open_round: OpenRound,
    sessions: Mapping[int, Session],
    vehicles: VehicleTable,
    funds_nanos: int,
    seed: int,
    terms: Terms,
) -> tuple[NoteRound, list[AwardRecord]]:
    """What came of a round, and the awards to cars that are still here, in session order."""
    call, (called, offers) = open_round.call, _offers(open_round, sessions, vehicles)
    segments = Segments.one_feeder(len(called))
    bought = market.buy(
        np.array([call.need_w]),
        offers,
        segments,
        [funds_nanos],
        from_ms=call.from_ms,
        until_ms=call.until_ms,
        seed=seed,
        terms=terms,
    )
    records = []
    for at in np.flatnonzero(bought.won).tolist():
        session, award_w, price, offered_w, ask = (
            called[at],
            *(
                tuple(column[at].tolist())
                for column in (
                    bought.award_w,
                    bought.price_nanos_per_kwh_h,
                    offers.relief_w,
                    offers.ask_nanos_per_kwh_h,
                )
            ),
        )
        award = Award(call.feeder, call.tick, session, call.until_ms, award_w, price, settlement.RENT_CAP_S)
        reserved_nanos = int(bought.reserved_nanos[at])
        records.append(AwardRecord(award, sessions[session].party, offered_w, ask, reserved_nanos, call.from_ms))
    return market.round_figures(offers, bought, segments).note(call.tick, call.need_w, 0), records


def lapsed(open_round: OpenRound, sessions: Mapping[int, Session], vehicles: VehicleTable) -> NoteRound:
    """The end of a round in which nothing is bought."""
    call, (called, offers) = open_round.call, _offers(open_round, sessions, vehicles)
    figures = market.round_figures(offers, market.nothing_bought(offers), Segments.one_feeder(len(called)))
    return figures.note(call.tick, call.need_w, 0)


def _offers(
    open_round: OpenRound, sessions: Mapping[int, Session], vehicles: VehicleTable
) -> tuple[list[int], market.Offers]:
    """What the called cars that are still here have answered."""
    called = [session for session in open_round.called if session in sessions]
    key = np.array([sessions[session].key for session in called], dtype=np.uint64)
    return called, market.Offers(key, vehicles.firm_w(called), *open_round.offers_of(called))


MOST_OPEN: Final = 4
"""So many sessions may be open at one charger: a car may plug in before the last one's departure has been heard."""


def refuse_second(sessions: Mapping[int, Session], session: int, party: Party) -> None:
    """A session belongs to the charger and the car that opened it, and payments go by its id.

    Raises:
        RemoteProtocolError: the session is open for another charger or car, or its id for another session, or too many
            are open at the charger.
    """
    here = sum(known.party.charger == party.charger for known in sessions.values())
    if session not in sessions and here >= MOST_OPEN:
        raise RemoteProtocolError(f"{party.charger} has {MOST_OPEN} cars already, and opens session {session}")
    for number, known in sessions.items():
        if (number == session) != (known.party.session_id == party.session_id):
            raise RemoteProtocolError(f"session {session} and its id {party.session_id} are of two sessions")
        if number == session and known.party != party:
            raise RemoteProtocolError(
                f"{party.charger} and {party.vehicle} speak for session {session} "
                f"of {known.party.vehicle} at {known.party.charger}"
            )
