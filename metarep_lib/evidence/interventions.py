"""Interventions: clean and edited prompts together in one forward pass.

`intervene` runs a prompt once for every intervention and once without, as one batch: row 0 is clean and nobody edits it, so that what
is taken from "another run" is taken from this very pass. Nothing is attached to the network, so nothing has to be removed.

Letters: V interventions, B batch of prompts, T tokens, H heads, L blocks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.construct.tokens import token_groups, tokenise
from metarep_lib.evidence.edits import (
    Add,
    Edit,
    Heads,
    Intervention,
    Mean,
    Put,
    Stream,
    Take,
    Units,
)
from metarep_lib.evidence.trained import TrainedTransformer
from metarep_lib.network.masks import Mask
from metarep_lib.network.trace import Trace, narrow
from metarep_lib.network.transformer import TransformerConfig
from metarep_lib.prompt import Prompt

CLEAN = "clean"
EXAMPLE = 'intervene(network, prompt, {"no p": [Edit(Stream(block=5, direction="p", tokens="support"), Put(0.0))]})'


class InterventionError(ValueError):
    """An intervention that cannot be made on this network and prompt; the message lists every reason."""


@dataclass(frozen=True)
class Question:
    """A prompt as a network reads it: tokens and mask, and how its stream and tokens are called."""

    tokens: Tensor
    mask: Mask
    groups: Mapping[str, slice]
    asked: slice
    channels: Mapping[str, slice]
    step_ends: Sequence[int]


def pose(network: ConstructedTransformer | TrainedTransformer, prompt: Prompt) -> Question:
    """The question a network is asked. The stream of a trained one has no names, and each of its blocks is a step."""
    if isinstance(network, ConstructedTransformer):
        network.check(prompt)
        groups = token_groups(prompt)
        return Question(
            tokenise(prompt, network.program.inputs),
            network.mask(prompt),
            groups,
            groups[network.asked],
            network.basis,
            network.program.step_ends,
        )
    tokens, mask, asked = network.question(prompt)
    groups = {"support": slice(0, prompt.n_support), "query": asked}
    return Question(
        tokens, mask, groups, asked, {}, range(len(network.transformer.config.schedule) + 1)
    )


def intervene(
    network: ConstructedTransformer | TrainedTransformer,
    prompt: Prompt,
    interventions: Mapping[str, Intervention],
) -> dict[str, Trace]:
    """Run a prompt, or a batch of prompts, clean and under every intervention, in one forward pass.

    Args:
        network: constructed or trained.
        prompt: [B] prompts or one; `Take` and `Mean` need a batch.
        interventions: name -> edits, made in the order given where several meet.

    Returns:
        name -> trace, "clean" first. Of a trained network `trace.prediction[b]` is what its unembedding reads after b blocks; one
        of the pair-causal layout makes a pass for every query, so that there the batch is [B, q] and one token of each is asked.

    Raises:
        InterventionError: unknown names, blocks, heads or units, values that do not fit; every reason at once.

    >>> from metarep_lib.construct.algorithms import gradient_descent
    >>> from metarep_lib.construct.assemble import assemble
    >>> from metarep_lib.evidence.edits import Scale
    >>> network = assemble(gradient_descent(n_features=1, steps=2, step_size=0.25))
    >>> prompt = Prompt(torch.tensor([[1.0]]), torch.tensor([2.0]), torch.tensor([[3.0]]), ridge=1.0).to(torch.float64)
    >>> at_start = Stream(block=0, direction="r", tokens="support")
    >>> runs = intervene(network, prompt, {"twice y": [Edit(at_start, Scale(2.0))]})
    >>> runs["clean"].prediction.tolist(), runs["twice y"].prediction.tolist()
    ([[0.0], [1.5], [2.25]], [[0.0], [3.0], [4.5]])
    """
    question = pose(network, prompt)
    transformer = network.transformer
    why_not = list(reasons(question, transformer.config, prompt, interventions))
    if why_not:
        listed = "".join(f"\n  - {reason}" for reason in why_not)
        raise InterventionError(
            f"intervene with {', '.join(map(repr, interventions)) or 'nothing'}:{listed}\nthis would work: {EXAMPLE}"
        )

    def tap(block: int, part: str, value: Tensor) -> Tensor:
        """Row v + 1 of the batch after the edits of intervention v; row 0 as it is."""
        here = [
            [edit for edit in edits if (edit.where.block, edit.where.part) == (block, part)]
            for edits in interventions.values()
        ]
        if not any(here):
            return value
        value = value.clone()
        for row, edits in enumerate(here, start=1):
            for edit in edits:
                make(edit, value[row], value[0], question)
        return value

    tokens = question.tokens.expand(1 + len(interventions), *question.tokens.shape)
    resid = torch.stack(
        list(transformer.stream(tokens, question.mask, tap)), dim=1
    )  # [1 + V, L + 1, *B, T, d_model]
    output = transformer.read(resid)
    described = (question.channels, question.groups, question.step_ends, question.asked)
    return {
        name: Trace(resid[row], output[row], *described)
        for row, name in enumerate([CLEAN, *interventions])
    }


def make(edit: Edit, held: Tensor, clean: Tensor, question: Question) -> None:
    """Make one edit in place, on one row of the batch; a direction of width one is handed over as a number per token."""
    index = where_in(edit.where, question)
    before, reference = held[index], clean[index]
    subspace = (
        edit.where.direction
        if isinstance(edit.where, Stream) and isinstance(edit.where.direction, Tensor)
        else None
    )
    if subspace is not None:
        coordinates = before @ subspace
        held[index] = (
            before + (edit.what(coordinates, reference @ subspace) - coordinates) @ subspace.mT
        )
    else:
        after = edit.what(narrow(before), narrow(reference))
        held[index] = after.expand(narrow(before).shape).reshape(before.shape)


def where_in(where: Stream | Heads | Units, question: Question) -> tuple:
    """The index of a place in the value a tap is handed."""
    tokens = question.groups[where.tokens] if where.tokens else slice(None)
    if isinstance(where, Stream):
        return (
            ...,
            tokens,
            question.channels[where.direction] if isinstance(where.direction, str) else slice(None),
        )
    which = slice(None) if where.which is None else slice(where.which, where.which + 1)
    return (..., which, tokens, slice(None)) if isinstance(where, Heads) else (..., tokens, which)


def reasons(
    question: Question,
    config: TransformerConfig,
    prompt: Prompt,
    interventions: Mapping[str, Intervention],
) -> Iterator[str]:
    """Why the interventions cannot be made."""
    if CLEAN in interventions:
        yield f"{CLEAN!r} is the name of the pass without edits"
    batch = question.tokens.shape[:-2]
    for name, edits in interventions.items():
        for edit in edits:
            unfit = list(place_reasons(edit.where, question, config))
            if isinstance(edit.what, Take | Mean) and not prompt.phi.shape[:-2]:
                unfit.append(
                    f"{type(edit.what).__name__} needs a batch of prompts, there is one prompt without a batch axis"
                )
            elif isinstance(edit.what, Take) and (
                len(edit.what.prompts) != batch[0]
                or not all(0 <= b < batch[0] for b in edit.what.prompts)
            ):
                unfit.append(
                    f"Take has {len(edit.what.prompts)} prompts, expected one of 0 to {batch[0] - 1} for each of the {batch[0]} of the batch"
                )
            elif (
                not unfit
                and isinstance(edit.what, Put | Add)
                and isinstance(edit.what.value, Tensor)
            ):
                shape = list(shape_of(edit.where, question, config))
                if not broadcasts(list(edit.what.value.shape), shape):
                    unfit.append(
                        f"a value of shape {list(edit.what.value.shape)} does not broadcast to {shape}"
                    )
            yield from (f"{name!r}, {reason}" for reason in unfit)


def place_reasons(
    where: Stream | Heads | Units, question: Question, config: TransformerConfig
) -> Iterator[str]:
    first = 0 if isinstance(where, Stream) and where.half == "mlp" else 1
    if not first <= where.block <= len(config.schedule):
        yield f"{type(where).__name__}(block={where.block}): expected a block from {first} to {len(config.schedule)}"
        return
    if where.tokens is not None and where.tokens not in question.groups:
        yield f"no tokens {where.tokens!r}; there are {', '.join(question.groups)}"
    if isinstance(where, Stream):
        if isinstance(where.direction, str) and where.direction not in question.channels:
            yield f"no direction {where.direction!r}; there are {', '.join(question.channels) or 'no names in a trained stream, give a matrix'}"
        if isinstance(where.direction, Tensor) and not is_orthonormal(
            where.direction, config.d_model
        ):
            yield f"a subspace is a matrix [{config.d_model}, s] with orthonormal columns, got {list(where.direction.shape)}: torch.linalg.qr(U)[0]"
        return
    block = config.blocks[config.schedule[where.block - 1]]
    if isinstance(where, Heads) and not 0 <= where.group < len(block.attention):
        yield f"no group {where.group} of heads; block {where.block} has {len(block.attention)}"
        return
    n, what = (
        (block.attention[where.group].n_heads, "heads")
        if isinstance(where, Heads)
        else (block.d_mlp, "units")
    )
    if where.which is not None and not 0 <= where.which < n:
        yield f"no {type(where).__name__}(which={where.which}); block {where.block} has {n} {what}"


def shape_of(
    where: Stream | Heads | Units, question: Question, config: TransformerConfig
) -> torch.Size:
    """Of the values an edit sees there."""
    *batch, n_tokens, _ = question.tokens.shape
    block = config.blocks[config.schedule[where.block - 1]]
    if isinstance(where, Stream):
        shape = (*batch, n_tokens, config.d_model)
    elif isinstance(where, Heads):
        group = block.attention[where.group]
        shape = (*batch, group.n_heads, n_tokens, group.d_value)
    else:
        shape = (*batch, n_tokens, block.d_mlp)
    part = torch.empty(shape, device="meta")[where_in(where, question)]
    if isinstance(where, Stream) and isinstance(where.direction, Tensor):
        return torch.Size((*part.shape[:-1], where.direction.shape[-1]))
    return narrow(part).shape


def broadcasts(shape: list[int], target: list[int]) -> bool:
    return len(shape) <= len(target) and all(
        a in (1, b) for a, b in zip(reversed(shape), reversed(target))
    )


def is_orthonormal(columns: Tensor, d_model: int) -> bool:
    if columns.ndim != 2 or columns.shape[0] != d_model:
        return False
    gram = columns.mT @ columns
    return torch.allclose(
        gram, torch.eye(len(gram), dtype=gram.dtype, device=gram.device), atol=1e-5
    )
