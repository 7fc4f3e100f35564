"""Interventions: clean and edited prompts together in one forward pass.

`intervene` runs a prompt once for every intervention and once without, as one batch: row 0 is clean and nobody edits it, so that what
is taken from "another run" is taken from this very pass. Nothing is attached to the network, so nothing has to be removed.

Letters: V interventions, B batch of prompts, T tokens, H heads, L blocks.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from metarep_lib.asked.values import is_number, unreadable
from metarep_lib.contents import shown
from metarep_lib.evidence.intervene.edits import Add, Edit, Intervention, Mean, Put, Scale, Take
from metarep_lib.network.asking import Network
from metarep_lib.network.levels import needs
from metarep_lib.network.places import Heads, Stream, Units
from metarep_lib.network.trace import Trace, drop_single_channel
from metarep_lib.prompt import Prompt

CLEAN = "clean"
Place = Stream | Heads | Units
What = Put | Add | Scale | Take | Mean
EXAMPLE = 'intervene(network, prompt, {"no supports": [Edit(Stream(block=0, tokens="support"), Put(0.0))]})'


class InterventionError(ValueError):
    """An intervention that cannot be made on this network and prompt; the message lists every reason."""


@needs(Network)
def intervene(
    network: Network, prompt: Prompt, interventions: Mapping[str, Intervention]
) -> dict[str, Trace]:
    """Run a prompt, or a batch of prompts, clean and under every intervention, in one forward pass.

    Args:
        network: any whose parts can be edited.
        prompt: [*B] prompts or one; `Take` and `Mean` need a batch.
        interventions: name -> edits, made in the order given where several meet. A value that is put or added has the shape of
            what it replaces: [*B, n, ...] for the n tokens of a group, [*B, H, n, d_value] for heads.

    Returns:
        name -> trace, "clean" first. Of a network without known steps `trace.prediction[l]` is what its head reads after l layers.

    Raises:
        InterventionError: unknown names, blocks, heads or units, values that do not fit; every reason at once.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> from metarep_lib.construct.assemble import assemble
    >>> from metarep_lib.evidence.intervene.edits import Scale
    >>> network = assemble(gradient_descent(n_features=1, steps=2, step_size=0.25))
    >>> prompt = Prompt(torch.tensor([[1.0]]), torch.tensor([2.0]), torch.tensor([[3.0]]), ridge=1.0).to(torch.float64)
    >>> at_start = Stream(block=0, direction="r", tokens="support")
    >>> runs = intervene(network, prompt, {"twice y": [Edit(at_start, Scale(2.0))]})
    >>> runs["clean"].prediction.tolist(), runs["twice y"].prediction.tolist()
    ([[0.0], [1.5], [2.25]], [[0.0], [3.0], [4.5]])
    """
    why_not = list(kind_reasons(network, prompt, interventions))
    why_not = why_not or list(reasons(network, prompt, interventions))
    if why_not:
        names = interventions if isinstance(interventions, Mapping) else ()
        listed = "".join(f"\n  - {reason}" for reason in why_not)
        raise InterventionError(
            f"intervene with {', '.join(map(repr, names)) or 'nothing'}:{listed}\nthis would work: {EXAMPLE}"
        )

    def tap(layer: int, part: str, group: str, value: Tensor) -> Tensor:
        """Row v + 1 of the batch after the edits of intervention v; row 0 as it is."""
        here = [
            [edit for edit in edits if concerns(edit.where, layer, part, group)]
            for edits in interventions.values()
        ]
        if not any(here):
            return value
        value = value.clone()
        for row, edits in enumerate(here, start=1):
            for edit in edits:
                make(edit, value[row], value[0], network.channels)
        return value

    rows = prompt.expand(1 + len(interventions))
    trace = network.trace(rows, groups=tuple(network.groups(prompt)), tap=tap)
    return {name: trace.select(row) for row, name in enumerate([CLEAN, *interventions])}


def concerns(where: Place, layer: int, part: str, group: str) -> bool:
    return (where.block, where.part) == (layer, part) and where.tokens in (None, group)


def make(edit: Edit, held: Tensor, clean: Tensor, channels: Mapping[str, slice]) -> None:
    """Make one edit in place, on one row of the batch; a direction of width one is handed over as a number per token."""
    where = edit.where
    if isinstance(where, Heads):  # edits see heads before tokens
        held, clean = held.transpose(-3, -2), clean.transpose(-3, -2)
    index = index_of(where, channels)
    before, reference = held[index], clean[index]
    if isinstance(where, Stream) and isinstance(where.direction, Tensor):
        U = where.direction
        coordinates = before @ U
        held[index] = before + (edit.what(coordinates, reference @ U) - coordinates) @ U.mT
    else:
        after = edit.what(drop_single_channel(before), drop_single_channel(reference))
        shape = drop_single_channel(before).shape
        held[index] = after.expand(shape).reshape(before.shape)


def index_of(where: Place, channels: Mapping[str, slice]) -> tuple:
    """The index of a place in the value of its part, [*B, n, D], [*B, H, n, d_value] or [*B, n, d_mlp]."""
    if isinstance(where, Stream):
        return (..., channels[where.direction] if isinstance(where.direction, str) else slice(None))
    which = slice(None) if where.which is None else slice(where.which, where.which + 1)
    return (..., which, slice(None), slice(None)) if isinstance(where, Heads) else (..., which)


def kind_reasons(network: object, prompt: object, interventions: object) -> Iterator[str]:
    """What is of another kind than asked for."""
    if not isinstance(network, Network):
        yield f"network is {shown(network)}, expected a Network, e.g. assemble(program)"
    if not isinstance(prompt, Prompt):
        yield f"prompt is {shown(prompt)}, expected a Prompt"
    if not isinstance(interventions, Mapping):
        yield f"interventions is {shown(interventions)}, expected a mapping, name to edits"
        return
    for name, edits in interventions.items():
        if not isinstance(edits, Sequence) or not all(isinstance(edit, Edit) for edit in edits):
            yield f"{name!r} is {shown(edits)}, expected a list of Edit"
            continue
        for edit in edits:
            if not isinstance(edit.where, Place) or not isinstance(edit.what, What):
                yield f"{name!r}: {shown(edit)}, expected Edit(where, what) of a place and a change"
            elif not isinstance(edit.where.tokens, str | None):
                yield f"{name!r}: {type(edit.where).__name__}(tokens={shown(edit.where.tokens)}), expected the name of a group or None"
            elif not isinstance(edit.where.block, int):
                yield f"{name!r}: {type(edit.where).__name__}(block={shown(edit.where.block)}), expected a number"


def reasons(
    network: Network, prompt: Prompt, interventions: Mapping[str, Intervention]
) -> Iterator[str]:
    """Why the interventions cannot be made."""
    if CLEAN in interventions:
        yield f"{CLEAN!r} is the name of the pass without edits"
    groups = network.groups(prompt)
    for name, edits in interventions.items():
        for edit in edits:
            unfit = list(place_reasons(edit.where, network, groups))
            unfit = unfit or list(value_reasons(edit, network, prompt.phi.shape[:-2], groups))
            yield from (f"{name!r}, {reason}" for reason in unfit)


def place_reasons(where: Place, network: Network, groups: Mapping[str, int]) -> Iterator[str]:
    first, last = 0 if where.part == "stream" else 1, network.n_layers
    if not first <= where.block <= last:
        yield f"{type(where).__name__}(block={where.block}): expected a block from {first} to {last}"
        return
    if where.tokens is not None and where.tokens not in groups:
        yield f"no tokens {where.tokens!r}; there are {', '.join(groups)}"
    parts = network.parts[where.block]
    if where.part not in parts:
        what = (
            f"group {where.group} of heads" if isinstance(where, Heads) else f"part {where.part!r}"
        )
        yield f"no {what}; block {where.block} has {', '.join(parts)}"
    elif isinstance(where, Stream):
        if isinstance(where.direction, str) and where.direction not in network.channels:
            yield f"no direction {where.direction!r}; there are {', '.join(network.channels) or 'no names in this stream, give a matrix'}"
        if not isinstance(where.direction, str | Tensor | None):
            yield f"a direction is a name, a matrix or None, got {where.direction!r}; several names are several edits"
        if isinstance(where.direction, Tensor) and not is_orthonormal(
            where.direction, network.d_model
        ):
            yield f"a subspace is a matrix [{network.d_model}, s] with orthonormal columns, got {list(where.direction.shape)}: torch.linalg.qr(U)[0]"
    elif where.which is not None and not 0 <= where.which < parts[where.part][0]:
        what = "heads" if isinstance(where, Heads) else "units"
        yield f"no {type(where).__name__}(which={where.which}); block {where.block} has {parts[where.part][0]} {what}"


def value_reasons(
    edit: Edit, network: Network, batch: torch.Size, groups: Mapping[str, int]
) -> Iterator[str]:
    """Why a value cannot be put, added or taken at a place that there is."""
    if isinstance(edit.what, Take | Mean) and not batch:
        yield f"{type(edit.what).__name__} needs a batch of prompts, there is one prompt without a batch axis"
    elif isinstance(edit.what, Take):
        if not isinstance(edit.what.prompts, Sequence) or not all(
            isinstance(b, int) for b in edit.what.prompts
        ):
            yield f"Take(prompts={shown(edit.what.prompts)}), expected a list of positions in the batch"
        elif len(edit.what.prompts) != batch[0] or not all(
            0 <= b < batch[0] for b in edit.what.prompts
        ):
            yield f"Take has {len(edit.what.prompts)} prompts, expected one of 0 to {batch[0] - 1} for each of the {batch[0]} of the batch"
    elif isinstance(edit.what, Put | Add | Scale) and (why := number_reason(edit.what)):
        yield why
    elif isinstance(value := getattr(edit.what, "value", getattr(edit.what, "factor", 0)), Tensor):
        given = list(value.shape)
        for group in [edit.where.tokens] if edit.where.tokens else groups:
            shape = list(shape_of(edit.where, network, batch, groups[group]))
            if not broadcasts(given, shape):
                yield f"a value of shape {given} does not broadcast to {shape}"


def number_reason(what: Put | Add | Scale) -> str:
    """Why a value is none that a stream can hold; nothing where it is one."""
    value, name = (what.factor, "factor") if isinstance(what, Scale) else (what.value, "value")
    call = f"{type(what).__name__}({name}={shown(value)})"
    if not isinstance(value, Tensor):
        return "" if is_number(value) else f"{call}, expected a finite number or a tensor"
    if why := unreadable(value):
        return f"{call} {why}"
    return f"{call}, expected real numbers" if value.is_complex() else ""


def shape_of(where: Place, network: Network, batch: torch.Size, n_tokens: int) -> torch.Size:
    """Of the values an edit sees there."""
    *heads, width = network.parts[where.block][where.part]
    part = torch.empty((*batch, *heads, n_tokens, width), device="meta")[
        index_of(where, network.channels)
    ]
    if isinstance(where, Stream) and isinstance(where.direction, Tensor):
        return torch.Size((*part.shape[:-1], where.direction.shape[-1]))
    return drop_single_channel(part).shape


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
