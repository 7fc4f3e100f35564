"""Trained linear attention: the questions it is asked, what its weights compute, what its first layer writes, how it fares elsewhere.

Letters: B prompts, k supports, q queries, d inputs, D channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metarep_lib.contents import Contents
from metarep_lib.numerics import RidgeSystem, solvers
from metarep_lib.numerics.spectrum import Filter, Spectrum, best_polynomial
from metarep_lib.prompt import Prompt
from metarep_lib.tasks import Prior, bayes_risk
from metarep_lib.train import TrainedTransformer

__all__ = [
    "Posed",
    "away",
    "cubic_form",
    "left_over",
    "posed",
    "read_step",
    "risk",
    "typical",
    "written",
]

N_QUERY = 8


@dataclass(frozen=True, eq=False, repr=False)
class Posed(Contents):
    """Prompts, and what it takes to score whoever answers them.

    Args:
        prompt: B prompts of k supports and eight queries.
        f: [B, q] the truth at the queries.
        system: The same as primal systems S w = X^T y, without a ridge.
        bayes: The Bayes risk on these prompts.
    """

    prompt: Prompt
    f: Tensor
    system: RidgeSystem
    bayes: float


def posed(prior: Prior, n_prompts: int, n_support: int, seed: int) -> Posed:
    """Prompts of a linear law.

    >>> from metarep_lib.tasks import LinearPrior
    >>> posed(LinearPrior(2), 3, 5, seed=0).system.A.shape
    torch.Size([3, 2, 2])
    """
    draw = prior.sample(n_prompts, n_support + N_QUERY, torch.Generator().manual_seed(seed))
    x, y = draw.x[:, :n_support], draw.y[:, :n_support]
    ridge = draw.x.shape[-1] * prior.noise[0] ** 2
    prompt = Prompt(x, y, draw.x[:, n_support:], ridge=ridge)
    X, moment = x.double(), (x.mT.double() @ y.double().unsqueeze(-1)).squeeze(-1)
    system = RidgeSystem(X.mT @ X, moment, prompt.phi_query.double())
    return Posed(prompt, draw.f[:, n_support:].double(), system, bayes_risk(prior, draw, n_support))


def risk(said: Tensor, f: Tensor) -> float:
    """Mean squared error against the noiseless f."""
    return (said - f).square().mean().item()


def typical(said: Tensor, f: Tensor) -> tuple[float, float]:
    """The risk without the worst prompt of a thousand, and the part of the whole risk that those have.

    >>> typical(torch.tensor([[1.0]] * 999 + [[3.0]]), torch.zeros(1000, 1))[0]
    1.0
    """
    errors = (said - f).square().mean(-1).sort().values
    usual = errors[: -len(errors) // 1000]
    return usual.mean().item(), 1 - (usual.sum() / errors.sum()).item()


def cubic_form(network: TrainedTransformer) -> Tensor:
    """[a, b, c] T(e_a; e_b, e_c) over the channels of a token, for one layer of linear attention.

    The network says u . t + sum_j T(t; t_j, t_j) at a query t, t_j running through the tokens it
    reads; T is symmetric in its last two places.
    """
    model, heads = network.transformer, network.transformer.blocks[0].attention[0]
    M = model.W_E @ heads.W_Q @ heads.W_K.mT @ model.W_E.mT
    v = (model.W_E @ heads.W_V @ heads.W_O @ model.W_U).squeeze(-1)
    T = torch.einsum("hab,hc->abc", M, v)
    return (T + T.mT) / 2


def read_step(network: TrainedTransformer) -> tuple[Tensor, float, float]:
    """One layer read as a step of gradient descent, 2 T(e_a; e_b, e_y) = eta delta_ab and nothing else.

    Returns:
        [d, d] these entries, the mean of their diagonal, and the share that this step has of the
        squares of all entries of T with an input of the query and a support's channels.
    """
    T, inputs = cubic_form(network), network.inputs
    x, y, flag = inputs["phi"], inputs["y"].start, inputs["is_support"].start
    d, of_support = x.stop - x.start, [*range(x.start, x.stop), y, flag]
    entries = 2 * T[x, x, y]
    eta = entries.diagonal().mean()
    squares = T[x][:, of_support][:, :, of_support].square().sum()
    share = d * eta**2 / 2 / squares  # each entry stands twice in T, at half its size
    return entries, eta.item(), share.item()


def left_over(spectrum: Spectrum, said: Tensor, degrees: Sequence[int]) -> np.ndarray:
    """[degrees] what the best polynomial filter of each degree leaves of some predictions, root mean square over their deviation."""
    fits = [spectrum.predict(best_polynomial(spectrum, said, m)) for m in degrees]
    return np.array([((fit - said).square().mean() / said.var()).sqrt().item() for fit in fits])


def written(network: TrainedTransformer, prompt: Prompt) -> tuple[dict[str, float], Tensor]:
    """What the first layer writes on the supports, regressed on the token, on the step x_i . X^T y, and on S x_i.

    Returns:
        The share of the write's squares that is explained with each of them added, and the
        weights [d, D] of S x_i.
    """
    x, y = prompt.phi, prompt.y.unsqueeze(-1)
    before, after, *_ = network.trace(prompt).stream("support")
    write = (after - before).flatten(0, 1)
    columns, explained = torch.cat([x, y, torch.ones_like(y)], -1), {}
    further = {"and step": x @ (x.mT @ y), "and S x": x @ (x.mT @ x)}
    for name, more in [("token", x[..., :0]), *further.items()]:
        columns = torch.cat([columns, more], -1)
        flat = columns.flatten(0, 1)
        weights = torch.linalg.lstsq(flat, write).solution
        left = (flat @ weights - write).square().sum() / write.square().sum()
        explained[name] = 1 - left.item()
    return explained, weights[-x.shape[-1] :]


def away(
    cases: Sequence[Posed], networks: Sequence[TrainedTransformer], tuned: Filter
) -> Mapping[str, np.ndarray]:
    """Risks on other prompts than those of the training.

    Args:
        cases: The prompts.
        networks: N trained ones.
        tuned: A filter tuned where they were trained; conjugate gradient takes as many steps.

    Returns:
        ``"trained"``: [N, cases]; ``"GD++"``, the filter, and ``"conjugate gradient"``: [cases].
    """
    steps = len(next(iter(tuned.scalars.values())))
    solved = [solvers.conjugate_gradient(one.system, steps).alpha for one in cases]
    found = {
        "trained": [[risk(net.predict(one.prompt), one.f) for one in cases] for net in networks],
        "GD++": [Spectrum.of(one.system).risk(tuned, one.f).item() for one in cases],
        "conjugate gradient": [
            risk(one.system.predict(alpha), one.f) for one, alpha in zip(cases, solved)
        ],
    }
    return {name: np.array(values) for name, values in found.items()}
