"""Softmax heads that make dot products: the error of one product at every spacing, in every precision; and edited heads.

One product is the first step of gradient descent with step size one, from zero: it predicts k(x)^T y.
Its error is measured over S sum |v|, at the worst of four queries, on two hundred prompts.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from metarep_lib.construct import ConstructedTransformer, Program, assemble
from metarep_lib.construct.algorithms import gradient_descent
from metarep_lib.construct.transforms import central_difference, with_softmax_products
from metarep_lib.numerics import relative_error, ridge_system, solvers
from metarep_lib.numerics.kernels.stencil import (
    best_spacing,
    stencil_error_in_floats,
)
from metarep_lib.prompt import Prompt

__all__ = [
    "COUNTS",
    "EDITS",
    "LOST",
    "PAIRS",
    "Valley",
    "answers",
    "apart",
    "bounds",
    "damage",
    "edited",
    "many_heads",
    "product_error",
    "products",
    "upper_decile",
    "valley",
]

N_PROMPTS, ROUNDINGS = 200, 6
COUNTS = np.array([1, 2, 3, 4, 6, 8, 10, 12])  # pairs of heads
PAIRS = (1, 2, 3)
GRIDS = {torch.float64: (-28, 0), torch.float32: (-13, 1), torch.bfloat16: (-7, 2)}  # log2
LOST = "plus head\ndropped"
SCAN = 2.0 ** np.arange(-24, 1.5, 0.25)
Exponentials = Sequence[tuple[float, float]]


@cache
def products() -> Prompt:
    """Two hundred prompts of four supports and four queries on a line, S = 1, exact in bfloat16."""
    generator = torch.Generator().manual_seed(22)
    drawn = torch.rand(N_PROMPTS, 8, 1, generator=generator, dtype=torch.float64)
    features = 2 * drawn - 1
    features[:, [0, 4]] = 1.0
    targets = torch.randn(N_PROMPTS, 4, generator=generator, dtype=torch.float64)
    return Prompt(features[:, :4], targets, features[:, 4:], ridge=1.0).rounded()


def product_error(
    exponentials: Exponentials, dtype: torch.dtype, device: str = "cpu"
) -> np.ndarray:
    """[200] error of one product over S sum |v|, the largest at a query of every prompt.

    >>> errors = product_error(central_difference(1, 2.0**-9), torch.float64)
    >>> bool(errors.max() < 1e-5)
    True
    """
    seen = products().to(device, dtype)
    program = with_softmax_products(gradient_descent(1, steps=1, step_size=1.0), exponentials)
    f = assemble(program, dtype=dtype, device=device).predict(seen).double()
    exact = ridge_system(seen.to(torch.float64))
    error = (f - exact.predict(exact.y)).abs().amax(-1) / exact.y.abs().sum(-1)
    return error.cpu().numpy()


def upper_decile(error: np.ndarray) -> np.ndarray | np.float64:
    """Over prompts, the last axis."""
    return np.quantile(error, 0.9, axis=-1)


def rounding(dtype: torch.dtype) -> float:
    """M u with six roundings."""
    return ROUNDINGS * torch.finfo(dtype).eps / 2


def bounds(pairs: int, spacings: np.ndarray | Sequence[float], dtype: torch.dtype) -> np.ndarray:
    """The bound of `thm-stencil-floats` at every spacing."""
    return np.array([stencil_error_in_floats(pairs, x, rounding(dtype)) for x in spacings])


def best_of(pairs: int, dtype: torch.dtype) -> tuple[float, float]:
    """The best spacing of the bound, and the bound there."""
    at, _ = best_spacing(pairs, rounding(dtype))
    return at, stencil_error_in_floats(pairs, at, rounding(dtype))


@dataclass(frozen=True)
class Valley:
    """The error of one product against the spacing, in one precision.

    Args:
        x: [n] spacings.
        error: Pairs of heads -> [n, 200].
        bound: Pairs of heads -> [n] the bound of `thm-stencil-floats`.
        at: Pairs of heads -> the bound's best spacing.
        promised: Pairs of heads -> the bound there.
        one_sided: [n, 200] of the one-sided difference.
    """

    x: np.ndarray
    error: dict[int, np.ndarray]
    bound: dict[int, np.ndarray]
    at: dict[int, float]
    promised: dict[int, float]
    one_sided: np.ndarray

    def best(self, pairs: int) -> float:
        """The least upper decile over spacings."""
        return float(upper_decile(self.error[pairs]).min())

    def at_the_bound_s(self, pairs: int) -> float:
        """The upper decile at the spacing nearest to the bound's best."""
        nearest = abs(np.log2(self.x / self.at[pairs])).argmin()
        return float(upper_decile(self.error[pairs][nearest]))

    def inside(self, pairs: int) -> np.ndarray:
        """[200] whether the errors at the best spacing stay below what the bound promises."""
        errors = self.error[pairs]
        return errors[upper_decile(errors).argmin()] <= self.promised[pairs]


def valley(dtype: torch.dtype, device: str = "cpu") -> Valley:
    """One product with two, four and six heads and with a one-sided difference, over the spacings of `GRIDS`."""
    low, high = GRIDS[dtype]
    x = 2.0 ** np.arange(low, high + 1)
    best = {pairs: best_of(pairs, dtype) for pairs in PAIRS}

    def errors(difference: Callable[[float], Exponentials]) -> np.ndarray:
        return np.array([product_error(difference(spacing), dtype, device) for spacing in x])

    return Valley(
        x=x,
        error={pairs: errors(partial(central_difference, pairs)) for pairs in PAIRS},
        bound={pairs: bounds(pairs, x, dtype) for pairs in PAIRS},
        at={pairs: at for pairs, (at, _) in best.items()},
        promised={pairs: promised for pairs, (_, promised) in best.items()},
        one_sided=errors(lambda spacing: ((spacing, 1 / spacing), (0.0, -1 / spacing))),
    )


