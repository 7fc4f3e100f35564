"""A trained network as the chapters use it: weights, the recipe they came from, and how it is asked.

Weights are stored in half precision beside a card (JSON) that says what made them and holds their
SHA-256 (`metarep_lib.train.stored`).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from metarep_lib.asked import asked, at_least
from metarep_lib.network.asking import Decoder
from metarep_lib.network.basis import Basis
from metarep_lib.network.layouts import Interleaved, Layout, PairCausal, Prefix
from metarep_lib.network.tokens import input_basis
from metarep_lib.network.transformer import Transformer
from metarep_lib.train.initial import initial
from metarep_lib.train.recipe import Recipe, recipe_of
from metarep_lib.train.stored import Place, places, read_card, read_weights

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
    name: str,
    seed: int | None = None,
    *,
    device: torch.device | str = "cpu",
    folder: Path = WEIGHTS,
) -> TrainedTransformer:
    """The committed network `name` of one seed, in float32, without gradients.

    Raises:
        TypeError: no seed.
        FileNotFoundError: no such weights, with the names there are.
        StoredNetworkError: weights or card broken, or not belonging together: their SHA-256 is
            held against the card's.
    """
    if type(seed) is not int:
        raise TypeError(
            f"load_trained({name!r}, seed={seed!r}): expected a whole number; name and seed are two"
            " arguments: this would work: load_trained('softmax-gp', seed=0)"
        )
    place, call = Place(folder, name, seed), f"load_trained({name!r}, seed={seed})"
    card = read_card(place, call)
    recipe = recipe_of(name, card["recipe"], f"{call}: {place.card}")
    transformer = Transformer(recipe.config)
    weights = read_weights(place, transformer.state_dict(), call, card)
    transformer.load_state_dict({key: weight.float() for key, weight in weights.items()})
    return TrainedTransformer(transformer.requires_grad_(False).to(device), recipe, card)


def load_seeds(
    name: str, *, device: torch.device | str = "cpu", folder: Path = WEIGHTS
) -> list[TrainedTransformer]:
    """Every committed network `name`, in the order of its seeds: what is said of one is said of all.

    Raises:
        FileNotFoundError: no such weights, with the names there are.
        StoredNetworkError: those of one seed are broken.
    """
    seeds = [place.seed for place in places(folder) if place.name == name]
    return [load_trained(name, seed, device=device, folder=folder) for seed in seeds or [0]]


def cards(folder: Path = WEIGHTS) -> list[dict]:
    """The cards of all committed networks, by name and seed: recipe, command, commit, device, seconds, parameters, sha256, risks.

    Raises:
        StoredNetworkError: a card without its weights, or of others.
    """
    return [read_card(place, "cards()") for place in places(folder)]


def why_missing(recipe: Recipe, seed: int, folder: Path = WEIGHTS) -> str:
    """Why a recipe's network of one seed has yet to be trained; nothing when it is stored and whole."""
    place = Place(folder, recipe.name, seed)
    try:
        network = load_trained(recipe.name, seed, folder=folder)
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    return "" if network.recipe == recipe else f"{place.card} is the card of another recipe"


@asked(seed=at_least(0))
def untrained(
    network: TrainedTransformer, seed: int, output_gain: float | None = None
) -> TrainedTransformer:
    """The twin of a network, with another `output_gain` (as in `Schedule`) if one is given."""
    recipe = network.recipe
    if output_gain is not None:
        recipe = replace(recipe, schedule=replace(recipe.schedule, output_gain=output_gain))
    return replace(network, recipe=recipe).twin(seed)
