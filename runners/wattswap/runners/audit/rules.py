"""The rules that every run must keep, each with its number in the design and one sentence that states it.

S1 to S21 are about safety and hold after every event; L1 to L6 are about liveness and hold once faults have ceased.
The design has more numbers than this list: S6, S16, S18, S19, S21 and S22 are about controllers, ledgers, anchors,
bytes, repeatability and logs, and have tests of their own; L4, L5 and L7 are special cases of L3.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Self


@unique
class Rule(StrEnum):
    """A rule; its text is its number and short name, as a finding prints it."""

    statement: str
    """The rule as one sentence."""

    def __new__(cls, label: str, statement: str) -> Self:
        """A rule is its label; what it states comes along."""
        rule = str.__new__(cls, label)
        rule._value_, rule.statement = label, statement
        return rule

    FEASIBLE = (
        "S1 feasible",
        "The highest base load and the guaranteed minimum of every charger fit under the lowest limit together.",
    )
    ENVELOPE_SOUND = (
        "S2 envelope sound",
        "No charger's limit is above the highest that the transformer assumes for it.",
    )
    ROOM_TO_RAISE = (
        "S3 no raise beyond capacity",
        "After a grant that raises a charger, the base load and all that chargers may be drawing fit under the target.",
    )
    OVERLOAD_BOUNDED = (
        "S4 overload bounded",
        "An overload ends within the time that a meter reading, a lease and the chargers' ramp may take together.",
    )
    LEASE_OBEYED = (
        "S5 lease obeyed",
        "A charger draws and feeds at most what its lease allows, and its guaranteed minimum when the lease is over.",
    )
    NEWEST_OBEYED = (
        "S7 obeys the newest",
        "A charger's limit is that of the newest valid grant it has received.",
    )
    SAME_AGAIN = (
        "S7 same again",
        "An award or a claim that is sent again is the same as the first time.",
    )
    AWARD_SOUND = (
        "S8 award sound",
        "An award buys at most what its car offered in time, at a price from the ask to the reserve, for the window.",
    )
    BOUND_ONCE = (
        "S9 bound once",
        "A car is sent an award only when it holds no other.",
    )
    SOLD_ONCE = (
        "S9 sold once",
        "In one window a car is paid for at most the energy by which it stayed below its baseline.",
    )
    RESERVE_HELD = (
        "S9 reserve held",
        "A car that feeds back stays at or above its owner's reserve.",
    )
    AUTHENTIC = (
        "S10 authentic",
        "A mandate or offer counts only if its car has sent it, signed where agents sign, and names itself as payee.",
    )
    NO_LATE_BINDING = (
        "S11 no late binding",
        "No car counts for an award that arrived after its end, and no raise rests on a meter reading that is too old.",
    )
    RELEASED = (
        "S12 released",
        "A session that has left has no power reserved, and an award that is over has no tokens reserved.",
    )
    GONE_EARN_NOTHING = (
        "S12 gone earn nothing",
        "What a car has not drawn back when it leaves, or when its memory of it is lost, earns nothing.",
    )
    BILLED_LAST = (
        "S12 billed last",
        "A session is billed when all of its awards are settled.",
    )
    PAID_FOR_DELIVERY = (
        "S13 pay for delivery",
        "A trade pays the award's price for the lower of two meters, which is at most what the world's meter measured.",
    )
    RETURNED_AS_SOLD = (
        "S13 returned as sold",
        "While its car stays, a lot closes when all but a watt for a tick is back; no more comes back than was sold.",
    )
    DRAWN_BACK = (
        "S13 drawn back",
        "Rent is earned by energy that the world's meter saw drawn back, for no longer than since it was sold.",
    )
    RENT_CAPPED = (
        "S13 rent capped",
        "No energy earns rent for longer than its award says, which is a day at most.",
    )
    COVERED = (
        "S14 covered",
        "What a lot may come to, a day of waiting, is reserved before its award is sent and until it is settled.",
    )
    PAID_ONCE = (
        "S14 paid once",
        "An award is paid once, with one amount, and its receipt states that amount.",
    )
    CONSERVED = (
        "S15 conservation",
        "The book makes and loses no tokens, no account is overdrawn, and its journal explains its balances.",
    )
    BOOKS_AGREE = (
        "S15 books agree",
        "When nothing is open, the transformer may promise exactly what its book has not promised yet.",
    )
    NOTHING_FORGOTTEN = (
        "S17 nothing forgotten",
        "What was sent or paid survives a crash, and a car counts no more than it was paid and in the end all of it.",
    )
    BOUNDED = (
        "S20 bounded",
        "No conversation goes on without end within one instant.",
    )
    IN_ORDER = (
        "S20 in order",
        "Each agent's own check of its state passes after every event.",
    )
    NO_EXCEPTION = (
        "S20 no exception",
        "No agent and no book raises an exception, except to refuse a message.",
    )
    ROUNDS_END = (
        "L1 rounds end",
        "A round ends within a tick of its deadline, and before the next one opens.",
    )
    LOSS_NOTICED = (
        "L2 loss is noticed",
        "A charger that has heard no grant for a lease, two ticks and its ramp draws at most its guaranteed minimum.",
    )
    POWER_RETURNS = (
        "L3 normal power again",
        "Once faults have ceased and there is room for all, every car draws what it may without an award.",
    )
    LOTS_CLOSED = (
        "L6 lots are closed",
        "Once faults have ceased, no lot of a session that has left is open.",
    )
    ALL_SETTLED = (
        "L6 all is settled",
        "Once faults have ceased, every departure is billed and no message or payment is owed.",
    )
