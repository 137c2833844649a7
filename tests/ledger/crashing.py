"""A process that dies at the n-th boundary: before or after any SQL statement of the outbox or any call to the ledger.

Death between a call and its answer is the boundary after the call. What SQLite had not committed is gone, as it would
be for a real death; what the ledger accepted stays accepted.
"""

from __future__ import annotations

from typing import Any

from wattswap.ledger.account_adapter import AccountAdapter
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.submitter import Submitter


class Crash(BaseException):
    """The process is gone; nothing in it may catch this."""


class Boundaries:
    """Counts boundaries and crashes at one of them (``None``: never)."""

    def __init__(self, fatal: int | None = None) -> None:
        self.fatal, self.passed = fatal, 0
        self.names: list[str] = []

    def step(self, name: str) -> None:
        self.names.append(name)
        if self.passed == self.fatal:
            raise Crash(name)
        self.passed += 1


class Connection:
    """A connection whose statements have boundaries around them, where they write."""

    def __init__(self, real: Any, boundaries: Boundaries) -> None:
        self.real, self.boundaries = real, boundaries

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def execute(self, sql: str, *arguments: Any) -> Any:
        if sql.lstrip().startswith(("SELECT", "PRAGMA")):
            return self.real.execute(sql, *arguments)
        return self._between(sql, self.real.execute, sql, *arguments)

    def executemany(self, sql: str, *arguments: Any) -> Any:
        return self._between(sql, self.real.executemany, sql, *arguments)

    def _between(self, sql: str, call: Any, *arguments: Any) -> Any:
        name = " ".join(sql.split()[:3])
        self.boundaries.step("before " + name)
        result = call(*arguments)
        self.boundaries.step("after " + name)
        return result


class CrashingAdapter:
    """A adapter whose calls have boundaries around them."""

    def __init__(self, real: AccountAdapter, boundaries: Boundaries) -> None:
        self.real, self.boundaries = real, boundaries

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if not callable(value):
            return value

        def call(*arguments: Any) -> Any:
            self.boundaries.step("before " + name)
            result = value(*arguments)
            self.boundaries.step("after " + name)
            return result

        return call


class LeapingClock:
    """Time that jumps ahead whenever it is read, so that no wait lasts."""

    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        self.now_ms += 40_000
        return self.now_ms


def one_life(
    outbox: Outbox, adapter_of: Any, boundaries: Boundaries, live: Any, submitter: type[Submitter] = Submitter
) -> bool:
    """Let a process live over the outbox until it is done or dies; whether it died."""
    database = outbox._database
    real = database._connection
    database._connection = Connection(real, boundaries)  # type: ignore[assignment]
    try:
        outbox.check()
        live(submitter(outbox, lambda name: CrashingAdapter(adapter_of(name), boundaries), clock=LeapingClock()))
    except Crash:
        return True
    finally:
        if real.in_transaction:
            real.rollback()
        database._connection = real
    return False
