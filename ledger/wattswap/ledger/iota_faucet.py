"""The faucet of a local devnet: tokens for whoever asks, and for whoever asks too often a little later."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wattswap.ledger.base import LedgerDownError

_TIMEOUT_S: Final = 10.0
_PATIENCE_S: Final = 30.0
"""A faucet that has given too much for now is asked again for so long: it refills by the second."""
_AGAIN_S: Final = 0.5


def give(url: str, address: str, nanos: int) -> None:
    """Have the node's faucet send so many nanos to an address.

    ``url`` is that of GraphQL. Raises ``LedgerDownError`` if the faucet does not give them.
    """
    parts = urlsplit(url)
    faucet = f"{parts.scheme}://{parts.netloc}/v1/gas"
    body = msgspec.json.encode({"FixedAmountRequest": {"recipient": address, "amount": nanos}})
    request = urllib.request.Request(faucet, data=body, headers={"content-type": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with opener.open(request, timeout=_TIMEOUT_S) as answer:
                answer.read()
                return
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            if error.code != HTTPStatus.TOO_MANY_REQUESTS or time.monotonic() > until:
                raise LedgerDownError(f"the faucet at {faucet} refuses: {' '.join(said.split())}") from None
        except OSError as error:
            raise LedgerDownError(f"the faucet at {faucet} does not answer: {error}") from None
        time.sleep(_AGAIN_S)
