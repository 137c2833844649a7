"""Which sessions have departed, as the transformer remembers it."""

from __future__ import annotations

from tests.agents.words import remembered

from wattswap.agents.departed_sessions import DepartedSessions


def test_a_charger_speaks_for_its_own_departures_only() -> None:
    departed = DepartedSessions()
    departed.add("A", 1)
    assert departed.has("A", 1)
    assert not departed.has("B", 1)


def test_it_keeps_the_sixteen_newest_of_each_charger_in_memory_and_on_disk() -> None:
    departed = DepartedSessions()
    kept = remembered(departed.add("B", 0), *(departed.add("A", session) for session in range(20)))
    again = DepartedSessions()
    again.restore([*kept, "session/3"])
    for each in (departed, again):
        assert [session for session in range(20) if each.has("A", session)] == list(range(4, 20))
        assert each.has("B", 0)
