"""Networks that learn: recipes, the loop, what it left."""

from metarep_lib.train.fine_tune import (
    REMEDIES,
    context_stream,
    feature_alignment,
    fine_tune,
    network_features,
)
from metarep_lib.train.initial import initial
from metarep_lib.train.loop import train
from metarep_lib.train.recipe import Recipe, read_recipe, recipe_of
from metarep_lib.train.trained import TrainedTransformer, cards, load_seeds, load_trained, untrained

__all__ = [
    "REMEDIES",
    "Recipe",
    "TrainedTransformer",
    "cards",
    "context_stream",
    "feature_alignment",
    "fine_tune",
    "initial",
    "load_seeds",
    "load_trained",
    "network_features",
    "read_recipe",
    "recipe_of",
    "train",
    "untrained",
]
