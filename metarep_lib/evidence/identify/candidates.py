"""Candidates for what a network runs: each a path of predictions, step after step, with a few free scalars.

Letters: B prompts, k supports, n eigenvalues, q queries, T steps.

A candidate is a *system* and a *method*. The system says what is solved: the kernel, the ridge, and the scaling (none, Jacobi's, that
of a softmax head's normaliser, or the primal). The method says how, in the eigenvectors of the system, which is all it ever sees.

The ridge path is no algorithm: exact solutions for smaller and smaller ridges, one for every layer. It has as many free numbers as there
are layers, conjugate gradient has one. So there are rivals of equal count: a ridge that falls from layer to layer by a fixed factor has one
number, conjugate gradient with a ridge of its own for every layer as many as the ridge path.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from metarep_lib.asked import asked
from metarep_lib.contents import Contents
from metarep_lib.numerics.kernels.kernels import ExponentialKernel, Kernel, linear_kernel
from metarep_lib.numerics.solvers.iterations import divide, inner
from metarep_lib.numerics.solvers.preconditioning import jacobi, scaled
from metarep_lib.numerics.spectrum.filters import METHODS, Spectrum
from metarep_lib.numerics.steps import chebyshev_step, conjugate_gradient_step
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.prompt import Prompt, a_prompt

KernelName = Literal["linear", "exponential"]
Scaling = Literal["none", "jacobi", "normaliser", "primal"]
Scalars = dict[str, Tensor]

# log10 of what a free scalar may be, in the units of `Candidate.path`
BOXES = {
    "ridge": (-9.0, 0.5),
    "tau": (-1.3, 1.0),
    "eta": (-2.0, 1.0),
    "beta": (-2.0, -0.01),
    "gamma": (-3.0, 0.0),
    "smallest": (-4.0, -0.3),
    "largest": (-0.6, 0.6),
    "first": (-6.0, 1.0),
    "factor": (-2.0, -0.02),
}
# in units of the largest eigenvalue of K
RIDGE_PATH = torch.logspace(1, -6, 85, dtype=torch.float64)


def filtered(method: str) -> Callable[[Spectrum, Scalars, int], Tensor]:
    """The path of a method of `numerics.spectrum.filters`: alpha after 0 ... T steps, [T + 1, B, n]."""
    function, names = METHODS[method]

    def path(spectrum: Spectrum, scalars: Scalars, steps: int) -> Tensor:
        # [l, t]: step l + 1 is made by time t
        made = torch.ones(steps, steps + 1).triu(1).view(steps, steps + 1, 1, 1).to(spectrum.y)
        return (
            function(
                spectrum.eigenvalues.expand(steps + 1, -1, -1),
                *(scalars[name].view(-1, 1, 1, 1) * made for name in names),
            )
            * spectrum.y
        )

    return path


def chebyshev_path(spectrum: Spectrum, scalars: Scalars, steps: int) -> Tensor:
    """Chebyshev's iteration told [smallest, largest], the same for every prompt."""
    smallest, largest = scalars["smallest"], scalars["largest"]
    theta, delta = (largest + smallest) / 2, (largest - smallest) / 2
    rho = delta / theta
    state = {"alpha": torch.zeros_like(spectrum.y), "r": spectrum.y, "d": spectrum.y / theta}
    alphas = [state["alpha"]]
    for _ in range(steps):
        rho_old, rho = rho, 1 / (2 * theta / delta - rho)
        state = chebyshev_step(
            state, lambda v: spectrum.eigenvalues * v, rho * rho_old, 2 * rho / delta
        )
        alphas.append(state["alpha"])
    return torch.stack(alphas)


def conjugate_gradient_path(spectrum: Spectrum, scalars: Scalars, steps: int) -> Tensor:
    """Conjugate gradient, whose scalars are made of the prompt: nothing is free."""
    state = {"alpha": torch.zeros_like(spectrum.y), "r": spectrum.y, "p": spectrum.y}
    alphas = [state["alpha"]]
    for _ in range(steps):
        state = conjugate_gradient_step(state, lambda v: spectrum.eigenvalues * v, inner, divide)
        alphas.append(state["alpha"])
    return torch.stack(alphas)


