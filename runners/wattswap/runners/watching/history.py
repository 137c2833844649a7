"""What a page is told of a street: lists that only grow, and for each watcher how much of them it has.

Whoever watches asks for what is new since it last asked. Nothing is queued for anybody: a slow browser gets fewer and
larger parts, and the street never waits for one. A history that begins anew, with another head, forgets what it had.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.recording.record import ROUND_COLUMNS, SessionRow, TradeRow
from wattswap.runners.watching.columns import ASK, PRICE, PRICE_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable

State = Literal["running", "complete", "interrupted", "failed", "lost"]
"""``lost``: it goes on elsewhere, and is not heard of any more just now."""
Unknown = Literal["", "unheard", "silent", "quiet"]
"""Why something is not known: it was not heard of yet, or not any more; or the transformer has just started again, and
grants from before may still be in force. Empty: it is known."""
Row = list[int | str]

FEEDER_COLUMNS: Final = ("base_w", "limit_w", "import_w", "export_w", "baseline_w", "owed_ws")
"""Of each feeder at a tick; a tick's row has them for one feeder after the other."""
CAR_COLUMNS: Final = ("tick", "row", "activity", "import_w", "export_w", "imported_ws", "exported_ws")
"""What a car does from a tick on, and what its meter shows at that tick. Its activity is -1 once it has left."""
HEAT_COLUMNS: Final = ("hot_spot_dc", "used_s")
"""Of each feeder's transformer at a tick, as in ``FEEDER_COLUMNS``: tenths of a degree, and seconds of life used."""
GRANT_COLUMNS: Final = ("tick", "row", "granted_w", "lease_ms")
"""What a charger may draw from a tick on, and what is left of the lease when a tick ends; -1 where that is not told."""
ACCOUNT_COLUMNS: Final = ("tick", "feeder", "free_nanos", "reserved_nanos", "earned_nanos")
"""Of a site from a tick on: what it may promise, what is reserved for awards, what cars earned and await."""
UNKNOWN_COLUMNS: Final = ("tick", "row", "why")
"""What is not known from a tick on, of the car of a row, or of the homes where that is ``HOMES``; why: see ``Unknown``.
What a tick says of it meanwhile counts for nothing."""
HOMES: Final = -1
OFFER_COLUMNS: Final = ("tick", "feeder", "row", "tranche", "offered_w", "ask")
AWARD_COLUMNS: Final = ("tick", "feeder", "row", "tranche", "awarded_w", "price")
WISH_COLUMNS: Final = ("tick", "row", "sells", "departure_ms", "least_wh")
"""What a driver wanted from a tick on; the departure in the run's milliseconds."""
MOST_ROWS: Final = 4_096
"""Of each list, in one part."""

LISTS: Final = (
    *("cards", "ticks", "cars", "rounds", "trades", "sessions"),
    *("wishes", "heat", "grants", "accounts", "offers", "awards", "unknown"),
)
"""Cards come first: the others name cars by their place among them."""
UNTOLD: Final = -1
"""The departure of a car that has told nobody when it leaves."""


