"""The only place that carries effects out. An agent says what it wants done; the driver does it, in two steps.

First everything that must survive a crash becomes durable in one transaction of the node's store: what the agent
remembers and forgets, and what the book posts. Only then is anything sent and any power set. So whatever was said is
remembered, and whatever was not made durable was never said. What differs between a simulated street and a Pi is the
``Host`` and the ``Store``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.protocol.effects import (
    Bill,
    Forget,
    NoteAward,
    NoteEnd,
    NoteForced,
    NoteRound,
    NoteTrade,
    Pay,
    Remember,
    Reserve,
    Send,
    SetPower,
    WakeAt,
)
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.events import Billed, Paid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wattswap.ledger.book import Book
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.host import Host
    from wattswap.runners.engines.store import Store

DURABLE: Final = frozenset((Remember, Forget, Reserve, Pay, Bill, NoteRound, NoteAward, NoteEnd, NoteTrade, NoteForced))
"""The effects of the first step."""


class Driver:
    """Carries out what an agent wants done.

    ``book`` is the account of the site whose transformer this is; other agents post nothing. An agent's wallet in it
    has the agent's whole name, unless ``wallets`` gives it another.
    """

    def __init__(
        self, host: Host, store: Store, book: Book | None = None, wallets: Mapping[str, str] | None = None
    ) -> None:
        self._host, self._store, self.book, self._wallets = host, store, book, wallets or {}
        self._posted = 0 if book is None else len(book.entries)
        """So many of the book's entries are durable."""

    def carry_out(self, agent: str, effects: Sequence[Effect]) -> None:
        """Make durable what must be, then do the rest in its order; the effects may come from several events."""
        if not DURABLE.isdisjoint(map(type, effects)):
            self._keep(agent, effects)
        host = self._host
        for effect in effects:
            if isinstance(effect, Send):
                host.post(agent, effect.to, effect.message)
            elif isinstance(effect, WakeAt):
                host.wake_at(agent, effect.at_ms)
            elif isinstance(effect, SetPower):
                host.set_power(effect.session, effect.import_w, effect.export_w)

    def _keep(self, agent: str, effects: Sequence[Effect]) -> None:
        """Post, then commit all in one transaction; the agent is told what the book did once that is durable."""
        memories: list[tuple[str, bytes | None]] = []
        answers: list[Event] = []
        for effect in effects:
            match effect:
                case Remember(key, value):
                    memories.append((key, value))
                case Forget(key):
                    memories.append((key, None))
                case Reserve(payment_id, nanos):
                    self._book_of(agent).set_aside(payment_id, nanos)
                case Pay() | Bill():
                    answers += self._move(agent, effect)
                case NoteRound() | NoteAward() | NoteEnd() | NoteTrade() | NoteForced():
                    self._host.note(agent, effect)
                case _:
                    pass
        entries = [] if self.book is None else self.book.entries_since(self._posted)
        if memories or entries:
            self._store.commit(memories, entries)
            self._posted += len(entries)
        for answer in answers:
            self._host.tell(agent, answer)

    def _move(self, agent: str, effect: Pay | Bill) -> list[Event]:
        """Pay or bill, and the book's answer; none if it refuses, and the host goes on all the same."""
        try:
            return [self._pay(agent, effect) if isinstance(effect, Pay) else self._bill(agent, effect)]
        except LocalProtocolError as error:
            waits = f"; stay {effect.session_id!r} is not billed before" if isinstance(effect, Pay) else ""
            self._host.refused(agent, LocalProtocolError(f"{error}{waits}"))
            return []

    def _pay(self, agent: str, pay: Pay) -> Paid:
        """Pay an award from its reserve, once; a repeat is answered as the first was and moves nothing."""
        book = self._book_of(agent)
        before_nanos = book.site_uncommitted_nanos
        if (paid_nanos := book.settled_nanos(pay.payment_id)) is None:
            book.settle(pay.payment_id, self._wallet_of(pay.payee), paid_nanos := pay.nanos)
        return Paid(pay.session, pay.tick, paid_nanos, book.site_uncommitted_nanos - before_nanos)

    def _bill(self, agent: str, bill: Bill) -> Billed:
        book = self._book_of(agent)
        before_nanos = book.site_uncommitted_nanos
        netted = book.bill(bill.session_id, self._wallet_of(bill.payee), bill.nanos)
        self._host.billed(bill.session, bill.nanos, netted.receivable_nanos)
        return Billed(bill.session, book.site_uncommitted_nanos - before_nanos)

    def _wallet_of(self, payee: str) -> str:
        return self._wallets.get(payee, payee)

    def _book_of(self, agent: str) -> Book:
        if self.book is None:
            raise LocalProtocolError(f"{agent} moves money and has no book")
        return self.book
