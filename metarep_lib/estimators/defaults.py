"""What to hand to an algorithm for a prompt: step sizes from the spectrum, steps by the law of each family.

A family is algorithms whose steps are counted alike:

    Krylov       conjugate gradient in all its forms: as many steps as the textbook's takes on this prompt, and an eighth more
    Chebyshev    told the ends of the spectrum: `krylov_steps`
    descent      a step size: `gradient_descent_steps`
    squaring     two to the power of its steps: `newton_steps`
    Richardson   step 1 on D^-1 (K + lambda I), whose largest eigenvalue is at most 1
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any, Literal

import torch
from torch import Tensor

from metarep_lib.asked import AskedWrongly, asked, positive
from metarep_lib.construct import Program
from metarep_lib.construct.digits import half_the_digits
from metarep_lib.estimators.temperature import temperature_of
from metarep_lib.numerics import RidgeSystem, ridge_system, solvers
from metarep_lib.numerics.kernels import ExponentialKernel, linear_kernel
from metarep_lib.numerics.kernels.kernels import Kernel
from metarep_lib.numerics.spectrum.depth_laws import (
    gradient_descent_steps,
    krylov_steps,
    newton_steps,
)
from metarep_lib.numerics.system import primal_system
from metarep_lib.prompt import Prompt, a_prompt

__all__ = ["FAMILIES", "kernel_of", "program_for", "steps_by_law", "steps_to"]

FAMILIES = {
    "Krylov": (
        "two_block_conjugate_gradient",
        "conjugate_gradient",
        "jacobi_conjugate_gradient",
        "one_block_conjugate_gradient",
        "block_conjugate_gradient",
        "causal_conjugate_gradient",
        "feature_scaled_conjugate_gradient",
        "gram_conjugate_gradient",
        "softmax_conjugate_gradient",
        "pipelined_conjugate_gradient",
    ),
    "Chebyshev": ("chebyshev", "gram_chebyshev", "momentum"),
    "descent": ("gradient_descent", "narrow_gradient_descent"),
    "squaring": ("newton_schulz", "gram_squaring"),
    "Richardson": ("richardson",),
}
PRIMAL = (
    "causal_conjugate_gradient",
    "gram_conjugate_gradient",
    "gram_chebyshev",
    "gram_squaring",
    "feature_scaled_conjugate_gradient",
    "newton_schulz",
    "narrow_gradient_descent",
)
SCALED = (
    "jacobi_conjugate_gradient",
    "feature_scaled_conjugate_gradient",
    "softmax_conjugate_gradient",
    "pipelined_conjugate_gradient",
)
"""Krylov algorithms that are preconditioned by a diagonal."""

MOST = 512
"""Steps that are taken by themselves; who wants more says how many."""


@dataclass(frozen=True)
class Fit:
    """What a prompt says about the arguments of an algorithm.

    Args:
        name: of the algorithm.
        prompt: one prompt.
        tau: the temperature of an exponential kernel, None for the linear one.
        tolerance: the relative residual to reach.
        given: arguments that are said: ends of the spectrum count instead of the prompt's own.
    """

    name: str
    prompt: Prompt
    tau: float | None
    tolerance: float
    given: Mapping[str, Any]

    @cached_property
    def system(self) -> RidgeSystem:
        if self.name in PRIMAL:
            return primal_system(self.prompt)
        return ridge_system(self.prompt, kernel_of(self.tau))

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The least and largest eigenvalue; the ridge bounds the least from below, whatever rounding says."""
        eigenvalues = self.system.eigenvalues
        low, high = max(float(eigenvalues[0]), float(self.prompt.ridge)), float(eigenvalues[-1])
        return self.given.get("smallest", low), self.given.get("largest", high)

    def argument(self, parameter: str) -> Any:
        """A value for a parameter of the algorithm, by its name."""
        low, high = self.ends if parameter in FROM_SPECTRUM else (1.0, 1.0)
        root = math.sqrt(high / low)
        return {
            "n_features": self.prompt.n_features,
            "n_outputs": self.prompt.n_outputs,
            "tau": self.tau,
            "preconditioner": "jacobi",
            "damping": 16 * torch.finfo(self.prompt.phi.dtype).eps,
            "smallest": low,
            "largest": high,
            "momentum": ((root - 1) / (root + 1)) ** 2,
            "step_size": (
                (2 / (math.sqrt(low) + math.sqrt(high))) ** 2
                if self.name == "momentum"
                else 2 / (low + high)
            ),
            # of the look-ahead a power of two, which rounds nothing; of Newton's start the best
            "scale": 2.0 ** round(math.log2(4 / high))
            if self.name in FAMILIES["Krylov"]
            else 2 / (low + high),
        }[parameter]

    def steps(self) -> int:
        """How many steps reach the tolerance, at most `MOST`.

        Raises:
            AskedWrongly: a law that asks for more.
        """
        family = next(family for family, names in FAMILIES.items() if self.name in names)
        if family == "Krylov":
            m = solvers.jacobi(self.system) if self.name in SCALED else None
            return steps_to(self.system, self.tolerance, m)
        if family == "Richardson":
            return self.few(
                richardson_steps(self.system.A, float(self.prompt.ridge), self.tolerance)
            )
        kappa = self.ends[1] / self.ends[0]
        return self.few(steps_by_law(family, kappa, self.tolerance))

    def few(self, steps: int) -> int:
        if steps > MOST:
            raise AskedWrongly(
                f"program_for({self.name}, prompt, steps='auto'): {steps} steps would reach a relative residual of"
                f" {self.tolerance:.0e}; this would work: steps={steps}, a larger ridge, standardised features, or"
                " two_block_conjugate_gradient, which takes far fewer"
            )
        return steps


