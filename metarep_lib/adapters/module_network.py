"""A module as a network: streams read and edited through hooks, answers by its head."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from metarep_lib.adapters.answers import nothing_asked
from metarep_lib.adapters.checks import (
    check_answer,
    check_module,
    check_stream,
    check_trained,
)
from metarep_lib.adapters.twins import Factory, drawn_again, made_again
from metarep_lib.adapters.watch import Watch, call_module, frozen, watched
from metarep_lib.adapters.where import Where
from metarep_lib.asked import AskedWrongly, asked, at_least
from metarep_lib.asked.errors import first_line
from metarep_lib.contents import shown
from metarep_lib.network.asking import Network, Tap, Traits, check_prompt, tapped, with_weights
from metarep_lib.network.trace import Trace, drop_single_channel
from metarep_lib.prompt import Prompt

Tokens = Callable[[Prompt], Any]


@dataclass(frozen=True, eq=False, repr=False)
class ModuleNetwork(Network):
    """A module whose layers are read and edited; made by `as_network`.

    Args:
        module: any, in evaluation mode.
        blocks: the names of its blocks, as often and in the order as they run.
        tokens: prompts [N, k, p] to what the module takes.
        readout: (module, stream) to answers.
        where: which tokens are what.
        subparts: names inside a block of "attention", "units", "heads".
        n_heads: of each block, where heads are named.
        factory: seed to a fresh module.
        name: for errors.
        assumed: its traits, as tried.
        parts: of every layer, as tried.
    """

    module: nn.Module
    blocks: tuple[str, ...]
    tokens: Tokens
    readout: Callable
    where: Where
    subparts: Mapping[str, str]
    n_heads: int
    factory: Factory | None
    name: str
    assumed: Traits
    parts: Sequence[Mapping[str, tuple[int, ...]]] = field(default=())

    @property
    def traits(self) -> Traits:
        return self.assumed

    @property
    def n_layers(self) -> int:
        return len(self.blocks)

    @property
    def d_model(self) -> int:
        return self.parts[0]["stream"][0]

    def groups(self, prompt: Prompt) -> Mapping[str, int]:
        self.check(prompt)
        positions = self.where.positions(prompt)
        return {group: positions.size(group) for group in positions.groups}

    def predict(self, prompt: Prompt) -> Tensor:
        self.check(prompt)
        if (nothing := nothing_asked(prompt)) is not None:
            return nothing
        streams, _ = self.run(prompt)
        positions = self.where.positions(prompt)
        return drop_single_channel(self.head(positions.at(streams[-1], "query")))

    def trace(
        self,
        prompt: Prompt,
        *,
        groups: Sequence[str] = ("support", "query"),
        tap: Tap | None = None,
    ) -> Trace:
        if isinstance(groups, str) or not isinstance(groups, Sequence):
            raise AskedWrongly(
                f"{self.name}.trace(prompt, groups={shown(groups)}): expected several names of"
                " groups; this would work: groups=('support', 'query')"
            )
        self.check(prompt)
        positions = self.where.positions(prompt)
        for group in groups:
            positions.check(group)
        if nothing_asked(prompt) is not None:
            raise AskedWrongly(
                f"{self.name}.trace({prompt}): no query of any prompt, and a module is not run on"
                " nothing; this would work: a prompt with one query or more"
            )
        streams, _ = self.run(prompt, tap)
        for group in groups:
            for x in streams:
                positions.check_passes(x, group)
        return Trace(
            streams={
                group: torch.stack([positions.at(x, group) for x in streams]) for group in groups
            },
            # layer by layer, as `predict` reads the last: a product of more rows may round otherwise
            answers=torch.stack([self.head(positions.at(x, "query")) for x in streams]),
            channels=self.channels,
            step_ends=self.step_ends,
            outputs=self.outputs,
        )

    def head(self, x: Tensor, prompt: Prompt | None = None) -> Tensor:
        fits = isinstance(x, Tensor) and (x.dtype, x.device) == (
            self.assumed.dtype,
            self.assumed.device,
        )
        if (
            not fits
            or x.layout != torch.strided
            or x.shape[-1:] != (self.d_model,)
            or not x.numel()
        ):
            raise AskedWrongly(
                f"{self.name}.head(x={shown(x)}): expected a stream [..., {self.d_model}] of"
                f" {self.assumed.dtype} on {self.assumed.device}, e.g. network.trace(prompt).stream('query')"
            )
        flat = x.reshape(-1, *x.shape[-2:]) if x.ndim > 2 else x.reshape(1, -1, self.d_model)
        # in memory of its own: a part of a longer stream would be read by other kernels, to other bits
        flat = flat.clone(memory_format=torch.contiguous_format)
        with frozen(self.module):
            said = self.readout(self.module, flat)
        said = check_answer(self.name, self.assumed.n_outputs, said, flat)
        return said.reshape(*x.shape[:-1], -1)

    @asked(seed=at_least(0))
    def twin(self, seed: int) -> "ModuleNetwork":
        """The same module before training, by its factory, or drawn again by the `reset_parameters` of what it is made of.

        Raises:
            NotAvailable: without a factory, and with weights that nobody can draw again.
        """
        if self.factory is None:
            fresh = drawn_again(self.module, seed, self.name)
        else:
            fresh = made_again(self.module, self.factory, seed, self.name)
        weights = dict(self.module.named_parameters())
        fresh = fresh.to(self.assumed.dtype).to(self.assumed.device).eval()
        for key, weight in fresh.named_parameters():
            weight.requires_grad_(weights[key].requires_grad)
        return replace(self, module=fresh)

    def reweighted(self, change: Callable[[Tensor], Tensor]) -> "ModuleNetwork":
        return replace(self, module=with_weights(self.module, change))

    def check(self, prompt: Prompt) -> None:
        """Refuse a prompt that does not fit, or a module that is not as it was when it was tried."""
        again = "; a module is tried on one number of them: use as_network(model, prompt, ...)"
        check_prompt(self, prompt, cure=lambda what, n: again)
        check_trained(self.name, self.module)
        check_module(self.name, self.module, prompt)

    def run(self, prompt: Prompt, tap: Tap | None = None) -> tuple[list[Tensor], Any]:
        """The stream after the embedding and after every block, each [*P, T, D], and what the module says."""
        asked, passes = self.where.asked(prompt), self.where.passes(prompt)
        positions = self.where.positions(prompt)

        def see(layer: int, part: str, value: Tensor) -> Tensor:
            check_stream(self.name, layer, part, value, asked, positions)
            if tap is None:
                return value
            x = value.reshape(*passes, *value.shape[1:])
            after = tapped(positions, tap, layer, part, x)
            return value if after is x else after.reshape(value.shape)

        watch = Watch(self.blocks, see)
        tokens = made(self.name, self.tokens, asked)
        with frozen(self.module), watched(self.module, watch, self.subparts, self.n_heads):
            output = answered(self.name, self.module, tokens, watch)
        watch.check(self.name)
        return [x.reshape(*passes, *x.shape[1:]) for x in watch.streams], output

    def __repr__(self) -> str:
        return (
            f"ModuleNetwork({self.name!r}: {self.assumed.n_features} features, {self.n_layers} layers,"
            f" width {self.d_model}, {self.assumed.dtype})"
        )


def made(name: str, tokens: Tokens, prompt: Prompt) -> Any:
    """What the module takes, of prompts with one batch axis.

    Raises:
        AskedWrongly: the tokeniser raises.
    """
    try:
        return tokens(prompt)
    except Exception as error:
        raise AskedWrongly(
            f"{name}: tokens({prompt}) raised {type(error).__name__}: {first_line(error)}; expected what"
            " the module takes, of prompts phi [N, k, p], y [N, k], phi_query [N, q, p]; tokens of one query"
            " need a pass for each: use where=INTERLEAVED, or Where(..., has_passes=True)"
        ) from error


def answered(name: str, module: nn.Module, tokens: Any, watch: Watch) -> Any:
    """One forward pass.

    Raises:
        AskedWrongly: the module raises; what a tap or a check raises goes through as it is.
    """
    try:
        return call_module(module, tokens)
    except Exception as error:
        if error is watch.raised:
            raise
        ran = f"after {watch.ran[-1]}" if watch.ran else "before a block was through"
        raise AskedWrongly(
            f"{name}: the module raised {type(error).__name__} {ran}: {first_line(error)}; it was given"
            f" {shown(tokens)}, expected tokens that it can read, as those of the prompt it was tried on:"
            " no longer than its positions, of its dtype"
        ) from error
