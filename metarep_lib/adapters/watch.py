"""One forward pass of a foreign module, watched and edited through hooks that are gone when it ends, however it ends.

Layer 0 is what the first block is given, layer l what the l-th block of the list gives back. A block that hands over a tuple, a
list or a mapping is taken by its first tensor.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from torch import Tensor, nn

from metarep_lib.asked import AskedWrongly
from metarep_lib.contents import shown

Seen = Callable[[int, str, Tensor], Tensor]
"""(layer, part, value) to the value to go on with."""

SUBPARTS = ("attention", "units", "heads")


class Watch:
    """What the blocks hand over, in the order they run.

    Args:
        blocks: the names of the blocks, as often and in the order as they run.
        tap: sees every value, and says what goes on.
    """

    def __init__(self, blocks: Sequence[str], tap: Seen):
        self.blocks, self.tap = blocks, tap
        self.ran: list[str] = []
        self.streams: list[Tensor] = []
        self.versions: list[int] = []
        self.raised: BaseException | None = None

    @property
    def layer(self) -> int:
        """The layer that a running block makes."""
        return len(self.ran) + 1

    def see(self, layer: int, part: str, value: Tensor) -> Tensor:
        """A value after the tap; what the tap raises is remembered as no error of the module's."""
        try:
            after = self.tap(layer, part, value)
        except Exception as error:
            self.raised = error
            raise
        if part == "stream":
            self.streams.append(after)
            self.versions.append(version(after))
        return after

    def enter(self, module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        """Before a block: the stream that the first one is given is layer 0."""
        if self.streams:
            return None
        where, key, x = self.first_given(args, kwargs)
        after = self.see(0, "stream", x)
        if after is x:
            return None
        return (put(args, key, after), kwargs) if where == 0 else (args, put(kwargs, key, after))

    def first_given(self, args: tuple, kwargs: dict) -> tuple[int, Any, Tensor]:
        for where, held in enumerate((args, kwargs)):
            if (found := first_tensor(held)) is not None:
                return where, *found
        self.refuse(f"{self.blocks[0]} is given {shown([*args, *kwargs.values()])}")

    def leave(self, name: str, output: Any) -> Any:
        """After a block: its output is a layer."""
        layer = self.layer
        if layer > len(self.blocks):  # said when the pass is over, with all that ran
            self.ran.append(name)
            return None
        if (found := first_tensor(output)) is None:
            self.refuse(f"{name} gives back {shown(output)}")
        key, x = found
        after = self.see(layer, "stream", x)
        self.ran.append(name)
        return None if after is x else put(output, key, after)

    def attention(self, output: Any) -> Any:
        """After the attention of a block: the stream there is what the block was given and what attention adds."""
        key, added = self.subpart("attention", output)
        held = self.streams[-1] + added
        after = self.see(self.layer, "attention", held)
        return None if after is held else put(output, key, added + (after - held))

    def units(self, output: Any) -> Any:
        key, x = self.subpart("units", output)
        after = self.see(self.layer, "units", x)
        return None if after is x else put(output, key, after)

    def heads(self, args: tuple, n_heads: int) -> tuple | None:
        """Before the projection that puts heads together: what each has found, [N, H, T, d]."""
        key, x = self.subpart("heads", args)
        if x.shape[-1] % n_heads:
            self.refuse(f"heads: n_heads={n_heads} does not divide the {x.shape[-1]} channels")
        held = x.unflatten(-1, (n_heads, -1)).transpose(-3, -2)
        after = self.see(self.layer, "heads 0", held)
        return None if after is held else put(args, key, after.transpose(-3, -2).flatten(-2))

    def subpart(self, part: str, held: Any) -> tuple[Any, Tensor]:
        if (found := first_tensor(held)) is None:
            self.refuse(f"{part} of {self.blocks[self.layer - 1]} hands over {shown(held)}")
        return found

    def refuse(self, what: str) -> NoReturn:
        self.raised = AskedWrongly(
            f"{what}: there is no tensor of floats in it, and a stream is one, [N, T, D]; this would"
            " work: blocks and parts whose first output is the stream"
        )
        raise self.raised

    def check(self, call: str) -> None:
        """Refuse a pass in which other blocks ran than were listed, or the module wrote into what it had handed over.

        Raises:
            AskedWrongly: naming the blocks.
        """
        if missing := [name for name in dict.fromkeys(self.blocks) if name not in self.ran]:
            raise AskedWrongly(
                f"{call}: {', '.join(missing)} never ran; those that did: {', '.join(self.ran) or 'none'}."
                " Expected modules that the forward pass calls as modules, block(x) and not"
                " block.forward(x); this would work: blocks=those that run"
            )
        if self.ran != list(self.blocks):
            again = sorted({name for name in self.ran if self.ran.count(name) > 1})
            looped = f"; {', '.join(again)} ran more than once" if again else ""
            raise AskedWrongly(
                f"{call}: the blocks ran in the order {', '.join(self.ran)}, listed are"
                f" {', '.join(self.blocks)}{looped}; expected each as often and in the order as it runs;"
                f" this would work: blocks={self.ran!r}"
            )
        for layer, (x, made) in enumerate(zip(self.streams, self.versions)):
            if version(x) != made:
                after = self.blocks[layer - 1] if layer else "the embedding"
                raise AskedWrongly(
                    f"{call}: the stream after {after} was changed in place once it had been handed over,"
                    " so that what was read is not what went on; expected x = x + f(x) in place of"
                    " x += f(x); this would work: blocks that start with x = x.clone()"
                )


def version(x: Tensor) -> int:
    """How often a tensor has been written into; always 0 where that is not counted."""
    return 0 if x.is_inference() else x._version


def first_tensor(held: Any) -> tuple[Any, Tensor] | None:
    """The first tensor of floats, and the key it has in what is handed over; no key where that is the tensor."""
    if isinstance(held, Tensor):
        return (None, held) if held.is_floating_point() else None
    if isinstance(held, Mapping):
        pairs = list(held.items())
    else:
        pairs = list(enumerate(held)) if isinstance(held, tuple | list) else []
    found = [(key, x) for key, x in pairs if isinstance(x, Tensor) and x.is_floating_point()]
    return found[0] if found else None


def put(held: Any, key: Any, value: Tensor) -> Any:
    """What is handed over, with another first tensor."""
    if key is None:
        return value
    if isinstance(held, tuple):
        changed = (*held[:key], value, *held[key + 1 :])
        return type(held)(*changed) if hasattr(held, "_fields") else changed
    changed = held.copy()
    changed[key] = value
    return changed


@contextmanager
def watched(
    module: nn.Module, watch: Watch, parts: Mapping[str, str], n_heads: int
) -> Iterator[None]:
    """Hooks on every block and every named part of one; all are removed at the end, after an exception, too."""
    handles = []
    try:
        for name in dict.fromkeys(watch.blocks):
            block = module.get_submodule(name)
            handles.append(block.register_forward_pre_hook(watch.enter, with_kwargs=True))
            handles.append(
                block.register_forward_hook(lambda *given, name=name: watch.leave(name, given[-1]))
            )
            for part, path in parts.items():
                handles.append(on_part(block.get_submodule(path), watch, part, n_heads))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No graph to the weights, which nobody asks for here and which would hold on to every pass; that to y stays."""
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    try:
        for weight in learning:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)


def on_part(module: nn.Module, watch: Watch, part: str, n_heads: int) -> Any:
    if part == "heads":
        return module.register_forward_pre_hook(lambda _, args: watch.heads(args, n_heads))
    see = getattr(watch, part)
    return module.register_forward_hook(lambda *given: see(given[-1]))


def call_module(module: nn.Module, tokens: Any) -> Any:
    """The module on what `tokens` made: a tensor, arguments in a tuple, or arguments by name."""
    if isinstance(tokens, Mapping):
        return module(**tokens)
    return module(*tokens) if isinstance(tokens, tuple) else module(tokens)