FROM_SPECTRUM = ("smallest", "largest", "step_size", "momentum", "scale")
OF_A_PROMPT = ("n_features", "n_outputs", "tau", "preconditioner", "damping", *FROM_SPECTRUM)


@asked(prompt=a_prompt(axes="", single=False), tolerance=positive)
def program_for(
    make: Callable[..., Program],
    prompt: Prompt,
    *,
    steps: int | Literal["auto"] = "auto",
    tolerance: float | None = None,
    **given: Any,
) -> Program:
    """The program of an algorithm for one prompt, with everything it needs to be told.

    Args:
        make: a function of `metarep_lib.construct.algorithms`, e.g. `two_block_conjugate_gradient`.
        prompt: one prompt.
        steps: how many, or "auto": as many as bring the relative residual below the tolerance.
        tolerance: None: the root of the unit roundoff, 1e-8 in float64 and 2e-4 in float32.
        given: arguments of the algorithm that are said and not chosen.

    Raises:
        AskedWrongly: an algorithm that is not in the table of `overview()`, several outputs for one that takes one, steps='auto' where a
            law asks for more than 512 steps.

    >>> from metarep_lib.construct.algorithms import chebyshev
    >>> prompt = Prompt(torch.eye(2).double(), torch.ones(2).double(), torch.ones(1, 2).double(), ridge=1.0)
    >>> program_for(chebyshev, prompt, smallest=1.5).call
    chebyshev(n_features=2, steps=10, smallest=1.5, largest=2.0, n_outputs=1)
    """
    name = getattr(make, "__name__", str(make))
    if not any(name in names for names in FAMILIES.values()):
        known = ", ".join(sorted(name for names in FAMILIES.values() for name in names))
        raise AskedWrongly(f"program_for({name}, prompt): expected one of {known}")
    parameters = signature(make).parameters
    if prompt.n_outputs > 1 and "n_outputs" not in parameters:
        raise AskedWrongly(
            f"program_for({name}, prompt with {prompt.n_outputs} outputs): it takes one output; this"
            f" would work: program_for({name}, prompt.output(0)), or two_block_conjugate_gradient"
        )
    tau = given.get("tau", temperature_of(prompt.phi)) if "tau" in parameters else None
    fit = Fit(name, prompt, tau, tolerance or half_the_digits(prompt.phi.dtype), given)
    chosen = {
        parameter: fit.argument(parameter)
        for parameter in parameters
        if parameter in OF_A_PROMPT and parameter not in given
    }
    return make(**(chosen | given | {"steps": fit.steps() if steps == "auto" else steps}))


def kernel_of(tau: float | None) -> Kernel:
    return linear_kernel if tau is None else ExponentialKernel(tau)


def steps_by_law(family: str, kappa: float, tolerance: float) -> int:
    """Steps that bring the relative residual below the tolerance whatever y is; an error of that part in the A-norm is sqrt(kappa) as large in the residual."""
    accuracy = min(tolerance / math.sqrt(kappa), 0.5)
    law = {
        "Krylov": krylov_steps,
        "Chebyshev": krylov_steps,
        "descent": gradient_descent_steps,
        "squaring": newton_steps,
    }[family]
    # heavy ball and the last digits of the ends ask for a few more
    return 2 + law(max(kappa, 1 + 1e-12), accuracy)


def richardson_steps(A: Tensor, ridge: float, tolerance: float) -> int:
    """z <- (I - D^-1 A) z with D_i = lambda + sum_j K_ij: the eigenvalues of D^-1 A lie in [mu, 1]."""
    D = A.sum(-1)
    scale = D.rsqrt()
    mu = float(torch.linalg.eigvalsh(scale.unsqueeze(-1) * A * scale)[0])
    spread = float(D.max() / D.min())
    rate = -math.log1p(-min(max(mu, ridge / float(D.max())), 1 - 1e-12))
    return 2 + math.ceil(math.log(math.sqrt(spread) / tolerance) / rate)


def steps_to(
    system: RidgeSystem,
    tolerance: float,
    preconditioner: Tensor | None = None,
    most: int = MOST,
) -> int:
    """How many steps of textbook conjugate gradient reach a relative residual, and an eighth more; at most `most`.

    The eighth and two are for networks, whose recurrences lose orthogonality sooner than the textbook's.

    Args:
        system: of one prompt.
        tolerance: of ||y - A alpha|| / ||y||, of the slowest output.
        preconditioner: [k] a diagonal.
        most: where to stop looking.
    """
    along = -2 if system.has_outputs else -1
    sizes = system.y.norm(dim=along).clamp(min=torch.finfo(system.y.dtype).tiny)
    steps = 16
    while True:
        steps = min(2 * steps, most)
        solution = solvers.conjugate_gradient(system, steps, preconditioner=preconditioner)
        relative = system.residual(solution.history["alpha"]).norm(dim=along) / sizes
        arrived = (relative.reshape(len(relative), -1) <= tolerance).all(-1).nonzero()
        if len(arrived) or steps == most:
            first = int(arrived[0]) if len(arrived) else most
            return min(first + first // 8 + 2, most)
