"""L steps with scalars of their own, tuned over a law of tasks: gradient descent, momentum, GD++, and the best polynomial of a degree.

Letters: B prompts, n unknowns, q queries, L steps.

From alpha_0 = 0 all of them reach alpha = c(A) y with a polynomial c that is the same for every prompt, so in the eigenvectors of A the
iteration is a number c(s) for every eigenvalue s, its *filter*. A transformer with fixed weights can choose its scalars for the prompts
it was trained on; a baseline whose scalars are not chosen for the same prompts says nothing about it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, one_of, tensors, whole
from metarep_lib.contents import Contents
from metarep_lib.numerics.system import RidgeSystem


def descend(s: Tensor, eta: Tensor) -> Tensor:
    """alpha <- alpha + eta_l (y - A alpha)."""
    c = torch.zeros_like(s)
    for eta_l in eta:
        c = c + eta_l * (1 - s * c)
    return c


def descend_with_momentum(s: Tensor, eta: Tensor, beta: Tensor) -> Tensor:
    """alpha <- alpha + eta_l (y - A alpha) + beta_l (alpha - alpha before): heavy ball (Polyak 1964), Chebyshev among them."""
    c = before = torch.zeros_like(s)
    for eta_l, beta_l in zip(eta, beta):
        c, before = c + eta_l * (1 - s * c) + beta_l * (c - before), c
    return c


def descend_and_shrink(s: Tensor, eta: Tensor, gamma: Tensor) -> Tensor:
    """GD++ (von Oswald et al. 2023): with every step of gradient descent the features move too, x_i <- (I - gamma_l Phi^T Phi) x_i.

    With features X Q(S), S = X^T X, the step is c <- c + eta_l Q^2 (1 - s c), and Q <- Q (1 - gamma_l s Q^2).
    """
    c, Q = torch.zeros_like(s), torch.ones_like(s)
    for eta_l, gamma_l in zip(eta, gamma):
        c, Q = c + eta_l * Q.square() * (1 - s * c), Q * (1 - gamma_l * s * Q.square())
    return c


METHODS: dict[str, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    "gradient descent": (descend, ("eta",)),
    "momentum": (descend_with_momentum, ("eta", "beta")),
    "GD++": (descend_and_shrink, ("eta", "gamma")),
}


@asked(method=one_of(*METHODS), scalars=tensors("L", finite=False))
@dataclass(frozen=True, eq=False, repr=False)
class Filter(Contents):
    """A method with its scalars: call it with eigenvalues of A for c(s).

    Args:
        method: a key of `METHODS`.
        scalars: name -> [L].

    >>> Filter("gradient descent", {"eta": torch.tensor([0.5, 0.5])})(torch.tensor([1.0, 2.0])).tolist()
    [0.75, 0.5]
    """

    method: str
    scalars: dict[str, Tensor]

    @asked(s=floats("..."))
    def __call__(self, s: Tensor) -> Tensor:
        return METHODS[self.method][0](s, **self.scalars)


@asked(weights=floats("n"))
@dataclass(frozen=True, eq=False, repr=False)
class PolynomialFilter(Contents):
    """c(s) = sum_j weights_j T_j(2 s / largest - 1), Chebyshev polynomials on [0, largest]; [degree of 1 - s c(s)] weights."""

    weights: Tensor
    largest: float

    @asked(s=floats("...", like="self"))
    def __call__(self, s: Tensor) -> Tensor:
        return chebyshev_basis(s, len(self.weights), self.largest) @ self.weights


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum(Contents):
    """A batch of systems in the eigenvectors of A, which is all a filter sees.

    Args:
        eigenvalues: [B, n] of A.
        y: [B, n] the right-hand sides.
        K_query: [B, q, n] the rows that read a prediction off.
    """

    eigenvalues: Tensor
    y: Tensor
    K_query: Tensor

    @classmethod
    @asked()
    def of(cls, system: RidgeSystem) -> "Spectrum":
        """Of any symmetric systems: K, K + lambda I, or the primal X^T X with right-hand side X^T y and queries x.

        Raises:
            ValueError: several outputs, or a system in half precision.
        """
        system.check_factored("Spectrum.of")
        system.check_one_output("Spectrum.of")
        eigenvalues, vectors = torch.linalg.eigh(system.A)
        return cls(
            eigenvalues, (vectors.mT @ system.y.unsqueeze(-1)).squeeze(-1), system.K_query @ vectors
        )

    def predict(self, c: Callable[[Tensor], Tensor]) -> Tensor:
        """[B, q] k(x)^T c(A) y."""
        return (self.K_query @ (c(self.eigenvalues) * self.y).unsqueeze(-1)).squeeze(-1)

    @asked(f=floats("*B q", like="self"))
    def risk(self, c: Callable[[Tensor], Tensor], f: Tensor) -> Tensor:
        """Mean squared error of the predictions against f, [B, q]."""
        self.check_said("risk", f)
        return (self.predict(c) - f).square().mean()

    def check_said(self, call: str, f: Tensor) -> None:
        """Refuse numbers that are not one for each query of each prompt."""
        expected = self.K_query.shape[:-1]
        if f.shape != expected:
            raise ValueError(
                f"{call}(f={list(f.shape)}): expected a number for every query, {list(expected)}"
            )


@asked(steps=at_least(0))
def krylov_degree(method: str, steps: int) -> int:
    """The degree of 1 - s c(s) after L steps: L, and (3^L - 1) / 2 for GD++, whose features carry powers of S along.

    Conjugate gradient has degree L too; only methods of one degree compare.

    >>> [krylov_degree("GD++", L) for L in (0, 1, 2, 3, 4)]
    [0, 1, 4, 13, 40]

    Raises:
        ValueError: a method there is not.
    """
    if method not in METHODS:
        raise ValueError(
            f"krylov_degree({method!r}): expected one of {', '.join(map(repr, METHODS))}"
        )
    return (3**steps - 1) // 2 if method == "GD++" else steps


@asked(f=floats("B q", like="spectrum"), steps=at_least(0), restarts=at_least(1), seed=at_least(0))
def tune(
    method: str,
    spectrum: Spectrum,
    f: Tensor,
    steps: int,
    *,
    tied: bool = False,
    restarts: int = 6,
    seed: int = 0,
) -> Filter:
    """The scalars of L steps with the smallest risk on these prompts, by L-BFGS from several random starts.

    Args:
        method: "gradient descent", "momentum" or "GD++".
        spectrum: the prompts to tune on, float64; take others to judge with.
        f: [B, q] what the predictions should be.
        steps: L >= 1.
        tied: all steps share their scalars, as a looped transformer does.
        restarts: starts, of which the best end is kept.
        seed: of the starts.

    Raises:
        ValueError: a method there is not, or no steps.

    >>> spectrum = Spectrum(torch.ones(1, 1).double(), torch.ones(1, 1).double(), torch.ones(1, 1, 1).double())
    >>> tune("gradient descent", spectrum, torch.full((1, 1), 0.5).double(), 1).scalars["eta"]  # one number, fitted
    tensor([0.5000], dtype=torch.float64)
    """
    spectrum.check_said("tune", f)
    if method not in METHODS or steps < 1:
        raise ValueError(
            f"tune({method!r}, steps={steps}): expected steps >= 1 and one of {', '.join(map(repr, METHODS))}"
        )
    names = METHODS[method][1]
    # scalars in units in which an ordinary step is about one
    unit = spectrum.eigenvalues.amax(-1).mean().item()
    units = {"eta": 1 / unit, "gamma": 1 / unit, "beta": 1.0}
    generator = torch.Generator().manual_seed(seed)

    def filter_of(free: Tensor) -> Filter:
        return Filter(
            method, {name: units[name] * row.expand(steps) for name, row in zip(names, free)}
        )

    best, smallest = None, torch.inf
    for _ in range(restarts):
        width = 1 if tied else steps
        start = (
            torch.rand(len(names), width, generator=generator, dtype=torch.float64)
            * torch.tensor([[1.5], [0.5]])[: len(names)].double()
        )
        free = descent(lambda free: spectrum.risk(filter_of(free), f), start)
        risk = spectrum.risk(filter_of(free), f).item()
        if risk < smallest:  # false for NaN
            best, smallest = filter_of(free), risk
    if best is None:
        raise ValueError(
            f"tune({method!r}, steps={steps}): no start of {restarts} reached a finite risk; scale the features or take more restarts"
        )
    return best


def descent(loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Where L-BFGS ends from here."""
    free = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [free],
        max_iter=300,
        tolerance_grad=1e-12,
        tolerance_change=1e-14,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(free)
        value.backward()
        return value

    optimizer.step(closure)
    return free.detach()


