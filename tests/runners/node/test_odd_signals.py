"""A car that is told nonsense by a charger it trusts goes on, and takes part as soon as it is told the truth."""

from __future__ import annotations

from msgspec.structs import replace
from tests.runners.node.people import Person, node, until
from tests.runners.node.street_of_nodes import FIXED, MARKET, AgentProcess

from wattswap.protocol.events import Metered, PluggedIn, Reading, Unplugged
from wattswap.runners.node.trust import TrustDirectory

TRUE = PluggedIn(5, "charger/0#1", "charger/0", 7_200_000, None, 11_000, 0, 0, 0)
MOST = (1 << 64) - 1
READING = Reading(5, 1, 1, 0, 11_000, 11_000, 11_000, 0, drew=True)
ODD = [
    replace(TRUE, session_id="x" * 65_000),
    replace(TRUE, peer="charger/9"),
    replace(TRUE, need_ws=MOST),
    replace(TRUE, max_w=-1, departure_ms=MOST),
    replace(TRUE, session=-(1 << 63)),
    Unplugged(MOST, -1, MOST),
    Metered(5, MOST, MOST, -1, MOST, -1),
    replace(READING, remaining_ws=-(1 << 63), due_ms=MOST),
]


def test_what_no_honest_charger_says_stops_no_car(tmp_path):
    charger, transformer = Person("charger/0", "charger"), Person("transformer", "transformer")
    with node(charger, [], listens=True, beat_ms=1_000) as liar:
        text = f'{FIXED}{MARKET}[upstream]\nname = "charger/0"\nhost = "127.0.0.1"\nport = {liar.port}\n'
        car = AgentProcess(tmp_path / "car", "vehicle/0", "vehicle", text)
        for other in (charger, transformer):
            TrustDirectory(car.folder / "keys").add(other.identity)
        liar.trust.become(type(liar.trust)([car.identity]))
        car.start()
        try:
            until(lambda: liar.gate.is_open(car.identity.transport), liar)
            for odd in ODD:
                liar.messenger.signal("charger/0", "vehicle/0", [odd])
            until(lambda: car.events("refused"), liar)
            [line] = car.events("refused")
            assert line["why"] == "charger/0 says that this car is plugged in at charger/9"
            assert not liar.heard
            liar.messenger.signal("charger/0", "vehicle/0", [TRUE])
            until(lambda: liar.heard, liar)
        finally:
            assert car.end() == 0, car.err()
        assert not car.err()
