"""Who is first? Blocks that five networks need on six kinds of spectra, over six orders of magnitude of the condition number.

128 eigenvalues of K + lambda I from one to kappa, five draws of targets of white noise. Gradient descent, Chebyshev and
Newton follow from closed forms; conjugate gradient is run, on the diagonal and in float64.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify import exact_errors
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.tasks import SPECTRA

__all__ = ["KAPPAS", "N", "blocks", "conjugate_gradient_steps", "exact_steps", "most", "shares"]

N, N_SEEDS = 128, 5
KAPPAS = 10 ** np.arange(0.5, 6.1, 0.5)


def shares(values: np.ndarray) -> Tensor:
    """[seeds, n] of white-noise targets."""
    y = np.random.default_rng(2).standard_normal((N_SEEDS, len(values)))
    return torch.from_numpy(y**2 / values)


def most(spectrum: str) -> int:
    """Steps that conjugate gradient is given."""
    return 1500 if spectrum == "geometric" else 3 * N  # rounding is what takes so long


def conjugate_gradient_steps(spectrum: str, accuracies: Sequence[float]) -> dict[float, np.ndarray]:
    """Accuracy -> [seeds, kappas] steps in float64."""
    rows = [SPECTRA[spectrum](kappa, N) for kappa in KAPPAS]
    values = torch.from_numpy(np.stack(rows))
    asked = torch.stack([shares(row) for row in rows], dim=1)
    errors = spectral.conjugate_gradient_errors(values, asked, most(spectrum))
    return {eps: spectral.settling_step(errors, eps).numpy() for eps in accuracies}


def exact_steps(spectrum: str, kappa: float, accuracy: float = 1e-6) -> int:
    """Steps of conjugate gradient without rounding, for the first draw of targets.

    >>> exact_steps("one outlier", 1e4)
    14
    """
    values = SPECTRA[spectrum](kappa, N)
    errors = torch.from_numpy(exact_errors(values, shares(values)[0], N))
    return int(spectral.settling_step(errors, accuracy))


def blocks(spectrum: str, accuracy: float, steps: np.ndarray) -> dict[str, np.ndarray]:
    """Network -> [kappas] median blocks; `steps` are those of `conjugate_gradient_steps`."""
    cells = [
        needed(SPECTRA[spectrum](kappa, N), accuracy, steps[:, i]) for i, kappa in enumerate(KAPPAS)
    ]
    return {network: np.array([cell[network] for cell in cells]) for network in cells[0]}


def needed(values: np.ndarray, accuracy: float, steps: np.ndarray) -> dict[str, int]:
    """The same for one condition number."""
    a, b = values[0], values[-1]
    eigenvalues, asked = torch.from_numpy(values), shares(values)
    descent = spectral.gradient_descent_needs(eigenvalues, asked, accuracy).double()
    enough = depth.krylov_steps(b / a, accuracy)
    taken = {
        "gradient descent": descent,
        "Chebyshev": spectral.chebyshev_needs(eigenvalues, asked, accuracy, a, b, enough),
        "conjugate gradient, textbook": steps,
        "conjugate gradient, two blocks": steps,
        "Newton": descent.log2().ceil(),
    }
    return {name: depth.blocks(name, int(np.median(needs))) for name, needs in taken.items()}
