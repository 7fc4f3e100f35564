"""The same module before training: drawn again by whoever knows how."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn

from metarep_lib.asked import AskedWrongly
from metarep_lib.contents import shown
from metarep_lib.network.asking import NotAvailable

Factory = Callable[[int], nn.Module]
CURE = "this would work: as_network(..., twin=lambda seed: Model(...)), which makes a fresh one"


def drawn_again(model: nn.Module, seed: int, name: str) -> nn.Module:
    """A copy whose modules have drawn their weights anew, by their own `reset_parameters`.

    Raises:
        NotAvailable: weights that stand in no module which can.
    """
    fresh, drawn = deepcopy(model), set()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        # inside out, so that a module has the last word over those in it, as where they were made
        for part in reversed(list(fresh.modules())):
            reset = getattr(part, "reset_parameters", getattr(part, "_reset_parameters", None))
            if callable(reset):
                reset()
                drawn |= {id(weight) for weight in part.parameters(recurse=False)}
    left = [key for key, weight in fresh.named_parameters() if id(weight) not in drawn]
    if left:
        raise NotAvailable(
            f"twin({seed}) of {name}: {', '.join(left[:3])}{', ...' if left[3:] else ''} stand in no"
            f" module with reset_parameters, so that nobody knows how they were drawn; {CURE}"
        )
    return fresh


def made_again(model: nn.Module, factory: Factory, seed: int, name: str) -> nn.Module:
    """What a factory makes, where it has the shapes of the model.

    Raises:
        AskedWrongly: no module, or one of other shapes.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = factory(seed)
    if not isinstance(fresh, nn.Module):
        raise AskedWrongly(
            f"twin({seed}) of {name}: {shown(fresh)} came back, expected a module; {CURE}"
        )
    ours, theirs = model.state_dict(), fresh.state_dict()
    other = [key for key in ours if key not in theirs or theirs[key].shape != ours[key].shape]
    if other or len(ours) != len(theirs):
        raise AskedWrongly(
            f"twin({seed}) of {name}: its weights have other names or shapes, {', '.join(other[:3])};"
            f" expected those of the model; {CURE}"
        )
    return fresh
