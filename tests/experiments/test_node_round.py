"""The measured round on the wire is a whole one: everybody is called, some win, all is acknowledged."""

from __future__ import annotations

import pytest

from wattswap.experiments.bench.node_round import a_round


@pytest.mark.parametrize("sign", [False, True])
def test_a_round_over_one_socket_ends_with_awards_and_takes_one_frame_a_step(sign):
    row = a_round(6, sign=sign)
    assert (row.cars, row.signed) == (6, sign)
    assert 0 < row.awards < 6, "homes take half the limit, so half of what the cars want is too much"
    assert row.messages >= 2 * 6 + row.awards, "a call and an offer each, and awards"
    assert row.frames <= 6
