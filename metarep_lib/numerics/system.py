"""The linear system that answers a prompt."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked
from metarep_lib.contents import Contents, describe
from metarep_lib.numerics.kernels.kernels import Kernel, linear_kernel
from metarep_lib.numerics.system_asked import unknowns
from metarep_lib.prompt import Prompt, a_prompt

FACTORED_IN = (torch.float64, torch.float32)
COMPUTED_IN = (*FACTORED_IN, torch.bfloat16, torch.float16)
EXAMPLE = "RidgeSystem(A=float64[k, k], y=float64[k], K_query=float64[q, k])"


@dataclass(frozen=True, eq=False, repr=False)
class RidgeSystem(Contents):
    """(K + lambda I) alpha = y, and how a solution predicts: f(x) = k(x)^T alpha.

    With m outputs the right-hand sides stand in the columns of y, and so does everything computed of them: wherever
    [*batch, k] is written below, [*batch, k, m] stands for it.

    Args:
        A: [*batch, k, k] the matrix K + lambda I, symmetric positive definite.
        y: [*batch, k] the right-hand side, or [*batch, k, m] for m outputs.
        K_query: [*batch, q, k] kernel between queries and supports; row x is k(x)^T.

    Raises:
        ValueError: shapes, dtypes or devices that do not belong together, no supports, or tensors that are not dense and
            floating point; naming every reason at once.
    """

    A: Tensor
    y: Tensor
    K_query: Tensor

    def __post_init__(self) -> None:
        named = {"A": self.A, "y": self.y, "K_query": self.K_query}
        reasons = list(kind_reasons(named)) or list(shape_reasons(self))
        if reasons:
            came = ", ".join(f"{name}={describe(x)}" for name, x in named.items())
            listed = "".join(f"\n  - {reason}" for reason in reasons)
            raise ValueError(f"RidgeSystem({came}){listed}\nthis would work: {EXAMPLE}")

    @property
    def has_outputs(self) -> bool:
        """Whether y has a column for each of m outputs, m = 1 included."""
        return self.y.ndim == self.A.ndim

    def matvec(self, v: Tensor) -> Tensor:
        """(K + lambda I) v, [..., *batch, k] to the same shape; leading axes may be steps."""
        return self.through(self.A, v)

    @asked(alpha=unknowns())
    def predict(self, alpha: Tensor) -> Tensor:
        """f(x) = k(x)^T alpha, [..., *batch, k] to [..., *batch, q]; leading axes may be steps."""
        return self.through(self.K_query, alpha)

    def residual(self, alpha: Tensor) -> Tensor:
        """r = y - (K + lambda I) alpha, recomputed, same shape as alpha."""
        return self.y - self.matvec(alpha)

    @asked()
    def target_weights(self) -> Tensor:
        """k(x)^T (K + lambda I)^-1, [*batch, q, k]: what a unit of each target adds to the prediction at each query.

        Raises:
            OutOfRange: a singular matrix, one of a batch included: no weights are right.

        >>> ridge_system(Prompt(torch.eye(2), torch.ones(2), torch.ones(1, 2), ridge=1.0)).target_weights()
        tensor([[0.5000, 0.5000]])
        """
        self.check_factored("target_weights")
        return torch.linalg.solve(self.A, self.K_query.mT).mT

    @asked(alpha=unknowns())
    def norm(self, alpha: Tensor) -> Tensor:
        """The A-norm sqrt(alpha^T (K + lambda I) alpha), [..., *batch, k] to [..., *batch], [..., *batch, k, m] to [..., *batch, m].

        inf or NaN where its square is out of range, as that of an iteration that diverged.
        """
        along = -2 if self.has_outputs else -1
        return (alpha * self.matvec(alpha)).sum(along).clamp(min=0).sqrt()

    @property
    def eigenvalues(self) -> Tensor:
        """[*batch, k] of K + lambda I, ascending; NaN where A is not finite."""
        self.check_factored("eigenvalues")
        finite = torch.isfinite(self.A).all(-1, keepdim=True).all(-2, keepdim=True)
        # the factorisation may refuse anything else
        values = torch.linalg.eigvalsh(torch.where(finite, self.A, torch.zeros_like(self.A)))
        return torch.where(finite.squeeze(-1), values, torch.full_like(values, torch.nan))

    @property
    def condition_number(self) -> Tensor:
        """kappa(K + lambda I), [*batch]: the kappa of the whole book.

        inf where the smallest eigenvalue is at most k eps times the largest, or A is not finite: it is as good as any
        other number that small, and no digit of kappa is known (the threshold is that of a numerical rank; Golub and Van
        Loan 2013, section 5.4.1). The bounds of `metarep_lib.numerics.bounds` then say what they say of every system.

        >>> RidgeSystem(torch.ones(2, 2), torch.ones(2), torch.ones(1, 2)).condition_number
        tensor(inf)
        """
        smallest, largest = self.eigenvalues[..., 0], self.eigenvalues[..., -1]
        resolved = smallest > self.A.shape[-1] * torch.finfo(self.A.dtype).eps * largest
        kappa = largest / torch.where(resolved, smallest, torch.ones_like(smallest))
        return torch.where(resolved, kappa, torch.full_like(kappa, torch.inf))

    def through(self, M: Tensor, v: Tensor) -> Tensor:
        """M v for a matrix [*batch, n, k] and v [..., *batch, k], column by column where there are outputs."""
        return M @ v if self.has_outputs else (M @ v.unsqueeze(-1)).squeeze(-1)

    def check_factored(self, call: str) -> None:
        """Refuse a dtype in which nothing is factorised.

        Raises:
            ValueError: bfloat16 or float16.
        """
        if self.A.dtype not in FACTORED_IN:
            raise ValueError(
                f"{call} of a system in {self.A.dtype}: expected torch.float32 or torch.float64;"
                f" this would work: ridge_system(prompt.to(torch.float32))"
            )

    def check_one_output(self, call: str) -> None:
        """Refuse several outputs where one is spoken of.

        Raises:
            ValueError: y with columns.
        """
        if self.has_outputs:
            raise ValueError(
                f"{call}(y with shape {list(self.y.shape)}): expected one output, [*batch, k];"
                " this would work: ridge_system(prompt.output(0))"
            )


def kind_reasons(named: dict[str, Tensor]) -> Iterator[str]:
    """Why nothing can be computed with what is named."""
    A = named["A"]
    for name, x in named.items():
        if not isinstance(x, Tensor):
            yield f"{name} is a {type(x).__name__}, expected a torch tensor"
        elif x.layout != torch.strided:
            yield f"{name} is {x.layout}, expected a dense tensor: {name}.to_dense()"
        elif x.dtype not in COMPUTED_IN:
            real = f"{name}.real" if x.is_complex() else f"{name}.to(torch.float64)"
            yield f"{name} is {x.dtype}, expected float64 or float32: {real}"
        elif isinstance(A, Tensor) and (x.dtype != A.dtype or x.device != A.device):
            yield f"{name} is {x.dtype} on {x.device} but A is {A.dtype} on {A.device}: {name}.to(A)"


def shape_reasons(system: RidgeSystem) -> Iterator[str]:
    """Which shapes do not belong together."""
    A, y, K_query = system.A, system.y, system.K_query
    if A.ndim < 2 or A.shape[-1] != A.shape[-2] or A.shape[-1] == 0:
        yield f"A has shape {list(A.shape)}, expected [*batch, k, k] with k of at least one"
        return
    *batch, k, _ = A.shape
    if list(y.shape[: A.ndim - 1]) != [*batch, k] or y.ndim > A.ndim or 0 in y.shape[A.ndim - 1 :]:
        yield f"y has shape {list(y.shape)}, expected {[*batch, k]}, or with a column for each output"
    if K_query.ndim != A.ndim or list(K_query.shape[:-2]) != batch or K_query.shape[-1] != k:
        wanted = ", ".join(map(str, [*batch, "q", k]))
        yield f"K_query has shape {list(K_query.shape)}, expected [{wanted}]"


@asked(prompt=a_prompt(single=False, half=True))
def ridge_system(prompt: Prompt, kernel: Kernel = linear_kernel) -> RidgeSystem:
    """The linear system whose solution is kernel ridge regression on the prompt.

    >>> system = ridge_system(Prompt(torch.eye(2), torch.ones(2), torch.ones(1, 2), ridge=1.0))
    >>> system.A.tolist(), system.K_query.tolist()
    ([[2.0, 0.0], [0.0, 2.0]], [[1.0, 1.0]])
    """
    K = kernel(prompt.phi, prompt.phi)
    identity = torch.eye(prompt.n_support, dtype=K.dtype, device=K.device)
    return RidgeSystem(K + prompt.ridge * identity, prompt.y, kernel(prompt.phi_query, prompt.phi))


@asked(prompt=a_prompt(single=False, half=True))
def primal_system(prompt: Prompt) -> RidgeSystem:
    """(S + lambda I) w = Phi^T y, one unknown per feature; solvers call it alpha, and it predicts phi(x) . w."""
    identity = torch.eye(prompt.n_features, dtype=prompt.phi.dtype, device=prompt.phi.device)
    has_outputs = prompt.y.ndim == prompt.phi.ndim
    y = prompt.y if has_outputs else prompt.y.unsqueeze(-1)
    moment = prompt.phi.mT @ y
    return RidgeSystem(
        prompt.phi.mT @ prompt.phi + prompt.ridge * identity,
        moment if has_outputs else moment.squeeze(-1),
        prompt.phi_query,
    )


@asked(prompt=a_prompt(single=False))
def past_systems(prompt: Prompt) -> RidgeSystem:
    """The primal systems of what stands *before* each support, [B, k] of them: what a strictly causal network solves on every token."""
    outer = prompt.phi.unsqueeze(-1) * prompt.phi.unsqueeze(-2)
    has_outputs = prompt.y.ndim == prompt.phi.ndim
    y = prompt.y if has_outputs else prompt.y.unsqueeze(-1)
    terms = prompt.phi.unsqueeze(-1) * y.unsqueeze(-2)  # [B, k, p, m]
    identity = torch.eye(prompt.n_features, dtype=prompt.phi.dtype, device=prompt.phi.device)
    S, moment = outer.cumsum(-3) - outer, terms.cumsum(-3) - terms
    return RidgeSystem(
        S + prompt.ridge * identity,
        moment if has_outputs else moment.squeeze(-1),
        prompt.phi.unsqueeze(-2),
    )
