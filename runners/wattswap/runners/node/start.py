"""Puts a node together from its configuration, and runs it until it is told to stop."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Final

from wattswap.ledger.database import FileInUseError
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.gathering_store import GatheringStore
from wattswap.runners.engines.node import Node
from wattswap.runners.engines.sqlite_store import SqliteStore
from wattswap.runners.node.agent_setup import AgentSetup
from wattswap.runners.node.clock import NodeClock, newest_record
from wattswap.runners.node.config import DEFAULT_PORT, TransformerConfig
from wattswap.runners.node.discovery import Discovery
from wattswap.runners.node.gate import Gate
from wattswap.runners.node.hosted_agent import HostedAgent
from wattswap.runners.node.json_log import json_log
from wattswap.runners.node.key_directory import read_agent_keys
from wattswap.runners.node.messenger import Messenger
from wattswap.runners.node.node_host import CLOCK_KEY, NodeHost
from wattswap.runners.node.open_files import raise_open_files_limit
from wattswap.runners.node.pages import page_of, street_recorder_of
from wattswap.runners.node.sensor_choice import sensors_of
from wattswap.runners.node.trust import NodeTrust
from wattswap.runners.node.zeromq import SocketOptions, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from structlog.typing import FilteringBoundLogger

    from wattswap.agents.base import Agent
    from wattswap.ledger.book import Book
    from wattswap.runners.engines.store import Store
    from wattswap.runners.node.config import LoadedConfig, UpstreamTable
    from wattswap.runners.node.key_directory import AgentKeys, PublicIdentity
    from wattswap.runners.node.ledger_payments import LedgerPayments
    from wattswap.runners.node.sensors import Sensor

_EPOCH_OF: Final = "epoch/"
"""Under names that begin like this the host remembers the highest epoch heard of a key."""
_NO_PORT: Final = 1
"""What a node announces that nobody connects to: it can be found and paired with."""


def run_agent(loaded: LoadedConfig, stopped: Callable[[], bool], stream: TextIO) -> None:
    """Run the agents of a configuration; their log goes to ``stream``, one JSON object a line.

    Raises:
        InputError: something in the configuration, the keys or on this machine does not fit.
    """
    log = json_log(stream)
    raise_open_files_limit()
    members = [(one, _keys(one)) for one in (loaded, *loaded.others)]
    _check_share(members)
    with ExitStack() as stack:
        trust = NodeTrust([(keys.identity, one.there(one.config.keys)) for one, keys in members])
        setups = [setup for one, keys in members for setup in _setups(one, keys, trust, stack)]
        market, stores = loaded.config.market, list({id(one.host_store): one.host_store for one in setups}.values())
        options = SocketOptions(beat_ms=market.beat_ms)
        transport = stack.enter_context(closing(Transport(members[0][1].transport, trust.all.allows, options)))
        clock = NodeClock(newest_record(store.remembered().get(CLOCK_KEY) for store in stores))
        gate = _gate(setups, stores, trust, market.beat_ms, clock.now_ms() // 1_000)
        messenger = Messenger(transport, gate, trust.all, beat_ms=market.beat_ms, clock=clock.now_ms)
        port = listen_port(loaded, transport)
        upstreams = _upstreams(setups)
        _connect(upstreams, messenger)
        host = NodeHost(
            messenger,
            clock,
            stores,
            log,
            roles={setup.name: setup.identity.role for setup in setups},
            beat_ms=market.beat_ms,
            lease_ms=loaded.rules.certain_lease_ms,
            trust=trust,
            upstreams=[table.name for _, table in upstreams],
            discovery=_discovery(loaded, [keys.identity for _, keys in members], port),
        )
        sensors = sensors_of(setups, host)
        makers = {setup.name: setup.maker() for setup in setups}
        names = ", ".join(setup.name for setup in setups)
        log.info("listening" if port else "connecting", agent=names, port=port)
        for setup in setups:
            own = log.bind(agent=setup.name) if len(setups) > 1 else log
            host.host(_hosted(setup, makers[setup.name], sensors[setup.name], host, clock, own, stack))
        host.run(stopped)


def _keys(loaded: LoadedConfig) -> AgentKeys:
    folder = loaded.there(loaded.config.keys)
    keys = read_agent_keys(folder)
    if keys.identity.role != loaded.role:
        raise InputError(f"{folder} are the keys of a {keys.identity.role}, not of a {loaded.role}")
    return keys


def _check_share(members: Sequence[tuple[LoadedConfig, AgentKeys]]) -> None:
    """Agents of one process have names and places of their own, and one socket, so one key of connections."""
    (first, first_keys), *others = members
    taken = {first_keys.identity.name: first.path}
    states = {first.there(first.config.state).resolve(): first.path}
    for loaded, keys in others:
        if (path := taken.setdefault(keys.identity.name, loaded.path)) != loaded.path:
            raise InputError(f"{loaded.path}: {keys.identity.name} is the agent of {path} already")
        if (path := states.setdefault(loaded.there(loaded.config.state).resolve(), loaded.path)) != loaded.path:
            raise InputError(f"{loaded.path}: its state directory is that of {path}: name another one as state")
        if keys.transport.public != first_keys.transport.public:
            beside = first.there(first.config.keys)
            raise InputError(
                f"{loaded.path}: {keys.identity.name} has another connection key than {first_keys.identity.name}, and"
                f" shares its socket: make its keys by `wattswap keys new DIR ... --beside {beside}`"
            )


def _setups(loaded: LoadedConfig, keys: AgentKeys, trust: NodeTrust, stack: ExitStack) -> Iterator[AgentSetup]:
    """The agent of a configuration, or the two of a battery, with their stores open."""
    folder = loaded.there(loaded.config.state)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the directory {folder}: {error.strerror}") from None
    try:
        host_store = stack.enter_context(SqliteStore(folder / "host.sqlite"))
    except FileInUseError:
        raise InputError(
            f"{loaded.path}: {keys.identity.name} runs already, or another agent whose state is in {folder}:"
            " end that one, or give this one keys, state and a port of its own"
        ) from None
    for identity in keys.identity.speakers:
        file = "agent.sqlite" if identity.name == keys.identity.name else f"{identity.role}.sqlite"
        store = GatheringStore(stack.enter_context(SqliteStore(folder / file)))
        stack.callback(store.flush)
        yield AgentSetup(loaded, keys, identity, trust.of[identity.name], store, host_store)


def _hosted(
    setup: AgentSetup,
    make: Callable[[], Agent],
    sensor: Sensor,
    host: NodeHost,
    clock: NodeClock,
    log: FilteringBoundLogger,
    stack: ExitStack,
) -> HostedAgent:
    opening, market = setup.opening(), setup.loaded.config.market
    page = page_of(setup.loaded, setup.name, sensor, clock.now_ms, log)
    if page is not None:
        stack.enter_context(closing(page))
    recorder = street_recorder_of(setup.loaded, setup.name, log, stack)
    return HostedAgent(
        lambda agent: Node(make, agent, setup.store, opening),
        sensor,
        log,
        post=host.post,
        refused=host.refused,
        beat_ms=market.beat_ms,
        phase_ms=market.phase_ms if setup.identity.role == "transformer" else 0,
        page=page,
        recorder=recorder,
        payments=_payments(setup, opening, log),
    )


def _payments(setup: AgentSetup, opening: Book | None, log: FilteringBoundLogger) -> LedgerPayments | None:
    """The way of a transformer's book to its ledger, if its configuration names one."""
    loaded, config = setup.loaded, setup.loaded.config
    if not isinstance(config, TransformerConfig) or not config.ledger.where or opening is None:
        return None
    from wattswap.runners.node.ledger_payments import LedgerPayments

    where, outbox = config.ledger.where, loaded.there(config.state) / "outbox.sqlite"
    if where.startswith("sqlite:"):
        where = f"sqlite:{loaded.there(where.removeprefix('sqlite:'))}"
    elif not where.startswith(("http://", "https://")):
        raise InputError(
            f"{loaded.path}: ledger.where is {where!r}; write sqlite:tokens.sqlite, or the URL of a devnet's node"
        )
    network = None
    if config.ledger.allow:
        from wattswap.runners.node.ledger_payments import PublicNetwork

        network = PublicNetwork(config.ledger.allow, loaded.there(config.ledger.wallets), config.ledger.payees)
        for car in setup.trust:
            if car.role == "vehicle" and car.name not in network.payees:
                raise InputError(f'{loaded.path}: ledger.payees has no address for {car.name}: "{car.name}" = "0x..."')
    entries = setup.store.entries() or opening.entries
    return LedgerPayments(where, entries, store=setup.host_store, outbox=outbox, log=log, network=network)


