"""What a node lets in, without sockets: peers are keys, time is a number."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import asdict
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runners.node.people import Person

from wattswap.protocol import messages
from wattswap.protocol.codec import encode, seal
from wattswap.protocol.events import DriverWish, Unplugged
from wattswap.protocol.messages import BaseReport, Departed, Release
from wattswap.runners.node.frames import (
    FRAME_VERSION,
    Bundle,
    Envelope,
    Hello,
    Reason,
    Rejection,
    Signal,
    Signals,
    Welcome,
    decode_frame,
    encode_frame,
)
from wattswap.runners.node.gate import BURST_BEATS, FRAMES_A_BEAT, MESSAGES_A_BEAT, MUTED_BEATS, STRIKES, Gate
from wattswap.runners.node.roles import ROLES, kinds_sent, may_send
from wattswap.runners.node.trust import TrustStore

BEAT_MS = 1_000
CHARGER, OTHER, HOME = Person("charger/1", "charger"), Person("charger/2", "charger"), Person("home", "household")
ME = Person("transformer", "transformer")
PEER = CHARGER.key.public
DEPARTED = Departed(7, 0, 0)


def gate(**options) -> Gate:
    trust = TrustStore([CHARGER.identity, OTHER.identity, HOME.identity])
    return Gate({"transformer": "transformer"}, trust, epoch=5, beat_ms=BEAT_MS, **options)


def hello(epoch: int = 1, *names: str, beat_ms: int = BEAT_MS) -> bytes:
    return encode_frame(Hello(FRAME_VERSION, epoch, beat_ms, names or ("charger/1",)))


def bundle(seq: int, *messages: messages.Message, epoch: int = 1, sender: str = "charger/1", to: str = "transformer"):
    return encode_frame(
        Bundle(FRAME_VERSION, epoch, seq, tuple(Envelope(sender, to, encode(message)) for message in messages))
    )


def opened(**options) -> Gate:
    made = gate(**options)
    assert made.judge(PEER, hello(), 0).opened
    return made


def reason(answer: bytes | None) -> int:
    assert answer is not None
    frame = decode_frame(answer)
    assert isinstance(frame, Rejection)
    return frame.reason


def test_a_hello_is_answered_with_who_is_here():
    judged = gate().judge(PEER, hello(), 0)
    assert judged.answer is not None
    assert decode_frame(judged.answer) == Welcome(FRAME_VERSION, 5, BEAT_MS, ("transformer",))


def test_nothing_is_heard_before_a_hello():
    made = gate()
    judged = made.judge(PEER, bundle(1, DEPARTED), 0)
    assert (judged.heard, reason(judged.answer)) == ([], Reason.HELLO_FIRST)
    assert made.judge(PEER, bundle(2, DEPARTED), 1).answer is None, "told once a heartbeat"
    made.judge(PEER, hello(), 2)
    assert made.judge(PEER, bundle(3, DEPARTED), 3).heard == [("charger/1", "transformer", DEPARTED)]


def test_a_number_that_does_not_rise_is_dropped():
    made = opened()
    heard = [len(made.judge(PEER, bundle(seq, DEPARTED), 0).heard) for seq in (1, 1, 3, 2, 3, 4)]
    assert heard == [1, 0, 1, 0, 0, 1]
    assert made.counts.replayed == 3


def test_a_hello_that_is_repeated_does_not_let_old_frames_in_again():
    made = opened()
    made.judge(PEER, bundle(9, DEPARTED), 0)
    made.judge(PEER, hello(), 0)
    assert not made.judge(PEER, bundle(9, DEPARTED), 0).heard


def test_after_a_restart_numbers_begin_again_and_the_old_epoch_is_over():
    made = opened()
    made.judge(PEER, bundle(9, DEPARTED), 0)
    assert made.judge(PEER, hello(2), 0).opened
    assert made.judge(PEER, bundle(1, DEPARTED, epoch=2), 0).heard
    assert not made.judge(PEER, bundle(10, DEPARTED, epoch=1), 0).heard
    assert reason(made.judge(PEER, hello(1), 5_000).answer) == Reason.EPOCH


@pytest.mark.parametrize(
    ("speaker", "listener", "heard"),
    [("vehicle", "charger", DriverWish), ("charger", "vehicle", Unplugged)],
    ids=["a car of its driver", "a charger of its cable"],
)
def test_a_car_signals_what_its_driver_wants_and_a_charger_all_else(speaker, listener, heard):
    one = Person(f"{speaker}/1", speaker)
    made = Gate({f"{listener}/1": listener}, TrustStore([one.identity]), epoch=5, beat_ms=BEAT_MS)
    assert made.judge(one.key.public, hello(1, one.name), 0).opened
    events = DriverWish(7, sells=False, departure_ms=0), Unplugged(7, 0, 0)
    signals = tuple(Signal(one.name, f"{listener}/1", event) for event in events)
    judged = made.judge(one.key.public, encode_frame(Signals(FRAME_VERSION, 1, 1, signals)), 0)
    assert [type(event) for _, _, event in judged.heard] == [heard]
    assert made.counts.wrong_role == 1


def test_the_highest_epoch_heard_survives_our_own_restart():
    """A cloned SD card speaks in an old epoch; the node it once was has gone on."""
    durable: dict[bytes, int] = {}
    opened(remember=durable.__setitem__).judge(PEER, hello(8), 0)
    assert durable == {PEER: 8}
    assert reason(gate(epochs=durable).judge(PEER, hello(7), 0).answer) == Reason.EPOCH


def test_a_name_must_belong_to_the_key():
    made = gate()
    assert reason(made.judge(PEER, hello(1, "charger/2"), 0).answer) == Reason.NAME
    assert reason(made.judge(PEER, hello(1, "charger/1", "charger/2"), 2_000).answer) == Reason.NAME
    assert reason(made.judge(PEER, hello(1, "nobody"), 4_000).answer) == Reason.NAME
    assert not made.is_open(PEER)


def test_agents_of_a_peer_that_nobody_here_trusts_are_left_out_and_held_against_nobody():
    """A node of several cars speaks for all of them; here only one of them is known."""
    made = gate()
    assert made.judge(PEER, hello(1, "charger/1", "charger/9"), 0).opened
    assert made.speaks(PEER) == {"charger/1"}
    for seq in range(1, STRIKES + 10):
        assert not made.judge(PEER, bundle(seq, DEPARTED, sender="charger/9"), seq * 100).heard
    assert made.judge(PEER, bundle(STRIKES + 10, DEPARTED), STRIKES * 100 + 1_000).heard
    assert made.counts.unheard == STRIKES + 9


def test_an_agent_here_hears_only_whom_it_trusts_itself():
    """Two agents of one node: the home trusts nobody, the transformer the charger."""
    trust = TrustStore([CHARGER.identity])
    made = Gate(
        {"transformer": "transformer", "second": "transformer"},
        trust,
        epoch=1,
        beat_ms=BEAT_MS,
        hears=lambda receiver, _sender: receiver == "transformer",
    )
    made.judge(PEER, hello(), 0)
    assert made.judge(PEER, bundle(1, DEPARTED), 0).heard
    assert not made.judge(PEER, bundle(2, DEPARTED, to="second"), 0).heard
    assert made.counts.unheard == 1


def test_after_a_change_of_trust_a_peer_says_hello_again_so_that_its_other_agent_is_heard():
    shared = Person("charger/2", "charger", CHARGER.key)
    trust = TrustStore([CHARGER.identity])
    made = Gate({"transformer": "transformer"}, trust, epoch=1, beat_ms=BEAT_MS)
    made.judge(PEER, hello(1, "charger/1", "charger/2"), 0)
    made.renew()
    assert made.is_open(PEER), "nothing has changed"
    trust.become(TrustStore([CHARGER.identity, shared.identity]))
    made.renew()
    assert reason(made.judge(PEER, bundle(1, DEPARTED), 1).answer) == Reason.HELLO_FIRST
    made.judge(PEER, hello(1, "charger/1", "charger/2"), 2)
    assert made.judge(PEER, bundle(2, DEPARTED, sender="charger/2"), 3).heard


def test_two_beats_do_not_mix():
    assert reason(gate().judge(PEER, hello(beat_ms=500), 0).answer) == Reason.BEAT


def test_another_version_is_told_ours():
    judged = gate().judge(PEER, b"\x92\x01\x02", 0)
    assert reason(judged.answer) == Reason.VERSION


def test_each_message_of_a_frame_is_judged_alone():
    made = opened()
    envelopes = (
        Envelope("charger/1", "transformer", encode(DEPARTED)),
        Envelope("charger/2", "transformer", encode(DEPARTED)),
        Envelope("charger/1", "charger/2", encode(DEPARTED)),
        Envelope("charger/1", "transformer", b"\xc1"),
        Envelope("charger/1", "transformer", encode(BaseReport(0))),
        Envelope("charger/1", "transformer", encode(Departed(8, 0, 0))),
    )
    judged = made.judge(PEER, encode_frame(Bundle(FRAME_VERSION, 1, 1, envelopes)), 0)
    assert [message for _, _, message in judged.heard] == [DEPARTED, Departed(8, 0, 0)]
    counted = {cause: count for cause, count in asdict(made.counts).items() if count}
    assert counted == {"wrong_name": 1, "misaddressed": 1, "malformed": 1, "wrong_role": 1}


def test_whoever_sends_more_than_its_allowance_is_not_heard_and_others_are():
    made = opened()
    made.judge(OTHER.key.public, hello(1, "charger/2"), 0)
    heard = sum(len(made.judge(PEER, bundle(seq, DEPARTED), 1).heard) for seq in range(1, 2_000))
    assert heard <= FRAMES_A_BEAT * BURST_BEATS
    assert made.counts.over_allowance > 1_000
    assert made.judge(OTHER.key.public, bundle(1, DEPARTED, sender="charger/2"), 1).heard
    assert made.judge(PEER, bundle(5_000, DEPARTED), 2_000).heard, "a heartbeat later there is room again"


def test_the_allowance_counts_messages_too_and_a_hello_fills_it_up_for_nobody():
    """A frame holds a thousand of them: fifty frames a beat once kept an agent from everything else."""
    made = opened()
    heard = 0
    for seq in range(1, 40):
        frame = bundle(seq, *[DEPARTED] * MESSAGES_A_BEAT)
        heard += len(made.judge(PEER, frame, 1).heard)
        made.judge(PEER, hello(), 1)
    assert heard == MESSAGES_A_BEAT * BURST_BEATS
    assert made.judge(PEER, bundle(50, DEPARTED), BEAT_MS).heard, "a heartbeat later there is room again"
    for seq in range(51, 51 + STRIKES):
        made.judge(PEER, bundle(seq, *[DEPARTED] * 1_024), BEAT_MS)
    assert made.counts.over_allowance > STRIKES / 2
    assert not made.judge(PEER, bundle(500, DEPARTED), 2 * BEAT_MS).heard, "whoever goes on is not listened to"


def test_what_agents_refuse_is_held_against_the_one_who_said_it_alone():
    shared = Person("charger/3", "charger", CHARGER.key)
    trust = TrustStore([CHARGER.identity, shared.identity])
    made = Gate({"transformer": "transformer"}, trust, epoch=1, beat_ms=BEAT_MS)
    made.judge(PEER, hello(1, "charger/1", "charger/3"), 0)
    for _ in range(STRIKES):
        made.refused(PEER, "charger/1", 0)
        made.refused(PEER, "charger/2", 0)
    assert not made.judge(PEER, bundle(1, DEPARTED), 1).heard
    assert made.judge(PEER, bundle(2, DEPARTED, sender="charger/3"), 1).heard
    assert made.judge(PEER, bundle(3, DEPARTED), MUTED_BEATS * BEAT_MS).heard


def test_what_is_refused_now_and_then_is_forgotten():
    made = opened()
    for second in range(3 * STRIKES):
        made.refused(PEER, "charger/1", second * 1_000)
    assert made.judge(PEER, bundle(1, DEPARTED), 3 * STRIKES * 1_000).heard


def test_a_peer_that_strikes_often_is_not_listened_to_for_a_while():
    made = opened()
    told = [made.judge(PEER, b"\xc1", 0).muted for _ in range(STRIKES)]
    assert told == [False] * (STRIKES - 1) + [True], "and that is told once"
    assert not made.judge(PEER, bundle(1, DEPARTED), 1).heard
    assert made.judge(PEER, bundle(2, DEPARTED), MUTED_BEATS * BEAT_MS).heard


def test_a_key_that_is_trusted_no_longer_is_neither_heard_nor_answered():
    trust = TrustStore([CHARGER.identity])
    made = Gate({"transformer": "transformer"}, trust, epoch=5, beat_ms=BEAT_MS)
    made.judge(PEER, hello(), 0)
    assert trust.become(TrustStore([], [CHARGER.identity])) == {PEER}
    judged = made.judge(PEER, bundle(1, DEPARTED), 0)
    assert (judged.heard, judged.answer, made.counts.untrusted) == ([], None, 1)


def test_whoever_is_trusted_again_is_heard_by_and_hears_the_other_side_at_once():
    """The other side has not started anew, so the numbers that it has heard and said must not come again."""

    def welcome(now_ms: int) -> None:
        answer = here.judge(PEER, there.hello(ME.key.public, now_ms), now_ms).answer
        assert answer is not None
        there.judge(ME.key.public, answer, now_ms)

    here, there = opened(), Gate({"charger/1": "charger"}, TrustStore([ME.identity]), epoch=1, beat_ms=BEAT_MS)
    welcome(0)
    for _ in range(3):
        there.judge(ME.key.public, here.bundle(PEER, (), 0)[0], 0)
    said = there.bundle(ME.key.public, [("charger/1", "transformer", DEPARTED)], 0)[0]
    assert here.judge(PEER, said, 0).heard
    here.forget(PEER)
    assert (here.is_open(PEER), here.spoke(PEER), here.heard_ms(PEER)) == (False, frozenset(), None)
    welcome(1)
    there.judge(ME.key.public, here.bundle(PEER, (), 2)[0], 2)
    assert there.heard_ms(ME.key.public) == 2
    assert not here.judge(PEER, said, 2).heard, "nor is what was said before taken for new"


def test_when_the_other_side_starts_anew_the_link_is_closed_until_it_is_greeted():
    made = opened()
    judged = made.judge(PEER, encode_frame(Rejection(FRAME_VERSION, Reason.HELLO_FIRST, "")), 0)
    assert judged.rejected is not None
    assert not made.is_open(PEER)


def test_a_sign_of_life_is_due_after_a_silent_beat():
    made = opened()
    assert made.quiet(BEAT_MS - 1) == []
    assert made.quiet(BEAT_MS) == [PEER]
    [frame] = made.bundle(PEER, (), BEAT_MS)
    assert decode_frame(frame) == Bundle(FRAME_VERSION, 5, 1, ())
    assert made.quiet(BEAT_MS + 1) == []


def hostile(luck: random.Random, valid: list[bytes]) -> bytes:
    """Bytes of chance, or a valid frame with a few bytes changed, cut or repeated."""
    if luck.random() < 0.3:
        return luck.randbytes(luck.randrange(200))
    data = bytearray(luck.choice(valid))
    for _ in range(luck.randrange(1, 4)):
        place = luck.randrange(len(data))
        match luck.randrange(3):
            case 0:
                data[place] = luck.randrange(256)
            case 1:
                del data[place:]
            case _:
                data[place:place] = data[place : place + luck.randrange(1, 9)]
        if not data:
            return b""
    return bytes(data)


def judge_hostile(count: int) -> None:
    """Nothing that is heard is anything but a message of the peer's own; nothing raises; memory stays flat."""
    luck, made = random.Random(count), opened()
    valid = [hello(), bundle(3, DEPARTED), bundle(4, Release(0, 1, 7)), bundle(9, DEPARTED, sender="charger/2")]
    tracemalloc.start()
    try:
        base = 0
        for number in range(count):
            now_ms = number * 100 * BEAT_MS  # so that allowance and strikes never hide what is tested
            judged = made.judge(PEER, hostile(luck, valid), now_ms)
            for sender, receiver, message in judged.heard:
                assert (sender, receiver) == ("charger/1", "transformer")
                assert may_send("charger", "transformer", cast("messages.Message", message))
            if number == count // 5:
                base = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] - base < 64_000
    finally:
        tracemalloc.stop()
    assert made.counts.malformed > count // 4


