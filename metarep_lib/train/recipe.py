"""What to train and how: a TOML file, or how it differs from another, read into frozen data that say everything but the seed."""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from metarep_lib.network.tokens import input_basis
from metarep_lib.network.transformer import (
    Activation,
    AttentionConfig,
    AttentionKind,
    BlockConfig,
    Norm,
    TransformerConfig,
)
from metarep_lib.storage import file_fault, name_faults, refusal
from metarep_lib.tasks.priors import ExponentialPrior, LinearPrior, Prior
from metarep_lib.train.fields import part_faults, value_faults

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


WITH_RULES = (Shape, Schedule, *PRIORS.values())  # a prior of one's own has its own


class RecipeError(ValueError):
    """A recipe that cannot be trained; the message names its file and every reason."""


@dataclass(frozen=True)
class Recipe:
    """Everything about a training run but its seed.

    Args:
        name: of the stored files, which also hold the seed.
        prior, shape, schedule: what to learn, with what, how long.
        seeds: those that are stored; two recipes that differ in them alone are equal.

    Raises:
        RecipeError: a name that no file can have, or values out of range, with every reason.
    """

    name: str
    prior: Prior
    shape: Shape
    schedule: Schedule
    seeds: tuple[int, ...] = field(default=(0, 1, 2), compare=False)

    def __post_init__(self) -> None:
        reasons = [*name_faults(self.name), *seed_faults(self.seeds)]
        parts = {"prior": self.prior, "network": self.shape, "training": self.schedule}
        for table, part in parts.items():
            if type(part) in WITH_RULES:
                reasons += value_faults(table, type(part), vars(part))
        if reasons:
            raise refused(f"Recipe({self.name!r}, ...)", reasons)

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


def recipe_of(name: str, table: dict, call: str = "") -> Recipe:
    """The recipe that plain data describe.

    Args:
        name: of the recipe.
        table: the tables `prior`, `network`, `training` and, if it states them, `seeds`.
        call: what the message of an error begins with; this call when empty.

    Raises:
        RecipeError: tables, keys or values that are missing, unknown or wrong: all of them, with
            what there is.
    """
    call = call or f"recipe_of({name!r}, ...)"
    if not isinstance(table, dict):
        raise refused(call, [f"expected a table, got {table!r}"])
    reasons = [*name_faults(name), *table_faults(table), *seed_faults(table.get("seeds", ()))]
    if reasons:
        raise refused(call, reasons)
    prior = dict(table["prior"])
    return Recipe(
        name,
        PRIORS[prior.pop("kind")](**lists_to_tuples(prior)),
        Shape(**table["network"]),
        Schedule(**lists_to_tuples(table["training"])),
        **({"seeds": tuple(table["seeds"])} if "seeds" in table else {}),
    )


def read_recipe(path: Path) -> Recipe:
    """The recipe of a TOML file, named after the file.

    A file that names a `base`, another recipe beside it, says only in what it differs.

    Raises:
        FileNotFoundError: no such file, with the recipes beside it.
        RecipeError: no TOML, or no recipe, with every reason.
    """
    path = Path(path)
    call = f"read_recipe({str(path)!r})"
    table = read_table(path, call)
    if "base" in table:
        table = differing(table, path, call)
    return recipe_of(path.stem, table, call)


def read_table(path: Path, call: str) -> dict:
    """What a TOML file says."""
    if not path.exists():
        known = ", ".join(sorted(other.name for other in path.parent.glob("*.toml"))) or "none"
        raise FileNotFoundError(f"{call}: no such recipe; in {path.parent} there are: {known}")
    if path.suffix != ".toml":
        raise refused(call, [f"its name ends in {path.suffix or 'nothing'!r}, expected '.toml'"])
    if fault := file_fault(path):
        raise refused(call, [fault])
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # an editor may mark it so
    except ValueError as error:  # no TOML, or no UTF-8
        raise refused(call, [f"it is no TOML: {error}"]) from error


def differing(table: dict, path: Path, call: str) -> dict:
    """The tables of a recipe's base, key by key in the place of what it does not say itself."""
    base = table["base"]
    if not isinstance(base, str) or not base or Path(base).name != base:
        raise refused(call, [f"base is {base!r}, expected the name of a recipe beside it"])
    whole = read_table(path.with_name(f"{base}.toml"), f"{call}, base {base!r}")
    if "base" in whole:
        raise refused(call, [f"its base {base!r} has a base itself; name {whole['base']!r}"])
    for name, said in table.items():
        there = whole.get(name)
        both = isinstance(said, dict) and isinstance(there, dict)
        # a prior of another kind has other keys
        alike = both and said.get("kind", there.get("kind")) == there.get("kind")
        whole[name] = there | said if alike else said
    return {name: said for name, said in whole.items() if name != "base"}


# ---------------------------------------------------------------- what may be wrong


def table_faults(table: dict) -> Iterator[str]:
    """What is wrong with the tables of a recipe."""
    classes = {"network": Shape, "training": Schedule}
    for name in sorted(table.keys() - {"name", "seeds", "prior", *classes}):
        yield f"[{name}] is no table of a recipe; there are: prior, network, training"
    prior = table.get("prior")
    if isinstance(prior, dict):
        kind = prior.get("kind")
        if isinstance(kind, str) and kind in PRIORS:
            fields = {key: value for key, value in prior.items() if key != "kind"}
            yield from part_faults("prior", PRIORS[kind], fields)
        else:
            came = "is missing" if kind is None else f"is {kind!r}"
            yield f"[prior] kind {came}, expected one of {', '.join(map(repr, PRIORS))}"
    else:
        yield "[prior] is missing, expected a table with a kind"
    for name, cls in classes.items():
        part = table.get(name)
        if isinstance(part, dict):
            yield from part_faults(name, cls, part)
        else:
            yield f"[{name}] is missing, expected a table with {', '.join(cls.__dataclass_fields__)}"


def seed_faults(seeds: Any) -> Iterator[str]:
    whole = isinstance(seeds, list | tuple) and all(type(seed) is int for seed in seeds)
    if not whole or min(seeds, default=0) < 0 or len(set(seeds)) < len(seeds):
        yield f"seeds is {seeds!r}, expected a list of different whole numbers from 0 on, [0, 1, 2] say"


def refused(call: str, reasons: Iterable[str]) -> RecipeError:
    remedy = "a file like those of training/; what the keys mean stands in Shape, Schedule and the priors"
    return RecipeError(refusal(call, "no recipe", reasons, remedy))


def lists_to_tuples(table: dict) -> dict:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
