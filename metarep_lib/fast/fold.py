r"""A constructed network at about the cost of the solver that it runs, found in its weights alone.

The weights of a construction are nearly all zero, and most of what its stream holds is one number for all tokens of a group. `fold` follows
the stream through the blocks symbolically (`blocks.py`), names every value once (`values.py`), and lays out what has to be computed
(`packing.py`). It reads the `state_dict` and the configuration, and asks the layout what stands on the tokens (`reading.py`); it knows no
program and no algorithm, and a network with one wrong weight folds to the same wrong answers.

    phi . g with g one number per channel      a matrix-vector product        O(k p)
    g = sum_j r_j phi_j for every token        formed once                    O(k p) instead of O(k p^2)
    x - x                                      nothing
    softmax_j(phi_i . phi_j)                   formed once for all blocks
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from metarep_lib.asked import AskedWrongly, asked
from metarep_lib.contents import Contents, shown
from metarep_lib.fast.blocks import Follower, Held
from metarep_lib.fast.expressions import ONE, read
from metarep_lib.fast.operations import Setting, Slots
from metarep_lib.fast.plan import Plan, planned
from metarep_lib.fast.reading import Reading
from metarep_lib.fast.sparse_weights import SparseBlock, columns, sparse_block
from metarep_lib.fast.values import Values
from metarep_lib.network.asking import Decoder, Network, NotAvailable, Tap, Traits
from metarep_lib.network.basis import Basis
from metarep_lib.network.layouts import Layout
from metarep_lib.network.masks import Mask
from metarep_lib.network.question import Question
from metarep_lib.network.trace import Trace, drop_single_channel
from metarep_lib.network.transformer import Transformer, TransformerConfig
from metarep_lib.prompt import Prompt


@dataclass(frozen=True)
class Names:
    """What parts of a stream, of an answer and of a schedule are called: for reading a trace; nothing is computed from them."""

    channels: Mapping[str, slice]
    outputs: Mapping[str, slice]
    step_ends: Sequence[int]


@dataclass(frozen=True, repr=False)
class FoldedNetwork(Network):
    """What `fold` makes: a network that answers as the dense one does, up to rounding.

    Args:
        config, weights: of the transformer, its `state_dict`.
        layout, inputs: how a prompt becomes tokens, and their channels.
        name: for errors.
        names: for reading a trace.

    Gradients go to what a prompt holds, not to the weights. Where a dense network divides by zero its NaN spreads to every channel; here it
    stays where it is read. It knows no program and warns of no lost digits: `network.predict` does.
    """

    config: TransformerConfig
    weights: Mapping[str, Tensor]
    layout: Layout
    inputs: Basis
    name: str = "a folded network"
    names: Names | None = None

    @property
    def channels(self) -> Mapping[str, slice]:
        return self.names.channels if self.names else super().channels

    @property
    def outputs(self) -> Mapping[str, slice]:
        return self.names.outputs if self.names else super().outputs

    @property
    def step_ends(self) -> Sequence[int]:
        return self.names.step_ends if self.names else super().step_ends

    @property
    def traits(self) -> Traits:
        return self.dense.traits

    @property
    def n_layers(self) -> int:
        return len(self.config.schedule)

    @property
    def d_model(self) -> int:
        return self.config.d_model

    @property
    def parts(self) -> Sequence[Mapping[str, tuple[int, ...]]]:
        """Nothing can be tapped: a folded stream is not made channel by channel. Edits use the dense network."""
        return [{} for _ in range(self.n_layers + 1)]

    @cached_property
    def dense(self) -> "Dense":
        """The network as it stands, on the same tensors."""
        transformer = Transformer(self.config, torch.Generator()).requires_grad_(False)
        transformer.load_state_dict(dict(self.weights), assign=True)
        return Dense(transformer, self.layout, self.inputs, self.name)

    def groups(self, prompt: Prompt) -> Mapping[str, int]:
        return self.dense.groups(prompt)

    def head(self, x: Tensor, prompt: Prompt | None = None) -> Tensor:
        return self.dense.head(x, prompt)

    def __repr__(self) -> str:
        return f"FoldedNetwork({self.name!r}: {self.n_layers} layers, width {self.d_model}, {self.traits.dtype})"

    # following the weights

    @cached_property
    def reading(self) -> Reading:
        return Reading(self.layout, self.inputs)

    @cached_property
    def blocks(self) -> list[SparseBlock]:
        return [sparse_block(i, block, self.weights) for i, block in enumerate(self.config.blocks)]

    @cached_property
    def followed(self) -> tuple[Values, list[Held]]:
        """All values of a pass, and what every channel holds after the embedding and after every block."""
        values = Values()
        follower = Follower(self.reading, values)
        held = embedded(self.reading, values, self.weights["W_E"])
        states = [held]
        for index in self.config.schedule:
            held = follower.block(index, self.blocks[index], held)
            states.append(held)
        return values, states

    def plan(self, states: Sequence[Held]) -> Plan:
        n_weights = [block.n_weights for block in self.blocks]
        return planned(
            self.reading, self.followed[0], states, self.weights["W_E"], self.d_model, n_weights
        )

    @cached_property
    def answering(self) -> Plan:
        """The plan that makes what the head reads of the tokens that answer, and nothing else."""
        last, unembedding = self.followed[1][-1], self.weights["W_U"]
        read_by_head = set(unembedding.any(-1).nonzero().flatten().tolist())
        if self.config.final_norm != "none":
            read_by_head = set(range(self.d_model))
        s = "query" if self.reading.is_prefix else self.reading.segments[-1]
        return self.plan([{s: {c: x for c, x in last[s].items() if c in read_by_head}}])

    @cached_property
    def keeping(self) -> Plan:
        """The plan that makes everything."""
        return self.plan(self.followed[1])

    def _block(self, index: int, x: Tensor, mask: Mask) -> Tensor:
        return self.dense.transformer.blocks[index](x, mask)

    # passes

    def predict(self, prompt: Prompt) -> Tensor:
        """[*B, q(, m)] as for the dense network.

        Raises:
            AskedWrongly: a prompt it cannot read, with every reason.
        """
        self.dense.check(prompt)
        run = Pass(prompt, self.d_model, self.answering, *self.answering.run(prompt, self._block))
        return drop_single_channel(
            self.head(run.stream("query", 0))[..., self.outputs["prediction"]]
        )

    def trace(
        self,
        prompt: Prompt,
        *,
        groups: Sequence[str] = ("support", "query"),
        tap: Tap | None = None,
    ) -> Trace:
        """One pass. What it keeps is folded, O(k p) and a few numbers a token for every block; a stream is made when it is asked for.

        Raises:
            NotAvailable: a tap.
        """
        if tap is not None:
            raise NotAvailable(
                f"{self.name}.trace(prompt, tap={shown(tap)}): a folded network has no parts to tap;"
                " this would work: the dense one, network.trace(prompt, tap=tap)"
            )
        self.dense.check(prompt)
        run = Pass(prompt, self.d_model, self.keeping, *self.keeping.run(prompt, self._block))
        check_groups(self.name, run.setting.question, groups)
        answers = torch.stack(
            [self.head(run.stream("query", layer)) for layer in range(self.n_layers + 1)]
        )
        return Trace(
            Streams(run, tuple(groups)), answers, self.channels, self.step_ends, self.outputs
        )

    def multiplications(self, prompt: Prompt) -> int:
        """How many numbers `predict` multiplies, divides or exponentiates for one prompt of these sizes."""
        _, setting = self.answering.begin(prompt, self._block)
        return self.answering.multiplications(setting.counts)


@dataclass(frozen=True)
class Dense(Decoder):
    """What a folded network asks of the dense one: whether a prompt fits, what the head says, blocks that stay as they are."""

    transformer: Transformer
    layout: Layout
    inputs: Basis
    name: str


@dataclass(frozen=True, eq=False, repr=False)
class Pass(Contents):
    """What a pass has made and kept."""

    prompt: Prompt
    d_model: int
    plan: Plan
    slots: Slots
    setting: Setting

    def stream(self, group: str, layer: int) -> Tensor:
        """[*B, n, D] what a group of tokens holds in one of the states that the plan keeps."""
        if self.plan.reading.is_prefix:
            return self.segment(group, layer)
        whole = torch.cat([self.segment(s, layer) for s in self.plan.reading.segments], -2)
        return self.setting.question.at(whole, group)

    def segment(self, s: str, layer: int) -> Tensor:
        n, batch = self.setting.counts[s], self.prompt.phi.shape[:-2]
        if self.setting.question.has_passes:
            batch = *batch, self.prompt.n_query
        held = self.plan.states[layer][s](self.slots, n).mT.expand(*batch, n, self.d_model)
        return held.contiguous()  # in another memory a head may round in another way

    @property
    def n_bytes(self) -> int:
        """What it keeps; views of one tensor count once."""
        storages = {
            x.untyped_storage().data_ptr(): x.untyped_storage().nbytes()
            for x in self.slots
            if x is not None
        }
        return sum(storages.values())


@dataclass(frozen=True)
class Streams(Mapping):
    """Group of tokens -> [L + 1, *B, n, D], made when asked for."""

    run: Pass
    kept: tuple[str, ...]

    def __getitem__(self, group: str) -> Tensor:
        if group not in self.kept:
            raise KeyError(group)
        return torch.stack(
            [self.run.stream(group, layer) for layer in range(len(self.run.plan.states))]
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.kept)

    def __len__(self) -> int:
        return len(self.kept)


def check_groups(name: str, question: Question, groups: Sequence[str]) -> None:
    if isinstance(groups, str) or not isinstance(groups, Sequence):
        raise AskedWrongly(
            f"{name}.trace(prompt, groups={shown(groups)}): expected several names of groups;"
            " this would work: groups=('support', 'query')"
        )
    for group in groups:
        question.check(group)


def embedded(reading: Reading, values: Values, weight: Tensor) -> Held:
    """What every segment holds after the embedding."""
    held: Held = {}
    for s in reading.segments:
        tokens = {}
        for (segment, c), kind in reading.kinds.items():
            if segment == s and isinstance(kind, float):
                tokens[c] = {(ONE, ONE): kind}
            elif segment == s:
                made = (None, (s, c)) if kind is None else (s, kind)
                tokens[c] = {(ONE, values.add("input", *made)): 1.0}
        found = {d: values.hold(read(entries, tokens)) for d, entries in enumerate(columns(weight))}
        held[s] = {d: x for d, x in found.items() if x}
    return held


@asked()
def fold(network: Decoder) -> FoldedNetwork:
    """The same network, run at about the cost of the algorithm in its weights.

    With k supports and p features, two blocks of `two_block_conjugate_gradient` multiply some 2 k p numbers folded, k p^2 and more dense:

        g_a = sum_j r_j phi_ja,    w_i = sum_a g_a phi_ia + lambda r_i

    Args:
        network: constructed, trained or bare. Blocks with a norm or an activation, or with fewer zeros than folding needs, stay as they are.

    Returns:
        A network with the same answers up to rounding, without parts to tap. The weights are those of now: it shares their memory, and
        weights that are replaced later are not seen.

    >>> from metarep_lib.construct.algorithms.two_block_conjugate_gradient import two_block_conjugate_gradient
    >>> from metarep_lib.construct.assemble import assemble
    >>> network = assemble(two_block_conjugate_gradient(n_features=2, steps=2))
    >>> prompt = Prompt(torch.eye(2), torch.tensor([1.0, 2.0]), torch.ones(1, 2), ridge=1.0).to(torch.float64)
    >>> fold(network).predict(prompt).round(decimals=12), network.predict(prompt).round(decimals=12)
    (tensor([1.5000], dtype=torch.float64), tensor([1.5000], dtype=torch.float64))
    """
    transformer = network.transformer
    return FoldedNetwork(
        transformer.config,
        transformer.state_dict(),
        network.layout,
        network.inputs,
        network.name,
        Names(network.channels, network.outputs, network.step_ends),
    )
