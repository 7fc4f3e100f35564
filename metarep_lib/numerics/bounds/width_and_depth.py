"""Width and depth together: how far a network of m features and t steps is from ridge regression on all of them.

W has orthonormal rows, K_hat = Phi W^T W Phi^T is what the narrow network sees of K, A_hat = K_hat + lambda I.
"""

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats
from metarep_lib.numerics.bounds.rates import prediction_factor
from metarep_lib.numerics.bounds.width import width_bound
from metarep_lib.numerics.projections import projected
from metarep_lib.numerics.solvers.iterations import cholesky
from metarep_lib.numerics.spectrum.depth_laws import outlier_errors
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt, a_prompt


@asked(prompt=a_prompt(axes=""), W=floats("m p2", like="prompt"), steps=at_least(0))
def capacity_bound(prompt: Prompt, W: Tensor, steps: int) -> Tensor:
    """[steps + 1, q] what width loses + what depth loses after t steps, at every query: a bound on |f_(m,t)(x) - f*(x)|.

    The first is `width_bound`. The second is sqrt(k_hat^T A_hat^-1 k_hat) ||alpha*_hat||_A_hat times the least bound over all windows of
    the spectrum of A_hat (`depth.outlier_errors`), which is zero from m + 1 steps on.

    Args:
        prompt: one prompt.
        W: [m, p] with orthonormal rows.
        steps: t >= 0.

    Raises:
        ValueError: rows that are not orthonormal.

    >>> prompt = Prompt(torch.eye(2), torch.tensor([0.0, 4.0]), torch.tensor([[0.0, 1.0]]), ridge=1.0)
    >>> capacity_bound(prompt, torch.eye(2), 1).round(decimals=4).tolist()  # nothing is dropped; one eigenvalue, one step
    [[2.0], [0.0]]
    """
    narrow = projected(prompt, W)
    system = ridge_system(narrow)
    factor = prediction_factor(system, cholesky(system).alpha)
    return (
        width_bound(prompt, W)
        + outlier_errors(distinct_eigenvalues(narrow), steps).to(factor).unsqueeze(-1) * factor
    )


@asked(prompt=a_prompt(axes="", single=False))
def distinct_eigenvalues(prompt: Prompt) -> Tensor:
    """[n] of K + lambda I, n <= p + 1, from the singular values of Phi: those at lambda count once and are exactly lambda.

    >>> distinct_eigenvalues(Prompt(torch.ones(3, 1), torch.ones(3), torch.zeros(0, 1), ridge=0.5))
    tensor([0.5000, 3.5000])
    """
    mu = torch.linalg.svdvals(prompt.phi).square()
    mu = mu[mu > mu.max() * prompt.n_support * torch.finfo(mu.dtype).eps]
    at_ridge = mu.new_zeros(1) if len(mu) < prompt.n_support else mu[:0]
    return torch.cat([at_ridge, mu.flip(0)]) + prompt.ridge
