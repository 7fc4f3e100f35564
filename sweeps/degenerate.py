"""Where it goes wrong: collinear and duplicated supports, unequal features, small ridges; and what preconditioners do about it.

32 supports of 16 features, scaled so that K has norm one. Networks: conjugate gradient in the dual, plain (`cg`) and with
Jacobi's diagonal (`jacobi`), gradient descent (`gd`), and conjugate gradient in the primal with scaled features (`features`).
This last one sees more than the kernel matrix: it runs on the features as they were drawn, and on the same turned at random
(`turned`). Numerics, no network: the primal without a preconditioner (`primal`), the dual with eight landmarks (`landmarks`)
and with blocks of eight supports (`blocks`). `error` is in the norm of A, relative to the solution's, `gap` over 16 held-out
queries, relative to the answer's.
"""

from functools import cache

import numpy as np
import torch

from metarep_lib import (
    ConstructedTransformer,
    Prompt,
    RidgeSystem,
    assemble,
    gradient_descent,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms import (
    feature_scaled_conjugate_gradient,
    jacobi_conjugate_gradient,
)
from metarep_lib.numerics.solvers import (
    block_diagonal,
    jacobi,
    landmark_preconditioner,
    scaled,
    whitened,
)
from metarep_lib.studies import Sweep

K_SUPPORTS, P, STEPS = 32, 16, 40
KEPT = [*range(0, 13), *range(14, 21, 2), *range(25, STEPS + 1, 5)]


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


@cache
def network(name: str) -> ConstructedTransformer:
    makers = {"cg": two_block_conjugate_gradient, "jacobi": jacobi_conjugate_gradient, "features": feature_scaled_conjugate_gradient}
    return assemble(makers[name](P, STEPS))


def primal_system(prompt: Prompt) -> RidgeSystem:
    S = prompt.phi.mT @ prompt.phi + prompt.ridge * torch.eye(P, dtype=torch.float64)
    return RidgeSystem(S, prompt.phi.mT @ prompt.y, prompt.phi_query)


def run(kind: str, ridge: float, seed: int) -> dict:
    drawn, turn, targets = (np.random.default_rng(stream) for stream in np.random.SeedSequence([seed, 2025]).spawn(3))
    phi = torch.from_numpy(features(kind, drawn))
    phi = phi / torch.linalg.matrix_norm(phi[:K_SUPPORTS], 2)
    turned = phi @ torch.from_numpy(np.linalg.qr(turn.standard_normal((P, P)))[0])
    y = torch.from_numpy(targets.standard_normal(K_SUPPORTS))
    prompt, other = (Prompt(x[:K_SUPPORTS], y, x[K_SUPPORTS:], ridge=ridge) for x in (phi, turned))
    system, primal, turned_primal = ridge_system(prompt), primal_system(prompt), primal_system(other)
    star = solvers.cholesky(system).alpha
    f, ends = system.predict(star), system.eigenvalues[[0, -1]]
    systems = {
        "cg": system,
        "jacobi": scaled(system, jacobi(system)),
        "primal": primal,
        "features": scaled(primal, jacobi(primal)),
        "turned": scaled(turned_primal, jacobi(turned_primal)),
        "landmarks": whitened(system, landmark_preconditioner(prompt, torch.arange(8))),
        "blocks": whitened(system, block_diagonal(system, 8)),
    }
    result = {f"{name}_kappa": float(one.condition_number) for name, one in systems.items()}
    for name in ("primal", "landmarks", "blocks"):
        one = systems[name]
        alpha, limit = solvers.conjugate_gradient(one, STEPS).history["alpha"], solvers.cholesky(one).alpha
        result[f"{name}_gap"] = ((one.predict(alpha) - f).norm(dim=-1) / f.norm())[KEPT].tolist()
        if name == "landmarks":
            result[f"{name}_error"] = (one.norm(alpha - limit) / one.norm(limit))[KEPT].tolist()
    networks = {name: (network(name), prompt) for name in ("cg", "jacobi", "features")} | {"turned": (network("features"), other)}
    networks["gd"] = assemble(gradient_descent(P, STEPS, float(2 / ends.sum()))), prompt
    for name, (made, asked) in networks.items():
        trace = made.run(asked)
        result[f"{name}_gap"] = ((trace.prediction - f).norm(dim=-1) / f.norm())[KEPT].tolist()
        if name in ("cg", "gd"):
            error = system.norm(trace["alpha", "support"] - star) / system.norm(star)
            result[f"{name}_error"] = error[KEPT].tolist()
    return result


SWEEP = Sweep(
    "degenerate",
    {"kind": ["generic", "duplicated", "collinear", "unequal features", "unequal supports"], "ridge": [1e-2, 1e-4, 1e-6, 1e-8]},
    [0, 1, 2, 3, 4],
    run,
)