def newton_path(spectrum: Spectrum, scalars: Scalars, steps: int) -> Tensor:
    """Newton's iteration for the inverse, X <- 2 X - X A X from X = eta I, and 0 before it."""
    X = scalars["eta"].expand_as(spectrum.eigenvalues)
    path = [torch.zeros_like(X), X]
    for _ in range(steps - 1):
        X = 2 * X - X * spectrum.eigenvalues * X
        path.append(X)
    return torch.stack(path) * spectrum.y


def ridge_path(spectrum: Spectrum, scalars: Scalars, steps: int) -> Tensor:
    """(K + mu I)^-1 y for a fine grid of falling mu: no algorithm at all. The system brings no ridge of its own."""
    mu = RIDGE_PATH.to(spectrum.y) * scalars["unit"]
    exact = spectrum.y / (spectrum.eigenvalues + mu.view(-1, 1, 1))
    return torch.cat([torch.zeros_like(exact[:1]), exact])


def falling_ridge_path(spectrum: Spectrum, scalars: Scalars, steps: int) -> Tensor:
    """(K + mu_t I)^-1 y with mu_t = first * factor^(t - 1), and 0 before it."""
    power = torch.arange(steps).to(spectrum.y).view(-1, 1, 1)
    mu = scalars["first"] * scalars["factor"] ** power
    exact = spectrum.y / (spectrum.eigenvalues + mu)
    return torch.cat([torch.zeros_like(exact[:1]), exact])


def falling_by(factor: float) -> Callable[[Spectrum, Scalars, int], Tensor]:
    """The falling ridge path whose factor is fixed."""

    def path(spectrum: Spectrum, scalars: Scalars, steps: int) -> Tensor:
        fixed = torch.tensor(factor).to(spectrum.y)
        return falling_ridge_path(spectrum, scalars | {"factor": fixed}, steps)

    return path


PATHS: dict[str, tuple[Callable[[Spectrum, Scalars, int], Tensor], tuple[str, ...]]] = {
    **{name: (filtered(name), names) for name, (_, names) in METHODS.items()},
    "Chebyshev": (chebyshev_path, ("smallest", "largest")),
    "conjugate gradient": (conjugate_gradient_path, ()),
    "Newton": (newton_path, ("eta",)),
    "Richardson": (
        lambda spectrum, scalars, steps: filtered("gradient descent")(
            spectrum, {"eta": torch.ones(1).to(spectrum.y)}, steps
        ),
        (),
    ),
    "ridge path": (ridge_path, ()),
    "fourfold ridge path": (falling_by(1 / 4), ("first",)),
    "tenfold ridge path": (falling_by(1 / 10), ("first",)),
    "falling ridge path": (falling_ridge_path, ("first", "factor")),
}


@dataclass(frozen=True, eq=False, repr=False)
class Posed(Contents):
    """Prompts together with K = Phi Phi^T in its eigenvectors, found once.

    Args:
        prompt: [B, k, p] prompts, float64.
        linear: their linear kernel.
    """

    prompt: Prompt
    linear: Spectrum

    @classmethod
    @asked(prompt=a_prompt(axes="B"))
    def of(cls, prompt: Prompt) -> "Posed":
        return cls(prompt, plain_spectrum(prompt, linear_kernel))


def plain_spectrum(prompt: Prompt, kernel: Kernel) -> Spectrum:
    """K and what it predicts, without ridge or scaling."""
    return Spectrum.of(
        RidgeSystem(kernel(prompt.phi, prompt.phi), prompt.y, kernel(prompt.phi_query, prompt.phi))
    )