@asked(f=floats("B q", like="spectrum"), degree=whole)
def best_polynomial(spectrum: Spectrum, f: Tensor, degree: int) -> PolynomialFilter:
    """The filter of smallest risk among *all* with 1 - s c(s) of at most this degree, the same for every prompt: least squares, no search.

    No fixed scalars of any method of that degree do better *on these prompts*: fitted on the prompts a method is judged with, its risk is a
    lower bound. On other prompts a high degree is treacherous, since a polynomial explodes beyond the largest eigenvalue it was fitted to.

    Args:
        spectrum: the prompts to fit, float64.
        f: [B, q] what the predictions should be.
        degree: at least one.

    Raises:
        ValueError: a degree below one.
    """
    spectrum.check_said("best_polynomial", f)
    if degree < 1:
        raise ValueError(
            f"best_polynomial(degree={degree}): expected degree >= 1, e.g. krylov_degree('GD++', 2)"
        )
    largest = spectrum.eigenvalues.max().item()
    basis = chebyshev_basis(spectrum.eigenvalues, degree, largest)  # [B, n, degree]
    design = (spectrum.K_query @ (spectrum.y.unsqueeze(-1) * basis)).flatten(0, 1)  # [B q, degree]
    weights = torch.linalg.lstsq(design, f.reshape(-1, 1), driver="gelsd").solution.squeeze(-1)
    return PolynomialFilter(weights, largest)


def chebyshev_basis(s: Tensor, size: int, largest: float) -> Tensor:
    """[..., size] T_0, ..., T_size-1 at 2 s / largest - 1."""
    z = 2 * s / largest - 1
    columns = [torch.ones_like(z), z]
    for _ in range(size - 2):
        columns.append(2 * z * columns[-1] - columns[-2])
    return torch.stack(columns[:size], dim=-1)