def many_heads(
    dtype: torch.dtype, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best error of one product for each of `COUNTS`.

    Returns:
        [counts, 200] at the best of three spacings near the best one; [counts] the bound at its
        best; [counts] the bound of part two, at a quarter.
    """
    held, bound = [], []
    for pairs in COUNTS.tolist():
        start = np.round(np.log2(best_of(pairs, dtype)[0]))
        tried = [central_difference(pairs, 2.0 ** (start + m)) for m in (-1, 0, 1)]
        held.append(min((product_error(one, dtype, device) for one in tried), key=upper_decile))
        bound.append(bounds(pairs, SCAN, dtype).min())
    part_two = np.exp(-4 * COUNTS) + 8 * rounding(dtype) * COUNTS**0.5 * np.exp(COUNTS / 64)
    return np.array(held), np.array(bound), part_two


def gain(factor: float) -> Callable:
    """Of the minus head, where it makes the product."""
    return lambda twins, makers: makers.W_O[1].mul_(factor)


def drop(head: int) -> Callable:
    """A head says nothing; 0 is the plus head."""
    return lambda twins, makers: makers.W_O[head].zero_()


def halve(twins, makers) -> None:
    """The scores of the minus head."""
    for heads in (twins, makers):
        heads.W_Q[1].mul_(0.5)


def share(twins, makers) -> None:
    """Both heads have the queries of the plus head."""
    for heads in (twins, makers):
        heads.W_Q[1] = heads.W_Q[0]


def exponential(s: Tensor, spacing: float) -> Tensor:
    """What the plus head makes of a dot product; of -s, up to its sign, the minus head."""
    return torch.exp(spacing * s) / (2 * spacing)


# name -> (edit of the heads that read the totals and of those that make the product, the kernel
# of what they then make: of the dot product s and the spacing e)
EDITS: dict[str, tuple[Callable, Callable]] = {
    "none": (
        lambda twins, makers: None,
        lambda s, e: exponential(s, e) - exponential(-s, e),
    ),
    "minus head\nup 1 %": (
        gain(1.01),
        lambda s, e: exponential(s, e) - 1.01 * exponential(-s, e),
    ),
    "minus head\ndown 1 %": (
        gain(0.99),
        lambda s, e: exponential(s, e) - 0.99 * exponential(-s, e),
    ),
    "minus head\nhalf scores": (
        halve,
        lambda s, e: exponential(s, e) - exponential(-s / 2, e),
    ),
    "minus head\ndropped": (drop(1), exponential),
    "plus head\ndropped": (drop(0), lambda s, e: -exponential(-s, e)),
    "queries and\nkeys shared": (share, lambda s, e: 0 * s),
}


def edited(network: ConstructedTransformer, edit: Callable) -> ConstructedTransformer:
    """A copy whose two heads, plus and minus, are edited: twins and makers alike."""
    transformer = copy.deepcopy(network.transformer)
    schedule = transformer.config.schedule
    phases = [layer.phase for layer in network.program.layers]
    twins, makers = (
        transformer.blocks[schedule[phases.index(phase)]].attention[0]
        for phase in ("weigh", "mat-vec")
    )
    edit(twins, makers)
    return ConstructedTransformer(transformer, network.program)


def answers(
    network: ConstructedTransformer, prompt: Prompt, name: str, spacing: float
) -> dict[str, Tensor]:
    """What an edited network is off by, relative to ridge regression's answer, [prompts].

    Returns:
        ``measured`` and ``predicted``: the distance from ridge regression with dot products, of the
        network and of the solution for the kernel of its heads; ``missed``: between these two.
        ``negative``: how many eigenvalues of that system are.
    """
    edit, kernel = EDITS[name]
    linear = ridge_system(prompt)
    f = linear.predict(solvers.cholesky(linear).alpha)
    broken = ridge_system(prompt, lambda a, b: kernel(a @ b.mT, spacing))
    expected = broken.predict(torch.linalg.solve(broken.A, broken.y))
    said = edited(network, edit).predict(prompt)
    return {
        "measured": relative_error(said, f),
        "predicted": relative_error(expected, f),
        "missed": (said - expected).norm(dim=-1) / f.norm(dim=-1),
        "negative": (broken.eigenvalues < 0).sum(-1).double(),
    }


def damage(
    network: ConstructedTransformer, prompt: Prompt, spacing: float
) -> dict[str, np.ndarray]:
    """The `answers` after every edit, [prompts, edits]."""
    found = [answers(network, prompt, name, spacing) for name in EDITS]
    return {what: np.stack([one[what].cpu() for one in found], 1) for what in found[0]}


def apart(program: Program, prompts: Prompt, spacing: float) -> np.ndarray:
    """[steps + 1, prompts] distance between iterates with products from two heads and from a linear head."""
    both = with_softmax_products(program, central_difference(1, spacing)), program
    soft, linear = (
        assemble(made, device=prompts.phi.device).run(prompts)["alpha", "support"] for made in both
    )
    return (soft - linear).norm(dim=-1).cpu().numpy()
