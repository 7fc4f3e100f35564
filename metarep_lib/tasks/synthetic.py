"""Synthetic prompts whose spectrum is chosen, not drawn.

Phi = U diag(sqrt(spectrum)) V^T, so the non-zero eigenvalues of K = Phi Phi^T *are* `spectrum`.
U is random with orthonormal columns; V is a random rotation, or the identity when `rotated` is
False (axis-aligned: Phi^T Phi is then diagonal, the special case that flatters diagonal methods).
"""

import numpy as np
import torch

from metarep_lib.asked import asked_to_draw, not_negative
from metarep_lib.prompt import Prompt


@asked_to_draw(noise=not_negative)
def synthetic_prompt(
    spectrum: np.ndarray,
    n_support: int,
    n_query: int,
    ridge: float,
    *,
    seed: int,
    noise: float = 0.1,
    rotated: bool = True,
    n_prompts: int | None = None,
) -> Prompt:
    """Linear regression with targets y = phi . weights + noise, float64.

    Args:
        spectrum: [p] positive eigenvalues of Phi^T Phi; p <= n_support.
        n_support: k.
        n_query: q; queries follow the law of the supports, covariance V diag(spectrum) V^T / k.
        ridge: lambda.
        seed: features, weights and noise draw from three independent streams made of it.
        noise: standard deviation of the targets' noise, on a signal of standard deviation about 1.
        rotated: False aligns the eigenvectors of Phi^T Phi with the axes.
        n_prompts: batch size; None gives one prompt without a batch axis.

    Raises:
        ValueError: a spectrum that is not positive or longer than n_support.

    >>> from metarep_lib.tasks import geometric_spectrum
    >>> prompt = synthetic_prompt(geometric_spectrum(4, 10.0), n_support=9, n_query=2, ridge=0.1, seed=0)
    >>> torch.linalg.eigvalsh(prompt.phi.T @ prompt.phi)
    tensor([0.1000, 0.2154, 0.4642, 1.0000], dtype=torch.float64)
    """
    spectrum = np.asarray(spectrum, dtype=np.float64)
    p = spectrum.size
    if spectrum.ndim != 1 or not 1 <= p <= n_support or not (spectrum > 0).all():
        raise ValueError(
            f"synthetic_prompt(spectrum with shape {spectrum.shape}, minimum {spectrum.min(initial=np.inf):g}, n_support={n_support}):"
            " expected a vector of 1 to n_support positive eigenvalues, e.g. geometric_spectrum(8, 100.0) with n_support=32"
        )
    batch = () if n_prompts is None else (n_prompts,)
    features, weights, errors = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(3)
    )
    U = np.linalg.qr(features.standard_normal((*batch, n_support, p)))[0]
    V = np.linalg.qr(features.standard_normal((*batch, p, p)))[0] if rotated else np.eye(p)
    to_features = np.sqrt(spectrum)[:, None] * np.swapaxes(V, -1, -2)  # [*batch, p, p]
    phi = U @ to_features
    phi_query = features.standard_normal((*batch, n_query, p)) @ to_features / np.sqrt(n_support)
    signal = weights.standard_normal((*batch, p, 1)) * np.sqrt(n_support / spectrum.sum())
    y = (phi @ signal)[..., 0] + noise * errors.standard_normal((*batch, n_support))
    y_query = (phi_query @ signal)[..., 0] + noise * errors.standard_normal((*batch, n_query))
    return Prompt(
        *map(torch.from_numpy, (phi, y, phi_query)), ridge=ridge, y_query=torch.from_numpy(y_query)
    ).rounded()
