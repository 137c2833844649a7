"""What an agent of a node is made from: its configuration, its keys, whom it trusts, where it keeps what it knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wattswap.agents.award_book import Site
from wattswap.agents.charger import Charger
from wattswap.agents.household import Household
from wattswap.agents.roster import Roster
from wattswap.agents.strategies.mix import parse_mix
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.ledger.book import Book
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.engines.strategy_assignment import installed_strategies, strategy_from_file
from wattswap.runners.node.config import (
    BatteryConfig,
    ChargerConfig,
    HouseholdConfig,
    TransformerConfig,
    VehicleConfig,
)
from wattswap.runners.node.trusted_views import SigningKeys, TrustedChargers, TrustedNames
from wattswap.runners.scenario.schema import ppm

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.agents.base import Agent
    from wattswap.runners.engines.store import Store
    from wattswap.runners.node.config import CarTable, LoadedConfig
    from wattswap.runners.node.key_directory import AgentKeys, PublicIdentity
    from wattswap.runners.node.trust import TrustStore


@dataclass(frozen=True)
class AgentSetup:
    """One agent. The two of a battery share all but who they are and where they keep it."""

    loaded: LoadedConfig
    keys: AgentKeys
    identity: PublicIdentity
    trust: TrustStore
    store: Store
    """The agent's own."""
    host_store: Store
    """Its host's."""

    @property
    def name(self) -> str:
        """The agent's."""
        return self.identity.name

    def maker(self) -> Callable[[], Agent]:
        """What makes the agent, the first time and after a crash.

        Raises:
            InputError: it does not trust the transformer that its configuration names, or its strategy is none.
        """
        config, name, rules, signer = self.loaded.config, self.name, self.loaded.rules, self.keys.signer
        match config:
            case TransformerConfig():
                trusted = SigningKeys(self.trust)
                return partial(
                    Transformer, name, self._site(config), rules, self._roster(config), signer=signer, trusted=trusted
                )
            case ChargerConfig():
                return self._charger(config.upstream.name, config.point.max_w)
            case BatteryConfig() if self.identity.role == "charger":
                return self._charger(config.upstream.name, config.battery.max_w)
            case BatteryConfig():
                return self._vehicle(config.upstream.name, config.battery.car, waits=False)
            case VehicleConfig():
                return self._vehicle(config.transformer, config.car, waits=True)
            case HouseholdConfig():
                return partial(Household, name, config.upstream.name)
            case _:
                raise AssertionError(config)

    def opening(self) -> Book | None:
        """A transformer's account as it is at its very first start."""
        config = self.loaded.config
        if not isinstance(config, TransformerConfig):
            return None
        return Book(config.site.funds_iota * NANOS_PER_IOTA, config.ledger.pay, collects=not config.ledger.allow)

    @staticmethod
    def _site(config: TransformerConfig) -> Site:
        table = config.site
        return Site(
            limit_w=table.limit_w,
            funds_nanos=table.funds_iota * NANOS_PER_IOTA,
            tariff_nanos_per_kwh=table.tariff_nanos_per_kwh,
            seed=table.seed,
            feeder=0,
        )

    def _roster(self, config: TransformerConfig) -> Roster:
        chargers = TrustedChargers(self.trust, config.site.charger_max_w)
        return Roster(chargers, TrustedNames(self.trust, "vehicle"), TrustedNames(self.trust, "household"))

    def _charger(self, above: str, max_w: int) -> Callable[[], Agent]:
        return partial(
            Charger,
            self.name,
            above,
            max_w,
            self.loaded.rules,
            signer=self.keys.signer,
            transformer_key=self._signing_key(above),
        )

    def _vehicle(self, transformer: str, car: CarTable, *, waits: bool) -> Callable[[], Agent]:
        return partial(
            Vehicle,
            self.name,
            self._profile(car, waits=waits),
            self.loaded.rules,
            signer=self.keys.signer,
            transformer_key=self._signing_key(transformer),
        )

    def _signing_key(self, transformer: str) -> bytes:
        if (agent := self.trust.agent(transformer)) is None:
            raise InputError(
                f"{self.loaded.path}: the transformer is {transformer}, which this agent does not trust:"
                f" wattswap keys trust {self.loaded.there(self.loaded.config.keys)} FILE"
            )
        return agent.signing

    def _profile(self, car: CarTable, *, waits: bool) -> VehicleProfile:
        path = self.loaded.path
        mix = parse_mix(car.strategy, lambda name: strategy_from_file(name, path.parent), installed_strategies)
        if len(mix.strategies) != 1:
            raise InputError(f"{path}: the strategy is {car.strategy!r}: a car has one, not a mix")
        return VehicleProfile(
            strategy=mix.strategies[0],
            strategy_name=mix.names[0],
            seed=car.seed,
            round_trip_permille=ppm(car.round_trip_pct) // 1_000,
            wear_nanos_per_kwh=car.wear_nanos_per_kwh,
            tariff_nanos_per_kwh=car.tariff_nanos_per_kwh,
            waits=waits,
        )
