"""Three ways to be asked: who answers, who can be read, who is a decoder of ours.

    Answerer   predict(prompt)                    a function, a fitted model, any network
    Network    + trace, head, parts, twin         something whose layers can be read and edited
    Decoder    + transformer, layout, question    the book's own transformer inside, constructed or trained

An instrument asks for the lowest level that does and never for a type, so what it says of one network it can say of
any other. Classes are abstract or final: nothing that stands here is overridden.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import torch
from torch import Tensor, nn

from metarep_lib.asked import AskedWrongly
from metarep_lib.asked.values import dtype_of, unreadable
from metarep_lib.contents import shown
from metarep_lib.network.basis import Basis
from metarep_lib.network.layouts import Layout
from metarep_lib.network.question import Grouped, Question
from metarep_lib.network.trace import Trace, drop_single_channel
from metarep_lib.network.transformer import Transformer
from metarep_lib.prompt import Prompt

Tap = Callable[[int, str, str, Tensor], Tensor]
"""(layer, part, group, value [*B, n, ...]) to the value to go on with; once for every layer, part and group of tokens.

Layer 0 is the embedding and has a stream alone. The parts, and what follows n in the shape of their values:

    "heads G"    (H, d_value) what the heads of group G found
    "attention"  (D,) the stream after attention
    "units"      (d_mlp,) the gated units
    "stream"     (D,) the stream after the layer
