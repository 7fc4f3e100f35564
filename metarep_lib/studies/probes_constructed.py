"""Probes where the answer is known: five constructed networks, and what each of their steps holds.

300 tasks of 16 supports; condition numbers up to a hundred in random bases, for the softmax network
functions from a Gaussian process. Streams are turned at random before a probe sees them.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from metarep_lib.construct import ConstructedTransformer, assemble
from metarep_lib.construct.algorithms import (
    causal_conjugate_gradient,
    conjugate_gradient,
    gradient_descent,
    softmax_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.evidence.probe import Split, activations, recover
from metarep_lib.evidence.probe.probes import Recovery
from metarep_lib.numerics import past_systems, ridge_system, solvers
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.prompt import Prompt
from metarep_lib.tasks import ExponentialPrior, LinearPrior

__all__ = ["STEPS", "Known", "constructed", "panels", "rotation", "sorted_out", "step_table"]

STEPS, D, SUPPORTS = 4, 5, 16
Tables = Mapping[tuple[str, int], Mapping[str, list[list[Recovery]]]]


class Known(NamedTuple):
    """A network of `STEPS` steps, what it is asked, and the solver's history of the same."""

    network: ConstructedTransformer
    prompt: Prompt
    history: dict[str, Tensor]


def linear_prompt(seed: int, n_query: int = 1, n_tasks: int = 300) -> Prompt:
    prior = LinearPrior(D, condition=100.0, noise=(0.3,))
    drawn = prior.sample(n_tasks, SUPPORTS + n_query, torch.Generator().manual_seed(seed))
    phi, y = drawn.x.double() / D**0.5, drawn.y.double()
    return Prompt(phi[:, :SUPPORTS], y[:, :SUPPORTS], phi[:, SUPPORTS:], ridge=0.09)


def sphere_prompt(seed: int, n_tasks: int = 300) -> Prompt:
    prior = ExponentialPrior(3, tau=0.3, noise=(0.2,))
    drawn = prior.sample(n_tasks, SUPPORTS + 1, torch.Generator().manual_seed(seed))
    x, y = drawn.x.double(), drawn.y.double()
    return Prompt(x[:, :SUPPORTS], y[:, :SUPPORTS], x[:, SUPPORTS:], ridge=1.0)


def just_made(history: dict[str, Tensor]) -> dict[str, Tensor]:
    """The direction of the step just made instead of the next one, as networks with all sums at once keep it."""
    return history | {"p": torch.cat([history["p"][:1], history["p"][:-1]])}


def constructed(seed: int) -> dict[str, Known]:
    """The five networks; the step size of gradient descent suits nine tenths of the tasks."""
    prompt, causal, sphere = (
        linear_prompt(seed),
        linear_prompt(seed, n_query=0),
        sphere_prompt(seed),
    )
    system = ridge_system(prompt)
    eta = 1 / system.eigenvalues[:, -1].quantile(0.9).item()
    dual = solvers.conjugate_gradient(system, STEPS).history
    descent = solvers.gradient_descent(system, STEPS, eta).history
    primal = solvers.conjugate_gradient(past_systems(causal), STEPS).history
    smooth = solvers.conjugate_gradient(
        ridge_system(sphere, ExponentialKernel(tau=0.3)), STEPS
    ).history
    softmax = softmax_conjugate_gradient(3, STEPS, tau=0.3, preconditioner="none")
    made = {
        "gradient descent": (gradient_descent(D, STEPS, eta), prompt, descent),
        "five blocks a step": (conjugate_gradient(D, STEPS), prompt, dual),
        "two blocks a step": (two_block_conjugate_gradient(D, STEPS), prompt, just_made(dual)),
        "causal, primal": (causal_conjugate_gradient(D, STEPS), causal, just_made(primal)),
        "softmax": (softmax, sphere, just_made(smooth)),
    }
    return {name: Known(assemble(program), *asked) for name, (program, *asked) in made.items()}


def rotation(size: int, seed: int) -> Tensor:
    """[size, size] orthogonal, of random directions.

    >>> Q = rotation(3, seed=0)
    >>> bool((Q @ Q.T - torch.eye(3)).abs().max() < 1e-14)
    True
    """
    gaussian = torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(gaussian.double())[0]


def step_table(known: Known, seed: int) -> dict[str, list[list[Recovery]]]:
    """name -> [STEPS after which probed, STEPS looked for], on the rotated stream."""
    stream = activations(known.network, known.prompt)["support"]
    stream = stream @ rotation(stream.shape[-1], 10**6 + seed)
    names, steps = [n for n in ("alpha", "r", "p") if n in known.history], range(1, STEPS + 1)
    targets = {f"{n} {t}": known.history[n][t] for n in names for t in steps}
    split, ends = Split.of(len(known.prompt.y)), known.network.program.step_ends[1:]
    found = [recover(stream[end], targets, split) for end in ends]
    return {n: [[at[f"{n} {t}"] for t in steps] for at in found] for n in names}


def panels(tables: Tables) -> dict[str, np.ndarray]:
    """Title -> [STEPS after which, STEPS looked for], median R^2 over seeds; three for every network, NaN where it holds no such thing.

    Cut to two digits, so that 1.00 is written where a target is held to rounding and nowhere else.
    """
    found = {}
    for network in dict.fromkeys(name for name, _ in tables):
        seeds = [table for (name, _), table in tables.items() if name == network]
        for target in ("alpha", "r", "p"):
            symbol = {"alpha": "w" if "primal" in network else r"\alpha"}.get(target, target)
            r2 = np.full((STEPS, STEPS), np.nan)
            if target in seeds[0]:
                r2 = np.median([[[c.r2 for c in at] for at in one[target]] for one in seeds], 0)
            found[f"{network}: ${symbol}_t$"] = np.where(
                r2 > 1 - 1e-6, 1.0, np.trunc(100 * r2) / 100 + 0.0
            )
    return found


def sorted_out(tables: Tables) -> dict[str, list[Recovery]]:
    """Every recovery by what it looked for, after step s.

    "here": what step s holds; "next iterate": alpha_{s+1} of gradient descent, linear in what it
    holds; "elsewhere": any other step, but for the direction that the five-block network has not
    cleared yet; "ahead", also part of elsewhere: a residual of conjugate gradient not yet made.
    """
    kinds: dict[str, Callable[[str, str, int, int], bool]] = {
        "here": lambda name, target, s, t: s == t,
        "next iterate": lambda name, target, s, t: (
            "descent" in name and target == "alpha" and t == s + 1
        ),
        "ahead": lambda name, target, s, t: "descent" not in name and target == "r" and t > s,
    }

    def elsewhere(name: str, target: str, s: int, t: int) -> bool:
        stale = "five" in name and target == "p" and t == s - 1
        known = kinds["here"](name, target, s, t) or kinds["next iterate"](name, target, s, t)
        return not stale and not known

    return {
        kind: [
            table[target][s][t]
            for (name, _), table in tables.items()
            for target in table
            for s, t in np.ndindex(STEPS, STEPS)
            if fits(name, target, s, t)
        ]
        for kind, fits in (kinds | {"elsewhere": elsewhere}).items()
    }
