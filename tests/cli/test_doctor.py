"""``wattswap doctor``: what keeps a machine from being a node is named, with what to do."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest


def findings(say, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code, out, err = say("doctor", "--json", *words)
    assert err == ""
    return code, {one["name"]: one for one in json.loads(out)["findings"]}


def test_this_machine_is_looked_at_from_all_sides(say):
    code, found = findings(say)
    assert code == 0, found
    assert {"system", "libraries", "libzmq", "extras", "clock", "time service", "multicast", "disk"} == set(found)
    assert found["libzmq"]["text"].endswith("with CURVE")
    assert "64 bits" in found["system"]["text"]


def test_a_port_that_is_taken_fails(say):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, found = findings(say, "--host", "127.0.0.1", "--port", str(port))
    assert (code, found["port"]["state"]) == (1, "fail")
    assert "choose another port" in found["port"]["advice"]
    assert findings(say, "--host", "127.0.0.1", "--port", str(port))[1]["port"]["state"] == "ok"


def test_keys_that_others_can_read_fail_and_keys_without_friends_are_said(say, tmp_path: Path):
    say("keys", "new", "./keys", "--agent", "charger/7", "--role", "charger")
    code, found = findings(say, "--keys", "keys")
    assert (code, found["keys"]["state"]) == (0, "warn")
    assert found["keys"]["text"] == "charger/7 trusts nobody yet"
    (tmp_path / "keys/transport.key").chmod(0o644)
    code, found = findings(say, "--keys", "keys")
    assert (code, "chmod 600" in found["keys"]["text"]) == (1, True)


def test_a_place_where_nothing_can_be_written_fails(say):
    code, found = findings(say, "--state", "/proc")
    assert (code, found["disk"]["state"]) == (1, "fail")


def test_a_person_reads_a_line_for_each_look(say):
    code, out, err = say("doctor")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("ok    system")


@pytest.mark.parametrize("words", [("--port", "70000"), ("--prot", "1")])
def test_bad_options_are_one_line(say, words):
    code, out, err = say("doctor", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
