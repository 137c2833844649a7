"""The agents that Mesa sees: a transformer, a charger or a vehicle, each a view of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import mesa

from wattswap.runners.engines.agent_factory import agent_name

if TYPE_CHECKING:
    from wattswap.agents.base import Agent
    from wattswap.runners.mesa_model.state import Choice, Place, StreetState

Kind = Literal["transformer", "charger", "vehicle"]


class StreetAgent(mesa.Agent):
    """What every agent of a street shows to Mesa; what does not apply to it is None, so one reporter fits all."""

    state: StreetState
    soc: float | None = None
    choice: Choice | None = None
    strategy: str | None = None
    earned_nanos: int | None = None

    def __init__(self, model: mesa.Model, state: StreetState, kind: Kind, place: Place) -> None:
        super().__init__(model)
        feeder, name = place
        self.kind, self.place = kind, place
        self.state = state
        self.feeder = state.feeders[feeder]
        """The name of its feeder; empty where the scenario lists none."""
        self.agent_name = agent_name(kind, self.feeder, name)
        self.name = name or self.agent_name

    @property
    def agent(self) -> Agent | None:
        """The agent that decides; None in the fleet engine, which has only arrays."""
        return self.state.agent_behind(self.agent_name)

    @property
    def row(self) -> int | None:
        """The session it has now, as a row of the record's tables."""
        return None

    @property
    def plugged(self) -> bool:
        """Whether a car is plugged in."""
        return self.row is not None

    @property
    def power_w(self) -> int:
        """What flows to the car; negative when it feeds back."""
        return 0 if self.row is None else self.state.now.power_w[self.row]


class TransformerView(StreetAgent):
    """The transformer of a feeder."""

    def __init__(self, model: mesa.Model, state: StreetState, feeder: int) -> None:
        super().__init__(model, state, "transformer", (feeder, ""))

    @property
    def power_w(self) -> int:
        """What it carries."""
        return self.state.now.load_w[self.place[0]]

    @property
    def limit_w(self) -> int:
        """What it may carry."""
        return self.state.now.limit_w[self.place[0]]


class ChargerView(StreetAgent):
    """A charger."""

    def __init__(self, model: mesa.Model, state: StreetState, place: Place) -> None:
        super().__init__(model, state, "charger", place)

    @property
    def row(self) -> int | None:
        """The session of the car that is plugged in."""
        return self.state.now.row_of_station.get(self.place)

    @property
    def vehicle(self) -> str | None:
        """The name of the car that is plugged in."""
        return None if self.row is None else self.state.vehicle_of(self.row)


class VehicleView(StreetAgent):
    """A car, or a stationary battery."""

    def __init__(self, model: mesa.Model, state: StreetState, place: Place, rows: tuple[int, ...]) -> None:
        super().__init__(model, state, "vehicle", place)
        self._rows = rows

    @property
    def row(self) -> int | None:
        """The session it has now."""
        return self.state.now.row_of_vehicle.get(self.place)

    @property
    def soc(self) -> float | None:  # type: ignore[override]
        """How full its battery is, 0 to 1; None while it is away, for nobody knows."""
        return None if self.row is None else self.state.soc_of(self.row)

    @property
    def choice(self) -> Choice | None:  # type: ignore[override]
        """Whether it keeps charging, gives way or feeds back now; None if it is away or wants nothing."""
        return None if self.row is None else self.state.now.choice[self.row]

    @property
    def strategy(self) -> str | None:  # type: ignore[override]
        """What it answers by."""
        return self.state.strategy_of(self._rows[0])

    @property
    def earned_nanos(self) -> int | None:  # type: ignore[override]
        """What it has been paid so far, in all its sessions."""
        return sum(self.state.earned_nanos(row) for row in self._rows)
