"""A charger whose relay is a file that cannot be written says so in one line, when it starts and when it ends."""

from __future__ import annotations

import shutil

from tests.runners.node.people import Person, node, until
from tests.runners.node.street_of_nodes import FIXED, MARKET, AgentProcess, free_port

from wattswap.runners.node.trust import TrustDirectory

CONFIG = """
[upstream]
name = "transformer"
host = "127.0.0.1"
port = {port}
[listen]
host = "127.0.0.1"
port = {own_port}
[device]
kind = "file"
source = "meter"
allow = "relay/allowed"
"""


def test_a_relay_that_cannot_be_set_is_one_line(tmp_path):
    transformer = Person("transformer", "transformer")
    with node(transformer, [], listens=True, beat_ms=1_000) as upper:
        text = FIXED + MARKET + CONFIG.format(port=upper.port, own_port=free_port())
        charger = AgentProcess(tmp_path / "charger", "charger/0", "charger", text)
        TrustDirectory(charger.folder / "keys").add(transformer.identity)
        charger.start()
        assert charger.process is not None
        assert charger.process.wait(timeout=60) == 2
        assert "device: cannot write" in charger.err()
        assert charger.err().count("\n") == 1
        (charger.folder / "err").unlink()
        (charger.folder / "relay").mkdir()
        charger.start()
        until(lambda: charger.events("started"), upper)
        shutil.rmtree(charger.folder / "relay")
        assert charger.end() == 0, charger.err()
        assert not charger.err()
        assert "cannot write" in charger.events("power not set")[-1]["why"]
        assert charger.log()[-1]["event"] == "stopped"
