"""One node for all tests that do not need their own: the unmodified SDK talks to it over real HTTP."""

from __future__ import annotations

import pytest

from wattswap.experiments.bench.devnet_child import running


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """Where the node is. It must have had nothing to complain about, whatever was sent to it."""
    with running(db=str(tmp_path_factory.mktemp("devnet") / "chain.sqlite")) as child:
        yield child.ready
        assert child.stop() == (0, "")
