"""Prompts in fractions, and networks that read them exactly."""

from fractions import Fraction

import numpy as np
import torch
from hypothesis import strategies as st

from metarep_lib import Prompt
from metarep_lib.certify.exact import ExactTransformer
from metarep_lib.network.tokens import token_groups, tokenise

seeds = st.integers(0, 10**6)
ridges = st.floats(1e-3, 1e3)


def rational_prompt(seed, k, p):
    rng = np.random.default_rng(seed)
    phi, y = (np.vectorize(Fraction, otypes=[object])(rng.integers(1, 4, shape)) for shape in ((k, p), (k,)))
    return phi, y, Fraction(int(rng.integers(1, 5)), 2)


def prompt_of_rationals(phi, y, ridge, query=None):
    return Prompt(*(torch.from_numpy(array.astype(float)) for array in (phi, y, phi[:0] if query is None else query)), float(ridge))


def exact_tokens(phi, y, ridge, query=None):
    prompt = prompt_of_rationals(phi, y, ridge, query)
    return np.vectorize(Fraction, otypes=[object])(tokenise(prompt).numpy()), token_groups(prompt)["support"]


def exactly(network):
    return ExactTransformer(network.transformer.state_dict(), network.transformer.config, Fraction, lambda n, d: n / d)