"""

M = TypeVar("M", bound=nn.Module)

PREDICTION = MappingProxyType({"prediction": slice(None)})


class NotAvailable(TypeError):
    """Something this network cannot give; the message says what would."""


@dataclass(frozen=True)
class Traits:
    """What may be assumed of an answerer.

    Args:
        dtype, device: of the prompts it reads; nothing is cast or moved in silence.
        n_features, n_outputs: what it was made for; None: any.
        is_differentiable: its answers have a graph to y.
        is_deterministic: the same question twice gives the same bits.
        is_exchangeable: the order of the supports changes no answer, up to rounding.
        is_isolated: no query sees another.
        reads_ridge: another ridge is another question.
        rounding: how far two equal ways of asking may differ, relative to the largest answer.
    """

    dtype: torch.dtype
    device: torch.device
    n_features: int | None
    n_outputs: int | None
    is_differentiable: bool
    is_deterministic: bool
    is_exchangeable: bool
    is_isolated: bool
    reads_ridge: bool
    rounding: float


class Answerer(ABC):
    """Anything that answers prompts."""

    @property
    @abstractmethod
    def traits(self) -> Traits: ...

    @abstractmethod
    def predict(self, prompt: Prompt) -> Tensor:
        """[*B, q] the answers at the queries, [*B, q, m] for m >= 2 outputs; B are any leading axes.

        Raises:
            AskedWrongly: a prompt it cannot read, with every reason.
        """


class Network(Answerer):
    """Something whose layers can be read, and edited on the way."""

    @property
    @abstractmethod
    def n_layers(self) -> int: ...

    @property
    @abstractmethod
    def d_model(self) -> int: ...

    @property
    def channels(self) -> Mapping[str, slice]:
        """The named directions of the stream; none where nothing has a name."""
        return MappingProxyType({})

    @property
    def outputs(self) -> Mapping[str, slice]:
        """What the head says, name -> slice of its last axis; "prediction" is always among them."""
        return PREDICTION

    @property
    def step_ends(self) -> Sequence[int]:
        """The layers after which a step of the algorithm is complete; every layer where none is known."""
        return range(self.n_layers + 1)

    @property
    @abstractmethod
    def parts(self) -> Sequence[Mapping[str, tuple[int, ...]]]:
        """For every layer, the embedding first: what can be tapped, and its shape behind the tokens."""

    @abstractmethod
    def groups(self, prompt: Prompt) -> Mapping[str, int]:
        """The groups of tokens of a prompt, and how many tokens each has; "support" and "query" are among them."""

    @abstractmethod
    def trace(
        self,
        prompt: Prompt,
        *,
        groups: Sequence[str] = ("support", "query"),
        tap: Tap | None = None,
    ) -> Trace:
        """One forward pass with the streams of some groups of tokens kept, edited by a tap if there is one.

        Raises:
            AskedWrongly: a prompt it cannot read, with every reason.
            KeyError: no such group of tokens, with those there are.
        """

    @abstractmethod
    def head(self, x: Tensor, prompt: Prompt | None = None) -> Tensor:
        """[..., q, D] to [..., q, d_output]: the last norm and the unembedding, applied to any stream."""

    def twin(self, seed: int) -> "Network":
        """The same shapes before training.

        Raises:
            NotAvailable: nobody knows how it was initialised.
        """
        raise NotAvailable(
            f"twin({seed}): {type(self).__name__} does not know how it was initialised;"
            " this would work: a network of the same shapes, made by you"
        )

    def reweighted(self, change: Callable[[Tensor], Tensor]) -> "Network":
        """The same network with other weights, each made of its own; this one stays as it is.

        Raises:
            NotAvailable: its weights are out of reach.
        """
        raise NotAvailable(
            f"reweighted(change): the weights of {type(self).__name__} are out of reach;"
            " this would work: a network of a module, as_network(model, ...) of the adapters"
        )


class Decoder(Network):
    """A transformer of ours under a layout. Tokens, mask and passes are its own affair.

    A subclass gives four things: the transformer, its layout, the channels of its tokens, and a name for errors.
    """

    transformer: Transformer
    layout: Layout
    inputs: Basis
    name: str

    def warn(self, question: Question, last: Tensor) -> None:
        """Warn of numeric trouble, given the stream [..., T, D] after the last layer; a network that knows of none stays silent."""

    def residual(self, prompt: Prompt) -> Callable[[Trace], Tensor] | None:
        """What makes `relative_residual` of a trace of the prompt; None for a network that is not known to solve."""
        return None

    def __call__(self, *args: object, **kwargs: object) -> None:
        raise TypeError(
            f"{self.name}(...): a network is not called; this would work: network.predict(prompt), or"
            " network.run(prompt) for what every step held"
        )

    def to(self, *args: torch.dtype | torch.device | str) -> "Decoder":
        """The same network in another dtype or on another device; arguments as for `Tensor.to`. This one stays as it is.

        A constructed network gets the guards of the new dtype, where `transformer.to` would make zeros of them.

        Raises:
            ValueError: a dtype in which it cannot work.
        """
        asked = self.transformer.W_E.new_empty(0).to(*args)
        if not asked.dtype.is_floating_point:
            raise ValueError(
                f"{self.name}.to({', '.join(map(str, args))}): expected a floating-point dtype, e.g. network.to(torch.float32)"
            )
        return replace(self, transformer=self.transformer_in(asked.dtype, asked.device))

    def transformer_in(self, dtype: torch.dtype, device: torch.device) -> Transformer:
        """A copy of the transformer in a dtype, on a device."""
        return deepcopy(self.transformer).to(dtype=dtype, device=device)

    def reweighted(self, change: Callable[[Tensor], Tensor]) -> "Decoder":
        return replace(self, transformer=with_weights(self.transformer, change))

    def cure(self, what: str, n: int) -> str:
        """How to come by a network that reads n features or outputs, as the end of an error."""
        single = what == "n_outputs" and self.traits.n_outputs == 1 < n
        return "; this would work: prompt.output(0), one output at a time" if single else ""

    @property
    def traits(self) -> Traits:
        weight = self.transformer.W_E
        return Traits(
            dtype=weight.dtype,
            device=weight.device,
            n_features=self.inputs.width("phi"),
            n_outputs=self.inputs.width("y"),
            is_differentiable=True,
            is_deterministic=True,
            is_exchangeable=self.layout.is_exchangeable,
            is_isolated=True,
            reads_ridge=self.layout.reads_ridge,
            rounding=2**10 * self.n_layers * torch.finfo(weight.dtype).eps,
        )

    @property
    def n_layers(self) -> int:
        return len(self.transformer.config.schedule)

    @property
    def d_model(self) -> int:
        return self.transformer.config.d_model

    @property
    def parts(self) -> Sequence[Mapping[str, tuple[int, ...]]]:
        config, stream = self.transformer.config, {"stream": (self.d_model,)}
        found = [stream]
        for index in config.schedule:
            block = config.blocks[index]
            heads = {
                f"heads {g}": (group.n_heads, group.d_value)
                for g, group in enumerate(block.attention)
            }
            found.append(heads | {"attention": (self.d_model,), "units": (block.d_mlp,)} | stream)
        return found

    def groups(self, prompt: Prompt) -> Mapping[str, int]:
        question = self.question(prompt)
        return {group: question.size(group) for group in question.groups}

    def question(self, prompt: Prompt) -> Question:
        """Tokens and mask, and the way back to supports and queries.

        Raises:
            AskedWrongly: widths, dtype or device that do not fit, every reason at once.
        """
        self.check(prompt)
        return self.layout.question(prompt, self.inputs)

    def predict(self, prompt: Prompt) -> Tensor:
        """[*B, q] what the network says at the queries after its last layer; [*B, q, m] for several outputs.

        Warns:
            DigitsLost: of a program that divides, targets outside the range in which it keeps half of its digits
                (`metarep_lib.construct.digits`).
            SinkUnderflow: of a softmax program, a row whose kernel values exceed the ridge beyond the dtype's range.
        """
        question = self.question(prompt)
        last = self._last(question)
        return self._prediction(question.at(last, "query"))

    def curve(self, x: Tensor, y: Tensor, ridge: float = 1.0) -> Tensor:
        """[*B, n] the prediction at every token i of a sequence from the pairs before i, in one pass.

        Args:
            x: [*B, n, p] features.
            y: [*B, n] targets.
            ridge: for networks that read it.

        Raises:
            ValueError: a layout in which the supports see one another.
        """
        if not isinstance(x, Tensor) or x.ndim < 2 or unreadable(x):
            raise AskedWrongly(
                f"{self.name}.curve(x={shown(x)}, y={shown(y)}): expected x of shape [*B, n, p],"
                " y of shape [*B, n]"
            )
        sequence = Prompt(x, y, x[..., :0, :], ridge)
        self.check(sequence)
        question = self.layout.curve(sequence, self.inputs)
        return self._prediction(question.at(self._last(question), "query"))

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
        question = self.question(prompt)
        for group in groups:
            question.check(group)
        taps = () if tap is None else (partial(tapped, question, tap),)
        resid = torch.stack(list(self.transformer.stream(question.tokens, question.mask, *taps)))
        self.warn(question, resid[-1])
        return self._trace(question, resid, groups, "query", self.residual(prompt))

    def head(self, x: Tensor, prompt: Prompt | None = None) -> Tensor:
        weight = self.transformer.W_U
        fits = isinstance(x, Tensor) and x.dtype == weight.dtype and x.device == weight.device
        if not fits or x.layout != torch.strided or x.shape[-1:] != (self.d_model,):
            raise AskedWrongly(
                f"{self.name}.head(x={shown(x)}): expected a stream [..., {self.d_model}] of"
                f" {weight.dtype} on {weight.device}, e.g. network.trace(prompt).stream('query')"
            )
        return self.transformer.read(x)

    def check(self, prompt: Prompt) -> None:
        """Refuse a prompt that this network cannot read, naming every reason."""
        check_prompt(self, prompt, f" or network.to({dtype_of(prompt)})", self.cure)

    def __repr__(self) -> str:
        traits = self.traits
        ridge = "" if traits.reads_ridge else ", does not read the ridge of a prompt"
        return (
            f"{type(self).__name__}({self.name!r}: {traits.n_features} features,"
            f" {self.n_layers} layers, width {self.d_model}, {traits.dtype}{ridge})"
        )

    def _last(self, question: Question) -> Tensor:
        for last in self.transformer.stream(question.tokens, question.mask):
            pass
        self.warn(question, last)
        return last

    def _prediction(self, x: Tensor) -> Tensor:
        return drop_single_channel(self.head(x)[..., self.outputs["prediction"]])

    def _trace(
        self,
        question: Question,
        resid: Tensor,
        groups: Sequence[str],
        answering: str,
        residual: Callable[[Trace], Tensor] | None = None,
    ) -> Trace:
        for group in groups:
            question.check_passes(resid, group)
        return Trace(
            streams={group: question.at(resid, group) for group in groups},
            answers=self.head(question.at(resid, answering)),
            channels=self.channels,
            step_ends=self.step_ends,
            outputs=self.outputs,
            resid=resid,
            tokens=question.groups,
            residual=residual,
        )


def with_weights(module: M, change: Callable[[Tensor], Tensor]) -> M:
    """A copy of a module, every weight of which has been changed; one that stands in two places, once."""
    fresh = deepcopy(module)
    with torch.no_grad():
        for weight in fresh.parameters():
            weight.copy_(change(weight))
    return fresh


def check_prompt(
    who: Answerer,
    prompt: Prompt,
    also: str = "",
    cure: Callable[[str, int], str] = lambda what, n: "",
) -> None:
    """Refuse a prompt that does not fit somebody's traits, naming every reason.

    Args:
        who: with a `name` for errors.
        also: what works for another dtype besides another prompt.
        cure: ("n_features", n) to how to come by somebody who reads n of them.

    Raises:
        AskedWrongly: widths, outputs, dtype or device that do not fit.
    """
    if not isinstance(prompt, Prompt):
        raise AskedWrongly(
            f"{who.name} asked with {shown(prompt)}: expected a prompt; this would work:"
            " network.predict(Prompt(phi, y, phi_query, ridge=0.1))"
        )
    traits, reasons = who.traits, []
    for what, ours, theirs in (
        ("n_features", traits.n_features, prompt.n_features),
        ("n_outputs", traits.n_outputs, prompt.n_outputs),
    ):
        if ours not in (None, theirs):
            reasons.append(f"it reads {what}={ours}, the prompt has {theirs}{cure(what, theirs)}")
    if prompt.phi.dtype != traits.dtype:
        reasons.append(f"the weights are {traits.dtype}: use prompt.to({traits.dtype}){also}")
    if prompt.phi.device != traits.device:
        reasons.append(f"the weights are on {traits.device}: use prompt.to('{traits.device}')")
    if reasons:
        came = f"{who.name} asked with a prompt of {prompt.phi.dtype}{list(prompt.phi.shape)} on {prompt.phi.device}"
        raise AskedWrongly(came + "".join(f"\n  - {reason}" for reason in reasons))


def tapped(question: Grouped, tap: Tap, layer: int, part: str, value: Tensor) -> Tensor:
    """A value of the transformer after a network's tap has seen it, group by group."""
    # heads come as [*P, H, T, d]: tokens first, so that a group is a part of one axis for every part
    heads = part.startswith("heads")
    x = value.transpose(-3, -2).flatten(-2) if heads else value
    seen, shape = x, value.transpose(-3, -2).shape[-2:] if heads else x.shape[-1:]
    for group in question.groups:
        before = question.at(seen, group)
        handed = before.unflatten(-1, shape) if heads else before
        after = tap(layer, "stream" if part == "mlp" else part, group, handed)
        if after is not handed:
            seen = question.put(seen, group, after.flatten(-2) if heads else after)
    if seen is x:
        return value
    return seen.unflatten(-1, shape).transpose(-3, -2).contiguous() if heads else seen
