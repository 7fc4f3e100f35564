"""Looking one step ahead in a solver, where each of its two savings can be undone.

The recurrence of the network with one block a step, on vectors of supports and queries: A'v is
carried instead of being multiplied, v . v and v . A'v are foretold instead of being summed. A change
says what of a state is replaced before the next step is made of it. c = 4 throughout.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from metarep_lib.numerics import look_ahead_step, relative_error, ridge_system
from metarep_lib.prompt import Prompt
from metarep_lib.rounding import in_last_place
from metarep_lib.studies.answers import answers, lowest
from metarep_lib.tasks import geometric_spectrum, synthetic_prompt

__all__ = [
    "CHANGES",
    "best_errors",
    "foretold",
    "looking_ahead",
    "posed",
    "redrawn_errors",
    "shortened",
    "theta_over_bracket",
]

N_SUPPORT, SCALE, STEPS = 40, 4, 58
FORETOLD = ("h_2", "h_3", "j_3", "theta", "omega")
State = Mapping[str, Tensor]
Product = Callable[[Tensor], Tensor]
Change = Callable[[State, State | None, Product], State]  # of a state, given the one before


def posed(kappa: float, n_prompts: int, seed: int = 66) -> Prompt:
    """40 supports of twelve features, 8 queries: a geometric spectrum, and the ridge that makes kappa of it."""
    spectrum = geometric_spectrum(12, kappa)
    return synthetic_prompt(spectrum, N_SUPPORT, 8, 1 / kappa, seed=seed, n_prompts=n_prompts)


def a_prime(prompts: Prompt) -> Product:
    """v to A'v on supports and to c k(x)^T v on queries, which come behind."""
    system = ridge_system(prompts)

    def product(v: Tensor) -> Tensor:
        v = v[..., : prompts.n_support]
        return SCALE * torch.cat([system.matvec(v), system.predict(v)], dim=-1)

    return product


def inner(u: Tensor, v: Tensor) -> Tensor:
    """Over the supports."""
    return (u[..., :N_SUPPORT] * v[..., :N_SUPPORT]).sum(-1, keepdim=True)


def foretold(state: State, before: State | None, product: Product) -> State:
    """The recurrence as the network has it."""
    return {}


def afresh(state: State, before: State | None, product: Product) -> State:
    """A'v multiplied, not carried."""
    return {"Av": product(state["v"])}


def taken(state: State, before: State | None, product: Product) -> State:
    """v . v and v . A'v summed when they are due, not foretold."""
    v = state["v"]
    sums = {"h_1": inner(v, v), "j_1": inner(v, state["Av"])}
    return sums | dict.fromkeys(FORETOLD, 0 * state["pi"])


def both(state: State, before: State | None, product: Product) -> State:
    """Neither saving."""
    multiplied = afresh(state, before, product)
    return multiplied | taken({**state, **multiplied}, before, product)


def added(state: State, before: State | None, product: Product) -> State:
    """The foretold curvature with what it lacks."""
    if before is None:
        return {}
    lacks = bracket(before, state["theta"], state["omega"], product)
    return {"j_1": state["j_1"] + lacks}


def shortened(state: State, before: State | None, product: Product) -> State:
    """What orthogonality says, put in the place of what was summed."""
    return dict.fromkeys(("h_2", "h_3", "j_3"), 0 * state["pi"])


def bracket(before: State, theta: Tensor, omega: Tensor, product: Product) -> Tensor:
    """What the foretold curvature lacks, by `lem-look-ahead-drift`."""
    d = before["Av"] - product(before["v"])
    d_old = before["Av_old"] - product(before["v_old"])
    crossed = inner(d, before["v_old"]) - inner(before["v"], d_old)
    return inner(theta * d + omega * d_old, before["Av"]) - theta * omega * crossed


CHANGES: dict[str, Change] = {
    "carried, foretold": foretold,
    "carried, taken": taken,
    "afresh, foretold": afresh,
    "afresh, taken": both,
    "carried, foretold, bracket added": added,
}


def start(prompts: Prompt, product: Product) -> State:
    """The state before the first step."""
    zero = torch.zeros_like(prompts.y[..., :1])
    v = torch.cat([prompts.y, torch.zeros_like(prompts.phi_query[..., 0])], dim=-1)
    state = dict.fromkeys((*FORETOLD, "pi_old"), zero)
    state |= {"vv": zero + 1, "pi": zero + 1, "v_old": 0 * v, "Av_old": 0 * v}
    return state | {"v": v, "Av": product(v), "h_1": inner(v, v), "j_1": inner(v, product(v))}


def looking_ahead(prompts: Prompt, change: Change = foretold) -> list[State]:
    """59 states: before the first step and after each."""
    product = a_prime(prompts)
    one = torch.ones_like(prompts.y[..., :1])
    states = [start(prompts, product)]
    for _ in range(STEPS):
        before = states[-2] if len(states) > 1 else None
        states[-1] = {**states[-1], **change(states[-1], before, product)}
        states.append(look_ahead_step(states[-1], product, inner, torch.divide, one, one))
    return states


def errors(prompts: Prompt, states: list[State]) -> Tensor:
    """[58, *B] relative error of the predictions; the prompts in float64, whatever the states are in."""
    said = torch.stack([state["f"][..., N_SUPPORT:] for state in states[1:]]).double()
    return relative_error(said, answers(prompts))


def best_errors(
    prompts: Prompt, change: Change = foretold, dtype: torch.dtype = torch.float64
) -> Tensor:
    """[*B] the best relative error of the predictions in 58 steps.

    >>> found = best_errors(posed(10.0, n_prompts=3))
    >>> bool(((1e-16 < found) & (found < 1e-11)).all())
    True
    """
    return lowest(errors(prompts, looking_ahead(prompts.to(dtype), change)))


def redrawn_errors(prompts: Prompt, n_draws: int) -> Tensor:
    """[n_draws, *B] the same for copies of the prompts whose entries are moved in the last place.

    >>> found = redrawn_errors(posed(10.0, n_prompts=3), n_draws=2)
    >>> bool((found[0] != found[1]).all()), bool((found < 1e-11).all())
    (True, True)
    """
    exact = (prompts.phi, prompts.y, prompts.phi_query)
    return torch.stack(
        [
            best_errors(Prompt(*(in_last_place(x, draw) for x in exact), prompts.ridge))
            for draw in range(n_draws)
        ]
    )


def theta_over_bracket(prompts: Prompt, states: list[State]) -> Tensor:
    """[57, *B, 1] what the bracket over v . v says theta is off by, in what it is off by; of theta_1 and on."""
    product, ratio = a_prime(prompts), []
    for before, state, after in zip(states, states[1:], states[2:]):
        v = state["v"]
        seen = after["theta"] - inner(v, state["Av"]) / inner(v, v)
        lacks = bracket(before, state["theta"], state["omega"], product)
        ratio.append(-lacks / inner(v, v) / seen)
    return torch.stack(ratio)
