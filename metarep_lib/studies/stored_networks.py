"""What the cards of the stored networks say: shapes, budgets, and risks beside the Bayes risk on the same prompts."""

from collections.abc import Mapping, Sequence

import numpy as np

from metarep_lib.train import cards

__all__ = ["FACTS", "LABELS", "by_recipe", "excess", "facts", "readable", "risks"]

FACTS = ("layers", "channels", "thousand weights", "steps", "minutes", "seed 0", "seed 1", "seed 2")
LABELS = {
    "linear-attention-1": "linear attention, 1 layer",
    "linear-attention-2": "linear attention, 2 layers",
    "linear-attention-3": "linear attention, 3 layers",
    "linear-attention-4": "linear attention, 4 layers",
    "linear-attention-looped-4": "linear attention, 1 layer looped 4 times",
    "softmax-gp": "softmax, Gaussian processes",
    "softmax-gp-depth-1": "softmax, Gaussian processes, 1 layer",
    "softmax-gp-depth-2": "softmax, Gaussian processes, 2 layers",
    "softmax-gp-depth-4": "softmax, Gaussian processes, 4 layers",
    "softmax-gp-no-norm": "softmax, Gaussian processes, no normalisation",
    "softmax-gp-width-16": "softmax, Gaussian processes, 16 channels",
    "softmax-linear": "softmax, linear tasks",
    "softmax-mixed-noise": "softmax, mixed noise",
}
Card = Mapping


def readable(name: str) -> str:
    """What a reader calls a recipe, or a network by its recipe and seed.

    >>> readable("softmax-linear"), readable("linear-attention-2-0")
    ('softmax, linear tasks', 'linear attention, 2 layers, seed 0')
    """
    if name in LABELS:
        return LABELS[name]
    recipe, _, seed = name.rpartition("-")
    return f"{LABELS[recipe]}, seed {seed}"


def by_recipe() -> dict[str, list[Card]]:
    """The cards of every recipe, in the order of its seeds.

    >>> [card["seed"] for card in by_recipe()["softmax-gp"]]
    [0, 1, 2]
    """
    held: dict[str, list[Card]] = {}
    for card in cards():
        held.setdefault(card["recipe"]["name"], []).append(card)
    return held


def risks(held: Sequence[Card]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Risks of one recipe's networks at every context length that was scored.

    Args:
        held: The cards of S seeds.

    Returns:
        [n] lengths, [S, n] risks, [n] Bayes risks.
    """
    lengths, bayes = ([row[name] for row in held[0]["risks"]] for name in ("n_support", "bayes"))
    found = [[row["risk"] for row in card["risks"]] for card in held]
    return np.array(lengths), np.array(found), np.array(bayes)


def excess(held: Sequence[Card]) -> np.ndarray:
    """[S] risk over Bayes risk, less one, at the longest context.

    >>> bool((excess(by_recipe()["softmax-gp"]) > 0).all())  # nobody beats Bayes
    True
    """
    last = [card["risks"][-1] for card in held]
    return np.array([row["risk"] / row["bayes"] - 1 for row in last])


def facts(held: Sequence[Card]) -> list[float]:
    """What `FACTS` names, of one recipe: minutes are the median over seeds, the last three the risk over Bayes risk."""
    recipe, minutes = held[0]["recipe"], np.median([card["seconds"] / 60 for card in held])
    shape = [recipe["network"]["n_layers"], recipe["network"]["d_model"]]
    budget = [held[0]["n_parameters"] / 1000, recipe["training"]["steps"], minutes.round(1)]
    of_seed = dict(zip((card["seed"] for card in held), 1 + excess(held)))
    return [*shape, *budget, *(of_seed.get(seed, np.nan) for seed in range(3))]