def _gate(setups: Sequence[AgentSetup], stores: Sequence[Store], trust: NodeTrust, beat_ms: int, now_s: int) -> Gate:
    """The gate of the node, in an epoch that is later than any in which one of its agents has spoken.

    It is the time in seconds, or more: a node whose stores were lost cannot know how often it has started.
    """
    heard: dict[bytes, int] = {}
    for store in stores:
        for name, value in store.remembered().items():
            if name.startswith(_EPOCH_OF):
                key, epoch = bytes.fromhex(name.removeprefix(_EPOCH_OF)), int.from_bytes(value, "big")
                heard[key] = max(epoch, heard.get(key, 0))

    def remember(key: bytes, epoch: int) -> None:
        stores[0].commit(((_EPOCH_OF + key.hex(), epoch.to_bytes(8, "big")),), ())

    return Gate(
        {setup.name: setup.identity.role for setup in setups},
        trust.all,
        epoch=max(store.next_epoch(now_s) for store in stores),
        beat_ms=beat_ms,
        epochs=heard,
        remember=remember,
        hears=trust.hears,
    )


def listen_port(loaded: LoadedConfig, transport: Transport, usual: int = DEFAULT_PORT) -> int:
    """Listen where the first of the agents does to which others connect: its port; 0 if they all only connect.

    One that names no port gets the usual one, or a free one if that is taken and discovery tells others where it is.

    Raises:
        InputError: the port is taken, or the address is not this machine's.
    """
    tables = [table for one in (loaded, *loaded.others) if (table := one.listens) is not None]
    if not tables:
        return 0
    table = tables[0]
    if table.port:
        return transport.listen(table.host, table.port)
    try:
        return transport.listen(table.host, usual)
    except InputError:
        if loaded.config.discovery.use == "no":
            raise
        return transport.listen(table.host, 0)


