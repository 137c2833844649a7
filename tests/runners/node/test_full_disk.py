"""A node whose disk is full says so in one line and ends: what it cannot remember it must not say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wattswap.runners.node.key_directory import new_agent_keys

SCRIPT = """
set -e
mount -t tmpfs -o size=300k none "$1"
"$2" agent.py > log 2> err &
node=$!
while ! grep -q started log; do sleep 0.1; done
dd if=/dev/zero of="$1/fill" bs=1k count=400 2> /dev/null || true
wait $node
"""
AGENT = """
import sys

from wattswap.cli import main
from wattswap.runners.node import node_host

node_host.KEEP_MS = 500  # it notes the time that often
sys.argv = ["wattswap", "agent", "transformer", "--config", "agent.toml"]
main()
"""
CONFIG = """
state = "disk/state"
[site]
limit_w = 20_000
[listen]
host = "127.0.0.1"
port = 0
[discovery]
use = "no"
"""


def test_a_full_disk_is_one_line(tmp_path: Path):
    new_agent_keys(tmp_path / "keys", "transformer", "transformer")
    (tmp_path / "agent.py").write_text(AGENT)
    (tmp_path / "agent.toml").write_text(CONFIG)
    (tmp_path / "disk").mkdir()
    alone = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us mount nothing of our own")
    done = subprocess.run(
        [*alone, "sh", "-c", SCRIPT, "sh", "disk", sys.executable], cwd=tmp_path, check=False, timeout=60
    )
    said = (tmp_path / "err").read_text()
    assert done.returncode == 1, said
    assert said.startswith("wattswap: cannot write ")
    assert "disk is full" in said
    assert said.count("\n") == 1