class CarCard(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change about a car's session."""

    session: str
    station: str
    vehicle: str
    strategy: str
    arrival_tick: int
    departure_tick: int
    """``UNTOLD`` if nobody here knows."""
    need_ws: int
    feeder: int = 0
    battery_wh: int = 0
    """What its battery holds, where a driver has a say."""
    is_whole: bool = True
    """Whether all was seen since it came; else nobody here knows what it drew and sold before."""


class FeederCard(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change about a feeder."""

    name: str
    rating_va: int = 0
    most_limit_w: int | None = None
    """What its limit may be set to at most, by whoever may; None where nobody can."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a page must know before the first tick: the street, its clock, and what the columns are called."""

    name: str
    controller: str
    start_ms: int
    """Unix milliseconds."""
    utc_offset_ms: int
    """What the street's own clock is ahead of UTC."""
    tick_ms: int
    all_ticks: int
    feeders: list[FeederCard]
    is_live: bool
    phases: int = 3
    voltage_v: int = 230
    lease_ms: int = 0
    """How long a charger may go on without hearing from its transformer."""
    hears_drivers: bool = False
    """Whether a driver can say what a car is to do."""
    wh_per_km: int = 180
    """What a range is reckoned with."""
    window_ms: int = 300_000
    """How long an award lasts at most."""
    is_reckoned: bool = False
    """Whether the cars' powers are what they were granted, as far as they want it: here nobody reads their meters."""
    quiet_ticks: int = 0
    """So many ticks at the beginning the transformer grants nothing: it has started again, see ``Unknown``."""
    beat_ms: int = 0
    """By the wall's clock, something new is told so often while the street goes on; 0 where that is not known."""
    no_look_up: str = ""
    """Why neither what was said nor signed readings can be looked up here, as sentences; empty where they can."""
    play_speed: float | None = None
    """A finished run is to be played so many times faster than it was."""
    feeder_columns: Sequence[str] = FEEDER_COLUMNS
    car_columns: Sequence[str] = CAR_COLUMNS
    round_columns: Sequence[str] = ROUND_COLUMNS
    trade_columns: Sequence[str] = TradeRow._fields
    session_columns: Sequence[str] = SessionRow._fields
    wish_columns: Sequence[str] = WISH_COLUMNS
    heat_columns: Sequence[str] = HEAT_COLUMNS
    grant_columns: Sequence[str] = GRANT_COLUMNS
    account_columns: Sequence[str] = ACCOUNT_COLUMNS
    offer_columns: Sequence[str] = OFFER_COLUMNS
    award_columns: Sequence[str] = AWARD_COLUMNS
    unknown_columns: Sequence[str] = UNKNOWN_COLUMNS
    activities: Sequence[str] = ACTIVITIES
    price_column: str = PRICE
    ask_column: str = ASK
    price_unit: str = PRICE_UNIT


class Cursor(msgspec.Struct, frozen=True):
    """Which history a watcher has seen, how much of each list of it, and which state it knows."""

    history: str = ""
    had: tuple[int, ...] = (0,) * len(LISTS)
    state: State | None = None

    def __str__(self) -> str:
        return f"{self.history}:{'-'.join(map(str, self.had))}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """A cursor from its text; one that has seen nothing if it is none."""
        history, _, numbers = text.partition(":")
        had = tuple(int(number) for number in numbers.split("-") if number.isdecimal() and len(number) < 10)
        return cls(history, had) if len(had) == len(LISTS) else cls()


class NewRows(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is new; the lists' rows are in the order of the head's columns."""

    state: State
    cards: list[CarCard] = []
    ticks: list[Row] = []
    cars: list[Row] = []
    rounds: list[Row] = []
    trades: list[Row] = []
    sessions: list[Row] = []
    wishes: list[Row] = []
    heat: list[Row] = []
    grants: list[Row] = []
    accounts: list[Row] = []
    offers: list[Row] = []
    awards: list[Row] = []
    unknown: list[Row] = []

    @property
    def is_full(self) -> bool:
        """Whether as much of a list is told as fits, so that there may be more."""
        return any(len(getattr(self, name)) == MOST_ROWS for name in LISTS)


class History:
    """A street as far as it is known, for one thread that adds and any number that read."""

    def __init__(self) -> None:
        self.head: Head | None = None
        """None until it has begun."""
        self._lock = Lock()
        self._name = ""
        """A new one each time that it begins."""
        self._lists: dict[str, list[Any]] = {name: [] for name in LISTS}
        self._state: State = "running"
        self._told_s = monotonic()

    @property
    def silent_s(self) -> float:
        """How long ago something was told, on the wall's clock."""
        return monotonic() - self._told_s

    @property
    def state(self) -> State:
        """Whether anything may be added."""
        return self._state

    @property
    def ticks(self) -> int:
        """The number of ticks that are known."""
        return len(self._lists["ticks"])

    @property
    def rows(self) -> int:
        """The number of all rows that are kept."""
        return sum(map(len, self._lists.values()))

    @property
    def cards(self) -> Sequence[CarCard]:
        """Of all cars so far, by their row."""
        return self._lists["cards"]

    def has_left(self, row: int) -> bool:
        """Whether the car of a row was there and is gone."""
        place, activity = CAR_COLUMNS.index("row"), CAR_COLUMNS.index("activity")
        with self._lock:
            last = next((car for car in reversed(self._lists["cars"]) if car[place] == row), None)
        return last is not None and last[activity] < 0

    def begin(self, head: Head, cards: Iterable[CarCard] = ()) -> None:
        """Begin, or begin anew: whatever was known is forgotten."""
        with self._lock:
            self.head, self._name, self._state = head, secrets.token_hex(8), "running"
            self._told_s = monotonic()
            self._lists = {name: [] for name in LISTS} | {"cards": list(cards)}

    def enter(self, cards: Iterable[CarCard]) -> None:
        """Add cars."""
        with self._lock:
            self._lists["cards"].extend(cards)

    def add(self, **rows: Iterable[Row]) -> None:
        """Add rows to the lists of these names."""
        with self._lock:
            for name, new in rows.items():
                self._lists[name].extend(new)
            self._told_s = monotonic()

    def end(self, state: State) -> None:
        """Nothing will be added any more, but for one that is ``lost`` or began anew."""
        with self._lock:
            self._state = state

    def since(self, cursor: Cursor) -> tuple[Head | NewRows, Cursor] | None:
        """What a watcher lacks, and what it will then have seen; None if nothing.

        That is the head of a history of which it has seen nothing, and then at most ``MOST_ROWS`` of each list.
        """
        with self._lock:
            if self.head is None:
                return None
            if cursor.history != self._name:
                return self.head, Cursor(self._name)
            rows = {name: self._lists[name][had : had + MOST_ROWS] for name, had in zip(LISTS, cursor.had, strict=True)}
            state = self._state
        if not any(rows.values()) and state == cursor.state:
            return None
        had = tuple(before + len(rows[name]) for name, before in zip(LISTS, cursor.had, strict=True))
        return NewRows(state=state, **rows), Cursor(cursor.history, had, state)
