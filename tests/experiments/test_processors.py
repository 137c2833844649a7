"""How many processes work at the same time when nobody says."""

from __future__ import annotations

import os

import pytest

from wattswap.experiments.processors import usable_processors


def test_only_the_processors_that_this_process_may_use_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 3, 5}, raising=False)
    assert usable_processors() == 3


def test_macos_cannot_say_so_all_processors_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert usable_processors() == 8


def test_a_system_that_knows_nothing_of_its_processors_has_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_processors() == 1
