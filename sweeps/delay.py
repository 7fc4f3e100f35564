"""Steps that conjugate gradient takes in floats: the solver, the textbook network and the two-block network on the same prompts.

Twenty prompts a seed, so that no statement hangs on one drawing of roundings. "crowded" is the hard spectrum of chapter depth-frontier
(kappa = 1e4, 48 supports), with equal shares and another rotation for every prompt, up to an error of 1e-4 in the norm of A. The other
four are those whose networks the chapter runs, 32 supports and white targets, up to 1e-6.
"""

import numpy as np
import torch

from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    ridge_system,
    solvers,
    synthetic_prompt,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.studies import Sweep
from metarep_lib.tasks import SPECTRA, crowded

DRAWS = 20
KAPPAS = {"spread": 30.0, "geometric": 1e3, "one outlier": 1e4, "fast decay": 1e3}
MOST = {"spread": 50, "geometric": 80, "one outlier": 40, "fast decay": 60, "crowded": 220}  # steps, more than were ever taken


def hard_prompts(seed: int) -> Prompt:
    """K + lambda I has the crowded spectrum, y an equal share in every eigenvector."""
    eigenvalues = torch.from_numpy(crowded(1e4, 48))
    Q = torch.from_numpy(np.linalg.qr(np.random.default_rng([seed, 0]).standard_normal((DRAWS, 48, 48)))[0])
    nothing = torch.zeros(DRAWS, 0, 48, dtype=torch.float64)
    return Prompt(Q * (eigenvalues - 0.5).sqrt(), Q @ eigenvalues.sqrt(), nothing, ridge=0.5)


def white_prompts(spectrum: str, seed: int) -> Prompt:
    made = synthetic_prompt(SPECTRA[spectrum](KAPPAS[spectrum], 32)[1:] - 0.999, 32, 1, ridge=0.999, seed=seed, n_prompts=DRAWS)
    y = torch.from_numpy(np.random.default_rng([seed, 1]).standard_normal((DRAWS, 32)))
    return Prompt(made.phi, y, made.phi_query, made.ridge)


def run(case: str, seed: int) -> dict:
    spectrum, _, precision = case.partition(", ")
    prompts = hard_prompts(seed) if spectrum == "crowded" else white_prompts(spectrum, seed)
    system, dtype, most = ridge_system(prompts), getattr(torch, precision), MOST[spectrum]
    star = solvers.cholesky(system).alpha
    held = prompts.to(dtype)
    paths = {"solver": solvers.conjugate_gradient(ridge_system(held), most).history["alpha"]}
    for who, make in (("textbook", conjugate_gradient), ("two_blocks", two_block_conjugate_gradient)):
        paths[who] = assemble(make(prompts.n_features, most), dtype=dtype).run(held)["alpha", "support"]
    accuracy = 1e-4 if spectrum == "crowded" else 1e-6
    errors = {who: system.norm(alpha.double() - star) / system.norm(star) for who, alpha in paths.items()}
    return {who: spectral.settling_step(error, accuracy).tolist() for who, error in errors.items()}


CASES = ["crowded, float64", "crowded, float32", *(f"{spectrum}, float64" for spectrum in KAPPAS)]
SWEEP = Sweep("delay", {"case": CASES}, list(range(10)), run)
