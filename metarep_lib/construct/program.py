"""A program: what every block does, as data over named directions of the residual stream.

Nothing here is a matrix and nothing computes. `assemble` turns a program into weights;
`validate` says beforehand everything that is wrong with it.

A block has two halves, attention and MLP. What one half adds to one direction is one `Write`;
a `Write` sums its terms: heads in the attention half, products in the MLP half.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import accumulate

import torch

from metarep_lib.asked import asked, that
from metarep_lib.asked.values import is_number
from metarep_lib.construct.call import Call
from metarep_lib.contents import Contents
from metarep_lib.network.basis import Basis
from metarep_lib.network.transformer import AttentionKind


class Weight(Enum):
    """A weight whose value depends on the dtype the program is assembled in."""

    GUARD = "far below every divisor that matters"
    TINY = "the smallest normal number"
    HUGE = "1 / TINY"

    def in_dtype(self, dtype: torch.dtype) -> float:
        """The number it stands for.

        >>> [Weight[name].in_dtype(torch.float32) == 2.0**power for name, power in {"GUARD": -86, "TINY": -126, "HUGE": 126}.items()]
        [True, True, True]
        """
        tiny = torch.finfo(dtype).tiny
        return {Weight.GUARD: guard_of(dtype), Weight.TINY: tiny, Weight.HUGE: 1 / tiny}[self]


GUARD, TINY, HUGE = Weight


DIVISION_SCALE = 2.0**-40
"""By what algorithms scale a numerator before they divide: |N / D| up to 2^40 keeps all its digits."""


def guard_of(dtype: torch.dtype) -> float:
    """What GUARD becomes: the smallest normal number of the dtype / DIVISION_SCALE.

    A numerator above the guard keeps all its digits when scaled, and a divisor below it yields to the guard, so that the quotient goes to 0
    instead of losing its digits one by one. (With the smallest normal number itself, one float32
    solve in a hundred left its solution again some hundred steps after convergence.)
    """
    return torch.finfo(dtype).tiny / DIVISION_SCALE


class ProgramError(ValueError):
    """A program that cannot be assembled; the message lists every reason."""


def is_source(source: object) -> bool:
    if isinstance(source, Mapping):
        weights = source.values()
        named = all(isinstance(name, str) for name in source)
        return named and all(isinstance(weight, Weight) or is_number(weight) for weight in weights)
    return isinstance(source, str | Form)


@asked(source=that("a name, or a mapping of names to weights", is_source))
@dataclass(frozen=True, init=False)
class Form:
    """A weighted sum of named directions of equal width: a linear read of one token.

    >>> Form("phi"), Form({"score": 1, "is_sink": GUARD})
    (phi, score + GUARD is_sink)
    """

    terms: tuple[tuple[str, float | Weight], ...]

    def __init__(self, source: "str | Mapping[str, float | Weight] | Form"):
        if isinstance(source, Form):
            terms = source.terms
        elif isinstance(source, str):
            terms = ((source, 1.0),)
        else:
            terms = tuple(source.items())
        object.__setattr__(self, "terms", terms)

    def __repr__(self) -> str:
        return " + ".join(show_term(*term) for term in self.terms).replace("+ -", "- ")


def show_term(name: str, weight: float | Weight) -> str:
    if isinstance(weight, Weight):
        return f"{weight.name} {name}"
    return name if weight == 1 else f"{weight:g} {name}"


@asked()
@dataclass(frozen=True)
class Head:
    """Adds gain * sum_j score_ij value_j (kind "linear"), or its normalised or softmax version.

    score_ij is the sum over `score` of <query form at token i, key form at token j>. The tokens at
    the positions `hides` are not read, on top of the mask.
    """

    kind: AttentionKind
    score: tuple[tuple[Form, Form], ...]
    value: Form
    gain: float = 1.0
    hides: tuple[int, ...] = ()


@asked()
@dataclass(frozen=True)
class Product:
    """Adds gain * left * right, channel by channel; a one-channel factor scales a wider one.

    Written into a one-channel direction, two wide factors give their inner product.
    """

    left: Form
    right: Form
    gain: float = 1.0


@asked()
@dataclass(frozen=True, repr=False)
class Write(Contents):
    """Everything one half of a block adds to one direction."""

    target: str
    terms: tuple[Head, ...] | tuple[Product, ...]


@asked()
@dataclass(frozen=True, repr=False)
class Layer(Contents):
    """One block: `step` of the algorithm it belongs to (0: preparation), a `phase` to call it by, its two halves."""

    step: int
    phase: str
    attention: tuple[Write, ...] = ()
    mlp: tuple[Write, ...] = ()


def every_step(one_step: Sequence[Layer], steps: int) -> list[Layer]:
    """The layers of step 1 for every step: they do the same thing, made once.

    >>> [layer.step for layer in every_step([Layer(1, "sum"), Layer(1, "turn")], steps=2)]
    [1, 1, 2, 2]
    """
    return [replace(layer, step=t) for t in range(1, steps + 1) for layer in one_step]


@asked()
@dataclass(frozen=True)
class Program:
    """An algorithm as blocks over a named stream.

    Args:
        name: what it runs.
        inputs: the channels of a token.
        stream: the named directions of the residual stream; some of them scratch.
        embedding: stream direction <- linear read of the token.
        layers: the blocks in order; layers that do the same thing share their tensors.
        readout: the linear read of the stream that is the prediction.
        causal: it runs under the strict causal mask and answers at the supports, not at queries.

    `call` is the call that made it, where `algorithm` has seen it. It is no argument and no part of what the program is: programs
    that do the same are equal, and `dataclasses.replace` drops it.
    """

    name: str
    inputs: Basis
    stream: Basis
    embedding: tuple[tuple[str, Form], ...]
    layers: tuple[Layer, ...]
    readout: Form
    causal: bool = False
    call: Call | None = field(default=None, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"Program({self.name!r}, {self.n_blocks} blocks, width {self.width})"

    @property
    def distinct_layers(self) -> list[tuple[tuple[Write, ...], tuple[Write, ...]]]:
        """(attention, mlp) of the blocks that store tensors, in the order they first run."""
        return list(dict.fromkeys((layer.attention, layer.mlp) for layer in self.layers))

    @property
    def schedule(self) -> tuple[int, ...]:
        """For every block, which of `distinct_layers` it is."""
        places = {halves: i for i, halves in enumerate(self.distinct_layers)}
        return tuple(places[layer.attention, layer.mlp] for layer in self.layers)

    @property
    def scratch(self) -> tuple[str, ...]:
        """The directions it leaves empty, on every token, before the first step and after each: what a certificate holds it to."""
        return self.stream.scratch

    @property
    def n_blocks(self) -> int:
        return len(self.layers)

    @property
    def width(self) -> int:
        """d_model, the channels of the residual stream."""
        return self.stream.size

    @property
    def n_parameters(self) -> int:
        """Entries of all weight matrices the assembled network stores, zeros included."""
        outside = self.inputs.size + (form_width(self.stream, self.readout) or 0)
        inside = 0
        for attention, mlp in self.distinct_layers:
            inside += sum(
                2 * (self.head_widths(head)[0] + self.head_widths(head)[1])
                for write in attention
                for head in write.terms
            )
            inside += sum(3 * self.n_units(product) for write in mlp for product in write.terms)
        return self.width * (outside + inside)

    def head_widths(self, head: Head) -> tuple[int, int]:
        """d_head and d_value."""
        return sum(form_width(self.stream, query) for query, _ in head.score), form_width(
            self.stream, head.value
        )

    def n_units(self, product: Product) -> int:
        """Hidden units of the MLP that a product takes."""
        return max(form_width(self.stream, product.left), form_width(self.stream, product.right))

    @property
    def n_steps(self) -> int:
        return self.layers[-1].step if self.layers else 0

    @property
    def step_ends(self) -> list[int]:
        """Step t is complete after this many blocks."""
        blocks = Counter(layer.step for layer in self.layers)
        return list(accumulate(blocks[t] for t in range(self.n_steps + 1)))

    def validate(self) -> None:
        """Check the whole program and report every reason at once.

        Raises:
            ProgramError: unknown names, widths that do not fit, two writes to one direction in
                one half of a block, steps out of order.
        """
        reasons = list(self.reasons())
        if reasons:
            listed = "".join(f"\n  - {reason}" for reason in reasons)
            raise ProgramError(
                f"program {self.name!r} over {', '.join(self.stream)} cannot be assembled, {len(reasons)} reasons:{listed}\n"
                "a write that works: Write('w', (Head('linear', ((Form('phi'), Form('phi')),), Form('p')),))"
            )

    def reasons(self) -> Iterator[str]:
        for name, form in self.embedding:
            where = f"embedding of {name!r}"
            yield from misfits(where, self.stream, name, form_width(self.inputs, form))
            yield from unknown(where, self.inputs, form)
        yield from repeated("embedding", [name for name, _ in self.embedding])
        yield from unknown("readout", self.stream, self.readout)
        steps = [layer.step for layer in self.layers]
        if steps and (sorted(steps) != steps or set(steps) | {0} != set(range(steps[-1] + 1))):
            yield f"layers belong to steps {steps}, expected 1, 2, ... in order (after 0 for preparation), each with at least one layer"
        seen = set()
        for layer in self.layers:
            if (layer.attention, layer.mlp) in seen:
                continue  # a repeated block has the same reasons; once is enough
            seen.add((layer.attention, layer.mlp))
            where = f"step {layer.step} {layer.phase!r}"
            for half in ("attention", "mlp"):
                writes = getattr(layer, half)
                yield from repeated(f"{where} {half}", [write.target for write in writes])
                for write in writes:
                    for term in write.terms:
                        yield from self.term_reasons(
                            f"{where} {half}, write to {write.target!r}", half, write.target, term
                        )

    def term_reasons(
        self, where: str, half: str, target: str, term: Head | Product
    ) -> Iterator[str]:
        if isinstance(term, Head) != (half == "attention"):
            yield f"{where}: a {type(term).__name__} does not belong in the {half} half"
        if isinstance(term, Head):
            forms = [form for pair in term.score for form in pair] + [term.value]
            for query, key in term.score:
                widths = form_width(self.stream, query), form_width(self.stream, key)
                if None not in widths and widths[0] != widths[1]:
                    yield f"{where}: query {query} has width {widths[0]}, key {key} has {widths[1]}"
            width = form_width(self.stream, term.value)
        else:
            forms = [term.left, term.right]
            width = product_width(self.stream, target, term)
            if width == 0:
                yield f"{where}: factors {term.left} and {term.right} have different widths, neither is one"
        for form in forms:
            yield from unknown(where, self.stream, form)
        yield from misfits(where, self.stream, target, width)


def form_width(basis: Basis, form: Form) -> int | None:
    """The common width of a form's directions; None when a name is unknown or widths differ."""
    widths = {basis.width(name) for name, _ in form.terms if name in basis}
    known = all(name in basis for name, _ in form.terms)
    return widths.pop() if known and len(widths) == 1 else None


def product_width(basis: Basis, target: str, product: Product) -> int | None:
    """Width of what a product writes: 0 when its factors do not fit, None when unknown."""
    left, right = form_width(basis, product.left), form_width(basis, product.right)
    if left is None or right is None:
        return None
    if left != right:
        return max(left, right) if 1 in (left, right) else 0
    inner_product = target in basis and basis.width(target) == 1
    return 1 if inner_product else left


def unknown(where: str, basis: Basis, form: Form) -> Iterator[str]:
    missing = [name for name, _ in form.terms if name not in basis]
    if missing:
        yield f"{where}: reads {', '.join(map(repr, missing))}, not among {', '.join(basis)}"
    elif form_width(basis, form) is None:
        widths = {name: basis.width(name) for name, _ in form.terms}
        yield f"{where}: adds directions of different widths {widths}"


def misfits(where: str, basis: Basis, target: str, width: int | None) -> Iterator[str]:
    if target not in basis:
        yield f"{where}: no such direction; the stream has {', '.join(basis)}"
    elif width and basis.width(target) != width:
        yield f"{where}: {width} channels into a direction of width {basis.width(target)}"


def repeated(where: str, names: list[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{where}: {count} writes to {name!r} clash; make them one Write with {count} terms, or use two blocks"
