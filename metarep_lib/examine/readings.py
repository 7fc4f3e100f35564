"""What a network says on the prompts it is tuned to and on those it is judged on: at its last layer, at all layers, through a fitted lens.

Letters: B prompts, q queries, L layers.

A reading is a pair of predictions [L, B, q], to tune on and to judge on. A layer that is left out of it is zero: it says nothing and costs
nothing, and a candidate may still have made a step there. The head of a network may be *deaf* to its early layers: what it reads there is
neither like the answer nor like any ridge regression. Such layers are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metarep_lib.asked import AskedWrongly
from metarep_lib.contents import Contents
from metarep_lib.evidence.identify import (
    KERNEL,
    LINEAR,
    Posed,
    fitted_readout,
    own_head,
    query_streams,
)
from metarep_lib.evidence.identify.tuning import gaps, speaking
from metarep_lib.network.asking import Answerer, Network
from metarep_lib.prompt import Prompt

Reading = tuple[Tensor, Tensor]
DEAF = 0.5  # a layer of which the answer and every ridge regression leave more than this is not understood by the head


@dataclass(frozen=True, eq=False, repr=False)
class Readings(Contents):
    """All that is judged.

    Args:
        tuning: prompts to tune on.
        judging: prompts to judge on.
        last: the answers alone; the layers before them are left out.
        layers: the layers that the head understands, or None where there are none before the last, or layers cannot be read.
        lens: the same layers through a fitted readout ("tuned lens"), or None.
        deaf: the layers that the own head ("logit lens") does not understand, from 1.
        silent: the layers that say nothing at all, from 1.
    """

    tuning: Posed
    judging: Posed
    last: Reading
    layers: Reading | None = None
    lens: Reading | None = None
    deaf: tuple[int, ...] = ()
    silent: tuple[int, ...] = ()


def halves(prompts: Prompt) -> tuple[Prompt, Prompt]:
    """Every other prompt, to tune on and to judge on: whatever the order, both halves are alike.

    >>> from metarep_lib.prompt import Prompt
    >>> batch = Prompt(torch.ones(5, 3, 2), torch.arange(15.0).view(5, 3), torch.ones(5, 1, 2), ridge=1.0)
    >>> [half.y[:, 0].tolist() for half in halves(batch)]
    [[0.0, 6.0, 12.0], [3.0, 9.0]]
    """
    return tuple(part(prompts, slice(start, None, 2)) for start in (0, 1))


def part(prompts: Prompt, which: slice | Tensor) -> Prompt:
    """Some prompts of a batch."""
    return Prompt(prompts.phi[which], prompts.y[which], prompts.phi_query[which], prompts.ridge)


def said_by(network: Answerer) -> Callable[[Prompt], Tensor]:
    """Prompts in double precision to what the layers say of them, [L, B, q]; [1, B, q] where only answers can be had."""

    def layers(prompt: Prompt) -> Tensor:
        asked = prompt.to(network.traits.dtype).to(network.traits.device)
        if isinstance(network, Network):
            return own_head(network, query_streams(network, asked))[1:].cpu()
        with torch.no_grad():
            return network.predict(asked).double().cpu().unsqueeze(0)

    return layers


def read(network: Answerer, prompts: Prompt, steps: int) -> Readings:
    """Ask the network about both halves of the prompts.

    Raises:
        AskedWrongly: what it says is not finite, or nothing.
    """
    posed = tuple(Posed.of(half.to(torch.float64)) for half in halves(prompts))
    said = tuple(said_by(network)(half.prompt) for half in posed)
    if not all(one.isfinite().all() and 1e-30 < one[-1].abs().max() < 1e30 for one in said):
        raise AskedWrongly(
            f"examine({network!r}, {prompts!r}): what it says is not finite, or below 1e-30 throughout, or beyond 1e30;"
            " this would work: prompts of the size it was made for, or float64"
        )
    if not isinstance(network, Network):
        return Readings(*posed, tuple(alone(one, steps) for one in said))
    deaf, silent = understood(posed[0], said[0])
    readings = Readings(
        *posed, tuple(alone(one, len(one)) for one in said), deaf=deaf, silent=silent
    )
    if len({*range(1, len(said[0]))} - {*deaf, *silent}) == 0:
        return readings
    kept = [layer for layer in range(1, len(said[0]) + 1) if layer not in deaf]
    lens = through_lens(network, readings, kept)
    return replace(readings, layers=tuple(only(one, kept) for one in said), lens=lens)


def alone(said: Tensor, steps: int) -> Tensor:
    """[steps, B, q] the last layer with nothing before it."""
    return torch.cat([torch.zeros_like(said[-1:]).expand(steps - 1, -1, -1), said[-1:]])


def only(said: Tensor, layers: list[int]) -> Tensor:
    """The layers named, from 1; the others say nothing."""
    kept = torch.zeros(len(said), 1, 1).to(said)
    kept[[layer - 1 for layer in layers]] = 1.0
    return said * kept


def through_lens(network: Network, readings: Readings, kept: list[int]) -> Reading:
    """What a readout that is fitted to the answer, on the tuning half, says of the layers that are kept."""
    asked = [posed.prompt.to(network.traits.dtype) for posed in (readings.tuning, readings.judging)]
    streams = [query_streams(network, prompt.to(network.traits.device)).cpu() for prompt in asked]
    maps = fitted_readout(streams[0], readings.last[0][-1])
    said = (maps(x, last[-1])[1:] for x, last in zip(streams, readings.last))
    return tuple(only(one, kept) for one in said)


def understood(posed: Posed, said: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(deaf, silent): the layers up to the last one that the head does not understand, and those that say nothing.

    The head understands a layer of which it reads at most half in vain: a multiple of the answer, or of some ridge regression (of the
    linear kernel, or of the exponential one at five temperatures), explains the rest.
    """
    paths = [said[-1:], LINEAR[-1].path(posed, torch.zeros(0).double(), 1, posed)]
    for log in (-1.0, -0.5, 0.0, 0.5, 1.0):
        paths.append(KERNEL[-1].path(posed, torch.tensor([log]).double(), 1, posed))
    left = torch.nan_to_num(gaps(said, torch.cat(paths))[0], 0.0).amin(-1)
    silent = (~speaking(said)).nonzero().flatten().tolist()
    lost = [layer for layer in (left[:-1] > DEAF).nonzero().flatten().tolist()]
    deaf = [layer for layer in range(max(lost, default=-1) + 1) if layer not in silent]
    return tuple(layer + 1 for layer in deaf), tuple(layer + 1 for layer in silent)