def _discovery(loaded: LoadedConfig, cards: Sequence[PublicIdentity], port: int) -> Discovery | None:
    table = loaded.config.discovery
    if table.use == "no":
        return None
    return Discovery([(card, port or _NO_PORT) for card in cards], table.interfaces.split())


def _upstreams(setups: Sequence[AgentSetup]) -> list[tuple[AgentSetup, UpstreamTable]]:
    """Whom agents here connect to, each with one of them; not those who are here themselves."""
    here = {setup.name for setup in setups}
    found: dict[str, tuple[AgentSetup, UpstreamTable]] = {}
    for setup in setups:
        if (table := setup.loaded.upstream) is not None and table.name not in here:
            found.setdefault(table.name, (setup, table))
    return list(found.values())


def _connect(upstreams: Sequence[tuple[AgentSetup, UpstreamTable]], messenger: Messenger) -> None:
    """Connect to those above whose addresses are written down; the others have to be found."""
    for setup, table in upstreams:
        loaded = setup.loaded
        known = setup.trust.agent(table.name)
        if known is None:
            raise InputError(
                f"{loaded.path}: upstream.name is {table.name}, which this agent does not trust:"
                f" wattswap keys trust {loaded.there(loaded.config.keys)} FILE"
            )
        if table.host:
            messenger.connect(known, table.host, table.port, configured=True)
        elif loaded.config.discovery.use == "no":
            raise InputError(
                f"{loaded.path}: upstream.host is empty and discovery.use is no: {table.name} cannot be found"
            )
