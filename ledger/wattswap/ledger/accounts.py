"""The accounts of many sites at once, as columns: what their books come to, for whoever needs no journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.ledger.book import netted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.ledger.book import Pays

    Ints = NDArray[np.int64]


class SiteAccounts:
    """What each site may still promise, and what each car has; amounts in nanos, as in :class:`.book.Book`."""

    def __init__(self, site_nanos: Ints, purse_nanos: Ints, pays: Pays) -> None:
        self._pays = pays
        self.site_nanos = site_nanos.copy()
        """By site: its tokens without the reserves of awards under way and rewards earned."""
        self.purse_nanos = purse_nanos.copy()
        """By car: the tokens it can spend."""
        self.payable_nanos = np.zeros_like(purse_nanos)
        """By car: rewards it has earned and has not been paid."""

    def reserve(self, site: Ints, nanos: Ints) -> None:
        """Set tokens aside for awards, one row an award; the sites have them."""
        np.subtract.at(self.site_nanos, site, nanos)

    def settle(self, site: Ints, car: Ints, held_nanos: Ints, nanos: Ints) -> None:
        """End reserves: so much of each is its car's reward, and the remainder the site's again."""
        np.add.at(self.site_nanos, site, held_nanos - nanos)
        np.add.at(self.payable_nanos if self._pays == "departure" else self.purse_nanos, car, nanos)

    def bill(self, site: int, car: int, nanos: int) -> int:
        """Net a departing car's energy bill against its rewards; what stays owed, with the sign of the net."""
        rewards, purse, funds = (
            int(column[at])
            for column, at in ((self.payable_nanos, car), (self.purse_nanos, car), (self.site_nanos, site))
        )
        bill = netted(nanos, rewards, purse, funds)
        self.payable_nanos[car] = 0
        self.purse_nanos[car] -= bill.paid_nanos
        self.site_nanos[site] += rewards + bill.paid_nanos
        return bill.receivable_nanos
