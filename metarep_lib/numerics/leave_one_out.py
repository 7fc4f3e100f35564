"""Kernel ridge regression tuned on its own supports, by the error at each support when it is left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked, each, positive, that
from metarep_lib.contents import Contents
from metarep_lib.numerics.kernels.kernels import Kernel
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.prompt import Prompt, a_prompt


@dataclass(frozen=True, eq=False, repr=False)
class Tuned(Contents):
    """The kernel and ridge with the smallest leave-one-out error, and what they say.

    Args:
        prediction: [q] at the queries.
        left_out: [k] at every support, from the others.
        kernel: the one chosen.
        ridge: the one chosen, as it is added to K.
    """

    prediction: Tensor
    left_out: Tensor
    kernel: Kernel
    ridge: float


@asked()
def left_out(system: RidgeSystem) -> Tensor:
    """What kernel ridge regression says at every support when that support is left out, [*batch, k], or [*batch, k, m] for m outputs.

    y_i - alpha_i / (A^-1)_ii: no system is solved twice (Rasmussen and Williams 2006, eq. 5.12).

    Raises:
        OutOfRange: a singular matrix, one of a batch included: nothing is left to predict from.

    >>> system = RidgeSystem(torch.eye(2, dtype=torch.float64) + 1, torch.tensor([1.0, 4.0], dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64))
    >>> left_out(system)  # a support alone predicts half its target
    tensor([2.0000, 0.5000], dtype=torch.float64)
    """
    system.check_factored("left_out")
    inverse = torch.linalg.inv(system.A)
    diagonal = inverse.diagonal(dim1=-2, dim2=-1)
    alpha = system.through(inverse, system.y)
    return system.y - alpha / (diagonal.unsqueeze(-1) if system.has_outputs else diagonal)


@asked(
    prompt=a_prompt(axes="", supports=2),
    kernels=that("one kernel or more, e.g. [ExponentialKernel(1.0)]", bool),
    ridges=each(positive, example="[0.1, 1.0]"),
)
def tuned_ridge_regression(
    prompt: Prompt, kernels: Sequence[Kernel], ridges: Sequence[float]
) -> Tuned:
    """Kernel ridge regression on the targets minus their mean, with the kernel and ridge that leave-one-out prefers.

    Args:
        prompt: one prompt, one output; its own ridge is not used.
        kernels: to choose from.
        ridges: to choose from, all positive, each a part of the mean of diag K: kernels of any scale share one list.

    Raises:
        ValueError: a batch, several outputs, fewer than two supports, nothing to choose from, or a kernel that overflows.
    """
    mean = prompt.y.mean()
    y = prompt.y - mean
    best, best_error = None, torch.inf
    for kernel in kernels:
        K = kernel(prompt.phi, prompt.phi)
        if not torch.isfinite(K).all():
            raise ValueError(
                f"tuned_ridge_regression: {kernel} overflows on this prompt; scale the features or take a higher temperature"
            )
        eigenvalues, vectors = torch.linalg.eigh(K)
        coefficients = vectors.mT @ y
        for ridge in (part * K.diagonal().mean().item() for part in ridges):
            inverse = 1 / (eigenvalues.clamp(min=0) + ridge)
            alpha = vectors @ (inverse * coefficients)
            residual = alpha / (vectors.square() @ inverse)
            error = residual.square().mean()
            if error < best_error:
                best, best_error = (kernel, ridge, alpha, residual), error
    if best is None:
        raise ValueError(
            "tuned_ridge_regression(prompt): every leave-one-out error overflows; this would work:"
            " targets of ordinary size"
        )
    kernel, ridge, alpha, residual = best
    return Tuned(
        mean + kernel(prompt.phi_query, prompt.phi) @ alpha, prompt.y - residual, kernel, ridge
    )
