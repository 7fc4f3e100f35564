"""What a foreign module, its streams and its answers have to be, whenever it is asked."""

import torch
from torch import Tensor, nn

from metarep_lib.adapters.where import Positions
from metarep_lib.asked import AskedWrongly
from metarep_lib.contents import describe, shown
from metarep_lib.prompt import Prompt


def check_trained(call: str, model: nn.Module) -> None:
    """Refuse a module in training mode, in which dropout makes noise of answers.

    Raises:
        AskedWrongly: naming a part that is.
    """
    if found := [name for name, part in model.named_modules() if part.training]:
        part = found[0] or "the module"
        raise AskedWrongly(
            f"{call}: {part} is in training mode, where dropout is on and norms of a batch move;"
            " expected evaluation mode; this would work: model.eval()"
        )


def check_module(call: str, model: nn.Module, prompt: Prompt) -> None:
    """Refuse weights in another dtype or on another device than the prompt.

    Raises:
        AskedWrongly: naming the first such weight of each kind.
    """
    phi, reasons = prompt.phi, []
    weights = [pair for pair in model.named_parameters() if pair[1].is_floating_point()]
    for name, weight in weights:
        if weight.dtype != phi.dtype:
            to = "float" if phi.dtype == torch.float32 else "double"
            also = f" or prompt.to({weight.dtype})" if weight.dtype.itemsize >= 4 else ""
            reasons.append(
                f"{name} is {weight.dtype}, the prompt {phi.dtype}: use model.{to}(){also}"
            )
            break
    for name, weight in weights:
        if weight.device != phi.device:
            reasons.append(f"{name} is on {weight.device}: use model.to('{phi.device}')")
            break
    if reasons:
        raise AskedWrongly(
            f"{call} asked with {prompt}" + "".join(f"\n  - {reason}" for reason in reasons)
        )


def check_stream(
    call: str, layer: int, part: str, x: Tensor, prompt: Prompt, positions: Positions
) -> None:
    """Refuse a stream that is not [N, T, D] in the dtype of the prompt, or has no tokens where some are looked for.

    Raises:
        AskedWrongly: naming the layer.
    """
    n = len(prompt.phi)
    if x.ndim < 3 or x.shape[0] != n or x.dtype != prompt.phi.dtype:
        first = n in x.shape[1:2] and x.ndim == 3 and x.shape[0] != n
        hint = "; tokens come first here: batch_first=True" if first else ""
        raise AskedWrongly(
            f"{call}: {part} of layer {layer} is {describe(x)}, expected"
            f" {describe(prompt.phi)[: -len(str(list(prompt.phi.shape)))]}[{n}, T, D], one row for every"
            f" pass{hint}"
        )
    positions.check_inside(call, x)


def check_answer(call: str, m: int, said: object, x: Tensor) -> Tensor:
    """Answers [N, n, m] of a head on a stream [N, n, D].

    Raises:
        AskedWrongly: another number of outputs, or no tensor.
    """
    wanted = [*x.shape[:-1], m]
    if isinstance(said, Tensor) and m == 1 and said.shape == x.shape[:-1]:
        said = said.unsqueeze(-1)
    if not isinstance(said, Tensor) or list(said.shape) != wanted or said.dtype != x.dtype:
        raise AskedWrongly(
            f"{call}: the head makes {shown(said)} of a stream {describe(x)}, expected"
            f" {describe(x.new_empty(0))[:-3]}{wanted}, one number for every token and output; this would"
            f" work: head=lambda model, x: model.out(model.norm(x))[..., :{m}]"
        )
    return said
