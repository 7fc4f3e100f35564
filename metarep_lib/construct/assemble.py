"""From a program to weights: the only arrow from algorithms to the network.

No weight is ever typed: a matrix falls out of "this form of the token goes to that channel".
"""

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from metarep_lib.asked import a_device, asked
from metarep_lib.construct.degrees import Degree
from metarep_lib.construct.digits import degrees_beside_size, trouble
from metarep_lib.construct.program import Form, Head, Product, Program, Weight, Write, guard_of
from metarep_lib.construct.residual import relative_residual, residual_of
from metarep_lib.construct.save import write_network
from metarep_lib.network.asking import Decoder
from metarep_lib.network.basis import Basis
from metarep_lib.network.layouts import Causal, Layout, Prefix
from metarep_lib.network.question import Question
from metarep_lib.network.trace import Trace
from metarep_lib.network.transformer import (
    Attention,
    AttentionConfig,
    BlockConfig,
    GatedMLP,
    Transformer,
    TransformerConfig,
    warn_of_flushed,
)
from metarep_lib.prompt import Prompt
from metarep_lib.warned import WeightsFlushed


@dataclass(frozen=True, repr=False)
class ConstructedTransformer(Decoder):
    """A transformer together with the program it was assembled from, whose basis names its stream."""

    transformer: Transformer
    program: Program

    @property
    def basis(self) -> Basis:
        return self.program.stream

    @property
    def channels(self) -> Basis:
        return self.program.stream

    @property
    def inputs(self) -> Basis:
        return self.program.inputs

    @property
    def layout(self) -> Layout:
        return Causal() if self.program.causal else Prefix()

    @property
    def step_ends(self) -> Sequence[int]:
        return self.program.step_ends

    @property
    def name(self) -> str:
        return self.program.name

    def cure(self, what: str, n: int) -> str:
        called = self.program.call and self.program.call.with_argument(what, n)
        return f"; this would work: assemble({called})" if called else super().cure(what, n)

    def run(self, prompt: Prompt) -> Trace:
        """One forward pass with the whole residual stream kept, on every token.

        A causal network asked without queries answers at the supports, each from those before it: `prediction` is [n_steps + 1, *B, k].

        Warns:
            DigitsLost, SinkUnderflow: as for `predict`.
        """
        question = self.question(prompt)
        resid = torch.stack(list(self.transformer.stream(question.tokens, question.mask)))
        self.warn(question, resid[-1])
        answering = "support" if self.program.causal and not prompt.n_query else "query"
        return self._trace(
            question, resid, tuple(question.groups), answering, self.residual(prompt)
        )

    @asked()
    def at(
        self, prompt: Prompt, steps: Sequence[int], seen: Callable[[], object] | None = None
    ) -> Trace:
        """The trace of some steps alone, in the memory of so many streams: for prompts whose whole trace would be too large.

        Args:
            prompt: the question.
            steps: in ascending order, 0 is the start; `trace.prediction[i]` is that of `steps[i]`.
            seen: called after every block, to show progress.

        Raises:
            ValueError: steps that are not in ascending order from 0 to the last.

        Warns:
            DigitsLost, SinkUnderflow: as for `predict`.
        """
        wanted = list(steps)
        if not wanted or wanted != sorted({*wanted} & {*range(len(self.step_ends))}):
            raise ValueError(
                f"{self.name}.at(prompt, steps={wanted}): expected steps from 0 to"
                f" {len(self.step_ends) - 1} in ascending order, e.g. steps=[{len(self.step_ends) - 1}]"
            )
        question, layers = self.question(prompt), {self.step_ends[step] for step in wanted}
        kept = []
        for layer, last in enumerate(self.transformer.stream(question.tokens, question.mask)):
            if layer in layers:
                kept.append(last)
            if seen is not None and layer:
                seen()
        self.warn(question, last)
        trace = self._trace(
            question, torch.stack(kept), tuple(question.groups), "query", self.residual(prompt)
        )
        return replace(trace, step_ends=range(len(wanted)))

    def residual(self, prompt: Prompt) -> Callable[[Trace], Tensor] | None:
        """What reads off a trace how far it is from solving; None for a program that holds no residual."""
        if residual_of(self.program) is None:
            return None
        return partial(relative_residual, self.program, prompt)

    def save(self, path: str | Path) -> None:
        """Write weights and program to a file that `load_network` reads, whole or not at all."""
        write_network(self.transformer, self.program, Path(path))

    @cached_property
    def divisor_degrees(self) -> frozenset[Degree]:
        """The degrees of what the network divides by: `metarep_lib.construct.digits`."""
        return degrees_beside_size(self.program)

    def warn(self, question: Question, last: Tensor) -> None:
        if torch.compiler.is_compiling():  # a trace has no values
            return
        found = trouble(self.program, self.divisor_degrees, question.tokens, last)
        if found is not None:
            warnings.warn(found, stacklevel=4)

    def transformer_in(self, dtype: torch.dtype, device: torch.device) -> Transformer:
        """What `assemble` makes in that dtype; weights that are not those of the program (edited, trained further) are cast."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WeightsFlushed)  # guards, which are made anew
            moved = super().transformer_in(dtype, device)
        here = self.transformer.W_E
        was, made = (
            assemble(self.program, dtype=d, device=on).transformer.state_dict()
            for d, on in ((here.dtype, here.device), (dtype, device))
        )
        edited, cast = [], []
        with torch.no_grad():
            for name, weight in moved.state_dict().items():
                before = self.transformer.state_dict()[name]
                if name not in was or was[name].shape != before.shape:
                    continue
                own = before != was[name]
                edited.append(before[own])
                cast.append(weight[own.to(device)])
                weight.copy_(torch.where(own.to(device), weight, made[name]))
        warn_of_flushed(edited, cast, dtype)
        return moved


@asked(device=a_device)
def assemble(
    program: Program, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
) -> ConstructedTransformer:
    """Build the transformer that runs a program. Layers that do the same thing share their tensors.

    Args:
        program: validated first.
        dtype: of all weights, hence of the stream; the guard's size follows from it.
        device: where the weights live.

    Raises:
        ProgramError: with every reason why the program cannot be assembled.
        ValueError: a dtype whose range is too small to divide in (float16).

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> network = assemble(gradient_descent(n_features=1, steps=2, step_size=0.25))
    >>> prompt = Prompt(torch.tensor([[1.0]]), torch.tensor([2.0]), torch.tensor([[3.0]]), ridge=1.0).to(torch.float64)
    >>> network.run(prompt)["alpha", "support"].tolist()  # (1 + 1) alpha = 2: alpha_t = 1 - 2^-t
    [[0.0], [0.5], [0.75]]
    """
    program.validate()
    if guard_of(dtype) > 1e-20:
        raise ValueError(
            f"assemble(dtype={dtype}): its range is too small for guarded divisions; use torch.float64, torch.float32 or torch.bfloat16"
        )
    plans = [plan(program, *halves) for halves in program.distinct_layers]
    config = TransformerConfig(
        d_input=program.inputs.size,
        d_model=program.stream.size,
        d_output=width_of(program.readout, program.stream),
        blocks=tuple(config for config, _, _ in plans),
        schedule=program.schedule,
    )
    transformer = Transformer(config, torch.Generator()).to(dtype=dtype)
    with torch.no_grad():
        for weight in transformer.parameters():
            weight.zero_()
        for name, form in program.embedding:
            transformer.W_E[:, program.stream[name]] = columns(form, program.inputs, dtype)
        transformer.W_U[:] = columns(program.readout, program.stream, dtype)
        for block, (_, groups, units) in zip(transformer.blocks, plans):
            for attention, heads in zip(block.attention, groups):
                write_heads(attention, heads, program.stream)
            write_units(block.mlp, units, program.stream)
    # a construction is finished; requires_grad_() makes it trainable again
    transformer.requires_grad_(False)
    return ConstructedTransformer(transformer.to(device), program)


Targeted = tuple[str, Head] | tuple[str, Product]


def plan(
    program: Program, attention: tuple[Write, ...], mlp: tuple[Write, ...]
) -> tuple[BlockConfig, list[list[Targeted]], list[Targeted]]:
    """The shape of a block, with the heads of each attention group and the products of the MLP."""
    groups = defaultdict(list)
    for write in attention:
        for head in write.terms:
            d_head, d_value = program.head_widths(head)
            groups[
                AttentionConfig(
                    head.kind, n_heads=0, d_head=d_head, d_value=d_value, hidden_keys=head.hides
                )
            ].append((write.target, head))
    configs = tuple(replace(config, n_heads=len(heads)) for config, heads in groups.items())
    units = [(write.target, product) for write in mlp for product in write.terms]
    d_mlp = sum(program.n_units(product) for _, product in units)
    return BlockConfig(configs, d_mlp), list(groups.values()), units


def write_heads(attention: Attention, heads: list[Targeted], stream: Basis) -> None:
    dtype = attention.W_Q.dtype
    for h, (target, head) in enumerate(heads):
        start = 0
        for query, key in head.score:
            part = slice(start, start := start + width_of(query, stream))
            attention.W_Q[h, :, part] = columns(query, stream, dtype)
            attention.W_K[h, :, part] = columns(key, stream, dtype)
        attention.W_V[h] = columns(head.value, stream, dtype)
        attention.W_O[h, :, stream[target]] = head.gain * torch.eye(
            attention.config.d_value, dtype=dtype
        )


def write_units(mlp: GatedMLP, products: list[Targeted], stream: Basis) -> None:
    dtype = mlp.W_in.dtype
    start = 0
    for target, product in products:
        width = max(width_of(product.left, stream), width_of(product.right, stream))
        part = slice(start, start := start + width)
        # a one-channel factor feeds every unit
        mlp.W_gate[:, part] = columns(product.left, stream, dtype)
        mlp.W_in[:, part] = columns(product.right, stream, dtype)
        into = (
            torch.eye(width, dtype=dtype)
            if stream.width(target) == width
            else torch.ones(width, 1, dtype=dtype)
        )
        mlp.W_out[part, stream[target]] = product.gain * into


def width_of(form: Form, basis: Basis) -> int:
    return basis.width(form.terms[0][0])


def columns(form: Form, basis: Basis, dtype: torch.dtype) -> Tensor:
    """[basis.size, width] the matrix that reads a form off a row vector over the basis."""
    width = width_of(form, basis)
    matrix = torch.zeros(basis.size, width, dtype=dtype)
    for name, weight in form.terms:
        matrix[basis[name]] += value_of(weight, dtype) * torch.eye(width, dtype=dtype)
    return matrix


def value_of(weight: float | Weight, dtype: torch.dtype) -> float:
    return weight.in_dtype(dtype) if isinstance(weight, Weight) else weight
