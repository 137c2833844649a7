"""IEC 61851: what the duty cycle of the control pilot's 1-kHz signal allows, and back.

Duty is counted in hundredths of a percent (0 to 10,000), current in milliamperes; both laws are whole numbers then:

    10 % to 85 %    0.6 A a percent              6 mA a hundredth
    85 % to 96 %    2.5 A x (percent - 64)      25 mA a hundredth above 6,400

8 % to 10 % stands for 6 A, 96 % to 97 % for 80 A; around 5 % the car has to ask digitally, and everything else allows
nothing. No duty allows between 51 and 52.5 A, nor anything below 6 A.
"""

from __future__ import annotations

from typing import Final

NO_CURRENT: Final = 10_000
"""The signal stands still: nothing may be drawn."""
LEAST_MA: Final = 6_000
MOST_MA: Final = 80_000
_LOW_MOST_MA: Final = 51_000
_HIGH_LEAST_MA: Final = 52_525


def allowed_ma(duty: int) -> int:
    """The current a car may draw at this duty; 0 where it may draw none or has to ask digitally.

    Raises:
        ValueError: this is no duty.
    """
    if not 0 <= duty <= NO_CURRENT:
        raise ValueError(f"a duty of {duty} hundredths of a percent; it lies between 0 and {NO_CURRENT}")
    if 800 <= duty < 1_000:
        return LEAST_MA
    if 1_000 <= duty <= 8_500:
        return 6 * duty
    if 8_500 < duty <= 9_600:
        return 25 * (duty - 6_400)
    return MOST_MA if 9_600 < duty <= 9_700 else 0


def duty_for(current_ma: int) -> int:
    """The duty that allows as much of this current as any, and never more; below 6 A the signal stands still.

    Raises:
        ValueError: the current is negative.
    """
    if current_ma < 0:
        raise ValueError(f"a current of {current_ma} mA")
    if current_ma < LEAST_MA:
        return NO_CURRENT
    if current_ma < _HIGH_LEAST_MA:
        return min(current_ma, _LOW_MOST_MA) // 6
    return 6_400 + min(current_ma, MOST_MA) // 25


def duty_of_power(import_w: int, *, voltage_v: int, phases: int) -> int:
    """The duty for a power at all of a charging point's phases."""
    return duty_for(max(0, import_w) * 1_000 // (voltage_v * phases))
