"""Several outputs: conjugate gradient for each, or one search for all; in steps, in blocks and in floating point.

Targets are independent and normal; kappa is that of the kernel's spectrum or below. "shared products"
are conjugate gradient output by output, "shared search" is block conjugate gradient. An error is
that of the worst output, in the norm of A, relative to the solution's.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from metarep_lib.construct import Program, assemble
from metarep_lib.numerics import RidgeSystem, ridge_system, solvers
from metarep_lib.numerics.solvers import block_conjugate_gradient as block
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.prompt import Prompt
from metarep_lib.tasks import geometric_spectrum, synthetic_prompt

__all__ = [
    "ENOUGH",
    "ROUNDING",
    "compared",
    "depths",
    "errors",
    "final_errors",
    "lost",
    "posed",
    "search",
    "separate",
    "settled",
]

ROUNDING = 2.0**-48  # sixteen machine epsilons
RIDGE = 1e-3
SPECTRA = {
    "64 features, geometric": geometric_spectrum(64, 1e3),
    "192 features, geometric": geometric_spectrum(192, 1e3),
    "eight eigenvalues": np.repeat(geometric_spectrum(8, 1e3), 8),
    "four outliers": np.r_[np.linspace(1, 0.2, 92), np.geomspace(1e-3, 1e-4, 4)],
}
ENOUGH = dict(zip(SPECTRA, (110, 150, 30)))  # steps of the separate iterations, in float64


def posed(kind: str, m: int, seed: int) -> Prompt:
    """A prompt with m independent normal targets per support, float64."""
    outliers, spectrum = kind == "four outliers", SPECTRA[kind]
    ridge, more = (1e-5, 0) if outliers else (RIDGE, 32)  # supports beyond the features
    made = synthetic_prompt(spectrum, len(spectrum) + more, 0, ridge, seed=seed)
    Y = np.random.default_rng(1000 + seed).standard_normal((made.n_support, m))
    return Prompt(made.phi, torch.from_numpy(Y), made.phi_query, ridge)


def separate(system: RidgeSystem, steps: int) -> Tensor:
    """Iterates of one conjugate gradient for each output, [steps + 1, k, m]."""
    m = system.y.shape[-1]
    A = system.A.expand(m, *system.A.shape)
    each = RidgeSystem(A, system.y.mT.contiguous(), A[:, :0])
    return solvers.conjugate_gradient(each, steps).history["alpha"].mT


def search(system: RidgeSystem, steps: int) -> Tensor:
    """Iterates of block conjugate gradient, [steps + 1, k, m]."""
    return block.conjugate_gradient(system, steps).history["alpha"]


def errors(system: RidgeSystem, alpha: Tensor) -> Tensor:
    """Relative error in the norm of A of the worst output: [steps + 1, k, m] to [steps + 1]."""
    star = torch.linalg.solve(system.A, system.y)
    return (system.norm(alpha - star) / system.norm(star)).amax(-1)


def settled(error: Tensor, accuracy: float = 1e-6) -> float:
    """The step from which on the error stays within the accuracy; inf where it does not.

    >>> settled(torch.tensor([1.0, 1e-7, 1e-5, 1e-8])), settled(torch.ones(3))
    (3.0, inf)
    """
    step = int(spectral.settling_step(error, accuracy))
    return float(step) if step < len(error) else float("inf")


def lost(errors: Tensor) -> list[tuple[Tensor, int]]:
    """Of [seeds, steps + 1] those that become no number, each with the last step before.

    >>> lost(torch.tensor([[1.0, 0.1, torch.nan, 0.1], [1.0, 0.1, 0.1, 0.1]]))
    [(tensor([1.0000, 0.1000,    nan, 0.1000]), 1)]
    """
    gone = ~torch.isfinite(errors)
    return [(error, int(at.nonzero()[0]) - 1) for error, at in zip(errors, gone) if at.any()]


def compared(kind: str, m: int, steps: int, seeds: Iterable[int]) -> dict[str, np.ndarray]:
    """Errors of both by step, [seeds, steps + 1], and the rate of `thm-block-rate`, which begins at step one.

    `"used"` [seeds] is the most that the shared search uses of it, up to a floor of 100 u kappa.
    """
    found: dict[str, list] = {"shared products": [], "shared search": [], "bound": [], "used": []}
    t = torch.arange(1, steps + 1)
    for seed in seeds:
        system = ridge_system(posed(kind, m, seed))
        star = torch.linalg.solve(system.A, system.y)
        together = errors(system, search(system, steps))
        bound = (block.rate_bound(system, t) / system.norm(star)).amax(-1)
        floor = 100 * torch.finfo(together.dtype).eps * system.condition_number
        found["shared products"].append(errors(system, separate(system, steps)))
        found["shared search"].append(together)
        found["bound"].append(F.pad(bound, (1, 0), value=torch.nan))
        found["used"].append(((together[1:] - floor) / bound).max())
    return {name: torch.stack(rows).numpy() for name, rows in found.items()}


def depths(kind: str, outputs: Sequence[int], seeds: Iterable[int]) -> dict[str, np.ndarray]:
    """Blocks until the error stays within 1e-6, by the number of outputs, [seeds, outputs]: two a step, or m + 1.

    The outputs are the first of a prompt that has the most of them; inf where `ENOUGH` steps are not.
    """
    found: dict[str, list] = {"shared products": [], "shared search": []}
    for seed in seeds:
        full = ridge_system(posed(kind, max(outputs), seed))
        alone = separate(full, ENOUGH[kind])
        blocks = []
        for m in outputs:
            system = RidgeSystem(full.A, full.y[:, :m], full.K_query)
            steps = ENOUGH[kind] if m < 4 else min(ENOUGH[kind], 90)
            each = settled(errors(system, alone[..., :m]))
            together = settled(errors(system, search(system, steps)))
            blocks.append((2 * each, (m + 1) * together))
        for name, row in zip(found, zip(*blocks)):
            found[name].append(row)
    return {name: np.array(rows) for name, rows in found.items()}


def final_errors(
    program: Program, dtype: torch.dtype = torch.float64, seeds: Iterable[int] = range(10)
) -> list[float]:
    """||alpha_t - alpha*|| / ||alpha*|| in the end, the worst output, prompt by prompt: 40 supports, 12 features, kappa 1e4."""
    network, found = assemble(program, dtype=dtype), []
    m, spectrum = program.inputs.width("y"), geometric_spectrum(12, 1e4)
    for seed in seeds:
        made = synthetic_prompt(spectrum, 40, 1, 1e-4, seed=300 + seed)
        Y = torch.from_numpy(np.random.default_rng(400 + seed).standard_normal((40, m)))
        y = Y if m > 1 else Y[:, 0]
        prompt = Prompt(made.phi, y, made.phi_query, made.ridge)
        held = network.run(prompt.to(dtype))["alpha", "support"][-1].double()
        star = torch.linalg.solve(ridge_system(prompt).A, prompt.y)
        found.append(float(((held - star).norm(dim=0) / star.norm(dim=0)).max()))
    return found
