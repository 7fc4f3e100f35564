r"""How far a constructed network is from having solved its system, read off the stream of a pass.

A network that solves holds its unknowns under one of three names, and what it solves can be formed from what it holds:

    alpha          on supports   (Phi Phi^T + lambda I) alpha = y
    lambda_alpha   on supports   (K / lambda + I) lambda alpha = y, K read off the head that weighs the sink
    w              on any token  (Phi^T Phi + lambda I) w = Phi^T y

phi is the stream's own, so that features made inside are those that count. Where no unknown is held there may be a carried
residual: r, or v_old / pi_old of conjugate gradient by unscaled residuals, which answers with the state before.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from metarep_lib.construct.digits import log_weights
from metarep_lib.construct.program import Program
from metarep_lib.network.tokens import N_REGISTERS
from metarep_lib.network.trace import Trace
from metarep_lib.prompt import Prompt

__all__ = ["relative_residual", "residual_of"]

Residual = Callable[[Program, Prompt, Trace], tuple[Tensor, Tensor]]
"""To the residual after every step and what it is measured against, [steps + 1, *B, n, m] and [*B, n, m]."""


def residual_of(program: Program) -> Residual | None:
    """How the residual of a program is come by; None for one that holds none."""
    held = set(program.stream)
    found = (
        ({"lambda_alpha", "mass"}, of_softmax),
        ({"alpha", "ridge"}, of_dual),
        ({"w", "f", "ridge"}, of_primal),
        ({"v_old", "pi_old"}, of_unscaled),
        ({"r"}, of_carried),
    )
    return next((residual for names, residual in found if names <= held), None)


def relative_residual(program: Program, prompt: Prompt, trace: Trace) -> Tensor:
    """[steps + 1, *B] ||residual|| / ||right-hand side||, 0 where both are 0; a last axis for several outputs.

    Raises:
        AttributeError: a program that holds no residual.
    """
    of = residual_of(program)
    if of is None:
        raise AttributeError(
            f"{program.name}: its stream holds neither a solution nor a residual, so none can be read"
            " off a trace; this would work: the error against solvers.cholesky(ridge_system(prompt))"
        )
    residual, side = of(program, prompt, trace)
    relative = residual.norm(dim=-2) / side.norm(dim=-2).clamp(min=torch.finfo(side.dtype).tiny)
    return relative if prompt.y.ndim == prompt.phi.ndim else relative.squeeze(-1)


def with_outputs(prompt: Prompt, x: Tensor) -> Tensor:
    """[..., n, m], where one output has no axis."""
    return x if prompt.y.ndim == prompt.phi.ndim else x.unsqueeze(-1)


def of_dual(program: Program, prompt: Prompt, trace: Trace) -> tuple[Tensor, Tensor]:
    y, alpha = (with_outputs(prompt, x) for x in (prompt.y, trace["alpha", "support"]))
    phi = features(trace)
    return y - phi @ (phi.mT @ alpha) - prompt.ridge * alpha, y


def of_softmax(program: Program, prompt: Prompt, trace: Trace) -> tuple[Tensor, Tensor]:
    y, solution = (with_outputs(prompt, x) for x in (prompt.y, trace["lambda_alpha", "support"]))
    supports = trace.resid[-1][..., : N_REGISTERS + prompt.n_support, :]
    weights = log_weights(program, supports).exp()
    return y - weights @ solution - solution, y


def of_primal(program: Program, prompt: Prompt, trace: Trace) -> tuple[Tensor, Tensor]:
    phi = prompt.phi if program.causal else features(trace)
    side = phi.mT @ with_outputs(prompt, prompt.y)
    # under a causal mask a query is what has seen all supports, elsewhere every token holds the same w
    w = with_last(trace["w", "query" if program.causal else "support"], prompt)
    w = w[..., 0, :].unsqueeze(-1)
    return side - phi.mT @ (phi @ w) - prompt.ridge * w, side


def of_unscaled(program: Program, prompt: Prompt, trace: Trace) -> tuple[Tensor, Tensor]:
    v, pi = (trace[name, "support"] for name in ("v_old", "pi_old"))
    return with_outputs(prompt, v / pi), with_outputs(prompt, prompt.y)


def of_carried(program: Program, prompt: Prompt, trace: Trace) -> tuple[Tensor, Tensor]:
    return with_outputs(prompt, trace["r", "support"]), with_outputs(prompt, prompt.y)


def features(trace: Trace) -> Tensor:
    """[*B, k, p] phi as the stream holds it at the end."""
    return trace.stream("support")[-1][..., trace.channels["phi"]]


def with_last(x: Tensor, prompt: Prompt) -> Tensor:
    """[..., n, p] where a direction of width one has lost its axis."""
    return x.unsqueeze(-1) if prompt.n_features == 1 else x
