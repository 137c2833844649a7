"""The street on which a transformer is tested: two cars at chargers A and B, and 5,800 W too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.agents.words import CHEAP, IOTA, MOST, ROSTER, RULES, SITE, award, happens, mandate, plain, shown

from wattswap.agents.award_book import Site
from wattswap.agents.rules import Rules
from wattswap.agents.transformer import Transformer
from wattswap.protocol import messages
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Effect, NoteAward, NoteRound, Reserve, Send, WakeAt
from wattswap.protocol.events import Received, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    Ack,
    BaseReport,
    CappedOffer,
    Cleared,
    Grant,
    Inner,
    Message,
    Offer,
    Report,
    Tranche,
)


def report(
    session: int, firm_w: int = 11_000, *, seq: int = 1, stamp_ms: int = 0, heard: tuple[int, int] = (0, 0)
) -> Report:
    """A charger's report. Without a newer ``seq`` it counts as one that came before."""
    return Report(session, firm_w, firm_w, True, 0, 0, 1, seq, stamp_ms, *heard)


def grant(session: int, import_w: int, export_w: int, *, seq: int = 0, echo_ms: int = 0) -> Grant:
    return Grant(session, import_w, export_w, 1, seq, 1, echo_ms, 90_000)


def offer(session: int, *tranches: tuple[int, int], tick: int = 0, feeder: int = 0) -> CappedOffer:
    """What a charger passes on: a car's offer beside a cap of 11 kW."""
    sealed = seal(Offer(feeder, tick, session, tuple(Tranche(*pair) for pair in tranches)))
    return CappedOffer(session, 11_000, sealed)


def street(
    site: Site = SITE, *, base_w: int = 3_000, rules: Rules = RULES, households: tuple[str, ...] = ("homes",)
) -> Transformer:
    """Two cars at chargers A and B that may draw 11 kW each; with 3 kW of homes 5,800 W too much."""
    of = Transformer("transformer", site, rules, replace(ROSTER, households=households))
    plug_in(of)
    tell(of, "homes", BaseReport(base_w))
    return of


def plug_in(of: Transformer, signers: Mapping[str, Signer] | None = None) -> list[Effect]:
    """Both cars give their mandates, signed where they can, and their chargers report for the first time."""
    done = []
    for charger, session in (("A", 1), ("B", 2)):
        signer = signers[f"car {session}"] if signers else None
        done += tell(of, charger, seal(mandate(session), signer))
        done += tell(of, charger, report(session))
    return done


def tell(of: Transformer, sender: str, message: Message, now_ms: int = 0) -> list[Effect]:
    return happens(of, Received(sender, message), now_ms)


def opened(effects: list[Effect]) -> list[object]:
    """The effects with what is sealed in them laid open, as (to, message) where something is said.

    Wake-ups and what is made durable are left out, and of grants all but the powers; these have tests of their own.
    """
    return [
        (effect.to, powers(plain(effect.message))) if isinstance(effect, Send) else effect for effect in shown(effects)
    ]


def powers(message: Message | Inner) -> Message | Inner:
    """A grant's powers, whatever else it says; anything else as it is."""
    return grant(message.session, message.import_w, message.export_w) if isinstance(message, Grant) else message


def wakes(effects: list[Effect]) -> list[int]:
    """The instants for which it wants to be woken."""
    return [effect.at_ms for effect in effects if isinstance(effect, WakeAt)]


def pass_ticks(of: Transformer, until_ms: int, base_w: int = 3_000, *, since_ms: int = 0) -> None:
    """Ticks go by as ever, up to this one: chargers report, homes are read, the transformer is woken."""
    for now_ms in range(since_ms + 30_000, until_ms + 1, 30_000):
        for charger, session in (("A", 1), ("B", 2)):
            tell(of, charger, report(session, seq=1 + now_ms // 30_000, stamp_ms=now_ms), now_ms)
        tell(of, "homes", BaseReport(base_w), now_ms)
        if now_ms < until_ms:
            happens(of, Woken(), now_ms)


AWARD = award(1)
NOTE = NoteRound(
    tick=0, need_w=5_800, called=2, kept=1, offered_w=11_000,
    awarded_w=6_210, price_nanos_per_kwh_h=CHEAP, reduce_awards=1, feed_awards=0,
)  # fmt: skip
CLEARED = [
    NOTE,
    Reserve("0.0/stay 1", MOST),
    NoteAward(0, 1, "0.0/stay 1", (6_210, 0, 0), (CHEAP, 0, 0), (6_860, 4_140, 0), (CHEAP, CHEAP, 0)),
    ("A", AWARD),
    ("A", Cleared(0, 0, CHEAP, IOTA)),
    ("B", Cleared(0, 0, CHEAP, IOTA)),
    ("A", grant(1, 4_790, 0)),
    ("B", grant(2, 11_000, 0)),
]
FULL_STOP = ((6_860, CHEAP), (4_140, CHEAP))


def called(site: Site = SITE) -> Transformer:
    of = street(site)
    happens(of, Woken())
    return of


def awarded(site: Site = SITE) -> Transformer:
    """Car 1 sold 6,210 W at 0.3 IOTA per kWh and hour; car 2 keeps."""
    of = called(site)
    tell(of, "A", offer(1, *FULL_STOP))
    assert opened(tell(of, "B", offer(2))) == CLEARED
    tell(of, "A", Ack(messages.AWARD, 1, 0))
    return of


def until_an_award() -> list[Effect]:
    """All that a transformer does from its first car to its first award."""
    of = Transformer("transformer", SITE, RULES, ROSTER)
    done = plug_in(of)
    done += tell(of, "homes", BaseReport(3_000))
    done += happens(of, Woken())
    done += tell(of, "A", offer(1, *FULL_STOP))
    return done + tell(of, "B", offer(2))
