"""A Gaussian kernel on random points of the unit square: what every method needs, and what the effective dimension allows."""

from collections.abc import Sequence

import numpy as np
import torch

from metarep_lib.certify import exact_errors
from metarep_lib.numerics import RidgeSystem, solvers
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.spectrum import errors as spectral

__all__ = ["RIDGE", "needed", "needs", "posed"]

RIDGE, LENGTH, SEEDS = 0.2, 0.2, range(5)
MOST = {"float64": 100, "exact": 60}  # steps looked at


def posed(n: int, seed: int, bias: float = 0.0) -> RidgeSystem:
    """n points, a smooth function with noise, a constant added to the kernel.

    >>> posed(3, seed=0).A.diagonal().tolist()
    [1.2, 1.2, 1.2]
    """
    streams = np.random.SeedSequence([seed, n]).spawn(2)
    points, noise = map(np.random.default_rng, streams)
    x = torch.from_numpy(points.uniform(size=(n, 2)))
    K = torch.exp(-torch.cdist(x, x).square() / (2 * LENGTH**2)) + bias
    y = torch.sin(6 * x[:, 0]) * torch.cos(4 * x[:, 1])
    y = y + 0.3 * torch.from_numpy(noise.standard_normal(n))
    A = K + RIDGE * torch.eye(n, dtype=torch.float64)
    return RidgeSystem(A, y, torch.zeros(0, n, dtype=torch.float64))


def needed(system: RidgeSystem, accuracy: float = 1e-6) -> dict[str, float]:
    """Steps that gradient descent and Chebyshev are promised, that the law allows, that conjugate gradient takes; and d_eff."""
    values, shares = spectral.spectral_shares(system)
    kappa = float(values[-1] / values[0])
    star = solvers.cholesky(system).alpha
    history = solvers.conjugate_gradient(system, MOST["float64"]).history["alpha"]
    floats = system.norm(history - star) / system.norm(star)
    exact = torch.from_numpy(exact_errors(values, shares, MOST["exact"]))
    d_eff = float(depth.effective_dimension(values - RIDGE, RIDGE))
    return {
        "gradient descent": depth.gradient_descent_steps(kappa, accuracy),
        "Chebyshev": depth.krylov_steps(kappa, accuracy),
        "law": depth.effective_dimension_steps(d_eff, accuracy),
        "float64": int(spectral.settling_step(floats, accuracy)),
        "exact": int(spectral.settling_step(exact, accuracy)),
        "d_eff": d_eff,
    }


def needs(points: Sequence[tuple[int, float]]) -> dict[str, np.ndarray]:
    """Name -> [5, points], `needed` for five draws at every (number of supports, bias)."""
    rows = [[needed(posed(n, seed, bias)) for n, bias in points] for seed in SEEDS]
    return {name: np.array([[row[name] for row in line] for line in rows]) for name in rows[0][0]}