@dataclass(frozen=True)
class Candidate:
    """A system and a method.

    Args:
        method: a key of `PATHS`.
        kernel: "linear", or "exponential" with a temperature that is free.
        scaling: of the system: "jacobi" and "normaliser" precondition by a diagonal, "primal" solves for w in place of alpha.
        scheduled: every step has scalars of its own.
        ridge_each_layer: every layer is held against the method at a ridge of its own, one of `RIDGE_PATH`, as the ridge path is.

    >>> Candidate("conjugate gradient", scaling="jacobi").name
    'conjugate gradient (jacobi)'
    """

    method: str
    kernel: KernelName = "linear"
    scaling: Scaling = "none"
    scheduled: bool = False
    ridge_each_layer: bool = False

    @property
    def name(self) -> str:
        notes = (
            [self.scaling] * (self.scaling not in ("none", "normaliser"))
            + ["scheduled"] * self.scheduled
            + ["a ridge each layer"] * self.ridge_each_layer
            + ["exponential kernel"] * (self.kernel == "exponential")
        )
        return self.method + (f" ({', '.join(notes)})" if notes else "")

    @property
    def has_ridge(self) -> bool:
        """Whether one ridge is free."""
        return not ("ridge path" in self.method or self.method == "GD++" or self.ridge_each_layer)

    @property
    def may_jump(self) -> bool:
        """Whether a layer may be any number of steps ahead of the one before: an algorithm makes one step a layer at most."""
        return self.method == "ridge path"

    def free(self, steps: int) -> list[str]:
        """The names of the free scalars, one entry for each number."""
        names = PATHS[self.method][1]
        own = [name for name in names for _ in range(steps)] if self.scheduled else list(names)
        return ["ridge"] * self.has_ridge + ["tau"] * (self.kernel == "exponential") + own

    def numbers(self, n_layers: int) -> int:
        """How many real numbers are fitted to a network of so many layers; every candidate has a scale for each layer besides.

        >>> [candidate.numbers(6) for candidate in (Candidate("conjugate gradient"), Candidate("ridge path"))]
        [1, 6]
        """
        of_layers = n_layers * (self.may_jump or self.ridge_each_layer)
        return len(self.free(n_layers)) + of_layers

    @property
    def at_once(self) -> int:
        """How many ridges the path holds for every step."""
        return len(RIDGE_PATH) if self.ridge_each_layer else 1

    def spectrum(self, posed: Posed, ridge: Tensor, tau: Tensor | None) -> Spectrum:
        """The system that is solved, in its eigenvectors, which is all a method sees; of several ridges, [R, 1, 1], that many times."""
        prompt, kernel = (
            posed.prompt,
            linear_kernel if tau is None else ExponentialKernel(float(tau)),
        )
        if self.scaling in ("jacobi", "normaliser"):
            K, K_query = kernel(prompt.phi, prompt.phi), kernel(prompt.phi_query, prompt.phi)
            A = K + ridge.unsqueeze(-1) * torch.eye(K.shape[-1]).to(K)
            many = A.shape[: A.ndim - K.ndim]  # ridges, if there are several
            y, K_query = (x.expand(*many, *x.shape) for x in (prompt.y, K_query))
            system = RidgeSystem(A, y, K_query)
            return Spectrum.of(
                scaled(system, jacobi(system) if self.scaling == "jacobi" else 1 / system.A.sum(-1))
            )
        plain = posed.linear if tau is None else plain_spectrum(prompt, kernel)
        if (
            self.scaling == "primal"
        ):  # (S + lambda I) w = Phi^T y: coordinates sqrt(s) y, and what K does not reach is not there
            root = plain.eigenvalues.clamp(min=0).sqrt()
            reached = root > 1e-6 * root.amax(-1, keepdim=True)
            inverse = torch.where(reached, 1 / root, 0.0).unsqueeze(-2)
            return Spectrum(
                plain.eigenvalues + ridge, plain.y * root * reached, plain.K_query * inverse
            )
        return Spectrum(plain.eigenvalues + ridge, plain.y, plain.K_query)

    def path(self, posed: Posed, logs: Tensor, steps: int, reference: Posed) -> Tensor:
        """[T + 1, B, q] the predictions after every step; with a ridge each layer [(T + 1) R, B, q], all ridges of a step in a row.

        Args:
            posed: the prompts.
            logs: log10 of every entry of `free(steps)`. Its unit is the largest eigenvalue of K (ridge, first, smallest, largest), one over it (eta,
                gamma), the mean of |phi|^2 (tau), or one (beta, factor); for an exponential kernel k exp(|phi|^2 / tau) stands for the largest eigenvalue.
            steps: T.
            reference: the prompts whose mean largest eigenvalue is meant.
        """
        free, held = self.free(steps), 10**logs
        units = self.units(logs, steps, reference)
        tau = held[free.index("tau")] * units["tau"] if "tau" in free else None
        unit = units["ridge"]
        ridge = held[free.index("ridge")] * unit if "ridge" in free else torch.zeros_like(unit)
        if self.ridge_each_layer:
            ridge = RIDGE_PATH.to(unit).view(-1, 1, 1) * unit
        method, names = PATHS[self.method]
        scalars = {
            name: held[[i for i, entry in enumerate(free) if entry == name]] * units[name]
            for name in names
        }
        spectrum = self.spectrum(posed, ridge, tau)
        if self.ridge_each_layer:
            spectrum = replace(spectrum, y=spectrum.y.expand_as(spectrum.eigenvalues))
        alphas = method(spectrum, scalars | {"unit": unit}, steps)
        said = (spectrum.K_query @ alphas.unsqueeze(-1)).squeeze(-1)
        return said.flatten(0, 1) if self.ridge_each_layer else said

    def units(self, logs: Tensor, steps: int, reference: Posed) -> dict[str, Tensor]:
        """What a scalar of one stands for, by name; arguments as for `path`."""
        free, unit = self.free(steps), reference.linear.eigenvalues[..., -1].mean()
        square = reference.prompt.phi.square().sum(-1).mean()
        if "tau" in free:
            tau = 10 ** logs[free.index("tau")] * square
            unit = reference.prompt.n_support * (square / tau).exp()
        one = torch.ones_like(unit)
        of_eigenvalues = dict.fromkeys(("ridge", "first", "smallest", "largest"), unit)
        return of_eigenvalues | {
            "eta": 1 / unit,
            "gamma": 1 / unit,
            "beta": one,
            "factor": one,
            "tau": square,
        }


