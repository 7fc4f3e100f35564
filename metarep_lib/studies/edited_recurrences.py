"""The recurrences of two networks with some names held at zero, and the state changed between steps: what edits should do."""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from metarep_lib.network.trace import Trace
from metarep_lib.numerics import ridge_system, solvers
from metarep_lib.prompt import Prompt

__all__ = ["RECURRENCES", "gap", "patched", "textbook", "two_block", "without_names"]

State = Mapping[str, Tensor | float]
Change = Callable[[int, State], State]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """[..., n] to [..., 1]."""
    return (a * b).sum(-1, keepdim=True)


def kept(names: Collection[str], without: Collection[str]) -> dict[str, float]:
    """Name -> one, or zero where it is left out.

    Raises:
        ValueError: a name that the recurrence does not have.
    """
    if unknown := set(without) - set(names):
        raise ValueError(
            f"without={sorted(unknown)}: the recurrence has {', '.join(names)}; without=() leaves nothing out"
        )
    return {name: float(name not in without) for name in names}


def posed(prompt: Prompt) -> tuple[Tensor, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The targets, v to K v, and alpha to predictions at the queries."""
    system = ridge_system(prompt)
    K = system.A - prompt.ridge * torch.eye(prompt.n_support, dtype=prompt.y.dtype)
    return prompt.y, lambda v: (K @ v.unsqueeze(-1)).squeeze(-1), system.predict


def textbook(
    prompt: Prompt,
    steps: int,
    without: Collection[str] = (),
    change: Change = lambda t, state: state,
) -> dict[str, Tensor]:
    """Hestenes and Stiefel; f at the queries is carried along.

    Args:
        prompt: what is asked; its ridge is a part of the state.
        steps: t.
        without: names held at zero, of w, rho, sigma, rho_next, gamma, beta.
        change: of the state before step t + 1, from t and the state.

    Returns:
        alpha, r, p and f, [steps + 1, ...] each.
    """
    keep = kept(("w", "rho", "sigma", "rho_next", "gamma", "beta"), without)
    y, K, predict = posed(prompt)
    states = [{"alpha": 0 * y, "r": y, "p": y, "f": 0 * predict(y), "ridge": prompt.ridge}]
    for t in range(steps):
        s = change(t, states[-1])
        w = keep["w"] * K(s["p"]) + s["ridge"] * s["p"]
        rho = keep["rho"] * dot(s["r"], s["r"])
        gamma = keep["gamma"] * solvers.divide(rho, keep["sigma"] * dot(s["p"], w))
        r = s["r"] - gamma * w
        beta = keep["beta"] * solvers.divide(keep["rho_next"] * dot(r, r), rho)
        moved = {
            "alpha": s["alpha"] + gamma * s["p"],
            "r": r,
            "p": r + beta * s["p"],
            "f": s["f"] + gamma * keep["w"] * predict(s["p"]),
        }
        states.append({**s, **moved})
    return {name: torch.stack([s[name] for s in states]) for name in ("alpha", "r", "p", "f")}


def two_block(prompt: Prompt, steps: int, without: Collection[str] = ()) -> dict[str, Tensor]:
    """Chronopoulos and Gear, without some of g, rho, lambda, beta, gamma, gamma_beta; f alone is returned."""
    keep = kept(("g", "rho", "lambda", "beta", "gamma", "gamma_beta"), without)
    r, K, predict = posed(prompt)
    c = rho_old = torch.ones_like(r[..., :1])
    gamma = started = torch.zeros_like(c)
    p, s, said = torch.zeros_like(r), torch.zeros_like(r), [0 * predict(r)]
    f = s_query = said[0]
    for _ in range(steps):
        K_r, rho = keep["g"] * K(r), keep["rho"] * dot(r, r)
        w, w_query = K_r + prompt.ridge * r, keep["g"] * predict(r)
        delta = dot(r, K_r) + keep["lambda"] * prompt.ridge * rho
        curvature = delta * c - started * rho * rho
        beta = keep["beta"] * solvers.divide(rho, rho_old)
        step = keep["gamma"] * solvers.divide(rho * c, curvature)
        carried = keep["gamma_beta"] * solvers.divide(rho * rho * gamma, curvature)
        f = f + step * w_query + carried * s_query
        r, p, s = r - step * w - carried * s, r + beta * p, w + beta * s
        s_query = w_query + beta * s_query
        gamma, c, rho_old, started = step, step * rho, rho, torch.ones_like(c)
        said.append(f)
    return {"f": torch.stack(said)}


RECURRENCES = {"textbook order": textbook, "two blocks": two_block}


def without_names(kind: str, names: str, prompt: Prompt, steps: int) -> Tensor:
    """[steps + 1, B, q] what a recurrence says without some names, divided by spaces; "clean": with all."""
    dropped = () if names == "clean" else names.split()
    return RECURRENCES[kind](prompt, steps, dropped)["f"]


def patched(
    prompt: Prompt, clean: Trace, names: Collection[str], t: int, partner: Sequence[int]
) -> Tensor:
    """[steps + 1, B, q] what the textbook recurrence says when names on the supports are its partner's after step t."""

    def change(step: int, state: State) -> State:
        taken = {name: clean[name, "support"][t][partner] for name in names}
        return {**state, **taken} if step == t else state

    return textbook(prompt, clean.n_steps, change=change)["f"]


def gap(said: Tensor, foretold: Tensor, size: Tensor, steps: int) -> float:
    """||said - foretold|| / (||size|| + ||foretold||) at the queries, largest over prompts and steps 0 to `steps`; 0 of what does not stay finite.

    >>> one = torch.ones(3, 1, 2)
    >>> gap(one, one, one[0], steps=2), gap(one / 0, one, one[0], steps=2)
    (0.0, 0.0)
    """
    if not torch.isfinite(said).all():
        return 0.0
    away = (said - foretold).norm(dim=-1) / (size.norm(dim=-1) + foretold.norm(dim=-1))
    return float(away[: steps + 1].max())
