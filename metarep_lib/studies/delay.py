"""Steps that conjugate gradient takes in floats: the solver, the textbook network and the two-block network on the same prompts.

Twenty prompts a seed, so that no statement hangs on one drawing of roundings. "crowded" is the hard spectrum (kappa = 1e4, 48
supports), with equal shares and another rotation for every prompt, up to an error of 1e-4 in the norm of A. The other four have 32
supports and white targets, up to 1e-6.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metarep_lib.construct import Program, assemble
from metarep_lib.construct.algorithms import (
    chebyshev,
    conjugate_gradient,
    newton_schulz,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics import RidgeSystem, primal_system, ridge_system, solvers
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.prompt import Prompt
from metarep_lib.studies.sweep import Sweep, Swept
from metarep_lib.tasks import SPECTRA, crowded, synthetic_prompt

__all__ = [
    "HARD",
    "KAPPAS",
    "MOST",
    "SWEEP",
    "error_of",
    "hard_prompts",
    "in_the_primal",
    "lateness",
    "rotated",
    "run",
    "steps_of_networks",
    "taken",
    "white_prompt",
    "white_prompts",
]

DRAWS = 20
KAPPAS = {"spread": 30.0, "geometric": 1e3, "one outlier": 1e4, "fast decay": 1e3}
MOST = {
    "spread": 50,
    "geometric": 80,
    "one outlier": 40,
    "fast decay": 60,
    "crowded": 220,
}  # steps, more than were ever taken
HARD = crowded(1e4, 48)


def error_of(system: RidgeSystem, alpha: Tensor) -> Tensor:
    """[steps + 1, *B] relative, in the norm of A, of the iterates alpha [steps + 1, *B, k]; whatever they are in, against the system's float64."""
    star = solvers.cholesky(system).alpha
    return (system.norm(alpha.double() - star) / system.norm(star)).cpu()


def with_crowded_spectrum(rotation: np.ndarray) -> Prompt:
    """K + lambda I has the crowded spectrum, y an equal share in every eigenvector; no queries."""
    Q, eigenvalues = torch.from_numpy(rotation), torch.from_numpy(HARD)
    nothing = torch.zeros(*Q.shape[:-2], 0, len(HARD), dtype=torch.float64)
    return Prompt(Q * (eigenvalues - 0.5).sqrt(), Q @ eigenvalues.sqrt(), nothing, ridge=0.5)


def hard_prompts(seed: int) -> Prompt:
    """Twenty of them."""
    normal = np.random.default_rng([seed, 0]).standard_normal((DRAWS, 48, 48))
    return with_crowded_spectrum(np.linalg.qr(normal)[0])


def rotated(seed: int) -> tuple[Prompt, Tensor]:
    """One of them, and its solution, known without solving."""
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((48, 48)))[0]
    star = torch.from_numpy(Q) @ torch.from_numpy(HARD).rsqrt()
    return with_crowded_spectrum(Q).rounded(), star


def white_prompts(spectrum: str, seed: int) -> Prompt:
    """Twenty prompts of 32 supports with a named spectrum of A; targets are white noise."""
    made = with_spectrum(spectrum, seed, DRAWS)
    y = torch.from_numpy(np.random.default_rng([seed, 1]).standard_normal((DRAWS, 32)))
    return Prompt(made.phi, y, made.phi_query, made.ridge)


def with_spectrum(spectrum: str, seed: int, n_prompts: int | None) -> Prompt:
    """The spectrum of K is that of A less the ridge, which is just below the smallest."""
    values = SPECTRA[spectrum](KAPPAS[spectrum], 32)[1:] - 0.999
    return synthetic_prompt(values, 32, 1, ridge=0.999, seed=seed, n_prompts=n_prompts)


def white_prompt(spectrum: str) -> Prompt:
    """One more of them, which the sweep does not have."""
    made = with_spectrum(spectrum, seed=5, n_prompts=None)
    y = torch.from_numpy(np.random.default_rng(3).standard_normal(32))
    return Prompt(made.phi, y, made.phi_query, made.ridge)


def in_the_primal(prompt: Prompt) -> tuple[RidgeSystem, Prompt]:
    """The system that Newton inverts, S w = Phi^T y, and the prompt asked at unit vectors: it says w."""
    identity = torch.eye(prompt.n_features, dtype=prompt.phi.dtype, device=prompt.phi.device)
    units = identity.expand(*prompt.phi.shape[:-2], -1, -1)
    asked = Prompt(prompt.phi, prompt.y, units, prompt.ridge)
    return primal_system(asked), asked


