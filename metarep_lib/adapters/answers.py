"""What has to come back for a prompt, and what may be assumed of who gave it: tried on one prompt."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from metarep_lib.asked import AskedWrongly
from metarep_lib.contents import describe, shown
from metarep_lib.network.asking import Traits
from metarep_lib.prompt import Prompt

Predict = Callable[[Prompt], Tensor]


def check_answers(call: str, answers: object, prompt: Prompt, cure: str) -> Tensor:
    """Answers as they are, where they are those of a prompt: [*B, q], or [*B, q, m] for m outputs.

    Raises:
        AskedWrongly: what came, what was expected, every reason at once.
    """
    expected = list(shape_of_answers(prompt))
    wanted = f"{describe(prompt.phi.new_empty(0))[:-3]}{expected}"
    if not isinstance(answers, Tensor):
        reasons = [f"they are no tensor{in_other_arrays(answers)}"]
    else:
        reasons = []
        if list(answers.shape) != expected:
            squeezed = list(answers.squeeze(-1).shape) == expected
            hint = ", as answers.squeeze(-1) has" if squeezed else ""
            reasons.append(
                f"shape {list(answers.shape)}, expected {expected}: one answer a query{hint}"
            )
        if answers.dtype != prompt.phi.dtype or answers.device != prompt.phi.device:
            reasons.append(
                f"{answers.dtype} on {answers.device}, expected {prompt.phi.dtype} on"
                f" {prompt.phi.device}, as answers.to(phi) is"
            )
        if (n_bad := int((~torch.isfinite(answers)).sum())) and not answers.is_complex():
            reasons.append(f"{n_bad} NaN or infinite values of {answers.numel()}")
    if reasons:
        listed = "".join(f"\n  - {reason}" for reason in reasons)
        raise AskedWrongly(
            f"{call} of {prompt}: {shown(answers)} came back, expected {wanted}{listed}\nthis would work: {cure}"
        )
    return answers


def in_other_arrays(answers: object) -> str:
    return ": arrays='numpy' takes them" if hasattr(answers, "__array__") else ""


def shape_of_answers(prompt: Prompt) -> tuple[int, ...]:
    several = prompt.y.shape[prompt.phi.ndim - 1 :]
    return (*prompt.phi_query.shape[:-1], *several)


def nothing_asked(prompt: Prompt) -> Tensor | None:
    """The answers to a prompt without queries, or to no prompts; None where something is asked."""
    answers = prompt.phi.new_zeros(shape_of_answers(prompt))
    return None if answers.numel() else answers


@torch.no_grad()
def tried(call: str, predict: Predict, prompt: Prompt, is_differentiable: bool | None) -> Traits:
    """What one prompt tells of who answers it; what changes no answer here is taken to change none.

    Args:
        is_differentiable: what was said of it; None: whether its answers have a graph.

    Raises:
        AskedWrongly: a graph to y that was promised and is not there, or is none of the derivative.
    """
    # what is held out is shown to nobody, and fits no other queries
    prompt = replace(prompt, y_query=None)
    said, rounding = predict(prompt), 2**10 * torch.finfo(prompt.phi.dtype).eps
    is_deterministic = torch.equal(predict(prompt), said)

    def alike(other: Tensor) -> bool:
        room = rounding * float(said.abs().max().clamp(min=1))
        return is_deterministic and float((other - said).abs().max()) <= room

    q, at = prompt.n_query, prompt.phi.ndim - 2
    turned = replace(prompt, phi=prompt.phi.flip(at), y=prompt.y.flip(at))
    more = replace(prompt, phi_query=torch.cat([prompt.phi_query, prompt.phi.flip(at)], dim=at))
    stiffer = predict(replace(prompt, ridge=2 * prompt.ridge))
    return Traits(
        dtype=prompt.phi.dtype,
        device=prompt.phi.device,
        n_features=None,
        n_outputs=None,
        is_differentiable=is_deterministic and has_graph(call, predict, prompt, is_differentiable),
        is_deterministic=is_deterministic,
        is_exchangeable=alike(predict(turned)),
        is_isolated=alike(predict(more).narrow(at, 0, q)),
        reads_ridge=is_deterministic and not torch.equal(stiffer, said),
        rounding=rounding,
    )


def has_graph(call: str, predict: Predict, prompt: Prompt, promised: bool | None) -> bool:
    """Whether answers have a graph to y, which is then held against a difference in one direction."""
    if promised is False:
        return False
    y = prompt.y.detach().clone().requires_grad_()
    with torch.enable_grad():
        said = predict(replace(prompt, y=y))
        slope = None
        if said.requires_grad:
            (slope,) = torch.autograd.grad(said.sum(), y, allow_unused=True)
    if slope is None:
        if promised:
            raise AskedWrongly(
                f"{call}, differentiable=True: its answers have no graph to y; expected operations of"
                " torch alone, with gradients on; this would work: differentiable=False"
            )
        return False
    h = 2.0**-10 if y.dtype == torch.float64 else 2.0**-5
    v = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y)
    with torch.no_grad():
        ahead, behind = (predict(replace(prompt, y=prompt.y + s * v)).sum() for s in (h, -h))
    difference, along = float((ahead - behind) / (2 * h)), float((slope * v).sum())
    if abs(difference - along) > 0.1 * max(abs(difference), abs(along), 1e-2):
        raise AskedWrongly(
            f"{call}: along one direction its answers change by {difference:.3g} and by their graph to"
            f" y by {along:.3g}, so that a part of it is detached; this would work: the whole path from"
            " y to the answers in operations of torch, or none of it (answers.detach())"
        )
    return True
