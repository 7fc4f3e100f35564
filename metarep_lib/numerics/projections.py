"""Narrow features: what a stream that holds m < p numbers of phi can still predict.

A width-m network sees W phi. With orthonormal rows W, P = W^T W projects, and kernel ridge regression on W phi is ridge
regression with weights confined to the range of P.
"""

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, indices
from metarep_lib.numerics.kernels.kernels import ExponentialKernel
from metarep_lib.prompt import Prompt, a_prompt


@asked(prompt=a_prompt(single=False), W=floats("m p2", like="prompt"))
def projected(prompt: Prompt, W: Tensor) -> Prompt:
    """The prompt a width-m network sees: W phi for phi, on supports and queries.

    Args:
        prompt: one prompt, phi [k, p].
        W: [m, p].

    Raises:
        ValueError: a W that does not read p features.

    >>> projected(Prompt(torch.eye(3), torch.ones(3), torch.ones(1, 3), 0.5), torch.eye(3)[:2]).phi.shape
    torch.Size([3, 2])
    """
    if W.ndim != 2 or W.shape[-1] != prompt.n_features:
        raise ValueError(
            f"projected(prompt with p={prompt.n_features}, W of shape {list(W.shape)}): expected W of shape [m, {prompt.n_features}]"
        )
    return Prompt(
        prompt.phi @ W.mT, prompt.y, prompt.phi_query @ W.mT, prompt.ridge, prompt.y_query
    )


@asked(prompt=a_prompt(single=False), m=at_least(1))
def best_projection(prompt: Prompt, m: int) -> Tensor:
    """[m, p] the m leading right singular vectors of Phi: the best rank-m approximation of K (Eckart and Young 1936)."""
    return torch.linalg.svd(prompt.phi, full_matrices=False).Vh[:m]


@asked(prompt=a_prompt(axes="", single=False), landmarks=indices("k"))
def landmark_projection(prompt: Prompt, landmarks: Tensor) -> Tensor:
    """[m, p] an orthonormal basis of the features of some supports: Nystrom's approximation of K (Williams and Seeger 2001).

    Args:
        prompt: one prompt.
        landmarks: [n] indices of supports; repeated or dependent ones count once.
    """
    _, s, Vh = torch.linalg.svd(prompt.phi[landmarks], full_matrices=False)
    return Vh[s > s[0] * len(landmarks) * torch.finfo(s.dtype).eps]


@asked(n_features=at_least(1), m=at_least(1))
def random_projection(
    n_features: int, m: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> Tensor:
    """[m, p] an orthonormal basis of a uniformly random subspace."""
    return torch.linalg.qr(torch.randn(n_features, m, generator=generator, dtype=dtype)).Q.mT


@asked(prompt=a_prompt(single=False), anchors=floats("n p", like="prompt"))
def spanned_features(
    prompt: Prompt, kernel: ExponentialKernel, anchors: Tensor | None = None
) -> Prompt:
    """The prompt in the coordinates of the anchors' span in feature space: linear there what was `kernel` before.

    K = U diag(mu) U^T on the anchors gives phi(x) = mu^-1/2 U^T k(x). Directions with mu below rounding are dropped.

    Args:
        prompt: one prompt.
        kernel: of any kind that the anchors' matrix is positive semi-definite for.
        anchors: [n, p] the supports when None, whose span has a say in predictions and nothing else has; fewer points are inducing points:
            the prompt a network of width n sees whose features are kernel values with them.
    """
    anchors = prompt.phi if anchors is None else anchors
    mu, U = torch.linalg.eigh(kernel(anchors, anchors))
    kept = mu > mu[-1] * len(mu) * torch.finfo(mu.dtype).eps
    to_coordinates = U[:, kept].flip(1) / mu[kept].flip(0).sqrt()
    phi, phi_query = (kernel(x, anchors) @ to_coordinates for x in (prompt.phi, prompt.phi_query))
    return Prompt(phi, prompt.y, phi_query, prompt.ridge, prompt.y_query)
