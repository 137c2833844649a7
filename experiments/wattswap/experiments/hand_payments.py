"""One more payment by a person: written down, handed in, and what became of it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from wattswap.experiments.ledger_places import LedgerPlace, answering, opened_chain, sqlite_path
from wattswap.experiments.wallets import require_runs_own, wallets_with
from wattswap.ledger.base import PaymentState
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.runners.payments.run_payments import keys_held
from wattswap.runners.recording.rundir import OUTBOX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.experiments.wallets import PaymentOrder
    from wattswap.ledger.base import PaymentStatus


def pay(
    place: LedgerPlace, order: PaymentOrder, *, allow: Sequence[str] = (), thaw: bool = False
) -> tuple[PaymentStatus, int]:
    """Write a payment down and hand it in; ``thaw`` lets a wallet go on that was stopped.

    What became of it, and how many transactions were sent with the same key that this outbox has not made.

    Raises:
        InputError: nothing was paid, and the text says why.
    """
    others = 0
    with answering():
        path = sqlite_path(place.ledger)
        if path is not None:
            with SqliteLedger(path) as ledger:
                [status] = ledger.pay([order.payment])
        else:
            with ExitStack() as held:
                held.enter_context(keys_held(place.keys if order.key is None else None))
                outbox, wallets = _outbox_of(place, order), wallets_with(place, order.key)
                if thaw:
                    outbox.thaw()
                chain = held.enter_context(
                    opened_chain(place.ledger, wallets, outbox, allow=allow, sponsored=order.key is None)
                )
                [status] = chain.pay([order.payment])
                others = chain.submitter.others()
    if status.state is PaymentState.REFUSED:
        raise InputError(f"not paid: {status.error}")
    return status, others


def _outbox_of(place: LedgerPlace, order: PaymentOrder) -> Outbox:
    """Where it is written down; a run's wallets pay by the run's own outbox and by no other."""
    if place.run is None or order.outbox != place.run / OUTBOX:
        return Outbox(order.outbox)
    with ExitStack() as undo:
        outbox = undo.enter_context(Outbox(order.outbox, run=place.run_id or ""))
        require_runs_own(place, outbox)
        undo.pop_all()
    return outbox