LINEAR = (
    Candidate("gradient descent"),
    Candidate("momentum"),
    Candidate("GD++"),
    Candidate("Chebyshev"),
    Candidate("conjugate gradient"),
    Candidate("conjugate gradient", scaling="primal"),
    Candidate("conjugate gradient", scaling="jacobi"),
    Candidate("Newton"),
    Candidate("ridge path"),
)
SCHEDULED = tuple(
    Candidate(method, scheduled=True) for method in ("gradient descent", "momentum", "GD++")
)
KERNEL = (
    Candidate("Richardson", kernel="exponential", scaling="normaliser"),
    Candidate("conjugate gradient", kernel="exponential", scaling="normaliser"),
    Candidate("gradient descent", kernel="exponential"),
    Candidate("Newton", kernel="exponential"),
    Candidate("ridge path", kernel="exponential"),
)
MATCHED = (
    *(
        Candidate("conjugate gradient", scaling=scaling, ridge_each_layer=True)
        for scaling in ("none", "primal", "jacobi")
    ),
    *(Candidate(f"{pace} ridge path") for pace in ("fourfold", "tenfold", "falling")),
)
MATCHED_KERNEL = (
    Candidate("conjugate gradient", kernel="exponential", ridge_each_layer=True),
    *(Candidate(f"{pace} ridge path", kernel="exponential") for pace in ("fourfold", "tenfold")),
)
