"""The ridge that predicts every support best from the others."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metarep_lib.asked import OutOfRange, asked, each, positive
from metarep_lib.numerics.kernels import linear_kernel
from metarep_lib.numerics.kernels.kernels import Kernel
from metarep_lib.prompt import Prompt, a_prompt

__all__ = ["left_out_errors", "ridge_by_leave_one_out"]

PARTS = tuple(10.0 ** (power / 4) for power in range(-24, 17))
"""Ridges that are tried, each a part of the mean of diag K: four to a decade, from a millionth to ten thousand."""


@asked(
    prompt=a_prompt(axes="", single=False, supports=2), ridges=each(positive, example="[0.1, 1.0]")
)
def ridge_by_leave_one_out(
    prompt: Prompt,
    kernel: Kernel = linear_kernel,
    ridges: Sequence[float] | None = None,
    intercept: bool = False,
) -> float:
    """The ridge with the least squared error at the supports, each predicted from the others; summed over outputs.

    The error of support i is r_i / (1 - H_ii), H = K (K + lambda I)^-1, so one eigendecomposition serves all ridges (Golub, Heath and
    Wahba 1979). It is what scikit-learn's `RidgeCV` chooses by.

    Args:
        prompt: one prompt; its own ridge is not used, and its targets are taken as they are.
        kernel: of the features.
        ridges: to choose from; None: 41 parts of the mean of diag K, from a millionth to ten thousand.
        intercept: whether features and targets were centred by these supports, which is an intercept that was fitted to them: H_ii has
            1 / k more. For the linear kernel that is exact.

    Raises:
        OutOfRange: a kernel that overflows on this prompt.

    >>> prompt = Prompt(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1.0, 2.0, 3.0]), torch.ones(1, 1), ridge=1.0)
    >>> ridge_by_leave_one_out(prompt.to(torch.float64), ridges=[1e-3, 1.0, 10.0])  # no noise
    0.001
    """
    errors = left_out_errors(prompt, kernel, ridges_for(prompt, kernel, ridges), intercept)
    best = int(errors.argmin())
    return float(ridges_for(prompt, kernel, ridges)[best])


def ridges_for(prompt: Prompt, kernel: Kernel, ridges: Sequence[float] | None) -> Tensor:
    """[n] in float64, ascending where they are ours."""
    if ridges is not None:
        return torch.tensor([float(ridge) for ridge in ridges], dtype=torch.float64)
    own = kernel(prompt.phi, prompt.phi).diagonal().double().mean()
    # features that are all zero have a kernel of zeros, for which any ridge is as good
    return torch.tensor(PARTS, dtype=torch.float64) * (own if own > 0 else 1.0)


def left_out_errors(prompt: Prompt, kernel: Kernel, ridges: Tensor, intercept: bool) -> Tensor:
    """[n] the sum over supports and outputs of the squared error of each when it is left out, for every ridge."""
    K = kernel(prompt.phi, prompt.phi).double()
    if not torch.isfinite(K).all():
        raise OutOfRange(
            f"ridge_by_leave_one_out: {kernel} overflows on this prompt; this would work: features of"
            " ordinary size, or a higher temperature"
        )
    eigenvalues, vectors = torch.linalg.eigh(K)
    y = prompt.y.double().reshape(prompt.n_support, -1)
    fitted = eigenvalues.clamp(min=0) / (eigenvalues.clamp(min=0) + ridges.to(K).unsqueeze(-1))
    left = 1 - fitted @ vectors.square().mT - intercept / prompt.n_support  # [n, k]: 1 - H_ii
    residual = y - vectors @ (fitted.unsqueeze(-1) * (vectors.mT @ y))  # [n, k, m]
    errors = (residual / left.unsqueeze(-1)).square().sum((-2, -1))
    return torch.where(torch.isfinite(errors), errors, torch.full_like(errors, torch.inf))
