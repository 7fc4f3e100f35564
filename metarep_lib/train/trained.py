"""A trained network as the chapters use it: weights, the recipe they came from, and how it is asked.

Weights are stored in half precision beside a card (JSON) that says what made them.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from metarep_lib.asked import asked, at_least
from metarep_lib.network.asking import Decoder
from metarep_lib.network.basis import Basis
from metarep_lib.network.layouts import Interleaved, Layout, PairCausal, Prefix
from metarep_lib.network.tokens import input_basis
from metarep_lib.network.transformer import Transformer
from metarep_lib.train.loop import initial
from metarep_lib.train.recipe import Recipe, recipe_of

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


LAYOUTS = {
    "prefix": Prefix(registers=False, sees_itself=True),
    "pair-causal": PairCausal(),
    "interleaved": Interleaved(),
}


@dataclass(frozen=True, eq=False, repr=False)
class TrainedTransformer(Decoder):
    """A transformer with the recipe it was trained by; `card` records the run.

    Its tokens carry no ridge: the `ridge` of a prompt changes none of its answers, and `traits.reads_ridge` is False.
    """

    transformer: Transformer
    recipe: Recipe
    card: dict

    @property
    def layout(self) -> Layout:
        return LAYOUTS[self.recipe.schedule.layout]

    @property
    def inputs(self) -> Basis:
        return input_basis(self.transformer.config.d_input - input_basis(1).size + 1)

    @property
    def name(self) -> str:
        return self.recipe.name

    @asked(seed=at_least(0))
    def twin(self, seed: int) -> "TrainedTransformer":
        """The same architecture before its first step."""
        transformer = initial(self.recipe, seed).to(self.transformer.W_E)
        return replace(self, transformer=transformer.requires_grad_(False))


def load_trained(
    name: str, seed: int, *, device: torch.device | str = "cpu", folder: Path = WEIGHTS
) -> TrainedTransformer:
    """The committed network `name` of one seed, in float32, without gradients.

    Raises:
        FileNotFoundError: no such weights, with the names there are.
    """
    stem = folder / f"{name}-{seed}"
    if not stem.with_suffix(".safetensors").exists():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.safetensors"))) or "none"
        raise FileNotFoundError(
            f"load_trained({name!r}, seed={seed}): no such weights; there are: {known}"
        )
    card = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    recipe = recipe_of(name, card["recipe"])
    transformer = Transformer(recipe.config)
    transformer.load_state_dict(
        {
            name: weight.float()
            for name, weight in load_file(stem.with_suffix(".safetensors")).items()
        }
    )
    return TrainedTransformer(transformer.requires_grad_(False).to(device), recipe, card)


def load_seeds(
    name: str, *, device: torch.device | str = "cpu", folder: Path = WEIGHTS
) -> list[TrainedTransformer]:
    """Every committed network `name`, in the order of its seeds: what is said of one is said of all.

    Raises:
        FileNotFoundError: no such weights, with the names there are.
    """
    seeds = sorted(
        int(seed)
        for seed in (
            path.stem.removeprefix(f"{name}-") for path in folder.glob(f"{name}-*.safetensors")
        )
        if seed.isdigit()
    )
    return [load_trained(name, seed, device=device, folder=folder) for seed in seeds or [0]]


def cards(folder: Path = WEIGHTS) -> list[dict]:
    """The cards of all committed networks, by name and seed: recipe, command, commit, device, seconds, parameters, risks."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


@asked(seed=at_least(0))
def untrained(
    network: TrainedTransformer, seed: int, output_gain: float | None = None
) -> TrainedTransformer:
    """The twin of a network, with another `output_gain` (as in `Schedule`) if one is given."""
    recipe = network.recipe
    if output_gain is not None:
        recipe = replace(recipe, schedule=replace(recipe.schedule, output_gain=output_gain))
    return replace(network, recipe=recipe).twin(seed)
