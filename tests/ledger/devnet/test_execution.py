"""The pure layer: whatever transactions come, no token appears or vanishes, and no coin is anybody's by mistake."""

from __future__ import annotations

import iota_sdk as iota
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from wattswap.ledger.base import DamagedError
from wattswap.ledger.devnet import bcs, execution
from wattswap.ledger.devnet.model import Argument, CoinObject, Command, Execution, Reference, Refused, Transaction
from wattswap.ledger.devnet.rules import COIN_DEPOSIT
from wattswap.ledger.devnet.store import ChainStore, Condition

ANNA, BERT = b"a" * 32, b"b" * 32
FEE = 1_000_000
OPTION = f"0x{1:064x}"
GAS: Argument = "Gas"


class Coins(ChainStore):
    """A state in memory: what ``ChainStore`` does, without a file."""

    def __init__(self, *coins: CoinObject) -> None:
        self.now = {coin.id: coin for coin in coins}
        self.spent: dict[tuple[bytes, int], bytes] = {}

    def coin(self, coin_id: bytes, *_: Condition) -> CoinObject | None:
        return self.now.get(coin_id)

    def spender(self, coin_id: bytes, version: int) -> bytes | None:
        return self.spent.get((coin_id, version))

    def apply(self, digest: bytes, outcome: Execution) -> None:
        for coin in outcome.spent:
            assert (coin.id, coin.version) not in self.spent
            self.spent[coin.id, coin.version] = digest
            del self.now[coin.id]
        for coin in outcome.written:
            assert coin.id not in self.now
            self.now[coin.id] = coin

    @property
    def nanos(self) -> int:
        """All there is, deposits included."""
        return sum(coin.nanos + COIN_DEPOSIT for coin in self.now.values())


def coin(number: int, owner: bytes = ANNA, nanos: int = 10**9) -> CoinObject:
    return bcs.coin(bytes([number]) * 32, 1, owner, nanos, bytes(32))


def named(one: CoinObject) -> Reference:
    return Reference(one.id, one.version, one.digest)


def u64(number: int) -> bytes:
    return bcs.u64(number)


def transaction(
    commands: list[Command],
    inputs: list[bytes | Reference],
    gas: list[CoinObject],
    *,
    budget: int = 50_000_000,
    number: int = 0,
    payer: bytes = ANNA,
) -> Transaction:
    digest = bcs.hashed(number.to_bytes(8, "little"))
    return Transaction(digest, ANNA, inputs, commands, [named(one) for one in gas], payer, 1_000, budget, None)


def run(commands: list[Command], inputs: list[bytes | Reference] | None = None) -> str:
    """What fails in a transaction with these commands, if it is charged; coin 2, 7 nanos and Bert are its inputs."""
    view = Coins(coin(1), coin(2))
    given = [named(coin(2)), u64(7), BERT, *(inputs or [])]
    return failure(execution.execute(transaction(commands, given, [coin(1)]), view))


def failure(outcome: Execution) -> str:
    """Why its commands did not take place; nothing if they did."""
    status = iota.TransactionEffects.from_bcs(outcome.effects).as_v1().status()
    return "" if status.is_success() else str(status.to_json())


def at(index: int, sub: int | None = None) -> Argument:
    return {"Result": index} if sub is None else {"NestedResult": [index, sub]}


def given_(index: int) -> Argument:
    return {"Input": index}


def split(coin: Argument, amounts: list[Argument]) -> Command:
    return {"SplitCoins": {"coin": coin, "amounts": amounts}}


def merge(coin: Argument, sources: list[Argument]) -> Command:
    return {"MergeCoins": {"coin": coin, "coins_to_merge": sources}}


def transfer(objects: list[Argument], address: Argument) -> Command:
    return {"TransferObjects": {"objects": objects, "address": address}}


def vector(kind: str | None, elements: list[Argument]) -> Command:
    return {"MakeMoveVector": {"type": kind, "elements": elements}}


COIN2, SEVEN, TO_BERT = given_(0), given_(1), given_(2)
SPLIT = split(GAS, [SEVEN])


@pytest.mark.parametrize(
    "commands",
    [
        [SPLIT],
        [SPLIT, transfer([at(0), at(0)], TO_BERT)],
        [SPLIT, transfer([at(1)], TO_BERT)],
        [SPLIT, transfer([at(0, 1)], TO_BERT)],
        [split(GAS, [SEVEN, SEVEN]), transfer([at(0)], TO_BERT)],
        [transfer([COIN2], SEVEN)],
        [transfer([COIN2], COIN2)],
        [transfer([SEVEN], TO_BERT)],
        [merge(COIN2, [GAS])],
        [merge(COIN2, [COIN2])],
        [merge(GAS, [COIN2]), transfer([COIN2], TO_BERT)],
        [transfer([GAS], TO_BERT), SPLIT],
        [split(SEVEN, [SEVEN])],
        [split(GAS, [TO_BERT])],
        [split(GAS, [given_(9)])],
        [split(GAS, [])],
        [vector("0x2::coin::Coin<0x2::iota::IOTA>", [COIN2])],
        [vector("vector<u8>", [COIN2])],
        [vector("vector<u8>", [TO_BERT]), transfer([at(0)], TO_BERT)],
        [{"MoveCall": {"package": "0x1", "module": "option", "function": "some"}}],
    ],
)
def test_a_program_that_breaks_moves_rules_is_refused(commands: list[Command]):
    with pytest.raises(Refused):
        run(commands)


def test_overspending_fails_and_is_charged():
    assert "InsufficientCoinBalance" in run([split(COIN2, [given_(3)])], [u64(10**10)])


