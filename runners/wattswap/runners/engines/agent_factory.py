"""The agents of a street: who takes part, by name, and how each is made, the first time and after a crash.

On each feeder there is one transformer, which owns the site account, and its households, chargers and vehicles. Names
are ``transformer``, ``household/<number>``, ``charger/<station>`` and ``vehicle/<vehicle>``; on a feeder with a name it
follows the first part, as in ``charger/north/S1``, so two feeders may have stations of one name.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wattswap.agents.award_book import Site
from wattswap.agents.charger import Charger
from wattswap.agents.controllers import informed
from wattswap.agents.household import Household
from wattswap.agents.roster import Roster
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.protocol.identity import seeded_signer
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.engines.strategy_assignment import StrategyAssignment

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.agents.base import Agent
    from wattswap.agents.controllers import Controller
    from wattswap.protocol.identity import Signer
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World


def agent_name(kind: str, feeder: str, own: str = "") -> str:
    """The name of an agent: what it is, its feeder where that has a name, and which one it is there."""
    return "/".join(part for part in (kind, feeder, own) if part)


def transformer_name(feeder: str = "") -> str:
    """The name of a feeder's transformer, which is that of its site's key as well."""
    return agent_name("transformer", feeder)


class AgentFactory:
    """Names, keys and makers of all agents of a street."""

    def __init__(self, street: Street, world: World, controller: Controller | None = None, *, sign: bool) -> None:
        self._street, self._world, self._controller, self._sign = street, world, controller, sign
        self.assignment = StrategyAssignment(world.fleet, street.scenario.seed, world.rules, street.folder)
        fleet, names = world.fleet, [feeder.name for feeder in street.feeders]
        on = [names[feeder] for feeder in fleet.feeder.tolist()]
        self.charger_of = tuple(map(partial(agent_name, "charger"), on, fleet.station_id))
        """By row."""
        self.vehicle_of = tuple(map(partial(agent_name, "vehicle"), on, fleet.vehicle_id))
        """By row."""
        self.wallets = dict(zip(self.vehicle_of, fleet.vehicle_id, strict=True))
        """The names of the cars' wallets in the book of their feeder's site: a feeder's name is left out."""
        self.transformers = tuple(transformer_name(name) for name in names)
        """By feeder."""
        homes = [
            [agent_name("household", feeder.name, str(number)) for number in range(len(feeder.base_w))]
            for feeder in street.feeders
        ]
        self.households = tuple(name for each in homes for name in each)
        """In the order of ``Street.household_w``."""
        self._transformer_of_household = {
            name: transformer for transformer, mine in zip(self.transformers, homes, strict=True) for name in mine
        }
        self._makers: dict[str, Callable[[], Agent]] = {}
        for row, (charger, vehicle) in enumerate(zip(self.charger_of, self.vehicle_of, strict=True)):
            self._makers[charger] = partial(self._charger, charger, row)
            self._makers[vehicle] = partial(self._vehicle, vehicle, row)
        for transformer, mine in zip(self.transformers, homes, strict=True):
            self._makers |= {name: partial(Household, name, transformer) for name in mine}
        for number, mine in enumerate(homes):
            self._makers[self.transformers[number]] = partial(self._transformer, number, self._roster(number, mine))
        self.names = tuple(self._makers)
        self._keys = {name: self._signer_of(name).public_key for name in self.names} if sign else None

    def make(self, name: str) -> Agent:
        """An agent as it starts."""
        return self._makers[name]()

    def transformer_of(self, row: int) -> str:
        """The transformer of a row's feeder."""
        return self.transformers[int(self._world.fleet.feeder[row])]

    def transformer_of_household(self, household: str) -> str:
        """The transformer that a household reports to."""
        return self._transformer_of_household[household]

    def _roster(self, number: int, households: list[str]) -> Roster:
        rows = (self._world.fleet.feeder == number).nonzero()[0].tolist()
        charger_max_w = {self.charger_of[row]: int(self._world.fleet.charger_max_w[row]) for row in rows}
        return Roster(charger_max_w, {self.vehicle_of[row] for row in rows}, tuple(households))

    def _transformer(self, number: int, roster: Roster) -> Transformer:
        name, transformer = self.transformers[number], self._street.feeders[number].transformer
        site = Site(
            limit_w=transformer.limit_w,
            funds_nanos=transformer.funds_iota * NANOS_PER_IOTA,
            tariff_nanos_per_kwh=self._street.scenario.vehicles.tariff_nanos_per_kwh,
            seed=self._street.scenario.seed,
            feeder=number,
        )
        return Transformer(
            name,
            site,
            self._world.feeder_rules[number],
            roster,
            controller=informed(self._controller, self._world.base_w[number], site.seed, self._world.fleet.persons),
            signer=self._signer(name),
            trusted=self._keys,
        )

    def _charger(self, name: str, row: int) -> Charger:
        return Charger(
            name,
            self.transformer_of(row),
            int(self._world.fleet.charger_max_w[row]),
            self._world.rules,
            signer=self._signer(name),
            transformer_key=self._transformer_key(row),
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
            waits=bool(fleet.is_session[row]),
        )
        signer, transformer_key = self._signer(name), self._transformer_key(row)
        return Vehicle(name, profile, self._world.rules, signer=signer, transformer_key=transformer_key)

    def _transformer_key(self, row: int) -> bytes | None:
        return None if self._keys is None else self._keys[self.transformer_of(row)]

    def _signer(self, name: str) -> Signer | None:
        """The agent's key in a run that signs."""
        return self._signer_of(name) if self._sign else None

    def _signer_of(self, name: str) -> Signer:
        return seeded_signer(self._street.scenario.seed, name)
