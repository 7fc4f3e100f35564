r"""Dual gradient descent under a strictly causal mask, when the context is shown several times: one step a copy.

A support cannot be told of later supports, but the same support in the *next* copy of the context can. Copy j
holds r_j, the residual after j steps:

    r_j = y - eta K (r_0 + ... + r_{j-1})

Block j computes it: copy j - 1 shows its residual in v, all tokens behind add K v to f, copy j writes
v = y - f and copy j - 1 takes its own back. Everywhere else v is zero, so nobody reads a token of the own copy.
"""

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import times, update
from metarep_lib.construct.program import Form, Head, Layer, Product, Program, Write
from metarep_lib.network.basis import Basis
from metarep_lib.network.tokens import input_basis
from metarep_lib.prompt import Prompt, a_prompt


@algorithm
@asked(n_features=at_least(1), copies=at_least(1))
def copied_gradient_descent(n_features: int, copies: int, step_size: float) -> Program:
    """`copies` steps of gradient descent on as many copies of the context, under the strictly causal mask.

    Args:
        n_features: p, the width of phi in the prompt that is repeated.
        copies: c >= 1. Tokens carry, behind phi, which copy they belong to (`repeat_context`).
        step_size: eta.

    Returns:
        A program of width p + c + 3 with c + 1 blocks, each with tensors of its own; it answers at the supports. The
        ridge comes as supports.

    Raises:
        ValueError: n_features or copies below one.

    >>> program = copied_gradient_descent(n_features=3, copies=4, step_size=0.25)
    >>> program.n_blocks, program.width, program.causal
    (5, 10, True)
    """
    if min(n_features, copies) < 1:
        raise ValueError(
            f"copied_gradient_descent: expected n_features and copies of at least 1, got n_features={n_features}, copies={copies};"
            " this would work: copied_gradient_descent(n_features=8, copies=4, step_size=0.1)"
        )
    # the flags behind phi stay out of the score
    kernel = tuple((Form(f"phi[{a}]"), Form(f"phi[{a}]")) for a in range(n_features))
    read = Write("f", (Head("linear", kernel, Form("v"), gain=step_size),))
    flags = [f"phi[{n_features + j}]" for j in range(copies)]
    layers = [Layer(step=0, phase="show y", mlp=(update("v", times(flags[0], "y")),))]
    for t in range(1, copies):
        shown = Product(Form(flags[t]), Form({"y": 1, "f": -1}))
        taken_back = times(flags[t - 1], "v", -1.0)
        layers.append(
            Layer(
                step=t, phase="next copy", attention=(read,), mlp=(update("v", shown, taken_back),)
            )
        )
    layers.append(Layer(step=copies, phase="predict", attention=(read,)))
    return Program(
        name="copied_gradient_descent",
        inputs=input_basis(n_features + copies),
        stream=Basis.of(phi=n_features + copies, y=1, v=1, f=1),
        embedding=(("phi", Form("phi")), ("y", Form("y"))),
        layers=tuple(layers),
        readout=Form("f"),
        causal=True,
    )


@asked(prompt=a_prompt(single=False, half=True), copies=at_least(1))
def repeat_context(prompt: Prompt, copies: int) -> Prompt:
    """The supports `copies` times over, each with a flag that says which copy it is, then the queries (y = 0, no flag).

    Args:
        prompt: [*batch, k, p] features, one output. Bring the ridge as supports first (`with_ridge_as_supports`).
        copies: c >= 1.

    Returns:
        A prompt without queries, for programs that answer at the supports: [*batch, c k + q, p + c] features. The
        last q answers are those at the queries.

    Raises:
        ValueError: copies below one, or several outputs.

    >>> prompt = Prompt(torch.tensor([[2.0]]), torch.tensor([3.0]), torch.tensor([[5.0]]), ridge=1.0)
    >>> repeat_context(prompt, 2).phi.tolist()
    [[2.0, 1.0, 0.0], [2.0, 0.0, 1.0], [5.0, 0.0, 0.0]]
    """
    if copies < 1 or prompt.n_outputs > 1:
        raise ValueError(
            f"repeat_context(prompt with {prompt.n_outputs} outputs, copies={copies}): expected one output and copies of at least 1;"
            " this would work: repeat_context(prompt.output(0), copies=2)"
        )
    flags = torch.eye(copies, dtype=prompt.phi.dtype, device=prompt.phi.device).repeat_interleave(
        prompt.n_support, dim=0
    )
    supports = flagged(prompt.phi.repeat(*[1] * (prompt.phi.ndim - 2), copies, 1), flags)
    queries = flagged(prompt.phi_query, flags.new_zeros(prompt.n_query, copies))
    y = torch.cat(
        [
            prompt.y.repeat(*[1] * (prompt.y.ndim - 1), copies),
            prompt.y.new_zeros(*prompt.phi.shape[:-2], prompt.n_query),
        ],
        dim=-1,
    )
    return Prompt(torch.cat([supports, queries], dim=-2), y, queries[..., :0, :], prompt.ridge)


def flagged(phi: Tensor, flags: Tensor) -> Tensor:
    return torch.cat([phi, flags.expand(*phi.shape[:-1], flags.shape[-1])], dim=-1)
