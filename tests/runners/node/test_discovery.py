"""Agents find each other by multicast DNS; here on the loopback alone, as in a network namespace with only ``lo``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.runners.node.people import Person
from zeroconf import IPVersion, ServiceInfo, Zeroconf

from wattswap.runners.node.discovery import SERVICE, Discovery, _identity, look_around

LO = ("127.0.0.1",)


def wait_for(what: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_an_agent_that_announces_itself_is_found_with_its_keys():
    charger = Person("charger/7", "charger")
    announcing, looking = Discovery([(charger.identity, 9_707)], LO), Discovery((), LO)
    try:
        wait_for(announcing.announcing.is_set)
        [one] = wait_for(lambda: {one for one in looking.found() if one.identity == charger.identity})
        assert (one.host, one.port) == ("127.0.0.1", 9_707)
        assert announcing.failure is None
    finally:
        announcing.close()
        looking.close()


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"name": "charger/7", "role": "king", "transport_key": "0" * 64, "signing_key": "0" * 64},
        {"name": "two words", "role": "charger", "transport_key": "0" * 64, "signing_key": "0" * 64},
        {"name": "charger/7", "role": "charger", "transport_key": b"\xff\xfe", "signing_key": "0" * 64},
    ],
)
def test_what_anybody_may_announce_is_read_as_an_agent_or_not_at_all(texts: dict[str, str | bytes]):
    assert _identity(ServiceInfo(SERVICE, f"rubbish.{SERVICE}", port=1, properties=texts)) is None


def test_what_others_announce_under_our_service_is_left_aside():
    charger = Person("charger/7", "charger")
    with Zeroconf(interfaces=list(LO), ip_version=IPVersion.V4Only) as other:
        other.register_service(ServiceInfo(SERVICE, f"rubbish.{SERVICE}", port=1, parsed_addresses=list(LO)))
        announcing = Discovery([(charger.identity, 9_707)], LO)
        try:
            wait_for(announcing.announcing.is_set)
            assert {one.identity for one in look_around(4.0, LO)} == {charger.identity}
        finally:
            announcing.close()


def test_an_interface_that_is_not_there_is_said_and_waited_for():
    discovery = Discovery([(Person("charger/7", "charger").identity, 1)], ("203.0.113.7",))
    try:
        assert wait_for(lambda: discovery.failure) == "this machine has no network address 203.0.113.7"
        assert discovery.found() == []
    finally:
        discovery.close()


def test_closing_takes_no_longer_than_a_farewell():
    discovery = Discovery((), LO)
    discovery.close()
    assert not discovery._thread.is_alive()
