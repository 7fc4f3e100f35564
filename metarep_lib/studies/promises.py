"""Are the depth laws kept? Steps that conjugate gradient takes in exact arithmetic over steps that each law promises."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify import exact_errors
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.spectrum import errors as spectral

__all__ = ["blocks_promised", "counts", "kept"]

ACCURACY = 1e-6


def taken(values: Tensor, shares: Tensor, accuracy: float, most: int) -> int:
    """Steps of conjugate gradient to the accuracy, in exact arithmetic.

    >>> taken(torch.tensor([1.0, 2.0]).double(), torch.ones(2).double(), 1e-6, most=5)
    2
    """
    return int(
        spectral.settling_step(torch.from_numpy(exact_errors(values, shares, most)), accuracy)
    )


def promised(values: Tensor, ridge: float, accuracy: float) -> dict[str, int]:
    """Steps by the condition number, by outliers and by the effective dimension.

    >>> promised(torch.tensor([1.0, 1.5, 2.0, 1e6]).double(), 1.0, 1e-6)["outliers"]
    4
    """
    d_eff = float(depth.effective_dimension(values - ridge, ridge))
    return {
        "condition number": depth.krylov_steps(float(values[-1] / values[0]), accuracy),
        "outliers": depth.outlier_steps(values, accuracy),
        "effective dimension": depth.effective_dimension_steps(d_eff, accuracy),
    }


def counts(values: Tensor, shares: Tensor, ridge: float, distinct: int) -> list[int]:
    """Steps to a millionth: taken, promised by three laws, and the number of distinct eigenvalues."""
    took = taken(values, shares, ACCURACY, most=100)
    return [took, *promised(values, ridge, ACCURACY).values(), distinct]


def blocks_promised(kappas: Sequence[float]) -> dict[str, list[int]]:
    """Method -> blocks that are enough for a millionth at each condition number, whatever the targets.

    >>> {method: blocks for method, (blocks,) in blocks_promised([100.0]).items()}["Newton"]
    11
    """
    krylov = [depth.krylov_steps(kappa, ACCURACY) for kappa in kappas]
    newton = [depth.newton_steps(kappa, ACCURACY) for kappa in kappas]
    descent = [depth.gradient_descent_steps(kappa, ACCURACY) for kappa in kappas]
    in_blocks = {
        name: [depth.blocks(name, steps) for steps in krylov]
        for name in ("conjugate gradient, textbook", "conjugate gradient, two blocks")
    }
    published = [depth.bai_layers(kappa, ACCURACY) for kappa in kappas]
    return (
        {"published (ReLU attention)": published, "gradient descent": descent}
        | in_blocks
        | {
            "Chebyshev, told the ends": krylov,
            "Newton": [depth.blocks("Newton", steps) for steps in newton],
        }
    )


def kept(spectra: int, seed: int) -> dict[str, list[float]]:
    """Law -> steps taken / steps promised, for each of some random spectra of forty eigenvalues and random accuracies."""
    generator, ratios = np.random.default_rng(seed), []
    for _ in range(spectra):
        log_kappa, accuracy = generator.uniform(0.2, 4), 10 ** generator.uniform(-8, -1)
        values = 10 ** (log_kappa * np.r_[0, np.sort(generator.uniform(size=38)), 1])
        shares = generator.exponential(size=40)
        ratios.append(ratio(torch.from_numpy(values), torch.from_numpy(shares), accuracy))
    return {law: [one[law] for one in ratios] for law in ratios[0]}


def ratio(values: Tensor, shares: Tensor, accuracy: float) -> dict[str, float]:
    """The same for one spectrum."""
    a, b = float(values[0]), float(values[-1])
    laws, took = promised(values, a, accuracy), taken(values, shares, accuracy, len(values))
    most = laws["condition number"]
    descent = int(spectral.gradient_descent_needs(values, shares, accuracy))
    told = int(spectral.chebyshev_needs(values, shares, accuracy, a, b, most))
    return {law: took / steps for law, steps in laws.items()} | {
        "gradient descent": descent / depth.gradient_descent_steps(b / a, accuracy),
        "Chebyshev": told / most,
    }
