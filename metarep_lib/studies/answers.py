"""What networks are held against: ridge regression, its predictions and its solution, and how near they ever come."""

from torch import Tensor

from metarep_lib.network import Trace
from metarep_lib.numerics import relative_error, ridge_system, solvers
from metarep_lib.prompt import Prompt

__all__ = ["answers", "errors_in_norm", "errors_of", "lowest"]


def answers(prompts: Prompt) -> Tensor:
    """[*B, q] the predictions of ridge regression, by a solver.

    >>> import torch
    >>> answers(Prompt(torch.eye(2), torch.tensor([2.0, 4.0]), torch.eye(2), ridge=1.0)).tolist()
    [1.0, 2.0]
    """
    system = ridge_system(prompts)
    return system.predict(solvers.cholesky(system).alpha)


def errors_of(trace: Trace, prompts: Prompt) -> Tensor:
    """[steps + 1, *B] relative error of what a network says after every step; prompts in float64, whatever the network is in."""
    return relative_error(trace.prediction.double(), answers(prompts))


def errors_in_norm(trace: Trace, prompts: Prompt) -> Tensor:
    """[steps + 1, *B] ||alpha_t - alpha*||_A / ||alpha*||_A of what supports hold after every step, A = K + lambda I."""
    system = ridge_system(prompts)
    star = solvers.cholesky(system).alpha
    return system.norm(trace["alpha", "support"] - star) / system.norm(star)


def lowest(errors: Tensor) -> Tensor:
    """The best error on the way, [steps, *B] to [*B]; a step that is no number is a bad one.

    >>> import torch
    >>> lowest(torch.tensor([1.0, 0.5, torch.nan])).item()
    0.5
    """
    return errors.nan_to_num(nan=1e9).min(0).values
