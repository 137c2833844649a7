"""The agents of a street: who takes part, by name, and how each is made, the first time and after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.agents.award_book import Site
from wattswap.agents.charger import Charger
from wattswap.agents.household import Household
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.protocol.identity import seeded_signer
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.engines.strategy_assignment import StrategyAssignment

if TYPE_CHECKING:
    from wattswap.agents.base import Agent
    from wattswap.agents.controllers import Controller
    from wattswap.protocol.identity import Signer
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World

TRANSFORMER: Final = "transformer"


class AgentFactory:
    """Names, keys and makers of all agents of a street."""

    def __init__(self, street: Street, world: World, controller: Controller | None = None, *, sign: bool) -> None:
        self._street, self._world, self._controller, self._sign = street, world, controller, sign
        self.assignment = StrategyAssignment(world.fleet, street.scenario.seed, world.rules, street.folder)
        fleet = world.fleet
        self.charger_of = tuple(f"charger/{station}" for station in fleet.station_id)
        """By row."""
        self.vehicle_of = tuple(f"vehicle/{vehicle}" for vehicle in fleet.vehicle_id)
        """By row."""
        self.households = tuple(f"household/{number}" for number in range(len(street.base_w)))
        self.transformers = (TRANSFORMER,)
        self._row_of = {name: row for row in range(len(fleet)) for name in (self.charger_of[row], self.vehicle_of[row])}
        self.names = (*self._row_of, *self.households, *self.transformers)
        self._keys = {name: self._signer_of(name).public_key for name in self.names} if sign else None

    def make(self, name: str) -> Agent:
        """An agent as it starts."""
        if name == TRANSFORMER:
            return self._transformer()
        if name in self.households:
            return Household(name, TRANSFORMER)
        row = self._row_of[name]
        return self._charger(name, row) if name == self.charger_of[row] else self._vehicle(name, row)

    def _transformer(self) -> Transformer:
        scenario = self._street.scenario
        site = Site(
            scenario.transformer.limit_w,
            scenario.transformer.funds_iota * NANOS_PER_IOTA,
            scenario.vehicles.tariff_nanos_per_kwh,
            scenario.seed,
        )
        return Transformer(
            TRANSFORMER,
            site,
            self._world.rules,
            controller=self._controller,
            signer=self._signer(TRANSFORMER),
            trusted=self._keys,
            households=self.households,
        )

    def _charger(self, name: str, row: int) -> Charger:
        return Charger(
            name,
            TRANSFORMER,
            int(self._world.fleet.max_w[row]),
            self._world.rules,
            signer=self._signer(name),
            transformer_key=self._transformer_key,
        )

    def _vehicle(self, name: str, row: int) -> Vehicle:
        fleet, assignment, number = self._world.fleet, self.assignment, int(self.assignment.number[row])
        profile = VehicleProfile(
            strategy=assignment.strategies[number],
            strategy_name=assignment.names[number],
            seed=self._street.scenario.seed,
            round_trip_permille=int(fleet.round_trip_permille[row]),
            wear_nanos_per_kwh=int(fleet.wear_nanos_per_kwh[row]),
            tariff_nanos_per_kwh=int(fleet.tariff_nanos_per_kwh[row]),
        )
        signer, transformer_key = self._signer(name), self._transformer_key
        return Vehicle(name, profile, self._world.rules, signer=signer, transformer_key=transformer_key)

    @property
    def _transformer_key(self) -> bytes | None:
        return None if self._keys is None else self._keys[TRANSFORMER]

    def _signer(self, name: str) -> Signer | None:
        """The agent's key in a run that signs."""
        return self._signer_of(name) if self._sign else None

    def _signer_of(self, name: str) -> Signer:
        return seeded_signer(self._street.scenario.seed, name)
