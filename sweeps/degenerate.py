"""Where it goes wrong: collinear and duplicated supports, unequal features, small ridges; and what preconditioners do about it.

32 supports of 16 features, scaled so that K has norm one; "aligned" leaves the features as they were drawn, "rotated" turns them, which no
kernel matrix sees. Networks: conjugate gradient in the dual, plain (`cg`) and with Jacobi's diagonal (`jacobi`), gradient descent (`gd`), and conjugate gradient in
the primal with scaled features (`features`). Numerics, no network: the primal without a preconditioner (`primal`), the dual with eight landmarks (`landmarks`) and with
blocks of eight supports (`blocks`). `error` is in the norm of A, relative to the solution's, `gap` over 16 held-out queries, relative to the answer's.
"""

import numpy as np
import torch

from metarep_lib import Prompt, RidgeSystem, assemble, gradient_descent, jacobi_conjugate_gradient, ridge_system, solvers, two_block_conjugate_gradient
from metarep_lib.construct import feature_scaled_conjugate_gradient
from metarep_lib.evidence import Sweep
from metarep_lib.numerics import block_diagonal, jacobi, landmark_preconditioner, scaled, whitened

K_SUPPORTS, P, STEPS = 32, 16, 60
KEPT = [*range(0, 21, 2), *range(25, STEPS + 1, 5)]


def features(kind: str, rng: np.random.Generator) -> np.ndarray:
    """[48, 16] supports, then queries of the same law."""
    phi = rng.standard_normal((K_SUPPORTS + 16, P))
    if kind == "duplicated":  # eight supports, four times each; targets of their own
        phi[:K_SUPPORTS] = np.tile(phi[: K_SUPPORTS // 4], (4, 1))
    if kind == "collinear":  # one direction, and a hundredth of all others
        phi[:, 1:] *= 0.01
    if kind == "unequal features":
        phi *= np.geomspace(1, 1e-2, P)
    if kind == "unequal supports":
        phi *= rng.permutation(np.geomspace(1, 1e-2, len(phi)))[:, None]
    return phi


def problem(kind: str, basis: str, ridge: float, seed: int) -> Prompt:
    drawn, turned, targets = (np.random.default_rng(stream) for stream in np.random.SeedSequence([seed, 2025]).spawn(3))
    phi = features(kind, drawn)
    phi /= np.linalg.norm(phi[:K_SUPPORTS], 2)
    if basis == "rotated":
        phi = phi @ np.linalg.qr(turned.standard_normal((P, P)))[0]
    y = targets.standard_normal(K_SUPPORTS)
    return Prompt(*map(torch.from_numpy, (phi[:K_SUPPORTS], y, phi[K_SUPPORTS:])), ridge=ridge)


def run(kind: str, basis: str, ridge: float, seed: int) -> dict:
    prompt = problem(kind, basis, ridge, seed)
    system = ridge_system(prompt)
    star = solvers.cholesky(system).alpha
    f, ends = system.predict(star), system.eigenvalues[[0, -1]]
    S = prompt.phi.mT @ prompt.phi + ridge * torch.eye(P, dtype=torch.float64)
    primal = RidgeSystem(S, prompt.phi.mT @ prompt.y, prompt.phi_query)
    systems = {
        "cg": system,
        "jacobi": scaled(system, jacobi(system)),
        "primal": primal,
        "features": scaled(primal, jacobi(primal)),
        "landmarks": whitened(system, landmark_preconditioner(prompt, torch.arange(8))),
        "blocks": whitened(system, block_diagonal(system, 8)),
    }
    result = {f"{name}_kappa": float(one.condition_number) for name, one in systems.items()}
    result |= {"kappa": float(ends[1] / ends[0])}
    for name in ("primal", "landmarks", "blocks"):
        one = systems[name]
        alpha, limit = solvers.conjugate_gradient(one, STEPS).history["alpha"], solvers.cholesky(one).alpha
        result[f"{name}_gap"] = ((one.predict(alpha) - f).norm(dim=-1) / f.norm())[KEPT].tolist()
        if name == "landmarks":
            result[f"{name}_error"] = (one.norm(alpha - limit) / one.norm(limit))[KEPT].tolist()
    made = {
        "cg": two_block_conjugate_gradient(P, STEPS),
        "jacobi": jacobi_conjugate_gradient(P, STEPS),
        "gd": gradient_descent(P, STEPS, float(2 / ends.sum())),
        "features": feature_scaled_conjugate_gradient(P, STEPS),
    }
    for name, program in made.items():
        trace = assemble(program).run(prompt)
        result[f"{name}_gap"] = ((trace.prediction - f).norm(dim=-1) / f.norm())[KEPT].tolist()
        if name in ("cg", "gd"):
            error = system.norm(trace["alpha", "support"] - star) / system.norm(star)
            result[f"{name}_error"] = error[KEPT].tolist()
    return result


SWEEP = Sweep(
    "degenerate",
    {
        "kind": ["generic", "duplicated", "collinear", "unequal features", "unequal supports"],
        "basis": ["rotated", "aligned"],
        "ridge": [1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8],
    },
    [0, 1, 2, 3, 4],
    run,
)
