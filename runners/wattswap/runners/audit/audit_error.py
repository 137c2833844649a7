"""What is raised when a run breaks a rule."""

from __future__ import annotations


class AuditError(AssertionError):
    """A rule is broken: which, and the facts that clash; with the seed and the time it is a bug report."""

    def __init__(self, rule: str, facts: str, where: str = "") -> None:
        self.rule, self.facts = rule, facts
        super().__init__(f"{where}{rule}: {facts}")

    def at(self, seed: int, now_ms: int) -> AuditError:
        """The same with its place: the seed that repeats it, and the virtual time."""
        minutes, ms = divmod(now_ms, 60_000)
        return AuditError(self.rule, self.facts, f"seed {seed}, {minutes // 60}:{minutes % 60:02}:{ms / 1000:06.3f}: ")


def require(holds: bool, rule: str, facts: str) -> None:
    """Raise unless this holds."""
    if not holds:
        raise AuditError(rule, facts)
