"""Who may order what of a run that goes on, and the tokens that prove it."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder


class Rights(NamedTuple):
    """Who may order what of a run: whoever knows a token."""

    secret: bytes
    """What all tokens are derived from; it leaves this process in no form."""
    limits: LimitOrder
    drivers: DriverWishes | None
    """None where no car is asked, so no driver has a say."""

    @classmethod
    def new(cls, limits: LimitOrder, drivers: DriverWishes | None) -> Rights:
        """Rights with tokens that nobody knows yet."""
        return cls(secrets.token_bytes(32), limits, drivers)

    @property
    def operator_token(self) -> str:
        """Its owner may order limits, and hand out the drivers' tokens."""
        return self._token("operator")

    def driver_token(self, vehicle: str) -> str:
        """Its owner may say what this car does."""
        return self._token(f"driver/{vehicle}")

    def _token(self, whose: str) -> str:
        return blake2b(whose.encode(), key=self.secret, digest_size=16).hexdigest()
