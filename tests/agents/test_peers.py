"""Who belongs to which session: only a cable makes a peer, and a crash does not make an agent forget it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.agents.words import remembered

from wattswap.agents.peers import MOST_PEERS, Peers
from wattswap.protocol.effects import Forget, Remember


def test_a_peer_is_made_durable_once() -> None:
    peers = Peers()
    assert peers.meet(7, "car", set()) == [Remember("peer/7", b"car")]
    assert peers.meet(7, "car", set()) == []
    assert (peers.get(7), peers.get(8)) == ("car", None)


def test_the_oldest_session_without_business_makes_room() -> None:
    peers = Peers()
    for session in range(MOST_PEERS):
        peers.meet(session, "car", set())
    assert peers.meet(98, "car", {0}) == [Remember("peer/98", b"car")]
    assert peers.meet(99, "car", {0}) == [Remember("peer/99", b"car"), Forget("peer/1")]
    assert (peers.get(0), peers.get(1)) == ("car", None)


@given(st.lists(st.integers(0, 60), max_size=60), st.sets(st.integers(0, 60), max_size=5))
def test_what_is_known_is_what_is_durable(sessions: list[int], unsettled: set[int]) -> None:
    peers, steps = Peers(), []
    for session in sessions:
        steps.append(peers.meet(session, f"car {session}", unsettled))
        assert peers.get(session) == f"car {session}"
        assert len(peers) <= MOST_PEERS + len(unsettled)
    again = Peers()
    again.restore(remembered(*steps))
    assert [again.get(session) for session in range(61)] == [peers.get(session) for session in range(61)]
