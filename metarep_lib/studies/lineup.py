"""The line-up: networks whose algorithm is known, to try a method of identification on before it speaks of trained ones.

Every entry has a few members that differ in scalars, depth, or seed. The last entries run nothing that is among the candidates: conjugate
gradient for another kernel, conjugate gradient in the primal with a preconditioner that the list does not have, shuffled weights, random
weights. Newton's and GD++ networks read no ridge and solve without one. There is no network for the ridge path, which is no algorithm.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from metarep_lib.asked import asked_to_draw, at_least
from metarep_lib.construct.algorithms.carried_gram import gram_chebyshev, gram_conjugate_gradient
from metarep_lib.construct.algorithms.chebyshev import chebyshev
from metarep_lib.construct.algorithms.feature_scaled_conjugate_gradient import (
    feature_scaled_conjugate_gradient,
)
from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
from metarep_lib.construct.algorithms.momentum import gradient_descent_plus_plus, momentum
from metarep_lib.construct.algorithms.newton_schulz import newton_schulz
from metarep_lib.construct.algorithms.one_block_conjugate_gradient import (
    one_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms.richardson import richardson
from metarep_lib.construct.algorithms.softmax_conjugate_gradient import softmax_conjugate_gradient
from metarep_lib.construct.algorithms.two_block_conjugate_gradient import (
    jacobi_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.assemble import assemble
from metarep_lib.construct.program import Program
from metarep_lib.construct.transforms.polynomial_features import on_polynomial_features
from metarep_lib.contents import Contents
from metarep_lib.network.transformer import Transformer

NONE = "none"


@dataclass(frozen=True, eq=False, repr=False)
class Member(Contents):
    """A network of the line-up.

    Args:
        label: the name of the candidate it runs, or "none".
        program: how it was made.
        transformer: its weights.
    """

    label: str
    program: Program
    transformer: Transformer


def with_step_sizes(n_features: int, step_sizes: np.ndarray) -> Program:
    """Gradient descent with a step size of its own in every block."""
    programs = [gradient_descent(n_features, len(step_sizes), float(eta)) for eta in step_sizes]
    return replace(
        programs[0], layers=tuple(program.layers[t] for t, program in enumerate(programs))
    )


@asked_to_draw(steps=at_least(0), seeds=at_least(1))
def lineup(n_features: int, n_support: int, steps: int, seeds: int) -> Iterator[Member]:
    """All members, for prompts whose features have variance about one.

    Args:
        n_features, n_support: p and k of the prompts; scalars scale with k.
        steps: t of most algorithms.
        seeds: members of every entry.
    """
    p, t = n_features, steps
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 7])
        eta = float(rng.uniform(0.25, 0.45)) / n_support
        yield built("gradient descent", gradient_descent(p, t, eta))
        yield built("momentum", momentum(p, t, eta, float(rng.uniform(0.2, 0.5))))
        yield built(
            "GD++", gradient_descent_plus_plus(p, t, eta, eta * float(rng.uniform(0.1, 0.25)))
        )
        yield built(
            "Chebyshev",
            chebyshev(
                p,
                t,
                float(rng.uniform(0.02, 0.1)) * n_support,
                float(rng.uniform(3.5, 4.5)) * n_support,
            ),
        )
        yield built("conjugate gradient", two_block_conjugate_gradient(p, t + seed % 2))
        yield built("conjugate gradient", one_block_conjugate_gradient(p, t, scale=1 / n_support))
        yield built("conjugate gradient (jacobi)", jacobi_conjugate_gradient(p, t))
        yield built("conjugate gradient (primal)", gram_conjugate_gradient(p, t - seed % 2))
        yield built("Newton", newton_schulz(p, t - seed % 2, eta))
        yield built(
            "gradient descent (scheduled)",
            with_step_sizes(p, rng.uniform(0.05, 0.5, size=t) / n_support),
        )
        yield built(
            "Richardson (exponential kernel)", richardson(p, t, tau=float(rng.uniform(4.0, 8.0)))
        )
        yield built(
            "conjugate gradient (exponential kernel)",
            softmax_conjugate_gradient(p, t, tau=float(rng.uniform(4.0, 8.0))),
        )
        ends = float(rng.uniform(0.02, 0.1)) * n_support, float(rng.uniform(3.5, 4.5)) * n_support
        yield built("Chebyshev", gram_chebyshev(p, t, *ends))  # in the primal: the same polynomial
        yield built(NONE, feature_scaled_conjugate_gradient(p, t))
        yield built(NONE, on_polynomial_features(two_block_conjugate_gradient((p + 1) ** 2, t), p))
        for made in (
            gradient_descent(p, t, eta),
            two_block_conjugate_gradient(p, t),
            richardson(p, t, tau=6.0),
        ):
            yield shuffled(built(NONE, made), seed)
        yield untrained(built(NONE, chebyshev(p, t, 0.05 * n_support, 4.0 * n_support)), seed)


def built(label: str, program: Program) -> Member:
    return Member(label, program, assemble(program).transformer)


def shuffled(member: Member, seed: int) -> Member:
    """The same numbers in every weight matrix, in another order."""
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight)
        for name, weight in member.transformer.state_dict().items()
    }
    member.transformer.load_state_dict(state)
    return member


def untrained(member: Member, seed: int) -> Member:
    """The same shapes with random weights."""
    drawn = (
        Transformer(member.transformer.config, torch.Generator().manual_seed(seed))
        .double()
        .requires_grad_(False)
    )
    return replace(member, transformer=drawn)
