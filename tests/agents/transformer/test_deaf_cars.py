"""A car that acknowledges nothing is soon awarded nothing: what is repeated to it stays little, and others sell on."""

from __future__ import annotations

from tests.agents.transformer.two_cars import FULL_STOP, offer, pass_ticks, street, tell
from tests.agents.words import RULES, happens

from wattswap.agents.award_book import MOST_REPEATED, MOST_UNACKNOWLEDGED
from wattswap.agents.transformer import Transformer
from wattswap.protocol.codec import unseal
from wattswap.protocol.effects import NoteAward, Send
from wattswap.protocol.events import Woken
from wattswap.protocol.messages import AWARD, Ack, Award, Departed, ReliefCall, Sealed

WINDOW_TICKS = RULES.window_ms // RULES.tick_ms


def sent(effects: list[object], kind: type) -> list[str]:
    """To whom sealed messages of a kind go."""
    return [
        effect.to
        for effect in effects
        if isinstance(effect, Send) and isinstance(effect.message, Sealed) and isinstance(unseal(effect.message), kind)
    ]


def window(of: Transformer, number: int, *, car_1_sells: bool = True) -> tuple[list[str], list[int]]:
    """One window in which both cars would sell, car 1 at nothing: who is called, and who is awarded something."""
    now_ms = number * RULES.window_ms
    effects = list[object](happens(of, Woken(), now_ms))
    called = sent(effects, ReliefCall)
    for charger, session in (("A", 1), ("B", 2)):
        if charger in called:
            tranches = ((6_860, 0), (4_140, 0)) if session == 1 else FULL_STOP
            answer = offer(session, *tranches, tick=number * WINDOW_TICKS)
            effects += tell(of, charger, answer, now_ms)
    pass_ticks(of, now_ms + RULES.window_ms, since_ms=now_ms)
    return called, [effect.session for effect in effects if isinstance(effect, NoteAward)]


def deaf() -> Transformer:
    """Car 1 has won every window at a price of nothing and has acknowledged none of its awards."""
    of = street()
    for number in range(MOST_UNACKNOWLEDGED):
        assert window(of, number) == (["A", "B"], [1])
    return of


def test_it_is_not_called_any_more_and_another_car_sells() -> None:
    of = deaf()
    for number in range(MOST_UNACKNOWLEDGED, MOST_UNACKNOWLEDGED + 3):
        assert window(of, number) == (["B"], [2])
        tell(of, "B", Ack(AWARD, 2, number * WINDOW_TICKS), number * RULES.window_ms)
    assert of.owes == MOST_UNACKNOWLEDGED


def test_one_acknowledgement_brings_it_back() -> None:
    of = deaf()
    tell(of, "A", Ack(AWARD, 1, 0), MOST_UNACKNOWLEDGED * RULES.window_ms)
    assert window(of, MOST_UNACKNOWLEDGED) == (["A", "B"], [1])


def test_of_a_car_that_acknowledged_much_and_claimed_nothing_only_the_newest_awards_are_repeated() -> None:
    of, windows = street(), MOST_REPEATED + 2
    for number in range(windows):
        assert window(of, number)[1] == [1]
        tell(of, "A", Ack(AWARD, 1, number * WINDOW_TICKS), (number + 1) * RULES.window_ms)
    assert of.owes == 0
    left_ms = windows * RULES.window_ms
    tell(of, "A", Departed(1, 0, 0), left_ms)
    again = [
        award.tick
        for effect in happens(of, Woken(), left_ms + RULES.repeat_ms)
        if isinstance(effect, Send) and isinstance(effect.message, Sealed)
        if isinstance(award := unseal(effect.message), Award)
    ]
    assert again == [number * WINDOW_TICKS for number in range(2, windows)]