def test_ten_thousand_malformed_frames_change_nothing():
    judge_hostile(10_000)


@pytest.mark.long
def test_a_million_malformed_frames_change_nothing():
    judge_hostile(1_000_000)


ALL_KINDS = [kind for kind in messages.Message.__args__ if kind is not messages.Sealed] + list(messages.SEALED)


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_message_is_somebodys_to_send(kind):
    """A new message that no role may send would never arrive."""
    pairs = [(sender, receiver) for sender in ROLES for receiver in ROLES if kind in kinds_sent(sender, receiver)]
    assert pairs
    assert all("transformer" in pair or set(pair) == {"charger", "vehicle"} for pair in pairs)


def test_nobody_may_grant_but_the_transformer():
    grant = messages.Grant(7, 0, 0, 1, 1, 1, 0, 0)
    assert [sender for sender in ROLES if any(may_send(sender, other, grant) for other in ROLES)] == ["transformer"]


def test_a_sealed_message_counts_as_what_is_inside():
    award = seal(messages.Award(0, 1, 7, 300_000, (1_000,), (5,), 86_400))
    assert may_send("transformer", "charger", award)
    assert may_send("charger", "vehicle", award)
    assert not may_send("vehicle", "charger", award)
    assert not may_send("vehicle", "charger", messages.Sealed(99, b"", b""))


@given(st.binary(max_size=100), st.integers(0, 10**9))
def test_any_bytes_are_judged_without_an_error(data, now_ms):
    judged = opened().judge(PEER, data, now_ms)
    assert judged.heard == []
