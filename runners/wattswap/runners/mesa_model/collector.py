"""Mesa's data collector, joined by the figures of the whole run when they are there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import mesa

from wattswap.protocol.errors import InputError
from wattswap.runners.recording.metrics import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from wattswap.runners.recording.metrics import Summary

    Reporters = Mapping[str, str | Callable[..., object]]


FLAT: Final = (
    "choices_keep", "choices_reduce", "choices_feed", "timing_wall_s", "timing_vehicle_steps_per_s",
)  # fmt: skip
"""The parts of figures that are tables, as columns of their own."""


class FigureCollector(mesa.DataCollector):
    """Mesa's collector; the figures of the whole run join it when they are there."""

    def __init__(self, of_model: Reporters, of_agents: Reporters, steps: int) -> None:
        super().__init__(model_reporters=dict(of_model), agent_reporters=dict(of_agents))  # type: ignore[no-untyped-call]
        self.model_vars.update({key: RunFigure(steps) for key in (*KEYS, *FLAT)})

    def collect(self, model: mesa.Model) -> None:
        """Collect what was asked for; Mesa 3.5 wants to know when, be it nothing that was."""
        super().collect(model)  # type: ignore[no-untyped-call]
        self._mark(model)

    def close(self, model: mesa.Model, figures: Summary) -> None:
        """Write the figures beside what was collected last."""
        before = max(len(values) for values in self.model_vars.values()) - 1
        for key, value in {**figures, **{key: _figure(key, model) for key in FLAT}}.items():
            self.model_vars[key].extend([None] * before)
            self.model_vars[key].append(value)
            self.model_reporters[key] = partial(_figure, key)
        self._mark(model)

    def get_model_vars_dataframe(self) -> pd.DataFrame:
        """What was collected step by step, and beside the last step, once the run has ended, its figures."""
        import pandas as pd

        return pd.DataFrame({name: self.model_vars[name] for name in self.model_reporters})

    def _mark(self, model: mesa.Model) -> None:
        times: list[float] | None = getattr(self, "_collection_steps", None)
        now: float = model.time if hasattr(model, "time") else model.steps  # Mesa 4 counts no steps
        if times is not None and (not times or times[-1] != now):
            times.append(now)


class RunFigure(list[Any]):
    """A figure of the whole run: whichever step is asked for, the answer is the same, or that it is not there yet.

    ``batch_run`` asks for a step of its own counting, which Mesa 3.3 and 3.5 do differently.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def __getitem__(self, at: Any) -> Any:
        if not self:
            raise InputError(
                f"the run was stopped before its {self._steps} steps were over, so it has no figures:"
                " pass max_steps=NeighbourhoodModel.steps_of(street, day)"
            )
        return super().__getitem__(-1 if isinstance(at, int) else at)


def _figure(key: str, model: mesa.Model) -> object:
    """A figure of the run, or None as long as it runs."""
    figures: Summary | None = getattr(model, "summary", None)
    if figures is None or key in figures:
        return None if figures is None else figures[key]
    table, _, part = key.partition("_")
    return figures[table][part]
