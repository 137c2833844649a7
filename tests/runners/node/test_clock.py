"""A node's clock: ticks never repeat, and a restart puts it neither back nor ahead."""

from __future__ import annotations

from wattswap.runners.node import clock
from wattswap.runners.node.clock import EPOCH_S, KEEP_MS, ClockRecord, NodeClock, wall_ms


def test_it_shows_the_walls_time_and_its_ticks_fit_into_a_number():
    assert abs(NodeClock().now_ms() - wall_ms()) < 1_000
    assert abs(NodeClock(NodeClock().record().encode()).ahead_of_wall_ms()) < 1_000, "a restart puts it nowhere else"
    assert wall_ms() // 1_000 < 1 << 31
    assert EPOCH_S % 86_400 == 0


def test_a_walls_clock_that_was_set_back_while_the_machine_runs_changes_nothing():
    """An hour back: the machine's own count says how much time has passed."""
    before = NodeClock().record()
    ahead = ClockRecord(before.now_ms + 3_600_000, before.up_ms, before.boot_id)
    again = NodeClock(ahead.encode())
    assert 3_599_000 < again.ahead_of_wall_ms() < 3_700_000
    assert again.now_ms() >= ahead.now_ms


def test_after_a_reboot_with_a_clock_that_stands_back_it_goes_on_after_the_last_tick():
    """A Pi without a clock of its own starts with the time it was switched off at, or an older one."""
    other_boot = ClockRecord(wall_ms() + 60_000, 10**9, "another boot")
    assert NodeClock(other_boot.encode()).now_ms() >= other_boot.now_ms + KEEP_MS


def test_after_a_reboot_with_a_clock_that_is_right_it_shows_the_walls_time():
    other_boot = ClockRecord(wall_ms() - 60_000, 10**9, "another boot")
    assert abs(NodeClock(other_boot.encode()).ahead_of_wall_ms()) < 1_000


def test_where_the_system_names_no_boot_it_is_taken_for_a_reboot(monkeypatch, tmp_path):
    monkeypatch.setattr(clock, "_BOOT_ID", tmp_path / "none")
    record = NodeClock().record()
    assert record.boot_id == ""
    assert abs(NodeClock(record.encode()).ahead_of_wall_ms()) < 1_000
