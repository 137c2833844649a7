"""A run in sentences: what the picture shows, and one round told from the reading to the payment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wattswap.experiments.formatting import counted, minutes, printable
from wattswap.experiments.headline import uncontrolled
from wattswap.experiments.run_tables import UNCONTROLLED, is_long, shown_window
from wattswap.protocol.units import NANOS_PER_IOTA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from wattswap.experiments.run_tables import RunTables

KWH_WS: Final = 3_600_000
_MOST_TRADES: Final = 14
_SOLD: Final[Mapping[int, str]] = {1: "charge less, down to 6 A", 2: "pause altogether", 3: "feed back"}


def what_you_see(tables: RunTables) -> list[str]:
    """The picture in a few sentences, for somebody who has never seen it."""
    if not len(tables.series):
        return ["The run ended before its first tick had passed, so there is nothing to see."]
    told = [f"{_limit_sentence(tables)} {_uncontrolled_sentence(tables)}".strip()]
    if len(tables.rounds):
        told += [_market_sentence(tables), _cars_sentence(tables)]
    elif not _is_uncontrolled(tables) and (tables.trades["kind"] == "forced").any():
        told.append("No car was asked; what had to be cut was cut without pay (dark red).")
    elif not _is_uncontrolled(tables):
        told.append("No car was asked or paid in this run.")
    return [*told, _panels_sentence(tables)]


def _is_uncontrolled(tables: RunTables) -> bool:
    return tables.summary.get("controller") == UNCONTROLLED


def kilowatts(watts: float) -> str:
    """Watts as kW, with a decimal where it says something."""
    return f"{watts / 1000:,.1f}".removesuffix(".0") + " kW"


def _iota(nanos: float) -> str:
    return f"{nanos / NANOS_PER_IOTA:.3f}"


def _limit_sentence(tables: RunTables) -> str:
    limit_w = tables.scenario.get("transformer", {}).get("limit_w", tables.limit_w[0])
    told = f"The street's transformer may carry {kilowatts(limit_w)} (the red line)"
    events = tables.scenario.get("event", [])
    if len(events) == 1:
        when = " to ".join(tables.clock(events[0][key].timestamp() * 1000, "%A %H:%M") for key in ("from", "to"))
        return f"{told}, but from {when} {'only ' * (events[0]['limit_w'] < limit_w)}{kilowatts(events[0]['limit_w'])}."
    return f"{told}; {len(events)} events change that for a while." if events else f"{told}."


def _uncontrolled_sentence(tables: RunTables) -> str:
    if _is_uncontrolled(tables):
        over_s = tables.summary.get("overload_s", 0)
        return (
            "Every car charges at full power from the moment it plugs in until it is full; nobody is asked to wait."
            f" The load is over the limit for {minutes(over_s)} minutes."
        )
    other = uncontrolled(tables.summary)
    if not other:
        return ""
    return (
        "If every car charged at full power from the moment it plugged in (the dashed line), the load would be over"
        f" the limit for {minutes(other['overload_s'])} minutes and reach {kilowatts(other['peak_w'])}."
        f" In this run it is {_over(tables.summary['overload_s'])} and reaches {kilowatts(tables.summary['peak_w'])}."
    )


def _over(seconds: float) -> str:
    return f"over the limit for {minutes(seconds)} minutes" if seconds else "never over the limit"


def _market_sentence(tables: RunTables) -> str:
    reading_s = tables.tick_ms // 1000
    return (
        f"Every {reading_s} seconds the transformer compares what homes and cars would draw with what it may carry."
        " When it is too much, it calls the cars; each answers for itself: keep charging, charge less for a price, or"
        " feed power back for a price. The cheapest offers win until the need is met. What a car sells is waiting: its"
        " price is per kWh and hour, and it is paid in IOTA tokens once the energy it gave up has been drawn back."
    )


def _cars_sentence(tables: RunTables) -> str:
    sold = tables.trades[tables.trades["kind"] != "forced"]
    gave, fed = (sold[sold["kind"] == kind]["session"].nunique() for kind in ("reduce", "feed"))
    told = f"In {counted(gave, 'session')} energy was deferred for tokens (orange)"
    told += f", {counted(fed, 'session')} or batteries fed power back (green)." if fed else "."
    told += " A car gets its deferred energy later, when there is room (light blue)."
    forced = tables.trades[tables.trades["kind"] == "forced"]["session"].nunique()
    if forced:
        told += f" Offers did not always cover the need: {were(forced)} cut without pay (dark red)."
    about = tables.summary
    left = about.get("sessions", 0) - about.get("sessions_open", 0)
    short = about.get("sessions_short", 0)
    ending = "all were full" if not short else f"{short} had less than they needed"
    return f"{told} Of the {counted(left, 'session')} that ended during the run, {ending}." if left > 0 else told


def were(count: int) -> str:
    """So many sessions and the verb that goes with them."""
    return f"{counted(count, 'session')} {'was' if count == 1 else 'were'}"


def _panels_sentence(tables: RunTables) -> str:
    first, end = shown_window(tables)
    when = f"{tables.clock(first, '%A')} {tables.clock(first)} to {tables.clock(end)}"
    close = f"The lower panels show {when}, the hours when power was shortest." if is_long(tables) else ""
    return f"{close} Areas are stacked: their upper edge is what the transformer carries.".strip()


# --- one round ---------------------------------------------------------------------------------------------------


def biggest_round(tables: RunTables) -> pd.Series[Any] | None:
    """The round in which most power was awarded and settled; None if no offer was ever accepted."""
    settled = tables.rounds["tick"].isin(tables.trades[tables.trades["kind"] != "forced"]["tick"].tolist())
    rounds = tables.rounds[settled & (tables.rounds["awarded_w"] > 0)]
    return rounds.iloc[int(rounds["awarded_w"].to_numpy().argmax())] if len(rounds) else None


def trades_of(tables: RunTables, tick: int) -> pd.DataFrame:
    """The settled awards of a round, cheapest first."""
    trades = tables.trades[(tables.trades["tick"] == tick) & (tables.trades["kind"] != "forced")]
    return trades.sort_values(["ask_nanos_per_kwh_h", "session", "tranche"], kind="stable")


def round_steps(tables: RunTables, row: pd.Series[Any]) -> list[tuple[str, str]]:
    """A round as numbered steps: a name and what happened."""
    trades, at_ms = trades_of(tables, int(row["tick"])), int(row["t_ms"])
    until_ms = tables.start_ms + ((at_ms - tables.start_ms) // tables.window_ms + 1) * tables.window_ms
    return [
        ("Reading.", _reading_step(tables, row)),
        ("Call.", _call_step(tables, row, until_ms)),
        ("Offers.", _offers_step(row)),
        ("Clearing.", _clearing_step(tables, row, trades)),
        ("Delivery.", _delivery_step(trades, until_ms - at_ms)),
        ("Settlement.", _settlement_step(tables, trades)),
    ]


def _reading_step(tables: RunTables, row: pd.Series[Any]) -> str:
    now = tables.series[tables.series["t_ms"] == int(row["t_ms"])]
    margin_pct = tables.scenario.get("transformer", {}).get("margin_pct", 0)
    limit = f"with a limit of {kilowatts(float(now['limit_w'].iloc[0]))}" if len(now) else "with the limit in force"
    return (
        f"At {tables.clock(int(row['t_ms']), '%H:%M:%S')}, {limit} and a margin of {margin_pct} % kept below it,"
        f" homes and cars would draw {kilowatts(row['need_w'])} too much. That is the need."
    )


def _call_step(tables: RunTables, row: pd.Series[Any], until_ms: int) -> str:
    return (
        f"The transformer calls the {int(row['called']):,} cars that hold no award yet: who can spare power until"
        f" {tables.clock(until_ms)}? What it pays at most it does not tell."
    )


def _offers_step(row: pd.Series[Any]) -> str:
    kept = int(row["kept"])
    keep = f"{kept:,} of those charging {'keeps its' if kept == 1 else 'keep their'} power" if kept else "None refuses"
    return f"{keep}; the others offer {kilowatts(row['offered_w'])} in all, each part at a price of the car's own."


def _clearing_step(tables: RunTables, row: pd.Series[Any], trades: pd.DataFrame) -> str:
    cars = trades["session"].nunique()
    told = (
        f"The cheapest offers win until the need is met: {len(trades)} from {cars} {'car' if cars == 1 else 'cars'},"
        f" together {kilowatts(row['awarded_w'])}."
    )
    if row["awarded_w"] < row["need_w"]:
        told = f"{told} That is {kilowatts(row['need_w'] - row['awarded_w'])} short of the need."
    clearing = tables.scenario.get("transformer", {}).get("clearing")
    if clearing == "pay-as-bid":
        return f"{told} Each is paid what it asked."
    if clearing == "vcg":
        return f"{told} Each is paid what the others' relief would have cost in its place."
    if clearing == "none":
        return f"{told} Nobody is paid."
    price = f"{_iota(row['price_nanos_per_kwh_h'])} IOTA per kWh and hour of waiting"
    if clearing == "posted":
        return f"{told} All get the posted price, the reserve: {price}."
    if clearing == "uniform":
        return f"{told} All get the same price, the highest that won: {price}."
    if row["price_nanos_per_kwh_h"] == tables.scenario.get("market", {}).get("reserve_nanos_per_kwh_h"):
        return f"{told} All get the same price, and since no ask beside them was left, that is the reserve: {price}."
    return f"{told} All get the same price, the lowest ask that did not win: {price}."


def _delivery_step(trades: pd.DataFrame, lasts_ms: int) -> str:
    delivered, most = trades["delivered_ws"].sum() / KWH_WS, trades["awarded_w"].sum() * lasts_ms / 1000 / KWH_WS
    told = f"Until the window's end the meters count {delivered:.2f} of at most {most:.2f} kWh"
    less = "; cars that were full or left, or awards ended early because there was room again, make the difference"
    return f"{told}{less if delivered < 0.995 * most else ''}."


def _settlement_step(tables: RunTables, trades: pd.DataFrame) -> str:
    most = trades.groupby("session")["nanos"].sum().idxmax()
    one = trades[trades["session"] == most]
    prices = one["price_nanos_per_kwh_h"].unique()
    at = f" at {_iota(prices[0])} IOTA per kWh and hour" if len(prices) == 1 else ""
    return (
        "What a car gave up waits until it has been drawn back; then it is paid, once a car:"
        f" {_iota(trades['nanos'].sum())} IOTA in all. One of them: {printable(tables.vehicle_of(most), 40)} drew"
        f" {one['returned_ws'].sum() / KWH_WS:.3f} of {one['delivered_ws'].sum() / KWH_WS:.3f} kWh back{at}, which"
        f" makes {_iota(one['nanos'].sum())} IOTA: payment {printable(str(one['payment_id'].iloc[0]), 60)}."
    )


ROUND_HEAD: Final[Sequence[str]] = (
    "car", "sold", "asked, IOTA/kWh/h", "price, IOTA/kWh/h", "agreed, kW", "delivered, kWh", "back, kWh a car",
    "paid, IOTA",
)  # fmt: skip


def round_rows(tables: RunTables, row: pd.Series[Any]) -> tuple[list[list[str]], str]:
    """The accepted offers of a round, and what to say of those left out."""
    trades = trades_of(tables, int(row["tick"]))
    told = [
        [
            tables.vehicle_of(trade["session"]),
            _SOLD.get(int(trade["tranche"]), str(trade["kind"])),
            f"{_iota(trade['ask_nanos_per_kwh_h'])}",
            f"{_iota(trade['price_nanos_per_kwh_h'])}",
            f"{trade['awarded_w'] / 1000:.2f}",
            f"{trade['delivered_ws'] / KWH_WS:.3f}",
            f"{trade['returned_ws'] / KWH_WS:.3f}" if trade["returned_ws"] else "",
            f"{_iota(trade['nanos'])}",
        ]
        for trade in trades.head(_MOST_TRADES).to_dict("records")
    ]
    more = len(trades) - len(told)
    return told, f"… and {more:,} more, in trades.parquet." if more > 0 else ""
