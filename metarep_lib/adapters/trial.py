"""What a foreign module, its tokens and its blocks have to be; held against one prompt before anything is asked of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from metarep_lib.adapters.answers import check_answers
from metarep_lib.adapters.module_network import ModuleNetwork, made
from metarep_lib.adapters.watch import first_tensor
from metarep_lib.adapters.where import Positions
from metarep_lib.asked import AskedWrongly
from metarep_lib.asked.errors import first_line
from metarep_lib.contents import describe, shown
from metarep_lib.network.trace import drop_single_channel
from metarep_lib.prompt import Prompt


def check_tokens(call: str, tokens: Callable[[Prompt], Any], prompt: Prompt) -> None:
    """Refuse a tokeniser that makes the same of another prompt.

    Raises:
        AskedWrongly: naming the part of the prompt that it does not look at.
    """
    if not callable(tokens):
        raise AskedWrongly(
            f"{call}: tokens={shown(tokens)}, expected a function from prompts to what the module takes"
        )
    before = tensors_of(made(call, tokens, prompt))
    if not before:
        raise AskedWrongly(
            f"{call}: tokens(prompt) gives {shown(tokens(prompt))}, expected a tensor, a tuple of"
            " arguments, or a dictionary of them"
        )
    for what in ("y", "phi", "phi_query"):
        after = tensors_of(made(call, tokens, moved(prompt, what)))
        if len(after) == len(before) and all(map(torch.equal, before, after)):
            raise AskedWrongly(
                f"{call}: tokens(prompt) is the same for another {what}, so that no answer can depend on"
                f" it; expected tokens made of prompt.phi, prompt.y and prompt.phi_query"
            )


def tensors_of(tokens: Any) -> list[Tensor]:
    """The tensors among what a module takes."""
    held = list(tokens.values()) if isinstance(tokens, Mapping) else tokens
    held = held if isinstance(held, list | tuple) else [held]
    return [x for x in held if isinstance(x, Tensor)]


def moved(prompt: Prompt, what: str) -> Prompt:
    """The prompt with noise on one of its parts."""
    x, generator = getattr(prompt, what), torch.Generator().manual_seed(0)
    noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
    return replace(prompt, **{what: x + noise * x.std().clamp(min=0.1), "y_query": None})


def parts_of(
    call: str, network: ModuleNetwork, prompt: Prompt
) -> tuple[Mapping[str, tuple[int, ...]], ...]:
    """What can be tapped in every layer, and its shape behind the tokens, by looking once.

    Raises:
        AskedWrongly: a part that never ran, or blocks of several widths.
    """
    found: list[dict[str, tuple[int, ...]]] = [{} for _ in range(network.n_layers + 1)]

    def look(layer: int, part: str, group: str, value: Tensor) -> Tensor:
        found[layer][part] = tuple(value.shape[prompt.phi.ndim - 1 :])
        return value

    network.run(prompt, look)
    widths = [parts["stream"] for parts in found]
    if len({*widths}) > 1:
        raise AskedWrongly(
            f"{call}: the stream is {', '.join(str(width[0]) for width in widths)} wide from layer to"
            " layer, expected one width; this would work: blocks that all hand over the stream"
        )
    tapped = {"heads": "heads 0"}
    for part, path in network.subparts.items():
        if missing := [
            name
            for name, parts in zip(network.blocks, found[1:])
            if tapped.get(part, part) not in parts
        ]:
            raise AskedWrongly(
                f"{call}: {missing[0]}.{path} never ran, named as {part!r}; expected a module that the"
                " block calls as a module"
            )
    return tuple(found)


def check_places(call: str, network: ModuleNetwork, prompt: Prompt) -> None:
    """Refuse tokens that do not stand where they are said to, and a head that says something else than the module.

    Raises:
        AskedWrongly: naming the group, or both answers.
    """
    positions = network.where.positions(prompt)
    streams, output = network.run(prompt)
    for what, group, layer in (("y", "support", 0), ("phi_query", "query", -1)):
        there = network.run(moved(prompt, what))[0][layer]
        same = (positions.at(streams[layer], group) == positions.at(there, group)).all(-1)
        if same.any():
            raise AskedWrongly(
                f"{call}: where says {group!r} are the tokens {positions.groups[group]}, and"
                f" {int(same.sum())} of them hold the same with another {what}; expected tokens that"
                f" {'hold y_i' if what == 'y' else 'answer the query'}; this would work: where=INTERLEAVED"
                " for x, y, x, y, ..., PREFIX for supports before queries"
            )
    try:
        answers = drop_single_channel(network.head(positions.at(streams[-1], "query")))
    except (RuntimeError, TypeError, IndexError, AttributeError) as error:
        raise AskedWrongly(
            f"{call}: the head raised {type(error).__name__}: {first_line(error)}; it was given a stream"
            f" {describe(positions.at(streams[-1], 'query'))}, expected modules that read the last stream;"
            " this would work: head=[model.norm, model.out]"
        ) from error
    check_answers(call, answers, prompt, "a head whose answers are finite")
    check_own_output(call, output, answers, positions, streams[-1])


def check_own_output(
    call: str, output: Any, answers: Tensor, positions: Positions, stream: Tensor
) -> None:
    """Refuse a head that reads something else off the last block than the module says, where that can be compared."""
    m = answers.numel() // max(positions.at(stream, "query")[..., 0].numel(), 1)
    of_queries = said_at_queries(output, positions, stream, m)
    if of_queries is None:
        return
    said = of_queries.reshape(answers.shape)
    room = 2**12 * torch.finfo(said.dtype).eps * float(said.detach().abs().max().clamp(min=1))
    apart = float((said - answers).detach().abs().max())
    if not apart <= room:
        raise AskedWrongly(
            f"{call}: the head reads {shown(answers.flatten()[:3].tolist())} off the last block where the"
            f" module says {shown(said.flatten()[:3].tolist())}; expected the same, so that something is"
            " missing between block and answer; this would work: head=[model.norm, model.out], the last"
            " norm included"
        )


def said_at_queries(output: Any, positions: Positions, stream: Tensor, m: int) -> Tensor | None:
    """[*B, q, m] the module's own output at the queries, where it has m numbers for every token, every query, or every x of a pass.

    Args:
        stream: [*P, T, D].
        m: outputs.
    """
    found, (*passes, n_tokens, _) = first_tensor(output), stream.shape
    if found is None:
        return None
    x, of_pass = found[1], m * stream.shape[:-2].numel()
    if x.numel() == of_pass * n_tokens:
        return positions.at(x.reshape(*passes, n_tokens, m), "query")
    if not positions.has_passes:
        return x.reshape(*passes, -1, m) if x.numel() == of_pass * positions.n_query else None
    if x.numel() in (of_pass, of_pass * (positions.size("support") + 1)):
        return x.reshape(*passes, -1, m)[..., -1, :]
    return None
