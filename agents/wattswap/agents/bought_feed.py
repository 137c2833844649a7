"""How much energy each plugged car can have fed under awards: nobody is paid for feeding that nobody bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.agents import claims
from wattswap.agents.offers import FEED
from wattswap.protocol.effects import Forget, Remember

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.agents.rules import Rules
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.messages import Award, Departed

_BOUGHT: Final = "bought/"
"""Under this key and a session's number it is remembered what its car may have fed."""


class BoughtFeed:
    """Watt-seconds by session; a car that was never awarded any feeding has none."""

    def __init__(self, rules: Rules, *, buys: bool = True) -> None:
        """``buys`` is no where a controller lets cars feed, who are awarded nothing: what a charger counted stands."""
        self._rules, self._buys = rules, buys
        self._most_ws: dict[int, int] = {}

    def buy(self, award: Award, from_ms: int) -> list[Effect]:
        """Count with what a car can feed under an award, and remember it."""
        if not award.award_w[FEED]:
            return []
        session = award.session
        self._most_ws[session] = self._most_ws.get(session, 0) + claims.most_fed_ws(award, from_ms, self._rules)
        return [Remember(f"{_BOUGHT}{session}", msgspec.msgpack.encode(self._most_ws[session]))]

    def leave(self, departed: Departed) -> tuple[Departed, list[Effect]]:
        """A departed car's totals without what it cannot have fed, and forget the car."""
        if not self._buys:
            return departed, []
        most_ws = self._most_ws.pop(departed.session, None)
        if departed.exported_ws > (most_ws or 0):
            departed = msgspec.structs.replace(departed, exported_ws=most_ws or 0)
        return departed, [] if most_ws is None else [Forget(f"{_BOUGHT}{departed.session}")]

    def restore(self, remembered: Mapping[str, bytes]) -> None:
        """Take up what was remembered before a restart."""
        for key, value in remembered.items():
            if key.startswith(_BOUGHT):
                self._most_ws[int(key.removeprefix(_BOUGHT))] = msgspec.msgpack.decode(value, type=int)
