"""Modules of a module by dotted name, so that a twin has them, too; a head as modules or a function."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from inspect import signature

from torch import Tensor, nn

from metarep_lib.asked import AskedWrongly
from metarep_lib.contents import shown

Named = str | nn.Module
Blocks = str | nn.Module | Sequence[Named]
Head = Named | Sequence[Named] | Callable[[nn.Module, Tensor], Tensor]


def name_in(call: str, argument: str, model: nn.Module, one: object) -> str:
    """The dotted name of a module in the model.

    Raises:
        AskedWrongly: none of the model's, with those that are near.
    """
    named = dict(model.named_modules(remove_duplicate=False))
    if isinstance(one, str):
        if one and one in named:
            return one
        near = (
            get_close_matches(one, named, n=3, cutoff=0.3) or [name for name in named if name][:5]
        )
        raise AskedWrongly(
            f"{call}: {argument} has {one!r}, no module of this model; there are {', '.join(near)}, ..."
            " (model.named_modules())"
        )
    found = next((name for name, module in named.items() if module is one and name), None)
    if found is None:
        raise AskedWrongly(
            f"{call}: {argument} has {shown(type(one).__name__)}, which is no module inside this model;"
            f" expected modules of it or their names; this would work: {argument}=model.get_submodule(name)"
        )
    return found


def block_names(call: str, model: nn.Module, blocks: Blocks) -> tuple[str, ...]:
    """The names of the blocks; of a list of modules, of what is in it.

    Raises:
        AskedWrongly: none, or names there are not.
    """
    if isinstance(blocks, str):
        blocks = model.get_submodule(name_in(call, "blocks", model, blocks))
    if isinstance(blocks, nn.Module) and not isinstance(blocks, nn.ModuleList | nn.Sequential):
        blocks = [blocks]
    # a slice of a list of modules is another list, so that each is looked for by itself
    listed = isinstance(blocks, Sequence | nn.Module)
    names = [name_in(call, "blocks", model, one) for one in blocks] if listed else []
    if not names:
        raise AskedWrongly(
            f"{call}: blocks={shown(blocks)}, expected one block or more, in the order they run; this"
            " would work: blocks=model.blocks, or ['blocks.0', 'blocks.1']"
        )
    return tuple(names)


def reader(call: str, model: nn.Module, head: Head) -> Callable[[nn.Module, Tensor], Tensor]:
    """The head as a function of (model, stream), which finds the modules of whichever model it is given.

    Raises:
        AskedWrongly: no module of the model, and no function of two arguments.
    """
    if isinstance(head, str | nn.Module) or (isinstance(head, Sequence) and len(head)):
        one = isinstance(head, str | nn.Module)
        names = [name_in(call, "head", model, each) for each in ([head] if one else head)]
        return Chain(tuple(names))
    if not callable(head) or takes(head) != 2:
        raise AskedWrongly(
            f"{call}: head={shown(head)}, expected modules of the model or a function of (model, stream),"
            " so that a twin reads with its own; this would work: head=lambda model, x: model.out(x)"
        )
    return head


class Chain:
    """Modules of a model, one after the other."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    def __call__(self, model: nn.Module, x: Tensor) -> Tensor:
        for name in self.names:
            x = model.get_submodule(name)(x)
        return x


def takes(function: Callable) -> int:
    """How many arguments a function has to be given; two where nobody can tell."""
    try:
        given = signature(function).parameters.values()
    except (TypeError, ValueError):
        return 2
    kinds = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")
    return sum(each.default is each.empty and each.kind.name in kinds for each in given)