def steps_of(program: Program, prompt: Prompt, accuracy: float) -> int:
    """Steps after which the alpha that the stream of a network holds stays within the accuracy."""
    trace = assemble(program, device=prompt.phi.device).run(prompt)
    error = error_of(ridge_system(prompt), trace["alpha", "support"])
    return int(spectral.settling_step(error, accuracy))


def steps_of_newton(prompt: Prompt, accuracy: float) -> tuple[int, int]:
    """By the closed form, and of networks with as many steps and with one less."""
    system, asked = in_the_primal(prompt)
    mu, shares = (x.cpu() for x in spectral.spectral_shares(system))
    scale, question = float(2 / (mu[0] + mu[-1])), asked.with_ridge_as_supports()
    descent = int(spectral.gradient_descent_needs(mu, shares, accuracy))
    doublings = (descent - 1).bit_length()
    networks = (
        assemble(newton_schulz(len(mu), s, scale), device=prompt.phi.device)
        for s in (doublings - 1, doublings)
    )
    within = [bool(error_of(system, one.predict(question)) <= accuracy) for one in networks]
    return doublings, doublings + 1 - sum(within)


def steps_of_networks(
    spectrum: str, accuracy: float, device: torch.device | str = "cpu"
) -> dict[str, tuple[int, int]]:
    """Network -> steps expected, by the closed form or by the solver, and steps taken."""
    prompt = white_prompt(spectrum).to(device)
    system, p = ridge_system(prompt), prompt.n_features
    eigenvalues, shares = (x.cpu() for x in spectral.spectral_shares(system))
    a, b = float(eigenvalues[0]), float(eigenvalues[-1])
    enough = depth.krylov_steps(b / a, accuracy) + 2
    closed = int(spectral.chebyshev_needs(eigenvalues, shares, accuracy, a, b, enough))
    solver = solvers.conjugate_gradient(system, 100).history["alpha"]
    steps = int(spectral.settling_step(error_of(system, solver), accuracy))
    programs = {
        "Chebyshev": (closed, chebyshev(p, enough, a, b)),
        "conjugate gradient, textbook": (steps, conjugate_gradient(p, steps + 9)),
        "conjugate gradient, two blocks": (steps, two_block_conjugate_gradient(p, steps + 9)),
    }
    return {
        name: (expected, steps_of(program, prompt, accuracy))
        for name, (expected, program) in programs.items()
    } | {"Newton": steps_of_newton(prompt, accuracy)}


def taken(swept: Swept, case: str, who: str) -> np.ndarray:
    """Steps of the solver or of a network on every prompt of the sweep with this spectrum and precision."""
    return swept.values(who, case=case).ravel()


def lateness(swept: Swept, who: str, cases: Sequence[str]) -> np.ndarray:
    """Steps of a network / steps of the solver on the same prompt, less one."""
    return np.concatenate([taken(swept, at, who) / taken(swept, at, "solver") for at in cases]) - 1


def run(case: str, seed: int) -> dict:
    """One point: [20] steps of each on the prompts of a seed."""
    spectrum, _, precision = case.partition(", ")
    prompts = hard_prompts(seed) if spectrum == "crowded" else white_prompts(spectrum, seed)
    system, dtype, most = ridge_system(prompts), getattr(torch, precision), MOST[spectrum]
    held = prompts.to(dtype)
    paths = {"solver": solvers.conjugate_gradient(ridge_system(held), most).history["alpha"]}
    makers = {"textbook": conjugate_gradient, "two_blocks": two_block_conjugate_gradient}
    for who, make in makers.items():
        network = assemble(make(prompts.n_features, most), dtype=dtype)
        paths[who] = network.run(held)["alpha", "support"]
    accuracy = 1e-4 if spectrum == "crowded" else 1e-6
    return {
        who: spectral.settling_step(error_of(system, alpha), accuracy).tolist()
        for who, alpha in paths.items()
    }


CASES = ["crowded, float64", "crowded, float32", *(f"{spectrum}, float64" for spectrum in KAPPAS)]
SWEEP = Sweep("delay", {"case": CASES}, list(range(10)), run)
