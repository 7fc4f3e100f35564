"""A trained network as the chapters use it: weights, the recipe they came from, and how it is asked.

Weights are stored in half precision beside a card (JSON) that says what made them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from metarep_lib.construct.tokens import bare_tokens
from metarep_lib.evidence.recipe import Recipe, recipe_of
from metarep_lib.network.masks import Mask, PairCausalMask, PrefixMask
from metarep_lib.network.transformer import Transformer
from metarep_lib.prompt import Prompt

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


@dataclass(frozen=True)
class TrainedTransformer:
    """A transformer with the recipe it was trained by; `card` records the run."""

    transformer: Transformer
    recipe: Recipe
    card: dict

    def predict(self, prompt: Prompt) -> Tensor:
        """[*batch, q] what it says at the queries, given all supports."""
        tokens, mask, asked = self.question(prompt)
        output = self.transformer(tokens, mask)[..., asked, 0]
        return output if self.recipe.schedule.layout == "prefix" else output.squeeze(-1)

    def question(self, prompt: Prompt) -> tuple[Tensor, Mask, slice]:
        """Tokens, mask, and which tokens answer.

        Under the pair-causal layout a query that sees k supports is the query of pair k + 1, so every query has a pass of its own: tokens
        are [*batch, q, 2 (k + 1), d_input].
        """
        k = prompt.n_support
        if self.recipe.schedule.layout == "prefix":
            return (
                bare_tokens(prompt.phi, prompt.y, prompt.phi_query),
                PrefixMask(k, sees_itself=True),
                slice(k, None),
            )
        x = torch.cat(
            [
                prompt.phi.unsqueeze(-3).expand(*prompt.phi.shape[:-2], prompt.n_query, k, -1),
                prompt.phi_query.unsqueeze(-2),
            ],
            dim=-2,
        )
        y = torch.cat(
            [
                prompt.y.unsqueeze(-2).expand(*prompt.y.shape[:-1], prompt.n_query, k),
                prompt.phi_query[..., :1] * 0,
            ],
            dim=-1,
        )
        return bare_tokens(x, y, x), PairCausalMask(k + 1), slice(-1, None)

    def curve(self, x: Tensor, y: Tensor) -> Tensor:
        """[*batch, n] the prediction at token i from the pairs before i, for pair-causal networks in one pass.

        Raises:
            ValueError: a network of the prefix layout.
        """
        if self.recipe.schedule.layout != "pair-causal":
            raise ValueError(
                f"{self.recipe.name}.curve: it was trained with layout 'prefix'; this would work: predict(Prompt(x[:n], y[:n], x[n:], ridge))"
            )
        n = x.shape[-2]
        return self.transformer(bare_tokens(x, y, x), PairCausalMask(n))[..., n:, 0]


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
