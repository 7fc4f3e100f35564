"""Silent failure: what it is (needs the truth), and what a user can know of it (needs the prompt alone)."""

from dataclasses import dataclass

import torch
from scipy.stats import spearmanr
from torch import Tensor

from metarep_lib.asked import asked, floats
from metarep_lib.numerics.kernels.kernels import ExponentialKernel
from metarep_lib.numerics.kernels.smoothers import (
    effective_supports,
    smoother_left_out,
    smoother_weights,
)
from metarep_lib.numerics.leave_one_out import Tuned, tuned_ridge_regression
from metarep_lib.prompt import Prompt, a_prompt

TOLERANCE = 0.1
"""An error looks fine within this part of the reference's."""

LOSS = 0.3
"""An order is lost when its rank correlation with the truth is lower than the reference's by this much."""

AGREEMENT = 1 - LOSS
"""A smoother has lost the order for `Diagnosis` when it agrees with the tuned solver's by less than this rank correlation."""


@dataclass(frozen=True)
class Score:
    """A predictor beside a reference, on queries whose targets and truth are known.

    Args:
        error_ratio: root mean squared error at the targets, over the reference's.
        order: Spearman correlation with the truth.
        reference_order: the reference's.
        r_squared: the reference's R^2 on the targets.
        correlation: Pearson correlation with the targets, which is what the error knows of.
        slope: of the predictions on the truth: 1 unshrunk, 0 flat.
    """

    error_ratio: float
    order: float
    reference_order: float
    r_squared: float
    correlation: float
    slope: float

    @property
    def fine(self) -> bool:
        return self.error_ratio <= 1 + TOLERANCE

    @property
    def lost(self) -> bool:
        return self.order <= self.reference_order - LOSS

    @property
    def silent(self) -> bool:
        """The error looks fine and the order is lost."""
        return self.fine and self.lost


SCORED = floats(squared=True)


@asked(prediction=SCORED, reference=SCORED, targets=SCORED, truth=SCORED)
def score(prediction: Tensor, reference: Tensor, targets: Tensor, truth: Tensor) -> Score:
    """How a prediction compares with a reference's, all [q].

    Raises:
        ValueError: fewer than three queries, shapes that differ, targets or truth that are all alike, or a reference without error.

    >>> truth = torch.tensor([0.0, 1.0, 2.0, 3.0])
    >>> scored = score(truth.flip(0), truth, truth + torch.tensor([4.0, -4.0, -4.0, 4.0]), truth)
    >>> scored.order, round(scored.error_ratio, 2), scored.silent
    (-1.0, 1.15, False)
    """
    shapes = {tuple(x.shape) for x in (prediction, reference, targets, truth)}
    if len(shapes) > 1 or prediction.ndim != 1 or len(prediction) < 3:
        raise ValueError(
            f"score: shapes {sorted(shapes)}, expected four vectors of one length of at least 3, e.g. those of one prompt with 200 queries"
        )
    for name, held in (("targets", targets), ("truth", truth)):
        if not held.var(correction=0) > 0:
            raise ValueError(
                f"score({name}={list(held.shape)}): they are all alike, so that there is no order and"
                " no R^2; expected values that vary"
            )
    if torch.equal(reference, targets):
        raise ValueError(
            "score(reference, targets): the reference is the targets, so that no error can be"
            " compared with its own; expected a prediction"
        )
    error, best = ((f - targets).square().mean().sqrt().item() for f in (prediction, reference))
    return Score(
        error_ratio=error / best,
        order=rank_correlation(prediction, truth),
        reference_order=rank_correlation(reference, truth),
        r_squared=1 - best**2 / targets.var(correction=0).item(),
        correlation=torch.corrcoef(torch.stack([prediction, targets]))[0, 1].nan_to_num().item(),
        slope=(torch.cov(torch.stack([prediction, truth]))[0, 1] / truth.var()).item(),
    )


@asked(a=floats("q"), b=floats("q"))
def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's; 0 when one of them is constant: it orders nothing."""
    if bool((a == a[0]).all()) or bool((b == b[0]).all()):
        return 0.0
    return float(spearmanr(a.cpu().numpy(), b.cpu().numpy()).statistic)


@dataclass(frozen=True)
class Diagnosis:
    """What a prompt alone says of a smoother's predictions on it.

    Args:
        effective_supports: n_eff, mean over queries: which mechanism is at work, not whether it fails.
        spread: standard deviation of the predictions over that of the supports' targets.
        error_ratio: leave-one-out error at the supports, over the tuned solver's.
        agreement: rank correlation with the tuned solver's predictions, over the queries.
    """

    effective_supports: float
    spread: float
    error_ratio: float
    agreement: float

    @property
    def silent(self) -> bool:
        """Whether a silent failure is to be expected: errors alike, orders not."""
        return self.error_ratio <= 1 + TOLERANCE and self.agreement < AGREEMENT


@asked(prompt=a_prompt(axes="", supports=2))
def reference_solver(prompt: Prompt) -> Tuned:
    """The solver a smoother is diagnosed against: exponential-kernel ridge regression, temperature and ridge by leave-one-out.

    Temperatures 0.1, 1 and 10, for features of about unit length; ridges 1e-6 to 1e2 times the mean of diag K.
    """
    return tuned_ridge_regression(
        prompt,
        [ExponentialKernel(tau) for tau in (0.1, 1.0, 10.0)],
        [10.0**i for i in range(-6, 3)],
    )


@asked(prompt=a_prompt(single=False))
def diagnose(prompt: Prompt, kernel: ExponentialKernel, solver: Tuned | None = None) -> Diagnosis:
    """Compare a one-layer softmax smoother with a solver tuned on the same supports; no query's target is read.

    Where it fails: when the supports do not determine the order either (few of them, much noise), the solver loses it too.

    Args:
        prompt: one prompt with at least three queries, one output, features of about unit length.
        kernel: the smoother's.
        solver: what to compare with; `reference_solver(prompt)` when None.

    Raises:
        ValueError: a batch, several outputs, fewer than two supports or three queries, or targets that are all alike.

    >>> from metarep_lib.tasks.sphere import sphere_task
    >>> task = sphere_task(60, 40, 4, noise=0.5, seed=0)
    >>> diagnose(task.prompt, ExponentialKernel(0.2)).silent
    False
    """
    if prompt.phi.ndim != 2 or prompt.n_query < 3 or prompt.n_outputs > 1:
        raise ValueError(
            f"diagnose(phi={list(prompt.phi.shape)}, phi_query={list(prompt.phi_query.shape)}, {prompt.n_outputs} outputs): expected one prompt with at"
            " least 3 queries and one output, [k, p] and [q, p]; for a batch call it for every prompt"
        )
    if not prompt.y.std() > 0:
        raise ValueError(
            "diagnose(prompt): the targets are all alike, so that there is no order to lose;"
            " expected targets that vary"
        )
    solver = solver or reference_solver(prompt)
    weights = smoother_weights(prompt, kernel)
    prediction = weights @ prompt.y
    own, its = (
        (f - prompt.y).square().mean().sqrt()
        for f in (smoother_left_out(prompt, kernel), solver.left_out)
    )
    return Diagnosis(
        effective_supports=effective_supports(weights).mean().item(),
        spread=(prediction.std() / prompt.y.std()).item(),
        error_ratio=(own / its).item(),
        agreement=rank_correlation(prediction, solver.prediction),
    )
