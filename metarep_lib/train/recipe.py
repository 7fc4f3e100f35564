"""What to train and how: a TOML file, read into frozen data that says everything but the seed."""

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from metarep_lib.network.tokens import input_basis
from metarep_lib.network.transformer import (
    Activation,
    AttentionConfig,
    AttentionKind,
    BlockConfig,
    Norm,
    TransformerConfig,
)
from metarep_lib.tasks.priors import ExponentialPrior, LinearPrior, Prior

PRIORS = {"linear": LinearPrior, "exponential": ExponentialPrior}
Layout = Literal["prefix", "pair-causal"]


@dataclass(frozen=True)
class Shape:
    """The transformer to train.

    Args:
        attention: kind of all heads.
        n_layers: blocks that run; `looped` makes them share one set of tensors.
        d_model, n_heads, d_head, d_mlp: widths; d_mlp = 0 leaves out the MLP.
        score_scale: of softmax heads, 1 / sqrt(d_head) as usual.
    """

    attention: AttentionKind
    n_layers: int
    d_model: int
    n_heads: int
    d_head: int
    d_mlp: int
    activation: Activation = "gelu"
    norm: Norm = "layer"
    looped: bool = False

    def config(self, n_inputs: int) -> TransformerConfig:
        heads = AttentionConfig(
            self.attention, self.n_heads, self.d_head, self.d_head, score_scale=self.d_head**-0.5
        )
        block = BlockConfig((heads,), self.d_mlp, self.activation, self.norm)
        n_distinct = 1 if self.looped else self.n_layers
        schedule = (0,) * self.n_layers if self.looped else tuple(range(self.n_layers))
        return TransformerConfig(
            input_basis(n_inputs).size, self.d_model, 1, (block,) * n_distinct, schedule, self.norm
        )


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: AdamW, linear warm-up, cosine decay to zero.

    Args:
        layout: "prefix": supports see each other, `n_query` queries see all supports and themselves, the number of supports is drawn for every batch;
            "pair-causal": n_support[1] pairs, query j sees the pairs before j, a loss at every context length in one pass.
        n_support: smallest and largest number of supports.
        n_query: queries of a prefix prompt.
        batch: prompts per step.
        steps: in all.
        learning_rate: at its peak.
        output_gain: factor on the initial W_O and W_out; linear attention of L layers is a polynomial of degree 3^L in its tokens, so that its loss
            at the start explodes with depth unless this is small.
    """

    layout: Layout
    n_support: tuple[int, int]
    batch: int
    steps: int
    learning_rate: float
    n_query: int = 8
    warmup: int = 100
    weight_decay: float = 0.0
    clip: float = 1.0
    output_gain: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Everything about a training run but its seed."""

    name: str
    prior: Prior
    shape: Shape
    schedule: Schedule

    @property
    def config(self) -> TransformerConfig:
        return self.shape.config(self.prior.n_inputs)

    def asdict(self) -> dict:
        """Plain data, as the card of trained weights keeps it."""
        kind = next(name for name, cls in PRIORS.items() if isinstance(self.prior, cls))
        return {
            "name": self.name,
            "prior": {"kind": kind} | asdict(self.prior),
            "network": asdict(self.shape),
            "training": asdict(self.schedule),
        }


def recipe_of(name: str, table: dict) -> Recipe:
    """The recipe a TOML table describes.

    Raises:
        ValueError: a table or key that is missing or unknown, with the names that exist.
    """
    try:
        prior = dict(table["prior"])
        return Recipe(
            name,
            PRIORS[prior.pop("kind")](**lists_to_tuples(prior)),
            Shape(**table["network"]),
            Schedule(**lists_to_tuples(table["training"])),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"recipe {name!r}: {error!s}; expected tables [prior] (kind = {' or '.join(map(repr, PRIORS))}, and its fields), [network] with the fields"
            f" {', '.join(Shape.__dataclass_fields__)}, [training] with the fields {', '.join(Schedule.__dataclass_fields__)}"
        ) from error


def read_recipe(path: Path) -> Recipe:
    """The recipe of a TOML file, named after the file."""
    return recipe_of(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))


def lists_to_tuples(table: dict) -> dict:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
