"""The line-up, examined: each network a stranger of which nothing is known but its weights and how it is asked."""

from dataclasses import replace

import torch

from metarep_lib.network.bare import BareTransformer
from metarep_lib.network.layouts import Prefix
from metarep_lib.network.tokens import input_basis
from metarep_lib.network.transformer import Transformer
from metarep_lib.prompt import Prompt
from metarep_lib.studies.lineup import Member
from metarep_lib.tasks import clusters, designed_prompts, spread

__all__ = [
    "as_bare",
    "prompts_of_lineup",
]


def as_bare(member: Member, n_features: int) -> BareTransformer:
    """A member that reads the same tokens as all others: one that does not read the ridge ignores it."""
    inputs, old = input_basis(n_features, log_ridge=True), member.transformer
    missing = inputs.size - len(old.W_E)
    weights = old.state_dict()
    weights["W_E"] = torch.cat([old.W_E, old.W_E.new_zeros(missing, old.config.d_model)])
    transformer = Transformer(replace(old.config, d_input=inputs.size), torch.Generator()).double()
    transformer.load_state_dict(weights)
    return BareTransformer(transformer.requires_grad_(False), Prefix(), inputs, "a stranger")


def prompts_of_lineup(
    n_prompts: int, seed: int, n_features: int = 12, n_support: int = 16, n_query: int = 8
) -> Prompt:
    """Half with spread spectra, half with three clusters, as `scripts/identify.py` asks."""
    halves = [
        designed_prompts(
            spectra, n_prompts // 2, n_support, n_query, n_features, seed=seed + i, ridge=0.5
        )
        for i, spectra in enumerate((spread(0.04, 4.0), clusters(3, 0.04, 4.0)))
    ]
    return Prompt(
        *(
            torch.cat([getattr(half, name) for half in halves])
            for name in ("phi", "y", "phi_query")
        ),
        ridge=0.5,
    )
