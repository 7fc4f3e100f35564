"""Where it goes wrong: collinear and duplicated supports, unequal features, small ridges; and what preconditioners do about it.

32 supports of 16 features, scaled so that K has norm one. Networks: conjugate gradient in the
dual, plain (`cg`) and with Jacobi's diagonal (`jacobi`), gradient descent (`gd`), and conjugate
gradient in the primal with scaled features (`features`). This last one sees more than the kernel
matrix: it runs on the features as they were drawn, and on the same turned at random (`turned`).
Numerics, no network: the primal without a preconditioner (`primal`), the dual with eight landmarks
(`landmarks`) and with blocks of eight supports (`blocks`). `error` is in the norm of A, relative to
the solution's, `gap` over 16 held-out queries, relative to the answer's.
"""

from functools import cache

import numpy as np
import torch

from metarep_lib.construct import ConstructedTransformer, assemble
from metarep_lib.construct.algorithms import (
    feature_scaled_conjugate_gradient,
    gradient_descent,
    jacobi_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics import RidgeSystem, primal_system, relative_error, ridge_system, solvers
from metarep_lib.numerics.solvers import (
    block_diagonal,
    jacobi,
    landmark_preconditioner,
    scaled,
    whitened,
)
from metarep_lib.prompt import Prompt
from metarep_lib.studies.conditioning import relative_errors
from metarep_lib.studies.sweep import Sweep, Swept

__all__ = ["CAUSES", "KEPT", "RIDGES", "STEPS", "SWEEP", "posed", "run", "settled"]

K_SUPPORTS, P, STEPS = 32, 16, 40
KEPT = np.array([*range(13), *range(14, 21, 2), *range(25, STEPS + 1, 5)])
CAUSES = (
    "generic",
    "duplicated",
    "collinear",
)  # of the first section; two more have features or supports of unequal length
RIDGES = (1e-2, 1e-4, 1e-6, 1e-8)


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


def posed(kind: str, ridge: float, seed: int) -> tuple[Prompt, Prompt]:
    """One prompt of the sweep, and the same with its features turned, float64."""
    streams = np.random.SeedSequence([seed, 2025]).spawn(3)
    drawn, turn, targets = map(np.random.default_rng, streams)
    phi = torch.from_numpy(features(kind, drawn))
    phi = phi / torch.linalg.matrix_norm(phi[:K_SUPPORTS], 2)
    turned = phi @ torch.from_numpy(np.linalg.qr(turn.standard_normal((P, P)))[0])
    y = torch.from_numpy(targets.standard_normal(K_SUPPORTS))
    prompt, other = (Prompt(x[:K_SUPPORTS], y, x[K_SUPPORTS:], ridge=ridge) for x in (phi, turned))
    return prompt, other


@cache
def network(name: str) -> ConstructedTransformer:
    """One of the networks that do not depend on the prompt."""
    makers = {
        "cg": two_block_conjugate_gradient,
        "jacobi": jacobi_conjugate_gradient,
        "features": feature_scaled_conjugate_gradient,
    }
    return assemble(makers[name](P, STEPS))


def systems(prompt: Prompt, turned: Prompt) -> dict[str, RidgeSystem]:
    """What each method solves, preconditioned."""
    system, primal, turned_primal = (
        ridge_system(prompt),
        primal_system(prompt),
        primal_system(turned),
    )
    return {
        "cg": system,
        "jacobi": scaled(system, jacobi(system)),
        "primal": primal,
        "features": scaled(primal, jacobi(primal)),
        "turned": scaled(turned_primal, jacobi(turned_primal)),
        "landmarks": whitened(system, landmark_preconditioner(prompt, torch.arange(8))),
        "blocks": whitened(system, block_diagonal(system, 8)),
    }


def run(kind: str, ridge: float, seed: int) -> dict:
    """One point: condition numbers, and the errors of networks and solvers at the steps of `KEPT`."""
    prompt, turned = posed(kind, ridge, seed)
    system, solved = ridge_system(prompt), systems(prompt, turned)
    result = {f"{name}_kappa": float(one.condition_number) for name, one in solved.items()}
    f = system.predict(solvers.cholesky(system).alpha)
    for name in ("primal", "landmarks", "blocks"):
        one = solved[name]
        alpha = solvers.conjugate_gradient(one, STEPS).history["alpha"]
        result[f"{name}_gap"] = relative_error(one.predict(alpha), f)[KEPT].tolist()
        if name == "landmarks":
            error, _ = relative_errors(one, alpha, one.predict(alpha))
            result["landmarks_error"] = error[KEPT].tolist()
    descent = assemble(gradient_descent(P, STEPS, float(2 / system.eigenvalues[[0, -1]].sum())))
    asked = {name: (network(name), prompt) for name in ("cg", "jacobi", "features")}
    asked |= {"turned": (network("features"), turned), "gd": (descent, prompt)}
    for name, (made, question) in asked.items():
        trace = made.run(question)
        result[f"{name}_gap"] = relative_error(trace.prediction, f)[KEPT].tolist()
        if name in ("cg", "gd"):
            error, _ = relative_errors(system, trace["alpha", "support"], trace.prediction)
            result[f"{name}_error"] = error[KEPT].tolist()
    return result


SWEEP = Sweep(
    "degenerate",
    {"kind": [*CAUSES, "unequal features", "unequal supports"], "ridge": list(RIDGES)},
    [0, 1, 2, 3, 4],
    run,
)


def settled(swept: Swept, name: str, kind: str, ridge: float, accuracy: float = 1e-3) -> float:
    """Median over seeds of the first stored step from which on predictions are within the accuracy; 41 where 40 are not enough."""
    gap = swept.values(f"{name}_gap", kind=kind, ridge=ridge)
    last = [np.nonzero(~(one <= accuracy))[0].max(initial=-1) + 1 for one in gap]
    return float(np.median([KEPT[i] if i < len(KEPT) else STEPS + 1 for i in last]))
