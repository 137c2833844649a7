"""A street as a Mesa model: ``model.step()``, ``model.agents``, ``mesa.batch_run``, and our engines underneath.

    import mesa
    from wattswap.runners import NeighbourhoodModel

    rows = mesa.batch_run(
        NeighbourhoodModel,
        {"street": "a400", "engine": "fleet", "replication": range(8)},
        number_processes=2,
        max_steps=NeighbourhoodModel.steps_of("a400"),
    )

Three things to know of Mesa's ``batch_run``. It stops after 1000 steps unless told otherwise, which would end a week
after eight hours: pass ``max_steps`` as above; without figures it says so. Its ``iterations`` repeat a model with the
same arguments, so with the same luck: vary ``replication`` instead. And from 3.5 on it replaces a ``seed`` among the
parameters by its own ``rng=``: again, vary ``replication``.

**Seeds.** A run draws from one seed: ``(seed, or the scenario's own) + replication``. It is ``model.effective_seed``
and the figure ``seed``, and ``wattswap run --seed`` with it is the same run, to the same ``trace_hash``.

**Reporters.** The figures, the keys of ``wattswap run --json``, are of the whole run: they are reckoned once, when it
has ended, and cost nothing on the way. For more, tick by tick, subclass and name what to collect, attributes of the
model and of its agents (it takes a microsecond or two per agent and step):

    class Watched(NeighbourhoodModel):
        step_reporters = {"load_w": "load_w", "limit_w": "limit_w"}
        agent_reporters = {"power_w": "power_w", "soc": "soc"}

    frame = model.datacollector.get_agent_vars_dataframe()
"""

from __future__ import annotations

from wattswap.runners.mesa_model.model import NeighbourhoodModel, effective_seed

__all__ = ["NeighbourhoodModel", "effective_seed"]
