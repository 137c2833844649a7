"""What is raised when a run breaks a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattswap.runners.audit.rules import Rule


class AuditError(AssertionError):
    """A rule is broken: which one, and the facts that contradict it. With the seed and the time it is a bug report."""

    def __init__(self, rule: Rule, facts: str, where: str = "") -> None:
        self.rule, self.facts = rule, facts
        super().__init__(f"{where}{rule}: {facts}")

    def at(self, seed: int, now_ms: int) -> AuditError:
        """The same error with its place: the seed that repeats it, and the virtual time."""
        minutes, ms = divmod(now_ms, 60_000)
        return AuditError(self.rule, self.facts, f"seed {seed}, {minutes // 60}:{minutes % 60:02}:{ms / 1000:06.3f}: ")


def require(holds: bool, rule: Rule, facts: str) -> None:
    """Raise an :class:`AuditError` unless this holds."""
    if not holds:
        raise AuditError(rule, facts)
