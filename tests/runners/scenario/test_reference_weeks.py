"""The bundled weeks against figures that were computed from the same files by other means."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wattswap.runners.scenario import Street, load_street

PLAIN = ("base.shape=step", "base.noise_pct=0")


def uncontrolled_w(street: Street) -> NDArray[np.int64]:
    """Load per tick if every car draws all it can from plug-in on, shape (ticks,)."""
    load_w: NDArray[np.int64] = street.base_w[0, 1:].copy()
    sessions, tick_s = street.sessions, street.tick_ms // 1000
    for row, energy_ws in enumerate(sessions.energy_ws.tolist()):
        rest_ws = energy_ws
        for tick in range(sessions.arrival_tick[row], sessions.departure_tick[row]):
            drawn_w = min(street.scenario.chargers.max_w, rest_ws // tick_s)
            rest_ws -= drawn_w * tick_s
            if 0 <= tick < street.ticks:
                load_w[tick] += drawn_w
    return load_w


@pytest.mark.parametrize(
    ("name", "sessions", "peak_w", "overload_min"),
    [("a400", 883, 485_888, 204.0), ("b250", 468, 292_772, 80.5), ("c250stress", 883, 453_320, 2_123.0)],
)
def test_uncontrolled_week_has_the_peak_and_overload_of_the_record(name, sessions, peak_w, overload_min):
    street = load_street(name, settings=PLAIN)
    load_w = uncontrolled_w(street)
    assert len(street.sessions.session_id) == sessions
    assert load_w.max() == peak_w
    assert (load_w > street.limit_w).sum() * street.tick_ms / 60_000 == overload_min


@pytest.mark.parametrize("name", ["a400", "b250", "c250stress"])
def test_ramp_keeps_the_weeks_energy(name):
    mean_w = [
        load_street(name, settings=["base.noise_pct=0", f"base.shape={shape}"]).base_w for shape in ("step", "ramp")
    ]
    assert abs(mean_w[0][:, 1:].mean() - mean_w[1][:, 1:].mean()) < 1


def test_demo_is_the_sunday_of_a400_with_an_order_to_use_less():
    demo, sunday = load_street("demo"), load_street("a400", day=7)
    assert (demo.ticks, sunday.ticks) == (36 * 120, 24 * 120)
    assert np.array_equal(demo.base_w[:, : -12 * 120 - 30], sunday.base_w[:, :-30]), "until its last quarter of an hour"
    assert demo.sessions.session_id == sunday.sessions.session_id
    assert demo.sessions.energy_ws.tolist() == sunday.sessions.energy_ws.tolist()
    ordered = np.flatnonzero(demo.limit_w == 280_000)
    assert (ordered[0], ordered[-1] + 1) == (18.5 * 120, 19.5 * 120)
    assert set(np.delete(demo.limit_w, ordered).tolist()) == {380_000}


def test_the_demo_s_monday_morning_is_the_monday_before():
    silent = ["base.noise_pct=0"]
    demo, monday = load_street("demo", settings=silent), load_street("a400", settings=silent, day=1)
    assert np.array_equal(demo.base_w[:, -12 * 120 + 30 : -30], monday.base_w[:, 31 : 12 * 120 - 29])
    left = demo.sessions.departure_tick <= demo.ticks
    assert np.count_nonzero(left) == 186, "of 200; on Sunday at midnight 95 were still here"


def test_a_profile_of_less_than_a_week_has_no_week_to_go_on_from(tmp_path, complaint):
    (tmp_path / "homes.csv").write_text(
        "timestamp,household_kw\n2024-01-01T00:00:00Z,1\n2024-01-01T12:00:00Z,2\n", encoding="utf-8"
    )
    (tmp_path / "x.toml").write_text(
        "start = 2024-01-01T00:00:00Z\ndays = 2\n[base]\nhousehold_csv = 'homes.csv'\nbeyond = 'week-before'\n",
        encoding="utf-8",
    )
    assert "no whole week to go on from" in complaint(lambda: load_street(str(tmp_path / "x.toml")))


def test_only_b250_has_a_battery_and_it_is_one_that_acts():
    assert load_street("a400").scenario.battery == ()
    (battery,) = load_street("b250").scenario.battery
    assert (battery.capacity_wh, battery.wear_nanos_per_kwh, battery.target_pct) == (50_000, 50_000_000, 100)
