"""What other programs read of a charging point: the power it may draw, and for how long."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest

from wattswap.protocol.errors import InputError
from wattswap.runners.node.grant_page import GrantInForce, GrantPage

NOW_MS = 1_000_000


class StoppedClock:
    """The node's clock, set by hand."""

    ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def page() -> Iterator[tuple[GrantPage, StoppedClock]]:
    clock = StoppedClock()
    served = GrantPage("127.0.0.1", 0, charger="charger/1", guaranteed_w=1_380, clock=clock)
    yield served, clock
    served.close()


def read(page: GrantPage, path: str = "/") -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{page.port}{path}", timeout=20) as answer:
        found: dict[str, object] = json.load(answer)
    return found


def test_before_any_grant_the_guaranteed_minimum_stands(page):
    assert read(page[0]) == {
        "charger": "charger/1",
        "maxconsumptionpower": 1_380,
        "feed_w": 0,
        "lease_left_ms": 0,
        "lease_ends": None,
    }


def test_a_grant_is_read_with_what_is_left_of_its_lease(page):
    served, clock = page
    served.show(GrantInForce(6_900, 0, NOW_MS + 5_000))
    clock.ms += 2_000
    said = read(served)
    assert (said["maxconsumptionpower"], said["lease_left_ms"]) == (6_900, 3_000)
    assert str(said["lease_ends"]).endswith("Z")


def test_no_answer_outlives_the_lease_even_if_the_node_says_nothing_any_more(page):
    served, clock = page
    served.show(GrantInForce(6_900, 2_000, NOW_MS + 5_000))
    clock.ms += 5_000
    said = read(served)
    assert (said["maxconsumptionpower"], said["feed_w"], said["lease_ends"]) == (1_380, 0, None)


def test_there_is_nothing_else_and_nothing_can_be_written(page):
    with pytest.raises(HTTPError, match="404"):
        read(page[0], "/anything")
    request = urllib.request.Request(f"http://127.0.0.1:{page[0].port}/", data=b"11000")
    with pytest.raises(HTTPError, match="405"):
        urllib.request.urlopen(request, timeout=20)


def test_a_port_that_is_taken_is_one_line(page):
    with pytest.raises(InputError, match=r"\[page\]: cannot listen at 127.0.0.1:"):
        GrantPage("127.0.0.1", page[0].port, charger="charger/2", guaranteed_w=0, clock=StoppedClock())
