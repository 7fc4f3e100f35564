"""Any function of supports and queries, as an answerer: what needs answers alone can be asked of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from metarep_lib.adapters.answers import (
    check_answers,
    nothing_asked,
    shape_of_answers,
    tried,
)
from metarep_lib.asked import AskedWrongly, asked
from metarep_lib.asked.errors import first_line
from metarep_lib.contents import describe, shown
from metarep_lib.network.asking import Answerer, Traits, check_prompt
from metarep_lib.prompt import Prompt, a_prompt

Arrays = Literal["torch", "numpy"]


@dataclass(frozen=True, eq=False, repr=False)
class FunctionAnswerer(Answerer):
    """A function that answers; made by `as_answerer`.

    Args:
        function: (phi, y, phi_query) to answers.
        arrays: what it takes and gives.
        is_batched: whether it takes a batch of prompts.
        name: for errors.
        assumed: its traits, as tried.
    """

    function: Callable[[Any, Any, Any], Any]
    arrays: Arrays
    is_batched: bool
    name: str
    assumed: Traits

    @property
    def traits(self) -> Traits:
        return self.assumed

    def predict(self, prompt: Prompt) -> Tensor:
        """[*B, q] its answers, [*B, q, m] for several outputs.

        Raises:
            AskedWrongly: a prompt of another dtype or device, a function that raises, or answers that are none.
        """
        check_prompt(self, prompt)
        return answers_of(self, prompt)

    def __repr__(self) -> str:
        notes = [self.arrays, "a batch at once" if self.is_batched else "prompt by prompt"]
        notes += ["differentiable"] * self.assumed.is_differentiable
        return f"FunctionAnswerer({self.name!r}: {', '.join(notes)}, {self.assumed.dtype})"


@asked(prompt=a_prompt(single=False, supports=2, queries=1))
def as_answerer(
    predict: Callable[[Any, Any, Any], Any],
    prompt: Prompt,
    *,
    arrays: Arrays = "torch",
    batched: bool = False,
    differentiable: bool = False,
    name: str | None = None,
) -> FunctionAnswerer:
    """Any function predict(phi, y, phi_query) -> answers, as something that instruments can ask.

    Args:
        predict: phi [k, p], y [k] and phi_query [q, p] to [q] answers; with m outputs y is [k, m] and answers are [q, m].
        prompt: one that it answers, on which it is tried: what changes its answers, and what does not.
        arrays: "numpy" where it takes and gives arrays of numpy; what comes back is of the dtype of the prompt then.
        batched: it takes a leading axis of prompts, [N, k, p], and gives [N, q]; otherwise it is called prompt by prompt.
        differentiable: its answers have a graph to y. Where they have none, derivatives are differences.
        name: for errors; that of the function where there is none.

    Raises:
        AskedWrongly: what came back for the prompt is none of answers, with every reason.

    >>> def mean(phi, y, phi_query):
    ...     return y.mean().expand(len(phi_query))
    >>> answerer = as_answerer(mean, Prompt(torch.eye(3), torch.arange(3.0), torch.ones(2, 3), ridge=1.0))
    >>> answerer.predict(Prompt(torch.ones(2, 1), torch.tensor([1.0, 2.0]), torch.ones(3, 1), ridge=1.0))
    tensor([1.5000, 1.5000, 1.5000])
    >>> answerer.traits.is_exchangeable, answerer.traits.reads_ridge
    (True, False)
    """
    name = name or getattr(predict, "__name__", type(predict).__name__)
    if arrays == "numpy" and differentiable:
        raise AskedWrongly(
            f"as_answerer({name}, arrays='numpy', differentiable=True): numpy has no graph; this would"
            " work: differentiable=False, and derivatives are differences"
        )
    traits = Traits(prompt.phi.dtype, prompt.phi.device, None, None, *[False] * 5, rounding=0.0)
    bare = FunctionAnswerer(predict, arrays, batched, name, traits)
    found = tried(f"as_answerer({name})", bare.predict, prompt, differentiable)
    return FunctionAnswerer(predict, arrays, batched, name, found)


def answers_of(who: FunctionAnswerer, prompt: Prompt) -> Tensor:
    """One call for a batch, or one for every prompt of it."""
    if (nothing := nothing_asked(prompt)) is not None:
        return nothing
    lead = prompt.phi.ndim - 2
    parts = [
        part.reshape(-1, *part.shape[lead:]) for part in (prompt.phi, prompt.y, prompt.phi_query)
    ]
    if who.is_batched:
        answers = called(who, Prompt(*parts, prompt.ridge))
    else:
        answers = torch.stack([called(who, Prompt(*one, prompt.ridge)) for one in zip(*parts)])
    return answers.reshape(shape_of_answers(prompt))


def called(who: FunctionAnswerer, prompt: Prompt) -> Tensor:
    """The answers to one prompt, or one batch, as the function takes it.

    Raises:
        AskedWrongly: it raises, or gives something else than answers.
    """
    given = [prompt.phi, prompt.y, prompt.phi_query]
    came = ", ".join(f"{name}={describe(x)}" for name, x in zip(("phi", "y", "phi_query"), given))
    expected = f"{describe(prompt.phi.new_empty(shape_of_answers(prompt)))}"
    # copies: a function that writes into what it is given changes no prompt
    copies = [x.clone() for x in given]
    if who.arrays == "numpy":
        copies = [x.detach().cpu().numpy() for x in copies]
    try:
        answers = who.function(*copies)
    except Exception as error:
        raise AskedWrongly(
            f"{who.name}({came}) raised {type(error).__name__}: {first_line(error)}; expected answers,"
            f" {expected}; it takes {'a batch of prompts' if who.is_batched else 'one prompt'} a call"
        ) from error
    if who.arrays == "numpy":
        answers = from_numpy(who.name, answers, prompt)
    return check_answers(
        f"{who.name}({came})", answers, prompt, f"a function that gives {expected} for these"
    )


def from_numpy(name: str, answers: object, prompt: Prompt) -> Tensor:
    """An array of floats as a tensor of the prompt's dtype."""
    if isinstance(answers, Tensor) or getattr(getattr(answers, "dtype", None), "kind", "") != "f":
        raise AskedWrongly(
            f"{name}: {shown(answers)} came back, expected an array of floats, as"
            " np.asarray(answers, dtype=float) is; this would work: arrays='torch' for tensors"
        )
    return torch.from_numpy(np.array(answers)).to(prompt.phi)