def test_a_vector_can_be_left_lying():
    assert not run([vector("vector<u8>", [TO_BERT])])


def test_nothing_at_all_costs_the_fee_and_smashes_the_gas():
    view = Coins(coin(1), coin(2), coin(3))
    outcome = execution.execute(transaction([], [], [coin(2), coin(1), coin(3)]), view)
    (left,) = outcome.written
    assert left.id == coin(2).id
    assert left.nanos == 3 * 10**9 - FEE + 2 * COIN_DEPOSIT


def test_a_transaction_after_which_tokens_do_not_add_up_is_never_carried_out(monkeypatch: pytest.MonkeyPatch):
    """The last look before it is written: an exception of its own, for Python can be told to leave asserts out."""
    carried = execution.carry_out

    def one_nano_more(*args, **options) -> Execution:
        outcome = carried(*args, **options)
        first, *others = outcome.written
        more = structs.replace(first, nanos=first.nanos + 1)
        return structs.replace(outcome, written=[more, *others])

    monkeypatch.setattr(execution, "carry_out", one_nano_more)
    with pytest.raises(DamagedError, match="tokens came or went"):
        execution.execute(transaction([], [], [coin(1)]), Coins(coin(1)))


def test_a_transaction_makes_no_more_than_2048_coins():
    many = [split(GAS, [SEVEN] * 511)] * 4
    given: list[Command] = [*many, *(transfer([at(c, n) for n in range(511)], TO_BERT) for c in range(4))]
    view = Coins(coin(1, nanos=10**12))
    inputs: list[bytes | Reference] = [b"", u64(7), BERT]
    fine = execution.execute(transaction(given, inputs, [coin(1, nanos=10**12)], budget=5 * 10**10), view)
    assert not failure(fine)
    assert len(fine.written) == 4 * 511 + 1 <= 2_048
    given = [*given, split(GAS, [SEVEN] * 5), transfer([at(8, n) for n in range(5)], TO_BERT)]
    with pytest.raises(Refused, match="at most 2048 coins"):
        execution.execute(transaction(given, inputs, [coin(1, nanos=10**12)], budget=5 * 10**10), view)


ARGUMENTS = st.one_of(
    st.just(GAS),
    st.builds(given_, st.integers(0, 7)),
    st.builds(at, st.integers(0, 4), st.none() | st.integers(0, 2)),
)
SOME = st.lists(ARGUMENTS, min_size=1, max_size=3)
COMMANDS = st.one_of(
    st.builds(split, ARGUMENTS, st.lists(st.builds(given_, st.integers(0, 3)), min_size=1, max_size=3)),
    st.builds(merge, ARGUMENTS, SOME),
    st.builds(transfer, SOME, st.builds(given_, st.integers(3, 4))),
    st.builds(vector, st.sampled_from(["vector<u8>", None]), SOME),
)
AMOUNTS = st.sampled_from([0, 1, 7, 10**6, 10**9, 2**64 - 1])


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[Command], list[int], list[int], list[bytes], int]:
    """Commands, which coins pay, which are inputs, plain values, budget."""
    paying = draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
    inputs = draw(st.lists(st.integers(0, 9), max_size=3))
    plain = [u64(draw(AMOUNTS)) for _ in range(3)] + [ANNA, BERT]
    budget = draw(st.sampled_from([FEE, FEE + COIN_DEPOSIT, 5 * FEE, 10**8]))
    commands = draw(st.lists(COMMANDS, max_size=4))
    if draw(st.booleans()):  # often enough, let nothing lie about
        commands += [transfer([at(n)], given_(4)) for n, one in enumerate(commands) if "SplitCoins" in one]
    return commands, paying, inputs, plain, budget


@settings(max_examples=150, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=6))
def test_no_sequence_of_transactions_makes_or_loses_a_token(told):
    """Random commands on random coins, right or wrong: refused without a trace, or charged to the nano."""
    view = Coins(*(coin(number, ANNA if number % 3 else BERT) for number in range(1, 7)))
    burned, total, seen = 0, view.nanos, {one.id for one in view.now.values()}
    for number, (commands, paying, inputs, plain, budget) in enumerate(told):
        order = sorted(view.now.values(), key=lambda one: one.id)
        pick = [order[n % len(order)] for n in paying]
        extra = [order[n % len(order)] for n in inputs]
        asked = transaction(commands, [*plain, *(named(one) for one in extra)], pick, budget=budget, number=number)
        before = dict(view.now)
        try:
            outcome = execution.execute(asked, view)
        except Refused:
            assert view.now == before
            continue
        view.apply(asked.digest, outcome)
        burned += outcome.gas.computation
        assert view.nanos + burned == total
        assert outcome.gas.computation == FEE
        assert outcome.gas.net <= budget
        new = {one.id for one in outcome.written} - {one.id for one in outcome.spent}
        assert not new & seen, "an id was given twice"
        seen |= new
        assert all(one.owner == ANNA for one in outcome.spent), "only the sender's coins were touched"
        assert {one.version for one in outcome.written} == {max(one.version for one in outcome.spent) + 1}
        effects = iota.TransactionEffects.from_bcs(outcome.effects)
        assert effects.to_bcs() == outcome.effects
        assert len(effects.as_v1().changed_objects()) == len({one.id for one in outcome.spent} | new)
        if failure(outcome):
            assert not new
            assert (
                sum(one.nanos for one in outcome.written) == sum(one.nanos for one in outcome.spent) - outcome.gas.net
            )
