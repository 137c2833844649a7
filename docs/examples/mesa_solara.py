"""The street in a browser, with Mesa's own page: load and limit, and what the cars chose.

pip install 'mesa[network,viz]>=3.3,<4' 'solara==1.58.2' 'solara-assets==1.58.2' 'ipyvuetify<2'
solara run docs/examples/mesa_solara.py
"""

from __future__ import annotations

from importlib.util import find_spec

from wattswap.runners import NeighbourhoodModel

WITHOUT_SOLARA = "this page needs solara: docs/mesa.md says which versions, and how to start it"
FIVE_O_CLOCK = 17 * 120
"""In ticks of 30 s from midnight."""


class Evening(NeighbourhoodModel):
    """The demo's Sunday from five o'clock on, tick by tick in the fleet engine."""

    step_reporters = {
        "load_kw": lambda model: model.load_w / 1000,
        "limit_kw": lambda model: model.limit_w / 1000,
        "keep": lambda model: model.choices["keep"],
        "give way": lambda model: model.choices["reduce"],
        "feed back": lambda model: model.choices["feed"],
    }

    def __init__(
        self, street: str = "demo", *, strategy: str = "need:0.6+prosumer:0.2+keep:0.2", seed: int = 1
    ) -> None:
        """The page's sliders set ``strategy`` and ``seed``; Mesa makes a new model of them."""
        super().__init__(street, engine="fleet", strategy=strategy, seed=seed)
        for _ in range(FIVE_O_CLOCK):
            self.step()


def page() -> object:
    """The page."""
    from mesa.visualization import Slider, SolaraViz, make_plot_component

    return SolaraViz(
        Evening(),
        components=[
            make_plot_component({"load_kw": "tab:blue", "limit_kw": "tab:red"}),
            make_plot_component({"keep": "tab:grey", "give way": "tab:blue", "feed back": "tab:green"}),
        ],
        model_params={
            "strategy": {
                "type": "Select",
                "label": "How cars answer",
                "value": "need:0.6+prosumer:0.2+keep:0.2",
                "values": ["need:0.6+prosumer:0.2+keep:0.2", "need", "truthful", "altruist", "prosumer", "keep"],
            },
            "seed": Slider("seed", 1, 1, 20, 1),
        },
        name="Wattswap: who gives way?",
        play_interval=20,
        render_interval=10,
    )


if find_spec("solara") is None:
    print(WITHOUT_SOLARA)
else:
    page = page()  # solara looks for this name
