"""``wattswap wallet``: who holds what, what was paid for what, and one more payment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattswap.cli.examples import examples
from wattswap.cli.groups import CommandGroup
from wattswap.cli.where import as_json, where
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from wattswap.experiments.ledger_places import LedgerPlace
    from wattswap.experiments.wallets import Holding, PaymentOrder, Statement, StatementLine
    from wattswap.ledger.base import PaymentStatus

NOT_YET = 1
"""The exit code of a payment that was not made, or not yet."""


@click.group(cls=CommandGroup, epilog=examples("wattswap wallet balance --run runs/20261122T181508-demo-negotiated-s1"))
def wallet() -> None:
    """Balances, payments and what they were for.

    A wallet is called by the name of its car, by `site`, on a network also by an IOTA address or a key of
    `wattswap keys`. Amounts are IOTA in decimal, exact to the nano (0.000000001).
    """


@wallet.command(
    epilog=examples(
        "wattswap wallet balance --run runs/20261122T181508-demo-negotiated-s1",
        "wattswap wallet balance site --ledger sqlite:street.sqlite",
        "wattswap wallet balance bob --ledger http://127.0.0.1:9125/graphql",
    )
)
@click.argument("name", required=False)
@where
@as_json
def balance(name: str | None, run_dir: Path | None, ledger: str | None, as_json: bool) -> None:
    """What a wallet holds; without NAME, what everyone holds who is known by name.

    Of a run's cars also what they have earned since their last bill (it is paid with the next one), and what they owe.
    """
    from wattswap.experiments.ledger_places import place_of
    from wattswap.experiments.wallets import open_purses

    place = place_of(ledger, run_dir)
    with open_purses(place, word=name or "") as purses:
        holdings = purses.holdings() if name is None else [purses.holding(purses.account_of(name))]
    if not holdings:
        raise InputError(f"nobody is known by name on {place.title}: give an address or a key, or a run with --run")
    if as_json:
        click.echo(json.dumps({**_about(place), "wallets": [_holding(holding) for holding in holdings]}, indent=2))
        return
    _show_holdings(holdings)


@wallet.command(
    epilog=examples(
        "wattswap wallet history site --run runs/20261122T181508-demo-negotiated-s1",
        "wattswap wallet history Share-16@2019-11-04 --run runs/20261122T181508-demo-negotiated-s1 --json",
    )
)
@click.argument("name")
@where
@as_json
def history(name: str, run_dir: Path | None, ledger: str | None, as_json: bool) -> None:
    """Every payment from or to a wallet, oldest first, with the session it settles and the rounds netted in it."""
    from wattswap.experiments.ledger_places import place_of
    from wattswap.experiments.wallets import open_purses

    place = place_of(ledger, run_dir)
    with open_purses(place, word=name) as purses:
        statement = purses.statement(purses.account_of(name))
        holding = purses.holding(statement.account)
    if as_json:
        lines = [_line(place, line) for line in statement.lines]
        opening = {"opening_nanos": statement.opening_nanos}
        click.echo(json.dumps({**_about(place), **_holding(holding), **opening, "payments": lines}, indent=2))
        return
    _show_statement(place, statement, holding)


@wallet.command(
    context_settings={"ignore_unknown_options": True},  # so that an amount of -1 is told what is wrong with it
    epilog=examples(
        "wattswap wallet pay site Share-16@2019-11-04 0.25 --ledger sqlite:street.sqlite",
        "wattswap wallet pay bob 0x2f... 1.5 --ledger http://127.0.0.1:9125/graphql --yes --key rent/2026-11",
    ),
)
@click.argument("payer", metavar="FROM")
@click.argument("payee", metavar="TO")
@click.argument("amount")
@click.option("--key", help="What the payment is known by: repeated under the same key it is made once.")
@click.option("--yes", is_flag=True, help="Pay without being asked.")
@click.option("--allow", multiple=True, metavar="CHAIN", help="Pay on this public network too, by its chain id.")
@click.option("--thaw", is_flag=True, help="You have looked why the wallet was stopped, and it may go on.")
@where
@as_json
@click.pass_context
def pay(
    ctx: click.Context,
    payer: str,
    payee: str,
    amount: str,
    key: str | None,
    yes: bool,
    allow: tuple[str, ...],
    thaw: bool,
    run_dir: Path | None,
    ledger: str | None,
    as_json: bool,
) -> None:
    """Pay AMOUNT in IOTA from one wallet to another.

    The payment is written down before it is sent, under a key that is printed first. If you do not know whether it was
    made (a crash, a lost answer), repeat it with that --key: it is made once. Exit code 1 if it is not made (yet).
    """
    from wattswap.experiments import hand_payments, wallets
    from wattswap.experiments.ledger_places import place_of
    from wattswap.ledger.amounts import iota_of, nanos_of

    nanos = nanos_of(amount)
    place = place_of(ledger, run_dir)
    with wallets.open_purses(place, word=payer, allow=allow) as purses:
        order = purses.order(payer, payee, nanos, key)
    where = f"from {order.payer} to {order.payee} on {place.title}"
    fee = f", fee at most {iota_of(order.most_fee_nanos)} IOTA" if order.most_fee_nanos else ""
    click.echo(f"{iota_of(nanos)} IOTA {where}, key {order.payment.key}{fee}", err=as_json)
    if not (yes or order.known or _agreed()):
        click.echo("Nothing was paid.", err=True)
        ctx.exit(NOT_YET)
    status, others = hand_payments.pay(place, order, allow=allow, thaw=thaw)
    _show_paid(order, status, as_json=as_json)
    if others:
        click.echo(
            f"Note: transactions with this key that were not made from here: {others} (by a run with it, by a copy of"
            " it, or written down in a file that was lost). If you know of none, the key is stolen.",
            err=True,
        )
    if not status.ok:
        ctx.exit(NOT_YET)


def _agreed() -> bool:
    """Whether a person says yes; a line that cannot be answered is no answer."""
    try:
        return click.confirm("Pay?", err=True)
    except click.Abort as ended:
        if isinstance(ended.__context__, EOFError):
            click.echo(err=True)
            raise InputError("nobody answered: say --yes to pay without being asked") from None
        raise


def _show_paid(order: PaymentOrder, status: PaymentStatus, *, as_json: bool) -> None:
    from wattswap.ledger.amounts import iota_of

    payment = order.payment
    if as_json:
        said = {
            "key": payment.key,
            "state": status.state.value,
            "from": payment.payer,
            "to": payment.payee,
            "nanos": payment.nanos,
            "iota": iota_of(payment.nanos),
            "digest": status.digest or None,
            "error": status.error,
        }
        click.echo(json.dumps(said, indent=2))
        return
    day = "" if status.at_ms is None else f" on {datetime.fromtimestamp(status.at_ms / 1_000, UTC):%Y-%m-%d}"
    which = f" by transaction {status.digest}" if status.digest else ""
    told = {
        "paid": "Paid.",
        "exists": f"Was paid before under this key{day}{which}; nothing moved now.",
        "pending": f"Written down, not decided yet ({status.error}). Repeat it with --key {payment.key}",
    }
    click.echo(told[status.state])


def _show_holdings(holdings: list[Holding]) -> None:
    from wattswap.ledger.amounts import iota_of

    width = max(len(holding.name) for holding in holdings)
    amounts = _aligned([iota_of(holding.nanos) for holding in holdings])
    for holding, amount in zip(holdings, amounts, strict=True):
        remark = _remark(holding)
        address = f"  {holding.address}" if holding.address and holding.address != holding.name else ""
        click.echo(f"{holding.name:{width}}  {amount} IOTA{address}{remark}")


def _aligned(amounts: list[str]) -> list[str]:
    """The same with their decimal points below each other."""
    whole = max(len(amount.partition(".")[0]) for amount in amounts)
    padded = [" " * (whole - len(amount.partition(".")[0])) + amount for amount in amounts]
    width = max(map(len, padded))
    return [amount.ljust(width) for amount in padded]


def _remark(holding: Holding) -> str:
    from wattswap.ledger.amounts import iota_of

    remarks = []
    if holding.earned_nanos:
        what = "of it promised to others" if holding.owes_nanos is None else "earned, paid with the next bill"
        remarks.append(f"{iota_of(holding.earned_nanos)} {what}")
    if holding.owes_nanos:
        who = "owes" if holding.owes_nanos > 0 else "is owed"
        remarks.append(f"{who} {iota_of(abs(holding.owes_nanos))}")
    if holding.under_way_nanos:
        remarks.append(f"{iota_of(holding.under_way_nanos)} of it still to be paid: `wattswap settle` goes on")
    return f"  ({'; '.join(remarks)})" if remarks else ""


def _show_statement(place: LedgerPlace, statement: Statement, holding: Holding) -> None:
    from wattswap.ledger.amounts import iota_of

    if statement.opening_nanos is not None:
        click.echo(f"{iota_of(statement.opening_nanos)} IOTA at first")
    for line in statement.lines:
        _show_line(place, line)
    if not statement.lines:
        click.echo("No payments.")
    click.echo(f"{statement.name} holds {iota_of(holding.nanos)} IOTA{_remark(holding)}")
    if place.run is None and holding.address:
        click.echo("Note: what was paid from here; what came in, and fees, the network alone knows.", err=True)


def _show_line(place: LedgerPlace, line: StatementLine) -> None:
    from wattswap.experiments.formatting import counted
    from wattswap.experiments.wallets import name_of
    from wattswap.ledger.amounts import iota_of

    payment = line.payment
    other = f"from {name_of(payment.payer)}" if line.sign > 0 else f"to {name_of(payment.payee)}"
    click.echo(f"{'+' if line.sign > 0 else '-'}{iota_of(payment.nanos)}  {other}  {payment.key}")
    if line.billed is None:
        return
    rounds = line.billed.rounds
    earned = iota_of(sum(one.nanos for one in rounds))
    netted = f", less {earned} for giving way in {counted(len(rounds), 'round')}" if rounds else ""
    click.echo(f"    session {line.billed.session}: {iota_of(line.billed.nanos)} for energy{netted}")
    for one in rounds:
        click.echo(f"        {_instant(place, one.round)}  round {one.round}  {iota_of(one.nanos)}")


def _instant(place: LedgerPlace, number: str) -> str:
    """When a round was: its number is that of the feeder and that of the tick."""
    tick = number.partition(".")[2]
    if place.clock is None or not tick.isdecimal():
        return ""
    return f"{place.clock.at_tick(int(tick)):%Y-%m-%d %H:%M:%S}"


def _about(place: LedgerPlace) -> dict[str, Any]:
    return {"ledger": place.ledger, "run": None if place.run is None else str(place.run)}


def _holding(holding: Holding) -> dict[str, Any]:
    from wattswap.ledger.amounts import iota_of

    return {
        "name": holding.name,
        "account": holding.account,
        "address": holding.address or None,
        "nanos": holding.nanos,
        "iota": iota_of(holding.nanos),
        "earned_nanos": holding.earned_nanos,
        "owes_nanos": holding.owes_nanos,
        "under_way_nanos": holding.under_way_nanos,
    }


def _line(place: LedgerPlace, line: StatementLine) -> dict[str, Any]:
    from wattswap.ledger.amounts import iota_of

    payment, billed = line.payment, line.billed
    rounds = () if billed is None else billed.rounds
    return {
        "key": payment.key,
        "from": payment.payer,
        "to": payment.payee,
        "nanos": line.sign * payment.nanos,
        "iota": iota_of(line.sign * payment.nanos),
        "digest": line.digest or None,
        "session": line.session,
        "billed_nanos": None if billed is None else billed.nanos,
        "rounds": [
            {"round": one.round, "at": _instant(place, one.round) or None, "session": one.session, "nanos": one.nanos}
            for one in rounds
        ],
    }
