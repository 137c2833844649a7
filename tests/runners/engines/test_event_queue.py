"""The order in which an instant is handled: a stage at a time, within it by sender and the sender's own numbering."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wattswap.runners.engines.event_queue import EventQueue

NEVER_MS = 1 << 40
MOST_RANK = 99

entries = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["", "a", "b", "c"])), max_size=40)


def numbered(drawn: list[tuple[int, int, str]]) -> list[tuple[int, int, str, int]]:
    """Each entry with its sender's own sequence."""
    sent: dict[str, int] = {}
    result = []
    for at_ms, rank, sender in drawn:
        sent[sender] = sent.get(sender, 0) + 1
        result.append((at_ms, rank, sender, sent[sender]))
    return result


def queue_of(what: list[tuple[int, int, str, int]]) -> EventQueue[str]:
    queue = EventQueue[str]()
    for at_ms, rank, sender, sequence in what:
        queue.push(at_ms, rank, sender, sequence, "z", f"{sender}{sequence}")
    return queue


def emptied(queue: EventQueue[str]) -> list[tuple[int, int, str, int]]:
    order = []
    while (stage := queue.pop_stage(NEVER_MS, MOST_RANK)) is not None:
        order += [(stage.at_ms, stage.rank, sender, sequence) for sender, sequence, _, _ in stage.entries]
    return order


@given(entries)
def test_what_is_there_at_once_comes_by_instant_rank_sender_and_sequence(drawn):
    what = numbered(drawn)
    assert emptied(queue_of(what)) == sorted(what)


@given(entries, st.randoms())
def test_the_order_does_not_depend_on_who_puts_in_first(drawn, luck):
    what = numbered(drawn)
    shuffled = what.copy()
    luck.shuffle(shuffled)
    assert emptied(queue_of(shuffled)) == emptied(queue_of(what))


@given(entries)
def test_a_stage_is_all_there_is_of_the_lowest_rank(drawn):
    what = numbered(drawn)
    queue = queue_of(what)
    stage = queue.pop_stage(NEVER_MS, MOST_RANK)
    if stage is None:
        assert not what
        return
    lowest = min((at_ms, rank) for at_ms, rank, *_ in what)
    assert (stage.at_ms, stage.rank) == lowest
    assert len(stage.entries) == sum(entry[:2] == lowest for entry in what)
    assert len(queue) == len(what) - len(stage.entries)


@given(entries, st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), min_size=1, max_size=10))
def test_what_a_stage_brings_up_comes_in_a_later_stage_also_of_a_lower_rank(drawn, more):
    """After each stage the lowest rank is looked for anew: none of what comes next was there and passed over."""
    queue = queue_of(numbered([(at_ms, rank + 2, sender) for at_ms, rank, sender in drawn]))
    queue.push(0, 2, "", 1_000, "z", "first")
    first = queue.pop_stage(NEVER_MS, MOST_RANK)
    assert first is not None
    assert (first.at_ms, first.rank) == (0, 2)
    for number, (rank, sender) in enumerate(more):
        queue.push(0, rank, sender, 2_000 + number, "z", "brought up")
    brought, before = 0, (-1, -1)
    while (stage := queue.pop_stage(NEVER_MS, MOST_RANK)) is not None:
        assert (stage.at_ms, stage.rank) > before, "nothing was pushed in between"
        before = stage.at_ms, stage.rank
        brought += sum(item == "brought up" for *_, item in stage.entries)
        assert brought == sum(rank <= stage.rank for rank, _ in more) or stage.at_ms > 0
    assert brought == len(more)


def test_the_same_rank_of_the_same_instant_is_a_new_stage_when_it_comes_later():
    queue = queue_of([(0, 5, "b", 1)])
    assert queue.pop_stage(1, MOST_RANK) is not None
    queue.push(0, 5, "a", 1, "z", "later")
    stage = queue.pop_stage(1, MOST_RANK)
    assert stage is not None
    assert stage.entries == [("a", 1, "z", "later")]


@given(entries, st.integers(0, 4), st.integers(-1, 4))
def test_nothing_is_given_out_beyond_what_is_asked_for(drawn, until_ms, most_rank):
    queue = queue_of(numbered(drawn))
    while (stage := queue.pop_stage(until_ms, most_rank)) is not None:
        assert stage.at_ms < until_ms
        assert stage.rank <= most_rank
    left = emptied(queue)
    assert not left or left[0][0] >= until_ms or left[0][1] > most_rank


def test_two_copies_of_a_message_may_share_their_number():
    queue = EventQueue[object]()
    copies = [object(), object()]
    for copy in copies:
        queue.push(0, 0, "a", 1, "z", copy)
    stage = queue.pop_stage(1, 0)
    assert stage is not None
    assert [item for *_, item in stage.entries] == copies
